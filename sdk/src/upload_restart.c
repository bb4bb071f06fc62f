/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "upload_file.h"
#include "upload_statements.h"

/* 0: the job is none of an upload. The upload plugin's own jobs (a report of rejects) are named like those of uploads,
 * but have no upload_id. */
static int find_upload(kontor_conn *tx, uint64_t job_id, const char *job_kind, uint64_t *ret_upload_id,
		       struct kontor_error *err)
{
	*ret_upload_id = 0;
	if (strncmp(job_kind, KONTOR_UPLOAD_JOB_PREFIX, sizeof(KONTOR_UPLOAD_JOB_PREFIX) - 1) != 0)
		return 0;
	kontor_body *params = NULL;
	int rc = kontor_job_params_of(tx, job_id, &params, err);
	if (rc == 0 && params)
		*ret_upload_id = kontor_get_uint(kontor_body_map(params), "upload_id", 0);
	kontor_body_free(params);
	return rc;
}

static int check_failed(kontor_conn *tx, uint64_t upload_id, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(tx, KONTOR_READ_ALL, SQL_LOCK_FOR_RESTART, KONTOR_PARAMS(P_UINT(upload_id)), &rows,
				 err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc == 0)
		rc = kontor_fail(err, KONTOR_E_NOT_FOUND, "there is no upload %llu", (unsigned long long)upload_id);
	else if (rc > 0 && strcmp(kontor_rows_string(rows, 0), "failed") != 0)
		rc = kontor_fail(err, KONTOR_E_CONFLICT, "upload %llu is %s for good: %s",
				 (unsigned long long)upload_id, kontor_rows_string(rows, 0),
				 kontor_rows_string(rows, 1));
	kontor_rows_close(rows);
	return rc > 0 ? 0 : rc;
}

int upload_restart(kontor_conn *tx, uint64_t job_id, const char *job_kind, struct kontor_error *err)
{
	uint64_t upload_id = 0;
	int64_t piece = 0;
	int rc = find_upload(tx, job_id, job_kind, &upload_id, err);
	if (rc || upload_id == 0)
		return rc;
	rc = check_failed(tx, upload_id, err);
	if (rc)
		return rc;
	rc = kontor_db_query_int(tx, SQL_FIRST_PIECE, KONTOR_PARAMS(P_UINT(upload_id)), &piece, err);
	if (rc == KONTOR_E_NOT_FOUND)
		return kontor_fail(err, KONTOR_E_CONFLICT,
				   "the bytes of upload %llu are not there any more: upload the file again",
				   (unsigned long long)upload_id);
	if (rc == 0)
		rc = kontor_db_exec(tx, SQL_FORGET_WAITS, KONTOR_PARAMS(P_UINT(upload_id)), NULL, err);
	return rc ? rc : kontor_db_exec(tx, SQL_RESTART, KONTOR_PARAMS(P_UINT(upload_id)), NULL, err);
}
