/* SPDX-License-Identifier: Apache-2.0
 *
 * How many database sessions a group of threads may hold: one each, and some that they share. A lane's threads are such
 * a group, so that a lane that is full leaves the server's connections to the others.
 */
#ifndef KONTOR_SESSION_QUOTA_H
#define KONTOR_SESSION_QUOTA_H

#include <stdbool.h>

#include "kontor/error.h"

#pragma GCC visibility push(default)

struct kontor_session_quota;

/* `shared` sessions beside the one of each thread; `name` stands in messages and is borrowed. NULL: out of memory. */
struct kontor_session_quota *kontor_session_quota_new(const char *name, unsigned shared);
struct kontor_session_quota *kontor_session_quota_free(struct kontor_session_quota *quota);
/* How many sessions its threads hold now, and the most that they ever held at once. */
void kontor_session_quota_read(struct kontor_session_quota *quota, unsigned *ret_held, unsigned *ret_most);

#pragma GCC visibility pop

/* What this thread acquires counts from now on; NULL: no longer. The thread holds no session. */
void session_quota_enter(struct kontor_session_quota *quota);

/* What a session counts in. */
struct session_ticket {
	struct kontor_session_quota *quota; /* NULL: in none */
	bool shared;
};

/* Before this thread gets a session. Its first one is always granted, for a further one it waits until a shared one is
 * free, at most for a few seconds: then BUSY. */
int session_quota_take(struct session_ticket *ret_ticket, struct kontor_error *err);
/* When the session is released, or could not be made; empties the ticket. */
void session_quota_give_back(struct session_ticket *ticket);
/* Whether a further session would be granted at once. */
bool session_quota_has_room(void);

#endif
