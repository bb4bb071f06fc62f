/* SPDX-License-Identifier: Apache-2.0
 *
 * Every third of a lease: renew all leases of this process on one session. Whether that worked is what kontor.status
 * says about the database. And, an hour after the last time, delete what has been kept long enough; never so long that
 * a lease would run out meanwhile: what is left is deleted in the next turns.
 */
#include "housekeeping.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "job_runner.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "lanes.h"
#include "request.h"

#define TURN_MS (LEASE_MS / 3)
#define EXPIRE_EVERY_MS INT64_C(3600000)
#define EXPIRE_FOR_MS 1000
#define DAY_MS INT64_C(86400000)

struct housekeeping {
	struct unit *unit;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool ended;
};

static void set_database_state(struct unit *unit, bool answers, const struct kontor_error *err)
{
	if (atomic_exchange(&unit->database_answers, answers) == answers)
		return;
	if (answers)
		kontor_log(KONTOR_LOG_NOTICE, "the database answers again", "%s", "");
	else
		kontor_log(KONTOR_LOG_ERROR, "the database is away", "error=%s", KONTOR_QUOTED(err->message));
}

static void expire_keys(kontor_conn *conn)
{
	uint64_t deleted = 0;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_idempotency_expire(conn, &deleted, &err))
		kontor_log(KONTOR_LOG_WARNING, "old idempotency keys were not deleted", "error=%s",
			   KONTOR_QUOTED(err.message));
	else if (deleted)
		kontor_log(KONTOR_LOG_INFO, "old idempotency keys deleted", "count=%llu", (unsigned long long)deleted);
}

typedef int (*expire_function)(kontor_conn *conn, int64_t keep_ms, int64_t until_ms, uint64_t *ret_jobs,
			       struct kontor_error *err);

static void expire_jobs(kontor_conn *conn, const char *what, expire_function expire, int64_t keep_days,
			int64_t until_ms)
{
	uint64_t jobs = 0;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (expire(conn, keep_days * DAY_MS, until_ms, &jobs, &err))
		kontor_log(KONTOR_LOG_WARNING, "what was kept long enough was not deleted", "what=%s error=%s",
			   KONTOR_QUOTED(what), KONTOR_QUOTED(err.message));
	else if (jobs)
		kontor_log(KONTOR_LOG_INFO, "deleted what was kept long enough", "what=%s jobs=%llu",
			   KONTOR_QUOTED(what), (unsigned long long)jobs);
}

/* True when nothing is left for an hour. */
static bool expire_all(const struct unit *unit, kontor_conn *conn)
{
	const struct unit_config *config = unit->config;
	int64_t until_ms = kontor_monotonic_ms() + EXPIRE_FOR_MS;
	expire_keys(conn);
	expire_jobs(conn, "jobs", kontor_jobs_expire, config->options.job_keep_days, until_ms);
	expire_jobs(conn, "output of jobs", kontor_job_outputs_expire, config->options.output_keep_days, until_ms);
	return kontor_monotonic_ms() < until_ms;
}

static void keep_house(struct unit *unit, int64_t *expired_ms)
{
	kontor_conn *conn = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	int rc = kontor_db_acquire(unit->db, &conn, &err);
	if (!rc)
		rc = kontor_job_leases_renew(conn, &err);
	set_database_state(unit, rc == 0, &err);
	if (!rc && kontor_monotonic_ms() - *expired_ms >= EXPIRE_EVERY_MS) {
		if (expire_all(unit, conn))
			*expired_ms = kontor_monotonic_ms();
	}
	kontor_db_release(conn);
}

/* Sleeps a turn; false when the thread shall end. */
static bool next_turn(struct housekeeping *housekeeping)
{
	int64_t until = kontor_monotonic_ms() + TURN_MS;
	struct timespec deadline = {until / 1000, (until % 1000) * 1000000};
	pthread_mutex_lock(&housekeeping->lock);
	while (!housekeeping->ended && kontor_monotonic_ms() < until)
		pthread_cond_timedwait(&housekeeping->woken, &housekeeping->lock, &deadline);
	bool go_on = !housekeeping->ended;
	pthread_mutex_unlock(&housekeeping->lock);
	return go_on;
}

static void *housekeeping_main(void *arg)
{
	struct housekeeping *housekeeping = arg;
	int64_t expired_ms = kontor_monotonic_ms() - EXPIRE_EVERY_MS;
	do
		keep_house(housekeeping->unit, &expired_ms);
	while (next_turn(housekeeping));
	return NULL;
}

int housekeeping_start(struct unit *unit, struct kontor_error *err)
{
	struct housekeeping *housekeeping = calloc(1, sizeof(*housekeeping));
	if (!housekeeping)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for housekeeping");
	housekeeping->unit = unit;
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&housekeeping->woken, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&housekeeping->lock, NULL);
	int error = pthread_create(&housekeeping->thread, NULL, housekeeping_main, housekeeping);
	if (error) {
		free(housekeeping);
		return kontor_fail(err, KONTOR_E_INTERNAL, "cannot start housekeeping: %s", strerror(error));
	}
	unit->housekeeping = housekeeping;
	return 0;
}

void housekeeping_stop(struct unit *unit)
{
	struct housekeeping *housekeeping = unit->housekeeping;
	if (!housekeeping)
		return;
	pthread_mutex_lock(&housekeeping->lock);
	housekeeping->ended = true;
	pthread_cond_signal(&housekeeping->woken);
	pthread_mutex_unlock(&housekeeping->lock);
	pthread_join(housekeeping->thread, NULL);
	pthread_cond_destroy(&housekeeping->woken);
	pthread_mutex_destroy(&housekeeping->lock);
	free(housekeeping);
	unit->housekeeping = NULL;
}
