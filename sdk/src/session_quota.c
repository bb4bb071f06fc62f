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

static int take_shared(struct kontor_session_quota *quota, struct kontor_error *err)
{
	int64_t until = kontor_monotonic_ms() + WAIT_MS;
	struct timespec deadline = {until / 1000, (until % 1000) * 1000000};
	int late = 0;
	pthread_mutex_lock(&quota->lock);
	while (quota->used == quota->shared && late != ETIMEDOUT)
		late = pthread_cond_timedwait(&quota->given_back, &quota->lock, &deadline);
	bool granted = quota->used < quota->shared;
	quota->used += granted;
	pthread_mutex_unlock(&quota->lock);
	return granted ? 0
		       : kontor_fail(err, KONTOR_E_BUSY,
				     "lane %s: its threads hold all sessions that it may have: give it more "
				     "connections, or "
				     "fewer threads",
				     quota->name);
}

int session_quota_take(struct kontor_session_quota **ret_shared, struct kontor_error *err)
{
	bool first = held == 0;
	int rc = mine && !first ? take_shared(mine, err) : 0;
	if (rc)
		return rc;
	*ret_shared = first ? NULL : mine;
	held++;
	return 0;
}

void session_quota_give_back(struct kontor_session_quota *shared)
{
	if (held > 0)
		held--;
	if (!shared)
		return;
	pthread_mutex_lock(&shared->lock);
	shared->used--;
	pthread_cond_signal(&shared->given_back);
	pthread_mutex_unlock(&shared->lock);
}
