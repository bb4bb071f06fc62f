/* SPDX-License-Identifier: Apache-2.0
 *
 * What others do to a job: submit, wake, cancel, retry. All in the caller's transaction.
 */
#include <stdio.h>
#include <string.h>

#include "db_session.h"
#include "job_statements.h"
#include "job_work.h"
#include "upload_file.h"

#define UNIQUE_KEY_LIMIT 128

static int check_new(const struct kontor_job_new *job, struct kontor_error *err)
{
	if (!job->job_id || !job->kind || strlen(job->kind) >= JOB_KIND_SIZE || !job->lane ||
	    strlen(job->lane) >= JOB_LANE_SIZE)
		return kontor_fail(err, KONTOR_E_INTERNAL, "job: it needs an id, a kind and a lane");
	if (job->params_size > JOB_PARAMS_LIMIT)
		return kontor_fail(err, KONTOR_E_TOO_BIG, "job %s: %zu bytes of parameters, at most %u are allowed",
				   job->kind, job->params_size, JOB_PARAMS_LIMIT);
	if (job->unique_key && strlen(job->unique_key) > UNIQUE_KEY_LIMIT)
		return kontor_fail(err, KONTOR_E_INTERNAL, "job %s: its unique key is longer than %d bytes", job->kind,
				   UNIQUE_KEY_LIMIT);
	if (job->user && strlen(job->user) >= JOB_USER_SIZE)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "job %s: the user's name is longer than %d bytes",
				   job->kind, JOB_USER_SIZE - 1);
	return 0;
}

static int fail_double_key(const char *unique_key, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_CONFLICT, "a job with the key %s has not ended yet: wait for it or cancel it",
			   unique_key);
}

int kontor_job_submit(kontor_conn *tx, const struct kontor_job_new *job, struct kontor_error *err)
{
	int rc = check_new(job, err);
	if (rc)
		return rc;
	struct kontor_error failure = KONTOR_ERROR_INIT;
	rc = kontor_db_exec(tx, SQL_JOB_INSERT,
			    KONTOR_PARAMS(P_UINT(job->job_id), P_STRING(job->kind), P_STRING(job->lane),
					  P_STRING(job->region ? job->region : ""),
					  P_STRING(job->user ? job->user : ""), P_STRING(job->unique_key),
					  P_STRING(job->unique_key),
					  P_BYTES(job->params ? job->params : "", job->params ? job->params_size : 0)),
			    NULL, &failure);
	if (rc == KONTOR_E_CONFLICT && job->unique_key && strstr(failure.message, "unique_key"))
		return fail_double_key(job->unique_key, err);
	if (rc)
		return kontor_fail(err, rc, "job %s: %s", job->kind, failure.message);
	session_wake(tx, job->lane);
	return 0;
}

int kontor_job_by_key(kontor_conn *conn, const char *unique_key, uint64_t *ret_job_id, struct kontor_error *err)
{
	int64_t job_id = 0;
	int rc = kontor_db_query_int(conn, SQL_JOB_BY_KEY, KONTOR_PARAMS(P_STRING(unique_key)), &job_id, err);
	if (!rc)
		*ret_job_id = (uint64_t)job_id;
	return rc;
}

/* The job's row goes first, as everywhere: a step that is about to fall asleep locks it too. */
int kontor_job_wake(kontor_conn *tx, uint64_t job_id, struct kontor_error *err)
{
	int rc = kontor_db_exec(tx, SQL_JOB_WAKE, KONTOR_PARAMS(P_UINT(job_id)), NULL, err);
	if (!rc)
		rc = kontor_db_exec(tx, SQL_CHUNKS_WAKE, KONTOR_PARAMS(P_UINT(job_id)), NULL, err);
	if (!rc)
		session_wake(tx, NULL);
	return rc;
}

struct standing {
	char state[JOB_STAGE_SIZE + 8], stage[JOB_STAGE_SIZE], lane[JOB_LANE_SIZE], kind[JOB_KIND_SIZE];
	bool ended;
};

static int lock_job(kontor_conn *tx, uint64_t job_id, struct standing *ret, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(tx, KONTOR_READ_ALL, SQL_JOB_LOCK, KONTOR_PARAMS(P_UINT(job_id)), &rows, err);
	if (rc)
		return rc;
	if (kontor_rows_next(rows, err) == 1) {
		snprintf(ret->state, sizeof(ret->state), "%s", kontor_rows_string(rows, 0));
		snprintf(ret->stage, sizeof(ret->stage), "%s", kontor_rows_string(rows, 1));
		ret->ended = kontor_rows_int(rows, 2) != 0;
		snprintf(ret->lane, sizeof(ret->lane), "%s", kontor_rows_string(rows, 3));
		snprintf(ret->kind, sizeof(ret->kind), "%s", kontor_rows_string(rows, 4));
	} else {
		rc = kontor_fail(err, KONTOR_E_NOT_FOUND, "there is no job %llu", (unsigned long long)job_id);
	}
	kontor_rows_close(rows);
	return rc;
}

int kontor_job_cancel(kontor_conn *tx, uint64_t job_id, struct kontor_error *err)
{
	struct standing job = {0};
	int rc = lock_job(tx, job_id, &job, err);
	if (rc)
		return rc;
	if (job.ended)
		return kontor_fail(err, KONTOR_E_CONFLICT, "job %llu has ended: it is %s", (unsigned long long)job_id,
				   job.state);
	rc = kontor_db_exec(tx, SQL_JOB_TO_UNDO,
			    KONTOR_PARAMS(P_STRING("cancelled"), P_INT(0), P_STRING("cancelled"), P_UINT(job_id)), NULL,
			    err);
	if (!rc)
		session_wake(tx, job.lane);
	return rc;
}

static int fail_rival(kontor_conn *tx, uint64_t job_id, struct kontor_error *err)
{
	int64_t rival = 0;
	int rc = kontor_db_query_int(tx, SQL_JOB_RIVAL, KONTOR_PARAMS(P_UINT(job_id)), &rival, err);
	return rc && rc != KONTOR_E_NOT_FOUND
		       ? rc
		       : kontor_fail(err, KONTOR_E_CONFLICT,
				     "job %llu: job %lld is for the same thing and has not ended yet: wait for its end "
				     "(kontor jobs follow %lld); a retry is of use only if that one ends badly",
				     (unsigned long long)job_id, (long long)rival, (long long)rival);
}

int kontor_job_retry(kontor_conn *tx, uint64_t job_id, struct kontor_error *err)
{
	struct standing job = {0};
	int rc = lock_job(tx, job_id, &job, err);
	if (rc)
		return rc;
	if (strcmp(job.state, "failed") != 0 && strcmp(job.state, "dead") != 0)
		return kontor_fail(err, KONTOR_E_CONFLICT,
				   "job %llu is %s: only a failed or dead job can be tried again",
				   (unsigned long long)job_id, job.state);
	rc = upload_restart(tx, job_id, job.kind, err);
	if (!rc)
		rc = kontor_db_exec(tx, SQL_CHUNKS_DELETE, KONTOR_PARAMS(P_UINT(job_id)), NULL, err);
	if (!rc)
		rc = kontor_db_exec(tx, SQL_OUTPUT_DELETE, KONTOR_PARAMS(P_UINT(job_id)), NULL, err);
	if (rc)
		return rc;
	struct kontor_error failure = KONTOR_ERROR_INIT;
	rc = kontor_db_exec(tx, SQL_JOB_RESTART, KONTOR_PARAMS(P_UINT(job_id)), NULL, &failure);
	if (rc == KONTOR_E_CONFLICT)
		return fail_rival(tx, job_id, err);
	if (rc)
		return kontor_fail(err, rc, "%s", failure.message);
	session_wake(tx, job.lane);
	return 0;
}
