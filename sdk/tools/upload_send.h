/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends a file in pieces. What the unit has acknowledged is never sent again: the same command after a crash goes on.
 */
#ifndef KONTOR_UPLOAD_SEND_H
#define KONTOR_UPLOAD_SEND_H

#include "cli.h"

struct upload_sent {
	uint64_t upload_id, job_id;
	bool repeated;     /* the same bytes were uploaded before: upload_id is that upload */
	kontor_body *body; /* the last answer */
};

/* The arguments of the command line go to upload.begin. EXIT_DONE, or the exit code after saying why. */
int upload_send(struct cli *cli, const struct command_line *line, struct upload_sent *ret);

#endif
