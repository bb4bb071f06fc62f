/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks a published safefile without Kontor: docs/safefile.md.
 */
#ifndef KONTOR_VERIFY_H
#define KONTOR_VERIFY_H

#include "cli.h"

/* after: NULL, or the folder of the safefile before it. EXIT_DONE with a new object in *ret_report, else EXIT_REFUSED
 * after naming every file that is not as it was signed. */
int verify_safefile(const char *path, const char *public_key, const char *after, json_t **ret_report);

#endif
