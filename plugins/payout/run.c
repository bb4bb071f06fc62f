/* SPDX-License-Identifier: Apache-2.0
 *
 * payout.run: the method.
 */
#include "run.h"

#include <stdio.h>
#include <string.h>

#include "kontor/time.h"
#include "settlement_calls.h"
#include "statements.h"

static int submit_job(kontor_request *request, uint64_t job_id, uint64_t run_id, const char *region, uint32_t window_no)
{
	struct kontor_error *err = kontor_request_error(request);
	char unique[RUN_UNIQUE_SIZE], key[sizeof(RUN_JOB_KIND ":") + RUN_UNIQUE_SIZE];
	snprintf(key, sizeof(key), RUN_JOB_KIND ":%s", run_unique_window(region, window_no, unique));
	kontor_writer *params = kontor_writer_new();
	if (!params)
		return kontor_request_fail(request, KONTOR_E_INTERNAL, "payout run: out of memory");
	kontor_write_map(params);
	kontor_put_uint(params, "run_id", run_id);
	kontor_put_uint(params, "window_no", window_no);
	kontor_write_end(params);
	struct kontor_job_new job = {
		.job_id = job_id,
		.kind = RUN_JOB_KIND,
		.lane = KONTOR_LANE_SETTLE,
		.region = region,
		.user = kontor_request_user(request)->name,
		.unique_key = key,
	};
	int code = kontor_writer_finish(params, &job.params, &job.params_size, err);
	if (!code)
		code = kontor_job_submit(kontor_request_db(request), &job, err);
	kontor_writer_free(params);
	return code;
}

static int require_closed(kontor_request *request, const char *region, uint32_t window_no)
{
	struct settlement_window window;
	char name[KONTOR_WINDOW_SIZE];
	int code = settlement_window_get(kontor_request_host(request), region, window_no, &window,
					 kontor_request_error(request));
	if (code)
		return code;
	kontor_window_format(window_no, name);
	if (!strcmp(window.state, "open") || !strcmp(window.state, "closing"))
		return kontor_request_fail(
			request, KONTOR_E_CONFLICT,
			"window %s of %s is %s; run: kontor settlement close --region %s --window %s", name, region,
			window.state, region, name);
	if (strcmp(window.state, "closed") != 0)
		return kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "window %s of %s is %s by run %llu, which this database does not have", name,
					   region, window.state, (unsigned long long)window.run_id);
	if (window.open_claims)
		return kontor_request_fail(
			request, KONTOR_E_BUSY,
			"upload %llu claims items of window %s of %s and is not accepted yet; approve, "
			"refuse or cancel it",
			(unsigned long long)window.open_claims, name, region);
	if (window.older_unsettled[0])
		return kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "window %s of %s is not settled yet and comes first; run: kontor payout run "
					   "--region %s --window %s",
					   window.older_unsettled, region, region, window.older_unsettled);
	return 0;
}

/* Run and job in the request's one transaction. */
static int start_run(kontor_request *request, const char *region, uint32_t window_no)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_host *host = kontor_request_host(request);
	char unique[RUN_UNIQUE_SIZE];
	uint64_t run_id, job_id;
	int code = require_closed(request, region, window_no);
	if (!code)
		code = kontor_id_next(host, "default", &run_id, err);
	if (!code)
		code = kontor_id_next(host, "job", &job_id, err);
	if (code)
		return code;
	code = kontor_db_exec(kontor_request_db(request), SQL_RUN_INSERT,
			      KONTOR_PARAMS(P_UINT(run_id), P_STRING(region), P_UINT(window_no), P_UINT(job_id),
					    P_STRING(kontor_request_user(request)->name), P_INT(kontor_now_ms()),
					    P_STRING(run_unique_window(region, window_no, unique))),
			      NULL, err);
	if (code == KONTOR_E_CONFLICT)
		return kontor_request_fail(request, KONTOR_E_BUSY,
					   "somebody else starts this run right now; ask again");
	if (!code)
		code = submit_job(request, job_id, run_id, region, window_no);
	if (code)
		return code;
	kontor_put_uint(kontor_reply(request), "job_id", job_id);
	kontor_put_uint(kontor_reply(request), "run_id", run_id);
	kontor_put_string(kontor_reply(request), "state", "queued");
	return 0;
}

/* The run that a window has is the answer. If its job ended before the window was settled, it goes on. */
static int continue_run(kontor_request *request, struct run_record *run)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *tx = kontor_request_db(request);
	struct kontor_job_info job;
	int code = kontor_job_get(tx, run->job_id, &job, err);
	if (code && code != KONTOR_E_NOT_FOUND)
		return code;
	if (code) { /* it ended long ago: jobs are not kept for ever */
		kontor_error_clear(err);
		snprintf(job.state, sizeof(job.state), "%s", run_is(run, RUN_BALANCED) ? "done" : "cancelled");
		code = 0;
	}
	const char *state = job.state;
	if (!strcmp(job.state, "failed") || !strcmp(job.state, "dead")) {
		code = kontor_job_retry(tx, run->job_id, err);
		state = "queued";
	} else if (!strcmp(job.state, "cancelled")) {
		code = kontor_id_next(kontor_request_host(request), "job", &run->job_id, err);
		if (!code)
			code = submit_job(request, run->job_id, run->run_id, run->region, run->window_no);
		if (!code)
			code = kontor_db_exec(tx, SQL_RUN_SET_JOB,
					      KONTOR_PARAMS(P_UINT(run->job_id), P_UINT(run->run_id)), NULL, err);
		state = "queued";
	}
	if (code)
		return code;
	bool done = !strcmp(state, "done");
	kontor_writer *w = kontor_reply(request);
	kontor_put_uint(w, "job_id", run->job_id);
	kontor_put_uint(w, "run_id", run->run_id);
	kontor_put_string(w, "state", done ? run->state : state);
	if (done) {
		kontor_put_uint(w, "payouts", run->payouts);
		kontor_put_uint(w, "items", run->items);
		kontor_put_bool(w, "balanced", true);
	}
	return 0;
}

int payout_run(void *self, kontor_request *request)
{
	(void)self;
	const char *region = kontor_arg_string(request, "region");
	uint32_t window_no = kontor_arg_window(request, "window");
	struct run_record run;
	int code = run_by_window(kontor_request_db(request), region, window_no, &run, kontor_request_error(request));
	if (code == KONTOR_E_NOT_FOUND)
		return start_run(request, region, window_no);
	return code ? code : continue_run(request, &run);
}
