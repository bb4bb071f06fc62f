/* SPDX-License-Identifier: Apache-2.0
 *
 * Rejected rows as CSV: the original line plus line, column, verdict, reason.
 */
#ifndef KONTOR_REJECTS_H
#define KONTOR_REJECTS_H

#include <stdio.h>

#include "cli.h"
#include "out_file.h"

/* Turns all pages of upload.rejects into CSV. */
int rejects_write(struct cli *cli, uint64_t upload_id, FILE *out);
/* The same into a file that was opened before the upload began. */
int rejects_save(struct cli *cli, uint64_t upload_id, struct out_file *file);

#endif
