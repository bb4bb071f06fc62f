/* SPDX-License-Identifier: Apache-2.0
 *
 * settlement.manual: shows the run of an accepted manual-settlement upload, and starts its job again when that has
 * ended before the run balanced. settlement.manual_end: the run has balanced.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kontor/approval.h"
#include "kontor/host.h"
#include "kontor/region.h"
#include "kontor/time.h"
#include "manual.h"
#include "statements.h"

/* Longer than any caller waits: that somebody has to approve is told at once instead of being retried. */
#define APPROVAL_RETRY_MS 60000

/* NOT_FOUND (no message) when there is none. */
static int lock_manual(kontor_request *request, struct manual *ret_manual)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_rows *rows = NULL;
	*ret_manual = (struct manual){.region = kontor_arg_string(request, "region"),
				      .upload_id = kontor_arg_id(request, "upload")};
	int rc =
		kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_LOCK_MANUAL,
				KONTOR_PARAMS(P_STRING(ret_manual->region), P_UINT(ret_manual->upload_id)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		ret_manual->window = (uint32_t)kontor_rows_uint(rows, 0);
		ret_manual->run_id = kontor_rows_uint(rows, 1);
		ret_manual->job_id = kontor_rows_uint(rows, 2);
		snprintf(ret_manual->user, sizeof(ret_manual->user), "%s", kontor_rows_string(rows, 3));
		ret_manual->settled = kontor_text_is(kontor_rows_text(rows, 4), "settled");
		ret_manual->payouts = kontor_rows_uint(rows, 5);
		rc = 0;
	} else if (rc == 0) {
		rc = KONTOR_E_NOT_FOUND;
	}
	kontor_rows_close(rows);
	return rc;
}

static int sum_claims(kontor_request *request, const struct manual *manual, int64_t *ret_claims)
{
	return kontor_db_query_int(kontor_request_db(request), SQL_SUM_CLAIMS,
				   KONTOR_PARAMS(P_STRING(manual->region), P_UINT(manual->upload_id)), ret_claims,
				   kontor_request_error(request));
}

/* Why there is no run: nobody has agreed yet, or nothing was claimed. */
static int refuse(kontor_request *request, const struct manual *manual)
{
	struct kontor_error *err = kontor_request_error(request);
	uint64_t approval_id = 0;
	int64_t claims = 0;
	int rc = sum_claims(request, manual, &claims);
	if (rc)
		return rc;
	if (!claims)
		return kontor_request_fail(request, KONTOR_E_NOT_FOUND,
					   "upload %" PRIu64 " claims no items in %s; see: kontor upload show %" PRIu64,
					   manual->upload_id, manual->region, manual->upload_id);
	rc = kontor_approval_find(kontor_request_db(request), "upload", manual->upload_id, &approval_id, err);
	if (rc == 0) {
		kontor_request_fail(request, KONTOR_E_BUSY,
				    "upload %" PRIu64 " waits for another user; run: kontor approval give %" PRIu64,
				    manual->upload_id, approval_id);
		err->retry_after_ms = APPROVAL_RETRY_MS;
		return KONTOR_E_BUSY;
	}
	if (rc != KONTOR_E_NOT_FOUND && rc != KONTOR_E_CONFLICT)
		return rc;
	return kontor_request_fail(request, KONTOR_E_BUSY,
				   "upload %" PRIu64 " is not accepted yet; see: kontor upload show %" PRIu64,
				   manual->upload_id, manual->upload_id);
}

static int submit_again(const struct settlement *self, kontor_request *request, struct manual *manual)
{
	struct kontor_error *err = kontor_request_error(request);
	int rc = manual_submit(self, kontor_request_db(request), manual, err);
	return rc ? rc
		  : kontor_db_exec(
			    kontor_request_db(request), SQL_SET_MANUAL_JOB,
			    KONTOR_PARAMS(P_UINT(manual->job_id), P_STRING(manual->region), P_UINT(manual->upload_id)),
			    NULL, err);
}

/* *ret_state: of the job, after it was started again where it had ended too early. A settled one's job may be gone:
 * jobs are not kept for ever. */
static int continue_job(const struct settlement *self, kontor_request *request, struct manual *manual,
			struct kontor_job_info *ret_job)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *tx = kontor_request_db(request);
	int rc = kontor_job_get(tx, manual->job_id, ret_job, err);
	if (rc == KONTOR_E_NOT_FOUND && manual->settled) {
		snprintf(ret_job->state, sizeof(ret_job->state), "done");
		manual->job_id = 0;
		return 0;
	}
	if (rc && rc != KONTOR_E_NOT_FOUND)
		return rc;
	bool ended = !rc && (!strcmp(ret_job->state, "failed") || !strcmp(ret_job->state, "dead"));
	if (rc || !strcmp(ret_job->state, "cancelled"))
		rc = submit_again(self, request, manual);
	else if (ended)
		rc = kontor_job_retry(tx, manual->job_id, err);
	else
		return 0;
	snprintf(ret_job->state, sizeof(ret_job->state), "queued");
	return rc;
}

/* The last instant of the run's window. A region whose old windows were never closed has a very old one open: this says
 * whose commission the run takes. */
static void put_rules_at(kontor_request *request, const struct manual *manual)
{
	int64_t from_ms, to_ms;
	const struct kontor_region *region = kontor_region_find(kontor_request_host(request), manual->region);
	if (!region)
		return;
	kontor_zone_window_bounds(region->zone, manual->window, &from_ms, &to_ms);
	kontor_put_time(kontor_reply(request), "rules_at", to_ms - 1);
}

int handle_manual(void *self, kontor_request *request)
{
	struct manual manual;
	struct kontor_job_info job = {0};
	int64_t claims = 0;
	int rc = lock_manual(request, &manual);
	if (rc == KONTOR_E_NOT_FOUND)
		return refuse(request, &manual);
	if (!rc)
		rc = continue_job(self, request, &manual, &job);
	if (!rc)
		rc = sum_claims(request, &manual, &claims);
	if (rc)
		return rc;
	char window[KONTOR_WINDOW_SIZE];
	kontor_writer *w = kontor_reply(request);
	if (manual.job_id) {
		kontor_put_uint(w, "job_id", manual.job_id);
	} else {
		kontor_write_string(w, "job_id");
		kontor_write_nil(w);
	}
	kontor_put_uint(w, "run_id", manual.run_id);
	kontor_put_uint(w, "upload_id", manual.upload_id);
	kontor_put_string(w, "window", kontor_window_format(manual.window, window));
	put_rules_at(request, &manual);
	kontor_put_string(w, "state", manual.settled ? "balanced" : job.state);
	kontor_put_int(w, "items", claims);
	if (manual.settled) {
		kontor_put_uint(w, "payouts", manual.payouts);
		kontor_put_bool(w, "balanced", true);
	}
	return 0;
}

int handle_manual_end(void *self, kontor_request *request)
{
	(void)self;
	struct manual manual;
	uint64_t run_id = kontor_arg_id(request, "run_id");
	int rc = lock_manual(request, &manual);
	if (rc && rc != KONTOR_E_NOT_FOUND)
		return rc;
	if (rc || manual.run_id != run_id)
		return kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "run %" PRIu64 " is not the one of manual-settlement upload %" PRIu64
					   " in %s",
					   run_id, manual.upload_id, manual.region);
	rc = kontor_db_exec(kontor_request_db(request), SQL_END_MANUAL,
			    KONTOR_PARAMS(P_INT(kontor_arg_int(request, "payouts")), P_STRING(manual.region),
					  P_UINT(manual.upload_id), P_UINT(run_id)),
			    NULL, kontor_request_error(request));
	kontor_put_uint(kontor_reply(request), "run_id", run_id);
	kontor_put_string(kontor_reply(request), "state", "settled");
	return rc;
}
