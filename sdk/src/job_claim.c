/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding a step that is free, and claiming it by compare-and-set.
 */
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

#include "db_session.h"
#include "job_statements.h"
#include "job_work.h"

#define JOB_CANDIDATES 4    /* as in SQL_FIND_END */
#define CHUNK_CANDIDATES 16 /* as in SQL_FIND_CHUNKS */
#define LOSS_LIMIT 50       /* a step during which the process died so often in a row is taken for the cause */

struct job_candidate {
	uint64_t job_id, epoch;
	enum job_stage stage;
	char user[JOB_USER_SIZE];
};

struct chunk_candidate {
	uint32_t chunk_no;
	uint64_t epoch;
};

/* ---- finding ---- */

static int find_jobs(kontor_job_runner *runner, kontor_conn *conn, const char *sql, struct job_candidate *ret,
		     size_t *ret_len, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	runner->find_params[1] = P_STRING(runner->served_user);
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, sql, runner->find_params, &rows, err);
	if (rc)
		return rc;
	size_t len = 0;
	while (len < JOB_CANDIDATES && kontor_rows_next(rows, err) == 1) {
		struct job_candidate *candidate = &ret[len];
		candidate->job_id = kontor_rows_uint(rows, 0);
		candidate->epoch = kontor_rows_uint(rows, 2);
		snprintf(candidate->user, sizeof(candidate->user), "%s", kontor_rows_string(rows, 3));
		if (job_stage_parse(kontor_rows_string(rows, 1), &candidate->stage))
			len++;
	}
	kontor_rows_close(rows);
	*ret_len = len;
	return 0;
}

static int find_chunks(kontor_conn *conn, uint64_t job_id, struct chunk_candidate *ret, size_t *ret_len,
		       struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_FIND_CHUNKS, KONTOR_PARAMS(P_UINT(job_id), P_UINT(job_id)),
				 &rows, err);
	if (rc)
		return rc;
	size_t len = 0;
	while (len < CHUNK_CANDIDATES && kontor_rows_next(rows, err) == 1) {
		ret[len].chunk_no = (uint32_t)kontor_rows_uint(rows, 0);
		ret[len].epoch = kontor_rows_uint(rows, 1);
		len++;
	}
	kontor_rows_close(rows);
	*ret_len = len;
	return 0;
}

/* ---- claiming ---- */

/* 1: ours; 0: somebody was faster, or a transaction holds the row. */
static int claimed(kontor_job_runner *runner, kontor_conn *conn, int rc, uint64_t affected)
{
	if (rc && kontor_db_errno(conn) == ER_LOCK_WAIT_TIMEOUT)
		return 0;
	runner->claim_in_doubt = rc && conn->lost;
	return rc ? rc : affected == 1;
}

static int claim_chunk(kontor_job_runner *runner, kontor_conn *conn, uint64_t job_id,
		       const struct chunk_candidate *candidate, struct kontor_error *err)
{
	const struct kontor_job_runner_options *options = &runner->options;
	uint64_t affected = 0;
	runner->job.stage = STAGE_CHUNKS;
	runner->job.lease = (struct job_lease){.job_id = job_id,
					       .is_chunk = true,
					       .chunk_no = candidate->chunk_no,
					       .epoch = candidate->epoch + 1,
					       .lease_ms = options->lease_ms};
	int rc = kontor_db_exec(conn, SQL_CHUNK_CLAIM,
				KONTOR_PARAMS(P_STRING(runner->owner), P_UINT(options->instance),
					      P_UINT(options->lease_ms), P_UINT(job_id), P_UINT(candidate->chunk_no),
					      P_UINT(candidate->epoch)),
				&affected, err);
	return claimed(runner, conn, rc, affected);
}

static int claim_job(kontor_job_runner *runner, kontor_conn *conn, const struct job_candidate *candidate,
		     struct kontor_error *err)
{
	const struct kontor_job_runner_options *options = &runner->options;
	uint64_t affected = 0;
	runner->job.stage = candidate->stage == STAGE_CHUNKS ? STAGE_FINISH : candidate->stage;
	runner->job.lease = (struct job_lease){
		.job_id = candidate->job_id, .epoch = candidate->epoch + 1, .lease_ms = options->lease_ms};
	int rc = kontor_db_exec(conn, SQL_JOB_CLAIM,
				KONTOR_PARAMS(P_STRING(runner->owner), P_UINT(options->instance),
					      P_UINT(options->lease_ms), P_UINT(candidate->job_id),
					      P_UINT(candidate->epoch), P_STRING(job_stage_name(candidate->stage))),
				&affected, err);
	return claimed(runner, conn, rc, affected);
}

static int claim_any(kontor_job_runner *runner, kontor_conn *conn, const struct job_candidate *candidate,
		     struct kontor_error *err)
{
	if (candidate->stage != STAGE_CHUNKS)
		return claim_job(runner, conn, candidate, err);
	struct chunk_candidate chunks[CHUNK_CANDIDATES];
	size_t len = 0;
	int rc = find_chunks(conn, candidate->job_id, chunks, &len, err);
	if (rc)
		return rc;
	if (len == 0)
		return claim_job(runner, conn, candidate, err);
	for (size_t i = 0; rc == 0 && i < len; i++)
		rc = claim_chunk(runner, conn, candidate->job_id, &chunks[i], err);
	return rc;
}

int job_unclaim(kontor_job_runner *runner, kontor_conn *conn, struct kontor_error *err)
{
	const struct job_lease *lease = &runner->job.lease;
	struct kontor_param owner = P_STRING(runner->owner), instance = P_UINT(runner->options.instance);
	int rc = lease->is_chunk
			 ? kontor_db_exec(conn, SQL_CHUNK_UNCLAIM,
					  KONTOR_PARAMS(P_UINT(lease->job_id), P_UINT(lease->chunk_no),
							P_UINT(lease->epoch), owner, instance),
					  NULL, err)
			 : kontor_db_exec(conn, SQL_JOB_UNCLAIM,
					  KONTOR_PARAMS(P_UINT(lease->job_id), P_UINT(lease->epoch), owner, instance),
					  NULL, err);
	runner->claim_in_doubt = rc != 0;
	return rc;
}

/* ---- loading what was claimed ---- */

static int parse_optional(struct kontor_text bytes, kontor_body **ret_body, struct kontor_error *err)
{
	*ret_body = NULL;
	return bytes.data ? kontor_body_parse(bytes.data, bytes.size, ret_body, err) : 0;
}

static const struct kontor_job_registration *registration_of(const kontor_job_runner *runner, const char *kind)
{
	for (size_t i = 0; i < runner->options.kinds_len; i++)
		if (!strcmp(runner->options.kinds[i].kind.name, kind))
			return &runner->options.kinds[i];
	return NULL;
}

/* What the claimed row says beside the job's fields. */
struct loaded {
	enum job_stage stage;
	bool waiting;
};

static int read_job(kontor_job_runner *runner, const kontor_rows *rows, struct loaded *ret, struct kontor_error *err)
{
	kontor_job *job = &runner->job;
	job->registration = registration_of(runner, kontor_rows_string(rows, 0));
	snprintf(job->region, sizeof(job->region), "%s", kontor_rows_string(rows, 1));
	snprintf(job->user, sizeof(job->user), "%s", kontor_rows_string(rows, 2));
	ret->waiting = !strcmp(kontor_rows_string(rows, 4), "waiting");
	job->wakes = kontor_rows_uint(rows, 6);
	job->losses = (unsigned)kontor_rows_uint(rows, 7);
	job->undo_code = (int)kontor_rows_int(rows, 8);
	snprintf(job->undo_reason, sizeof(job->undo_reason), "%s", kontor_rows_string(rows, 9));
	job->dead = !strcmp(kontor_rows_string(rows, 10), "dead");
	if (!job->registration || !job_stage_parse(kontor_rows_string(rows, 5), &ret->stage))
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "job %llu: its kind or stage has changed while it was claimed",
				   (unsigned long long)job->lease.job_id);
	struct kontor_text params = kontor_rows_text(rows, 3);
	return kontor_body_parse(params.data, params.size, &job->params, err);
}

static int load_job(kontor_job_runner *runner, kontor_conn *conn, struct loaded *ret, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_JOB_LOAD, KONTOR_PARAMS(P_UINT(runner->job.lease.job_id)),
				 &rows, err);
	if (rc)
		return rc;
	if (kontor_rows_next(rows, err) == 1)
		rc = read_job(runner, rows, ret, err);
	else
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "job %llu has disappeared",
				 (unsigned long long)runner->job.lease.job_id);
	kontor_rows_close(rows);
	return rc;
}

static int load_chunk(kontor_job *job, kontor_conn *conn, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_CHUNK_LOAD,
				 KONTOR_PARAMS(P_UINT(job->lease.job_id), P_UINT(job->lease.chunk_no)), &rows, err);
	if (rc)
		return rc;
	if (kontor_rows_next(rows, err) == 1) {
		rc = parse_optional(kontor_rows_text(rows, 0), &job->chunk.input, err);
		if (!rc)
			rc = parse_optional(kontor_rows_text(rows, 1), &job->chunk.checkpoint, err);
		job->losses = (unsigned)kontor_rows_uint(rows, 2);
	}
	kontor_rows_close(rows);
	return rc;
}

static int load(kontor_job_runner *runner, kontor_conn *conn, struct kontor_error *err)
{
	kontor_job *job = &runner->job;
	struct loaded row = {STAGE_PLAN, false};
	int rc = load_job(runner, conn, &row, err);
	if (!rc && job->lease.is_chunk)
		rc = load_chunk(job, conn, err);
	if (rc)
		return rc;
	if (row.stage != job->stage)
		return KONTOR_JOB_STOPPED; /* cancelled or failed between finding and claiming */
	job->worn_out = job->losses > LOSS_LIMIT && job->stage != STAGE_UNDO;
	if (job->worn_out)
		return kontor_fail(err, KONTOR_E_INTERNAL, "the process that ran it died or lost its lease");
	if (job->lease.is_chunk && row.waiting)
		rc = kontor_db_exec(conn, SQL_JOB_RUNS_AGAIN, KONTOR_PARAMS(P_UINT(job->lease.job_id)), NULL, err);
	if (!rc && job->stage == STAGE_UNDO)
		rc = kontor_db_exec(conn, SQL_CHUNKS_FENCE, KONTOR_PARAMS(P_UINT(job->lease.job_id)), NULL, err);
	return rc;
}

void job_unload(kontor_job *job)
{
	job->params = kontor_body_free(job->params);
	job->chunk.input = kontor_body_free(job->chunk.input);
	job->chunk.checkpoint = kontor_body_free(job->chunk.checkpoint);
}

static int claim_of(kontor_job_runner *runner, kontor_conn *conn, const char *sql, struct kontor_error *err)
{
	struct job_candidate candidates[JOB_CANDIDATES];
	size_t len = 0;
	int rc = find_jobs(runner, conn, sql, candidates, &len, err);
	for (size_t i = 0; rc == 0 && i < len; i++) {
		rc = claim_any(runner, conn, &candidates[i], err);
		if (rc == 1)
			job_lane_serve(runner->lane, candidates[i].user);
	}
	return rc;
}

int job_claim(kontor_job_runner *runner, kontor_conn *conn, struct kontor_error *err)
{
	runner->job = (kontor_job){.host = runner->options.host,
				   .lane = runner->lane,
				   .arena = runner->arena,
				   .conn = conn,
				   .patience_ms = runner->options.patience_ms};
	runner->job.chunk.job = &runner->job;
	job_lane_look(runner->lane, runner->served_user);
	int rc = claim_of(runner, conn, runner->sql_find[0], err);
	if (rc == 0)
		rc = claim_of(runner, conn, runner->sql_find[1], err);
	if (rc != 1)
		return rc;
	runner->step_err = (struct kontor_error)KONTOR_ERROR_INIT;
	runner->step_rc = load(runner, conn, &runner->step_err);
	return 1;
}
