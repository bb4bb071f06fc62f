/* SPDX-License-Identifier: Apache-2.0
 *
 * The units of this machine, and those that the datacenter's file names, asked all at once: one that hangs does not
 * keep the others' answers back.
 */
#ifndef KONTOR_UNITS_H
#define KONTOR_UNITS_H

#include "cli.h"

struct unit_answer {
	char *name, *endpoint;     /* of a unit elsewhere the name is its endpoint */
	char *server_key;          /* NULL: the one of --server-key, if any */
	json_t *reply;             /* NULL: it did not answer */
	struct kontor_error error; /* why */
};

struct unit_answers {
	struct unit_answer *all;
	size_t len;
};

/* Those named by `names` (NULL-terminated), else the one that -e names, else all that have a socket in the runtime
 * folder. EXIT_DONE, or an exit code after saying why. */
int units_find(const struct cli *cli, const char *const *names, struct unit_answers *ret);
/* As units_find() without names, and the endpoints that the datacenter's file names. What is wrong with the file is
 * said, and is no failure. */
int units_find_everywhere(const struct cli *cli, struct unit_answers *ret);
/* Takes those out that answered at two endpoints, but for the first. */
void units_drop_doubles(struct unit_answers *units);
/* Those of `units` that answered, to be asked something else. */
void units_find_again(const struct unit_answers *units, struct unit_answers *ret);
/* Calls the method of each; returns after timeout_ms at the latest. */
void units_ask(const struct cli *cli, struct unit_answers *units, const char *method, uint32_t timeout_ms);
/* How many answered. */
size_t units_answered(const struct unit_answers *units);
/* command_reload.c: reloads those that units_find() finds, and shows what each says. An exit code. */
int units_reload(const struct cli *cli, const char *const *names);
void units_free(struct unit_answers *units);

#endif
