/* SPDX-License-Identifier: Apache-2.0
 *
 * How many database sessions a group of threads may hold: one each, and some that they share. A lane's threads are such
 * a group, so that a lane that is full leaves the server's connections to the others.
 */
#ifndef KONTOR_SESSION_QUOTA_H
#define KONTOR_SESSION_QUOTA_H

#include <stdbool.h>

#include "kontor/db.h"

#pragma GCC visibility push(default)

struct kontor_session_quota;

/* `shared` sessions beside the one of each thread; `name` stands in messages and is borrowed. NULL: out of memory. */
struct kontor_session_quota *kontor_session_quota_new(const char *name, unsigned shared);
struct kontor_session_quota *kontor_session_quota_free(struct kontor_session_quota *quota);

#pragma GCC visibility pop

/* What this thread acquires counts from now on; NULL: no longer. The thread holds no session. */
void session_quota_enter(struct kontor_session_quota *quota);

/* Before this thread gets a session. Its first one is always granted, for a further one it waits until a shared one is
 * free, at most for a few seconds: then BUSY. *ret_shared: give it back by session_quota_give_back(). */
int session_quota_take(struct kontor_session_quota **ret_shared, struct kontor_error *err);
/* When the session is released. */
void session_quota_give_back(struct kontor_session_quota *shared);
/* Whether a further session would be granted at once. */
bool session_quota_has_room(void);

#endif
