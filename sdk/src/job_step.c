/* SPDX-License-Identifier: Apache-2.0
 *
 * What a kind's functions see and say while they work on a step.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "db_session.h"
#include "job_statements.h"
#include "job_work.h"
#include "kontor/time.h"

#define CHUNK_EPOCH_BITS 32 /* claims of one chunk under one plan */
#define LOOK_EVERY_MS 200   /* how often a step looks whether it was cancelled */

/* ---- looking ---- */

static const char *const STAGE_NAMES[] = {
	[STAGE_PLAN] = "plan", [STAGE_CHUNKS] = "chunks", [STAGE_FINISH] = "finish", [STAGE_UNDO] = "undo"};

const char *job_stage_name(enum job_stage stage)
{
	return STAGE_NAMES[stage];
}

bool job_stage_parse(const char *name, enum job_stage *ret_stage)
{
	for (size_t i = 0; i < sizeof(STAGE_NAMES) / sizeof(STAGE_NAMES[0]); i++) {
		if (!strcmp(STAGE_NAMES[i], name)) {
			*ret_stage = (enum job_stage)i;
			return true;
		}
	}
	return false;
}

uint64_t kontor_job_id(const kontor_job *job)
{
	return job->lease.job_id;
}

const char *kontor_job_kind_name(const kontor_job *job)
{
	return job->registration->kind.name;
}

const char *kontor_job_region(const kontor_job *job)
{
	return job->region;
}

const char *kontor_job_user(const kontor_job *job)
{
	return job->user;
}

const msgpack_object *kontor_job_params(const kontor_job *job)
{
	return kontor_body_map(job->params);
}

kontor_conn *kontor_job_db(kontor_job *job)
{
	return job->conn;
}

kontor_arena *kontor_job_arena(kontor_job *job)
{
	return job->arena;
}

kontor_host *kontor_job_host(const kontor_job *job)
{
	return job->host;
}

const char *kontor_job_undo_reason(const kontor_job *job)
{
	return job->undo_reason;
}

int kontor_job_undo_code(const kontor_job *job)
{
	return job->undo_code;
}

uint32_t kontor_chunk_no(const kontor_chunk *chunk)
{
	return chunk->job->lease.chunk_no;
}

const msgpack_object *kontor_chunk_input(const kontor_chunk *chunk)
{
	return chunk->input ? kontor_body_map(chunk->input) : NULL;
}

const msgpack_object *kontor_chunk_checkpoint_of(const kontor_chunk *chunk)
{
	return chunk->checkpoint ? kontor_body_map(chunk->checkpoint) : NULL;
}

/* Whether the job is not where this step believes. A database that does not answer is no reason to stop. */
static bool reads_as_moved(const kontor_job *job, kontor_conn *conn)
{
	kontor_rows *rows = NULL;
	bool moved = false;
	if (!kontor_db_query(conn, KONTOR_READ_ALL, SQL_JOB_STANDS, KONTOR_PARAMS(P_UINT(job->lease.job_id)), &rows,
			     NULL) &&
	    kontor_rows_next(rows, NULL) == 1)
		moved = strcmp(kontor_rows_string(rows, 0), job_stage_name(job->stage)) != 0 ||
			(!job->lease.is_chunk && kontor_rows_uint(rows, 1) != job->lease.epoch);
	kontor_rows_close(rows);
	return moved;
}

/* On the step's own session where that is free. In the middle of a stream it is not, and in a transaction a failure
 * would be that of the transaction: then on a second one, if the lane has it. Without one the step will notice by
 * itself. */
static bool job_has_moved(const kontor_job *job)
{
	kontor_conn *second = NULL;
	if (!job->conn->stream && !job->conn->in_transaction)
		return reads_as_moved(job, job->conn);
	if (!session_quota_has_room() || kontor_db_acquire(kontor_host_db(job->host), &second, NULL))
		return false;
	bool moved = reads_as_moved(job, second);
	kontor_db_release(second);
	return moved;
}

bool kontor_job_stopping(const kontor_job *job)
{
	const atomic_bool *stop = job->registration->stop;
	if (job->stopping || atomic_load(&job->lease.lost) || kontor_host_draining(job->host) ||
	    (stop && atomic_load_explicit(stop, memory_order_relaxed)))
		return true;
	int64_t now = kontor_monotonic_ms();
	if (now - job->looked_ms < LOOK_EVERY_MS)
		return false;
	kontor_job *cache = (kontor_job *)job; /* const for the kind; what is cached here is ours */
	cache->stopping = job_has_moved(job);
	cache->looked_ms = now;
	return cache->stopping;
}

/* ---- waiting and failing ---- */

int kontor_job_wait(kontor_job *job, uint32_t retry_ms, const char *reason, ...)
{
	va_list args;
	va_start(args, reason);
	vsnprintf(job->wait_reason, sizeof(job->wait_reason), reason, args);
	va_end(args);
	job->wait_ms = retry_ms;
	return KONTOR_JOB_WAIT;
}

int kontor_job_fail(kontor_job *job, struct kontor_error *err, int code, const char *format, ...)
{
	char message[JOB_TEXT_SIZE];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	job->failed = true;
	return kontor_fail(err, code < 0 ? code : KONTOR_E_INTERNAL, "%s", message);
}

/* ---- the fence ---- */

/* `affected` rows carry this step's epoch. Without one the transaction must not commit, whatever the kind's code makes
 * of the error. */
static int fenced(kontor_conn *tx, kontor_job *job, int rc, uint64_t affected, struct kontor_error *err)
{
	if (rc)
		return rc;
	if (affected == 1) {
		tx->fenced = true;
		return 0;
	}
	atomic_store(&job->lease.lost, true);
	rc = kontor_fail(err, KONTOR_E_UNAVAILABLE,
			 "job %llu: this step (%s) is no longer ours: it was cancelled or taken over",
			 (unsigned long long)job->lease.job_id, job_stage_name(job->stage));
	session_doom(tx, rc, err ? err->message : "job: the lease was lost");
	return rc;
}

static int require_transaction(kontor_conn *tx, const char *function, struct kontor_error *err)
{
	if (kontor_db_in_transaction(tx))
		return 0;
	return kontor_fail(err, KONTOR_E_INTERNAL, "%s must be called in a transaction, with its effect", function);
}

int job_fence(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	kontor_job *job = arg;
	const struct job_lease *lease = &job->lease;
	uint64_t affected = 0;
	int rc = lease->is_chunk
			 ? kontor_db_exec(tx, SQL_CHUNK_FENCE,
					  KONTOR_PARAMS(P_UINT(lease->lease_ms), P_UINT(lease->job_id),
							P_UINT(lease->chunk_no), P_UINT(lease->epoch)),
					  &affected, err)
			 : kontor_db_exec(tx, SQL_JOB_FENCE,
					  KONTOR_PARAMS(P_UINT(lease->lease_ms), P_UINT(lease->job_id),
							P_UINT(lease->epoch), P_STRING(job_stage_name(job->stage))),
					  &affected, err);
	return fenced(tx, job, rc, affected, err);
}

/* ---- plan ---- */

int kontor_job_add_chunk(kontor_conn *tx, kontor_job *job, uint32_t chunk_no, const void *input, size_t input_size,
			 struct kontor_error *err)
{
	int rc = require_transaction(tx, "kontor_job_add_chunk", err);
	if (rc)
		return rc;
	/* After a retry the same chunk exists anew: its epochs start where no runner of an earlier plan ever was. */
	uint64_t first_epoch = job->lease.epoch << CHUNK_EPOCH_BITS;
	rc = kontor_db_exec(tx, SQL_CHUNK_ADD,
			    KONTOR_PARAMS(P_UINT(job->lease.job_id), P_UINT(chunk_no), P_UINT(first_epoch),
					  P_BYTES(input, input_size)),
			    NULL, err);
	/* A double chunk is either a mistake of the plan or the work of a runner that took over: never a final
	 * CONFLICT. */
	return rc == KONTOR_E_CONFLICT ? kontor_fail(err, KONTOR_E_STORAGE, "job %llu already has a chunk %u",
						     (unsigned long long)job->lease.job_id, chunk_no)
				       : rc;
}

int kontor_job_planned(kontor_conn *tx, kontor_job *job, uint64_t total, struct kontor_error *err)
{
	int rc = require_transaction(tx, "kontor_job_planned", err);
	if (rc)
		return rc;
	uint64_t affected = 0;
	job->concluded = true;
	rc = kontor_db_exec(tx, SQL_JOB_PLANNED,
			    KONTOR_PARAMS(P_UINT(total), P_UINT(job->lease.job_id), P_UINT(job->lease.epoch)),
			    &affected, err);
	session_wake(tx, job->lane); /* the chunks are for all threads of the lane, in all units */
	return fenced(tx, job, rc, affected, err);
}

int job_move(kontor_conn *tx, kontor_job *job, const char *lane, struct kontor_error *err)
{
	int rc = require_transaction(tx, "job_move", err);
	if (rc)
		return rc;
	uint64_t affected = 0;
	rc = kontor_db_exec(tx, SQL_JOB_MOVE,
			    KONTOR_PARAMS(P_STRING(lane), P_UINT(job->lease.job_id), P_UINT(job->lease.epoch)),
			    &affected, err);
	rc = fenced(tx, job, rc, affected, err);
	if (rc == 0)
		session_wake(tx, lane);
	return rc;
}

/* ---- chunk ---- */

int kontor_chunk_checkpoint(kontor_conn *tx, kontor_chunk *chunk, const void *state, size_t state_size, uint64_t done,
			    struct kontor_error *err)
{
	int rc = require_transaction(tx, "kontor_chunk_checkpoint", err);
	if (rc)
		return rc;
	const struct job_lease *lease = &chunk->job->lease;
	uint64_t affected = 0;
	rc = kontor_db_exec(tx, SQL_CHUNK_CHECKPOINT,
			    KONTOR_PARAMS(P_BYTES(state, state_size), P_UINT(done), P_UINT(lease->lease_ms),
					  P_UINT(lease->job_id), P_UINT(lease->chunk_no), P_UINT(lease->epoch)),
			    &affected, err);
	return fenced(tx, chunk->job, rc, affected, err);
}

int kontor_chunk_done(kontor_conn *tx, kontor_chunk *chunk, const void *result, size_t result_size, uint64_t done,
		      struct kontor_error *err)
{
	int rc = require_transaction(tx, "kontor_chunk_done", err);
	if (rc)
		return rc;
	const struct job_lease *lease = &chunk->job->lease;
	uint64_t affected = 0;
	chunk->job->concluded = true;
	rc = kontor_db_exec(tx, SQL_CHUNK_DONE,
			    KONTOR_PARAMS(P_BYTES(result, result_size), P_UINT(done), P_UINT(lease->job_id),
					  P_UINT(lease->chunk_no), P_UINT(lease->epoch)),
			    &affected, err);
	return fenced(tx, chunk->job, rc, affected, err);
}

/* ---- finish ---- */

int kontor_job_done(kontor_conn *tx, kontor_job *job, const void *result, size_t result_size, struct kontor_error *err)
{
	int rc = require_transaction(tx, "kontor_job_done", err);
	if (rc)
		return rc;
	uint64_t affected = 0;
	job->concluded = true;
	rc = kontor_db_exec(
		tx, SQL_JOB_DONE,
		KONTOR_PARAMS(P_BYTES(result, result_size), P_UINT(job->lease.job_id), P_UINT(job->lease.epoch)),
		&affected, err);
	return fenced(tx, job, rc, affected, err);
}
