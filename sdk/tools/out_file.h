/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that a command writes for people: it is there under its name when it is whole, or not at all.
 */
#ifndef KONTOR_OUT_FILE_H
#define KONTOR_OUT_FILE_H

#include <stdio.h>

#include "cli.h"

struct out_file {
	const char *path;
	char *target;     /* the path, behind symbolic links */
	char *unfinished; /* beside it: a rename stays within the file system */
	FILE *out;        /* NULL: closed, or there is no path */
};

/* Opened before the work begins, so that a name that cannot be written is told then and not after an hour; `nothing`
 * says what was not done: "nothing was uploaded". A file of that name is replaced, anything else refused. The file is
 * its owner's alone: it may hold what shops earn, and accounts. path NULL: there is none. An exit code. */
int out_file_open(const char *path, const char *nothing, struct out_file *ret);
/* Gives the file its name; an exit code. `advice` (may be NULL) follows the reason: where else the same is to be had.
 */
int out_file_save(struct out_file *file, const char *advice);
/* Removes what was not saved. */
void out_file_close(struct out_file *file);

#endif
