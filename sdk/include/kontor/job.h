/* SPDX-License-Identifier: Apache-2.0
 *
 * Durable jobs. A job is rows in MariaDB; a unit whose plugins know its kind works on it in the threads of its lane.
 *
 *   submit -> queued -> PLAN (makes the chunks) -> CHUNKS (in parallel; each transaction has its checkpoint)
 *          -> FINISH (one transaction) -> done
 *   a definite failure or a cancel on the way -> UNDO -> failed | cancelled;   retries used up -> UNDO -> dead
 *
 * Every step is claimed by a lease with an epoch (compare-and-set), and the transaction that has the step's effect also
 * says `WHERE epoch = mine`: so a runner that was paused, partitioned or killed can never double what its successor
 * did. kill -9 anywhere: nothing lost, nothing twice; each lane thread does again what came after its last checkpoint.
 */
#ifndef KONTOR_JOB_H
#define KONTOR_JOB_H

#include "kontor/arena.h"
#include "kontor/db.h"
#include "kontor/message.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kontor_host kontor_host;
typedef struct kontor_job kontor_job;     /* the job that this thread works on */
typedef struct kontor_chunk kontor_chunk; /* the chunk that this thread works on */

/* Lanes: each has its own threads and connections, so that nothing big delays anything small. */
#define KONTOR_LANE_INTERACTIVE "interactive"
#define KONTOR_LANE_UPLOAD "upload"
#define KONTOR_LANE_SETTLE "settle"
#define KONTOR_LANE_FILE "file"
#define KONTOR_LANE_REPORT "report"
#define KONTOR_LANE_COMPARE "compare"
#define KONTOR_LANE_REVIEW "review"

struct kontor_job_kind {
	const char *name; /* "payout.run": plugin, dot, verb */
	const char *lane;
	const char *help;

	/* All run in a lane thread and may run again after any failure. They return 0, or an error code: final codes
	 * (and those <= -100) fail the job; the others are retried with back-off, up to max_attempts of the step.
	 * Codes that say "nothing was done" (BUSY, UNAVAILABLE, ...) mean that something else is away: these are
	 * retried without end, and the job shows as waiting, with the message. KONTOR_JOB_WAIT: see kontor_job_wait().
	 * kontor_job_fail() fails the job whatever the code's class. */

	/* Looks around and ends with ONE transaction that adds the chunks and calls kontor_job_planned(). */
	int (*plan)(void *self, kontor_job *job, struct kontor_error *err);
	/* Ends with a transaction that has the chunk's effect and calls kontor_chunk_done(); before it there may be
	 * others that call kontor_chunk_checkpoint(). NULL when plan adds no chunks. */
	int (*chunk)(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err);
	/* Ends with one transaction that calls kontor_job_done(). */
	int (*finish)(void *self, kontor_job *job, struct kontor_error *err);
	/* Takes back what chunks did, in any number of transactions, each safe to repeat; the SDK marks the end.
	 * NULL: nothing to take back. */
	int (*undo)(void *self, kontor_job *job, struct kontor_error *err);
	/* Of one step in a row without progress, and for at least the unit's job_patience; 0 = 8. */
	unsigned max_attempts;
};

/* ---- submitting ----------------------------------------------------------------------------------------------- */

struct kontor_job_new {
	uint64_t job_id;  /* from kontor_id_next("job") */
	const char *kind; /* may belong to another unit */
	const char *lane;
	const char *region;     /* "SG" or NULL */
	const char *user;       /* who asked for it */
	const char *unique_key; /* at most one job with this key is not yet ended; NULL = none */
	const void *params;     /* msgpack map, from a kontor_writer; <= 1 MiB */
	size_t params_size;
};

/* In the caller's transaction. CONFLICT when unique_key is taken by a job that has not ended. After the commit
 * the lane is woken in this unit, and the other units are told; who does not hear of it looks every half a second. */
int kontor_job_submit(kontor_conn *tx, const struct kontor_job_new *job, struct kontor_error *err);
/* The job with this unique key that has not ended, else NOT_FOUND (no message). */
int kontor_job_by_key(kontor_conn *conn, const char *unique_key, uint64_t *ret_job_id, struct kontor_error *err);
/* A waiting job looks again at once. In the caller's transaction. */
int kontor_job_wake(kontor_conn *tx, uint64_t job_id, struct kontor_error *err);

/* ---- inside a step ---------------------------------------------------------------------------------------------- */

uint64_t kontor_job_id(const kontor_job *job);
const char *kontor_job_kind_name(const kontor_job *job);
const char *kontor_job_region(const kontor_job *job); /* "" if none */
const char *kontor_job_user(const kontor_job *job);
const msgpack_object *kontor_job_params(const kontor_job *job); /* a map */
/* This lane thread's session, no transaction open. Each transaction on it (and each change outside of one) fails once
 * the step is no longer this runner's (taken over, or cancelled while it plans or finishes), also one that concludes
 * nothing; those on other sessions do not. */
kontor_conn *kontor_job_db(kontor_job *job);
kontor_arena *kontor_job_arena(kontor_job *job); /* emptied after the step */
kontor_host *kontor_job_host(const kontor_job *job);
/* True when the step should stop soon: cancel was asked for, or the unit drains. The step returns
 * KONTOR_JOB_STOPPED after its last committed checkpoint. Cheap: may be asked per row batch, in the step's thread. It
 * looks on the step's session; while that streams or has a transaction open, on a second one if the lane has it. */
bool kontor_job_stopping(const kontor_job *job);
/* Why undo runs: "cancelled", or the failure's message. */
const char *kontor_job_undo_reason(const kontor_job *job);
/* The failure's code, or 0 when the job was cancelled. */
int kontor_job_undo_code(const kontor_job *job);

#define KONTOR_JOB_WAIT 1    /* returned by a step: not yet, nothing is wrong */
#define KONTOR_JOB_STOPPED 2 /* returned by a step: stopped at a checkpoint, because kontor_job_stopping() */

/* `return kontor_job_wait(job, 5000, "waits for two approvals of safefile %llu", id);`
 * The job's state becomes `waiting` with this reason; the step runs again after retry_ms or kontor_job_wake(). */
int kontor_job_wait(kontor_job *job, uint32_t retry_ms, const char *reason, ...) __attribute__((format(printf, 3, 4)));
/* `return kontor_job_fail(job, err, code, ...)`: fails the job (through undo) even if code's class would be retried;
 * the code ends up in jobs.get and decides the command's exit code. */
int kontor_job_fail(kontor_job *job, struct kontor_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Plan: in its one transaction. `input` is msgpack or NULL; chunk_no counts from 0; total is in units that people
 * understand (rows, payouts). */
int kontor_job_add_chunk(kontor_conn *tx, kontor_job *job, uint32_t chunk_no, const void *input, size_t input_size,
			 struct kontor_error *err);
int kontor_job_planned(kontor_conn *tx, kontor_job *job, uint64_t total, struct kontor_error *err);

uint32_t kontor_chunk_no(const kontor_chunk *chunk);
const msgpack_object *kontor_chunk_input(const kontor_chunk *chunk);         /* a map, or NULL */
const msgpack_object *kontor_chunk_checkpoint_of(const kontor_chunk *chunk); /* the last one, or NULL */

/* In a transaction that moves the chunk's work forward: keeps `state` (msgpack map) and adds done units of progress. */
int kontor_chunk_checkpoint(kontor_conn *tx, kontor_chunk *chunk, const void *state, size_t state_size, uint64_t done,
			    struct kontor_error *err);
/* In the chunk's last transaction, as its last statement. `result` is kept for finish. */
int kontor_chunk_done(kontor_conn *tx, kontor_chunk *chunk, const void *result, size_t result_size, uint64_t done,
		      struct kontor_error *err);

#define KONTOR_OUTPUT_PIECE_SIZE (1u << 20) /* bytes of one piece of output */
#define KONTOR_OUTPUT_PIECES (1u << 20)     /* pieces of one chunk */
/* In a transaction that ends with a checkpoint or the chunk's end: a piece of what the job makes for people to take
 * away (a report), numbered from 0 in its chunk. jobs.output hands out the pieces in order of chunk and piece; they are
 * kept for `output_keep_days`. */
int kontor_chunk_output(kontor_conn *tx, kontor_chunk *chunk, uint32_t piece, const void *data, size_t size,
			struct kontor_error *err);

/* Finish: the chunks' results in order of chunk_no; result is NULL or a map borrowed during the call. */
typedef int (*kontor_chunk_result_function)(void *arg, uint32_t chunk_no, const msgpack_object *result,
					    struct kontor_error *err);
int kontor_job_each_result(kontor_conn *conn, const kontor_job *job, kontor_chunk_result_function fn, void *arg,
			   struct kontor_error *err);
/* In finish's transaction, as its last statement. `result` (msgpack map) is what jobs.get shows. */
int kontor_job_done(kontor_conn *tx, kontor_job *job, const void *result, size_t result_size, struct kontor_error *err);

/* Results of any job's chunks, for a plugin that shows progress in more detail than done/total. */
int kontor_job_results(kontor_conn *conn, uint64_t job_id, kontor_chunk_result_function fn, void *arg,
		       struct kontor_error *err);

/* ---- state of any job ---- */

struct kontor_job_info {
	uint64_t job_id;
	char kind[64], lane[32], state[16], region[3], user[64]; /* queued running waiting done failed cancelled dead */
	uint64_t done, total;
	int64_t created_ms, started_ms, finished_ms, run_at_ms; /* 0 = not yet */
	int error_code;
	char error[512]; /* failure, or what a waiting job waits for */
	bool cancelling;
};
int kontor_job_get(kontor_conn *conn, uint64_t job_id, struct kontor_job_info *ret_info, struct kontor_error *err);
/* The result map of a job that is done; *ret_body is NULL when it has none (yet). The caller frees it. */
int kontor_job_result(kontor_conn *conn, uint64_t job_id, kontor_body **ret_body, struct kontor_error *err);
/* The map that the job was submitted with; NULL when it had none. The caller frees it. */
int kontor_job_params_of(kontor_conn *conn, uint64_t job_id, kontor_body **ret_body, struct kontor_error *err);
/* Jobs from the newest id down, those before `before` (0: from the top), at most `limit`; state and kind may be NULL.
 */
typedef int (*kontor_job_info_function)(void *arg, const struct kontor_job_info *info, struct kontor_error *err);
int kontor_job_list(kontor_conn *conn, const char *state, const char *kind, uint64_t before, unsigned limit,
		    kontor_job_info_function fn, void *arg, struct kontor_error *err);
/* Asks for a cancel; in the caller's transaction. CONFLICT when the job has ended. */
int kontor_job_cancel(kontor_conn *tx, uint64_t job_id, struct kontor_error *err);
/* A dead or failed job starts again from its plan (its undo has run). In the caller's transaction. */
int kontor_job_retry(kontor_conn *tx, uint64_t job_id, struct kontor_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
