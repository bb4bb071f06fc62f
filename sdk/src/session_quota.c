/* SPDX-License-Identifier: Apache-2.0 */
#include "session_quota.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "kontor/time.h"

#define WAIT_MS 5000 /* what a step does on a second session takes milliseconds */

struct kontor_session_quota {
	pthread_mutex_t lock;
	pthread_cond_t given_back;
	const char *name;
	unsigned shared, used;
	unsigned held, most; /* with the one of each thread */
};

/* Of this thread. */
static _Thread_local struct kontor_session_quota *mine;
static _Thread_local unsigned held;

struct kontor_session_quota *kontor_session_quota_new(const char *name, unsigned shared)
{
	struct kontor_session_quota *quota = calloc(1, sizeof(*quota));
	pthread_condattr_t monotonic;
	if (!quota)
		return NULL;
	quota->name = name;
	quota->shared = shared;
	pthread_mutex_init(&quota->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&quota->given_back, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return quota;
}

struct kontor_session_quota *kontor_session_quota_free(struct kontor_session_quota *quota)
{
	if (!quota)
		return NULL;
	pthread_cond_destroy(&quota->given_back);
	pthread_mutex_destroy(&quota->lock);
	free(quota);
	return NULL;
}

void session_quota_enter(struct kontor_session_quota *quota)
{
	mine = quota;
	held = 0;
}

bool session_quota_has_room(void)
{
	if (!mine || held == 0)
		return true;
	pthread_mutex_lock(&mine->lock);
	bool room = mine->used < mine->shared;
	pthread_mutex_unlock(&mine->lock);
	return room;
}

/* With the lock. Waits for a shared session; false: none came free. */
static bool await_shared(struct kontor_session_quota *quota)
{
	int64_t until = kontor_monotonic_ms() + WAIT_MS;
	struct timespec deadline = {until / 1000, (until % 1000) * 1000000};
	int late = 0;
	while (quota->used == quota->shared && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&quota->given_back, &quota->lock, &deadline);
	return quota->used < quota->shared;
}

static bool count_in(struct kontor_session_quota *quota, bool shared)
{
	pthread_mutex_lock(&quota->lock);
	bool granted = !shared || await_shared(quota);
	if (granted) {
		quota->used += shared;
		quota->held++;
		if (quota->held > quota->most)
			quota->most = quota->held;
	}
	pthread_mutex_unlock(&quota->lock);
	return granted;
}

int session_quota_take(struct session_ticket *ret_ticket, struct kontor_error *err)
{
	struct session_ticket ticket = {.quota = mine, .shared = mine && held > 0};
	if (mine && !count_in(mine, ticket.shared))
		return kontor_fail(err, KONTOR_E_BUSY,
				   "lane %s: its threads hold all sessions that it may have: give it more "
				   "connections, or fewer threads",
				   mine->name);
	held++;
	*ret_ticket = ticket;
	return 0;
}

void session_quota_give_back(struct session_ticket *ticket)
{
	struct kontor_session_quota *quota = ticket->quota;
	if (held > 0)
		held--;
	if (!quota)
		return;
	pthread_mutex_lock(&quota->lock);
	quota->held--;
	quota->used -= ticket->shared;
	pthread_cond_signal(&quota->given_back);
	pthread_mutex_unlock(&quota->lock);
	*ticket = (struct session_ticket){NULL, false};
}

void kontor_session_quota_read(struct kontor_session_quota *quota, unsigned *ret_held, unsigned *ret_most)
{
	pthread_mutex_lock(&quota->lock);
	*ret_held = quota->held;
	*ret_most = quota->most;
	pthread_mutex_unlock(&quota->lock);
}
