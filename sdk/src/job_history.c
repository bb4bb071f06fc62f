/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of jobs that have ended: kept for a while, then deleted in small transactions. Several units may do it
 * at the same time: each transaction looks again whether the job is still old and ended.
 */
#include "job_statements.h"
#include "job_work.h"
#include "kontor/time.h"

#define CHUNKS_AT_ONCE 1000 /* as in SQL_CHUNKS_EXPIRE */
#define OUTPUT_AT_ONCE 16   /* as in SQL_OUTPUT_EXPIRE; a piece has up to a MiB */

struct expiry {
	uint64_t job_id;
	int64_t keep_ms;
	bool gone; /* the job's row is deleted, or is none of ours any more */
};

static int lock_old_job(kontor_conn *tx, const struct expiry *expiry, bool *ret_old, struct kontor_error *err)
{
	int64_t one = 0;
	int rc = kontor_db_query_int(tx, SQL_OLD_JOB_LOCK,
				     KONTOR_PARAMS(P_UINT(expiry->job_id), P_INT(expiry->keep_ms)), &one, err);
	*ret_old = rc == 0;
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
}

/* A part of the job: some of its output, then some of its chunks, at last its row. */
static int expire_part(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct expiry *expiry = arg;
	uint64_t deleted = 0;
	bool old = false;
	int rc = lock_old_job(tx, expiry, &old, err);
	expiry->gone = !old;
	if (rc || !old)
		return rc;
	rc = kontor_db_exec(tx, SQL_OUTPUT_EXPIRE, KONTOR_PARAMS(P_UINT(expiry->job_id)), &deleted, err);
	if (rc || deleted == OUTPUT_AT_ONCE)
		return rc;
	rc = kontor_db_exec(tx, SQL_CHUNKS_EXPIRE, KONTOR_PARAMS(P_UINT(expiry->job_id)), &deleted, err);
	if (rc || deleted == CHUNKS_AT_ONCE)
		return rc;
	expiry->gone = true;
	return kontor_db_exec(tx, SQL_JOB_DELETE, KONTOR_PARAMS(P_UINT(expiry->job_id)), NULL, err);
}

static int expire_output_part(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct expiry *expiry = arg;
	uint64_t deleted = 0;
	bool old = false;
	int rc = lock_old_job(tx, expiry, &old, err);
	if (!rc && old)
		rc = kontor_db_exec(tx, SQL_OUTPUT_EXPIRE, KONTOR_PARAMS(P_UINT(expiry->job_id)), &deleted, err);
	expiry->gone = deleted < OUTPUT_AT_ONCE;
	return rc;
}

/* Until none is left or the time is over. */
static int expire(kontor_conn *conn, const char *find, kontor_tx_function part, int64_t keep_ms, int64_t until_ms,
		  uint64_t *ret_jobs, struct kontor_error *err)
{
	*ret_jobs = 0;
	while (kontor_monotonic_ms() < until_ms) {
		int64_t job_id = 0;
		int rc = kontor_db_query_int(conn, find, KONTOR_PARAMS(P_INT(keep_ms)), &job_id, err);
		if (rc)
			return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
		struct expiry expiry = {.job_id = (uint64_t)job_id, .keep_ms = keep_ms};
		while (!rc && !expiry.gone && kontor_monotonic_ms() < until_ms)
			rc = kontor_db_transaction(conn, part, &expiry, err);
		if (rc)
			return rc;
		*ret_jobs += expiry.gone;
	}
	return 0;
}

int kontor_jobs_expire(kontor_conn *conn, int64_t keep_ms, int64_t until_ms, uint64_t *ret_jobs,
		       struct kontor_error *err)
{
	return expire(conn, SQL_OLD_JOB, expire_part, keep_ms, until_ms, ret_jobs, err);
}

int kontor_job_outputs_expire(kontor_conn *conn, int64_t keep_ms, int64_t until_ms, uint64_t *ret_jobs,
			      struct kontor_error *err)
{
	return expire(conn, SQL_OLD_OUTPUT, expire_output_part, keep_ms, until_ms, ret_jobs, err);
}
