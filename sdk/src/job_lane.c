/* SPDX-License-Identifier: Apache-2.0
 *
 * What the threads of a lane share in this process: being woken, and whose turn it is. Who commits new work for a lane
 * wakes it, and has other units told. Users are served round and round by name; that each process goes round for itself
 * is as fair, and needs no row that all would write to.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "db_session.h"
#include "job_work.h"
#include "kontor/time.h"

#define LANE_LIMIT 32
#define LANE_NAME_SIZE 33

struct lane {
	char name[LANE_NAME_SIZE];
	uint64_t wakes;
	char served[JOB_USER_SIZE];
};

static pthread_mutex_t lanes_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t lanes_changed;
static pthread_once_t lanes_once = PTHREAD_ONCE_INIT;
static struct lane lanes[LANE_LIMIT];
static size_t lanes_len;
/* Of this thread's last look for work: a wake that comes during the look must not be slept through. */
static _Thread_local struct {
	const struct lane *lane;
	uint64_t wakes;
} look;
/* Set while nothing else runs in the process. */
static kontor_job_announce_function announce;
static void *announce_arg;

static void lanes_init(void)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&lanes_changed, &attr);
	pthread_condattr_destroy(&attr);
}

/* The lane of this name; the last one serves all that are too many. */
static struct lane *lane_get(const char *name)
{
	for (size_t i = 0; i < lanes_len; i++)
		if (!strcmp(lanes[i].name, name))
			return &lanes[i];
	if (lanes_len == LANE_LIMIT)
		return &lanes[LANE_LIMIT - 1];
	struct lane *lane = &lanes[lanes_len++];
	snprintf(lane->name, sizeof(lane->name), "%s", name);
	return lane;
}

void kontor_job_lane_wake(const char *lane)
{
	pthread_once(&lanes_once, lanes_init);
	pthread_mutex_lock(&lanes_lock);
	if (lane)
		lane_get(lane)->wakes++;
	for (size_t i = 0; !lane && i < lanes_len; i++)
		lanes[i].wakes++;
	pthread_cond_broadcast(&lanes_changed);
	pthread_mutex_unlock(&lanes_lock);
}

void kontor_job_lane_wait(const char *lane, unsigned ms)
{
	pthread_once(&lanes_once, lanes_init);
	pthread_mutex_lock(&lanes_lock);
	const struct lane *slot = lane_get(lane);
	int64_t until = kontor_monotonic_ms() + ms;
	struct timespec deadline = {until / 1000, (until % 1000) * 1000000};
	uint64_t wakes = look.lane == slot ? look.wakes : slot->wakes;
	look.lane = NULL;
	while (slot->wakes == wakes && kontor_monotonic_ms() < until)
		if (pthread_cond_timedwait(&lanes_changed, &lanes_lock, &deadline))
			break;
	pthread_mutex_unlock(&lanes_lock);
}

/* ---- after a commit ---- */

void kontor_job_lane_announce(kontor_job_announce_function fn, void *arg)
{
	announce = fn;
	announce_arg = arg;
}

static void wake_everywhere(const char *lane)
{
	kontor_job_lane_wake(lane);
	if (announce)
		announce(announce_arg, lane);
}

void session_wake(kontor_conn *tx, const char *lane)
{
	struct session_wakes *wakes = &tx->wakes;
	if (!tx->in_transaction) {
		wake_everywhere(lane);
		return;
	}
	for (unsigned i = 0; lane && i < wakes->len; i++)
		if (strcmp(wakes->lanes[i], lane) == 0)
			return;
	if (!lane || wakes->len == WAKES_LIMIT)
		wakes->all = true;
	else
		snprintf(wakes->lanes[wakes->len++], WAKE_NAME_SIZE, "%s", lane);
}

void session_wakes_done(kontor_conn *conn)
{
	struct session_wakes *wakes = &conn->wakes;
	if (wakes->all)
		wake_everywhere(NULL);
	for (unsigned i = 0; i < wakes->len && !wakes->all; i++)
		wake_everywhere(wakes->lanes[i]);
	wakes->len = 0;
	wakes->all = false;
}

/* ---- whose turn it is ---- */

void job_lane_look(const char *lane, char *ret_user)
{
	pthread_once(&lanes_once, lanes_init);
	pthread_mutex_lock(&lanes_lock);
	const struct lane *slot = lane_get(lane);
	memcpy(ret_user, slot->served, JOB_USER_SIZE);
	look.lane = slot;
	look.wakes = slot->wakes;
	pthread_mutex_unlock(&lanes_lock);
}

void job_lane_serve(const char *lane, const char *user)
{
	pthread_once(&lanes_once, lanes_init);
	pthread_mutex_lock(&lanes_lock);
	struct lane *slot = lane_get(lane);
	snprintf(slot->served, sizeof(slot->served), "%s", user);
	pthread_mutex_unlock(&lanes_lock);
}
