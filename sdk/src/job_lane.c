/* SPDX-License-Identifier: Apache-2.0
 *
 * What the threads of a lane share in this process: being woken, and whose turn it is. A wake often comes before the
 * commit of what it announces, so a woken lane looks again every few milliseconds for a short while. Users are served
 * round and round by name; that each process goes round for itself is as fair, and needs no row that all would write
 * to.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "job_work.h"
#include "kontor/time.h"

#define LANE_LIMIT 32
#define LANE_NAME_SIZE 33
#define HOT_MS 300     /* how long a woken lane looks more often */
#define HOT_POLL_MS 10 /* how often it then looks */

struct lane {
	char name[LANE_NAME_SIZE];
	int64_t hot_until_ms;
	uint64_t wakes;
	char served[JOB_USER_SIZE];
};

static pthread_mutex_t lanes_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t lanes_changed;
static pthread_once_t lanes_once = PTHREAD_ONCE_INIT;
static struct lane lanes[LANE_LIMIT];
static size_t lanes_len;
static int64_t all_hot_until_ms; /* of lanes whose threads have not waited yet when all are woken */

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
	lane->hot_until_ms = all_hot_until_ms;
	return lane;
}

static void lane_heat(struct lane *lane)
{
	lane->hot_until_ms = kontor_monotonic_ms() + HOT_MS;
	lane->wakes++;
}

void kontor_job_lane_wake(const char *lane)
{
	pthread_once(&lanes_once, lanes_init);
	pthread_mutex_lock(&lanes_lock);
	if (lane)
		lane_heat(lane_get(lane));
	else
		all_hot_until_ms = kontor_monotonic_ms() + HOT_MS;
	for (size_t i = 0; !lane && i < lanes_len; i++)
		lane_heat(&lanes[i]);
	pthread_cond_broadcast(&lanes_changed);
	pthread_mutex_unlock(&lanes_lock);
}

void kontor_job_lane_wait(const char *lane, unsigned ms)
{
	pthread_once(&lanes_once, lanes_init);
	pthread_mutex_lock(&lanes_lock);
	const struct lane *slot = lane_get(lane);
	int64_t now = kontor_monotonic_ms();
	if (now < slot->hot_until_ms && ms > HOT_POLL_MS)
		ms = HOT_POLL_MS;
	int64_t until = now + ms;
	struct timespec deadline = {until / 1000, (until % 1000) * 1000000};
	uint64_t wakes = slot->wakes;
	while (slot->wakes == wakes && kontor_monotonic_ms() < until)
		if (pthread_cond_timedwait(&lanes_changed, &lanes_lock, &deadline))
			break;
	pthread_mutex_unlock(&lanes_lock);
}

void job_lane_served_last(const char *lane, char *out)
{
	pthread_once(&lanes_once, lanes_init);
	pthread_mutex_lock(&lanes_lock);
	memcpy(out, lane_get(lane)->served, JOB_USER_SIZE);
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
