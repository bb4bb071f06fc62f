/* SPDX-License-Identifier: Apache-2.0
 *
 * Working on jobs: what a lane thread of kontord calls. Not installed.
 */
#ifndef KONTOR_JOB_RUNNER_H
#define KONTOR_JOB_RUNNER_H

#include <stdatomic.h>

#include "kontor/host.h"
#include "kontor/job.h"
#include "session_quota.h"

#pragma GCC visibility push(default)

struct kontor_job_registration {
	struct kontor_job_kind kind;
	void *self;
	const char *plugin;      /* for the log */
	const atomic_bool *stop; /* true: its steps stop at their next checkpoint. NULL: never */
};

typedef struct kontor_job_runner kontor_job_runner; /* one per lane thread */

struct kontor_job_runner_options {
	kontor_host *host;
	const char *lane;
	const struct kontor_job_registration *kinds; /* of this lane, from the plugins of this unit */
	size_t kinds_len;
	const char *owner;                     /* "unit@machine" */
	uint64_t instance;                     /* random, drawn at start of the process */
	uint32_t lease_ms;                     /* 15,000 */
	int64_t patience_ms;                   /* a step must have failed for so long before its job is dead */
	struct kontor_session_quota *sessions; /* that its steps may hold; borrowed. NULL: any number */
};

int kontor_job_runner_new(const struct kontor_job_runner_options *options, kontor_job_runner **ret_runner,
			  struct kontor_error *err);
kontor_job_runner *kontor_job_runner_free(kontor_job_runner *runner);

/* Claims one step of one job of the lane and runs it. 1: did something (call again at once); 0: nothing to do
 * (kontor_job_lane_wait); negative: the database failed (wait, then call again). */
int kontor_job_runner_step(kontor_job_runner *runner, struct kontor_error *err);

/* Sleeps until the lane is woken, or was since this thread's last look for work, or ms have passed. */
void kontor_job_lane_wait(const char *lane, unsigned ms);
/* Wakes every thread of the lane (NULL: of all lanes). Async-signal-unsafe. */
void kontor_job_lane_wake(const char *lane);
/* Who has to tell other processes of new work in a lane (NULL: in all), right after its commit and in any thread; NULL:
 * nobody. Set while no other thread of the process works on jobs. */
typedef void (*kontor_job_announce_function)(void *arg, const char *lane);
void kontor_job_lane_announce(kontor_job_announce_function fn, void *arg);

/* Renews the leases of all steps that run in this process; called every lease_ms / 3 by one housekeeping thread. */
int kontor_job_leases_renew(kontor_conn *conn, struct kontor_error *err);
/* Frees the leases of an earlier instance of the same owner, which is known to be gone (the unit's lock file is ours).
 */
int kontor_job_leases_reclaim(kontor_conn *conn, const char *owner, uint64_t instance, struct kontor_error *err);

/* Deletes jobs that ended more than keep_ms ago, with their chunks and output, in small transactions until none is left
 * or it is until_ms (kontor_monotonic_ms()). */
int kontor_jobs_expire(kontor_conn *conn, int64_t keep_ms, int64_t until_ms, uint64_t *ret_jobs,
		       struct kontor_error *err);
/* Only their output. */
int kontor_job_outputs_expire(kontor_conn *conn, int64_t keep_ms, int64_t until_ms, uint64_t *ret_jobs,
			      struct kontor_error *err);

/* ---- looking: for the service `jobs` ---- */

/* The piece at `from` (0: the first) or the next one behind it, as a zstd frame; fn is not called when there is none.
 * `next` is where to go on. */
typedef void (*kontor_job_output_function)(void *arg, uint64_t next, struct kontor_text frame, uint64_t plain_bytes);
int kontor_job_output_read(kontor_conn *conn, uint64_t job_id, uint64_t from, kontor_job_output_function fn, void *arg,
			   struct kontor_error *err);

enum kontor_jobs_which { JOBS_ALL, JOBS_OPEN, JOBS_ENDED };
struct kontor_job_filter {
	const char *state, *kind, *lane, *user; /* NULL: any */
	enum kontor_jobs_which which;
	uint64_t before; /* ids below it; 0: from the top */
	unsigned limit;
};
/* From the newest id down; fn may use the session. */
int kontor_job_search(kontor_conn *conn, const struct kontor_job_filter *filter, kontor_job_info_function fn, void *arg,
		      struct kontor_error *err);
/* Units of progress per second, of the last half minute in which the job moved until now; 0: not known. */
int kontor_job_speed(kontor_conn *conn, uint64_t job_id, uint64_t *ret_per_second, struct kontor_error *err);
/* How many jobs of a lane are in a state: for all that have not ended, and for dead. */
typedef void (*kontor_job_lane_function)(void *arg, const char *lane, const char *state, uint64_t jobs);
int kontor_job_lanes(kontor_conn *conn, kontor_job_lane_function fn, void *arg, struct kontor_error *err);

#pragma GCC visibility pop
#endif
