/* SPDX-License-Identifier: Apache-2.0
 *
 * Rejected rows as CSV: the original line plus line, column, verdict, reason.
 */
#ifndef KONTOR_REJECTS_H
#define KONTOR_REJECTS_H

#include <stdio.h>

#include "cli.h"

/* Turns all pages of upload.rejects into CSV. */
int rejects_write(struct cli *cli, uint64_t upload_id, FILE *out);
/* The same into a file that appears under its name only when it is complete. Opened before an upload begins, so that a
 * name that cannot be written is told then and not after an hour. path NULL: none; closing without saving removes it.
 */
struct rejects_file {
	const char *path;
	char *unfinished;
	FILE *out;
};
int rejects_open(const char *path, struct rejects_file *ret);
int rejects_save(struct cli *cli, uint64_t upload_id, struct rejects_file *file);
void rejects_close(struct rejects_file *file);

#endif
