/* SPDX-License-Identifier: Apache-2.0
 *
 * Upload kind manual-settlement: the rows claim items; once another user has agreed, the claims count and the run that
 * pays them is on its way, in one transaction.
 */
#include <stdio.h>

#include "claims.h"
#include "kontor/ids.h"
#include "manual.h"
#include "statements.h"
#include "upload_kinds.h"
#include "windows.h"

int manual_apply(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		 size_t rows_len, struct kontor_error *err)
{
	return claim_items(self, tx, upload, rows, rows_len, err);
}

bool manual_needs_approval(void *self, const struct kontor_upload *upload, const uint64_t counts[KONTOR_VERDICT_COUNT])
{
	(void)self;
	(void)upload;
	return counts[KONTOR_VERDICT_OK] > 0;
}

int manual_submit(const struct settlement *self, kontor_conn *tx, struct manual *manual, struct kontor_error *err)
{
	char key[64];
	struct kontor_job_new job = {.kind = MANUAL_JOB_KIND,
				     .lane = KONTOR_LANE_SETTLE,
				     .region = manual->region,
				     .user = manual->user,
				     .unique_key = key};
	snprintf(key, sizeof(key), MANUAL_JOB_KIND ":%llu", (unsigned long long)manual->upload_id);
	kontor_writer *params = kontor_writer_new();
	if (!params)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a manual run");
	kontor_write_map(params);
	kontor_put_uint(params, "run_id", manual->run_id);
	kontor_put_uint(params, "upload_id", manual->upload_id);
	kontor_put_uint(params, "window_no", manual->window);
	kontor_write_end(params);
	int rc = kontor_id_next(self->host, "job", &job.job_id, err);
	if (!rc)
		rc = kontor_writer_finish(params, &job.params, &job.params_size, err);
	if (!rc)
		rc = kontor_job_submit(tx, &job, err);
	kontor_writer_free(params);
	manual->job_id = job.job_id;
	return rc;
}

int manual_accept(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *err)
{
	const struct settlement *settlement = self;
	struct manual manual = {.region = upload->region->code, .upload_id = upload->upload_id};
	uint64_t accepted = 0, epoch;
	snprintf(manual.user, sizeof(manual.user), "%s", upload->user);
	int rc = kontor_db_exec(tx, SQL_ACCEPT_CLAIMS, KONTOR_PARAMS(P_STRING(manual.region), P_UINT(manual.upload_id)),
				&accepted, err);
	if (rc || !accepted) /* all rows were rejected: there is nothing to pay */
		return rc;
	rc = window_open_from(tx, upload->region, &epoch, &manual.window, err);
	if (!rc)
		rc = kontor_id_next(settlement->host, "default", &manual.run_id, err);
	if (!rc)
		rc = manual_submit(settlement, tx, &manual, err);
	return rc ? rc
		  : kontor_db_exec(tx, SQL_ADD_MANUAL,
				   KONTOR_PARAMS(P_STRING(manual.region), P_UINT(manual.upload_id),
						 P_UINT(manual.window), P_UINT(manual.run_id), P_UINT(manual.job_id),
						 P_STRING(manual.user), P_INT(kontor_now_ms())),
				   NULL, err);
}

/* The batches go last: as long as one is there and not accepted, its window is not settled. */
int manual_undo(void *self, kontor_conn *conn, const struct kontor_upload *upload, struct kontor_error *err)
{
	const struct settlement *settlement = self;
	struct kontor_param region = P_STRING(upload->region->code), upload_id = P_UINT(upload->upload_id);
	uint64_t deleted;
	int rc;
	do
		rc = kontor_db_exec(conn, SQL_UNDO_CLAIMS,
				    KONTOR_PARAMS(region, upload_id, P_INT(settlement->undo_rows)), &deleted, err);
	while (!rc && deleted > 0);
	return rc ? rc : kontor_db_exec(conn, SQL_UNDO_CLAIM_BATCHES, KONTOR_PARAMS(region, upload_id), NULL, err);
}
