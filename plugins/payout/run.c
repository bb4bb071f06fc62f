/* SPDX-License-Identifier: Apache-2.0
 *
 * payout.run: the method, and the plan of the job.
 */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kontor/time.h"
#include "settlement_calls.h"
#include "shop_rules.h"
#include "statements.h"

/* ---- the method ------------------------------------------------------------------------------------------------- */

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
	if (code)
		return code;
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

/* ---- the plan --------------------------------------------------------------------------------------------------- */

struct shop_borders {
	uint64_t *last_shops; /* of each chunk */
	size_t len, capacity;
};

static int add_border(struct shop_borders *borders, uint64_t last_shop, struct kontor_error *err)
{
	if (borders->len == borders->capacity) {
		size_t capacity = borders->capacity ? borders->capacity * 2 : 64;
		uint64_t *last_shops = realloc(borders->last_shops, capacity * sizeof(*last_shops));
		if (!last_shops)
			return kontor_fail(err, KONTOR_E_INTERNAL, "payout run: out of memory");
		borders->last_shops = last_shops;
		borders->capacity = capacity;
	}
	borders->last_shops[borders->len++] = last_shop;
	return 0;
}

/* The shop that comes chunk_items rows after `from`, INT64_MAX when there are fewer. */
static int shop_after(kontor_conn *conn, const char *sql, const struct kontor_param *params, uint64_t *ret_shop,
		      struct kontor_error *err)
{
	int64_t shop = INT64_MAX;
	int code = kontor_db_query_int(conn, sql, params, &shop, err);
	if (code && code != KONTOR_E_NOT_FOUND)
		return code;
	*ret_shop = code ? (uint64_t)INT64_MAX : (uint64_t)shop;
	return 0;
}

/* Ranges of shops that cover all ids from 0 to 2^63-1, so that shops with an open carry but without items are in one.
 * Each holds at most about chunk_items items and as many carries, but a shop is never cut. */
static int find_borders(kontor_conn *conn, const struct run_record *run, int64_t chunk_items,
			struct shop_borders *borders, struct kontor_error *err)
{
	uint64_t from = 0, last = 0;
	while (last != INT64_MAX) {
		uint64_t by_items, by_carries;
		int code = shop_after(
			conn, SQL_BORDER_BY_ITEMS,
			KONTOR_PARAMS(P_STRING(run->region), P_UINT(run->window_no), P_UINT(from), P_INT(chunk_items)),
			&by_items, err);
		if (!code)
			code = shop_after(conn, SQL_BORDER_BY_CARRIES,
					  KONTOR_PARAMS(P_STRING(run->region), P_UINT(from), P_INT(chunk_items)),
					  &by_carries, err);
		uint64_t next = code ? 0 : by_items < by_carries ? by_items : by_carries;
		last = next == INT64_MAX || next == from ? next : next - 1;
		if (!code)
			code = add_border(borders, last, err);
		if (code)
			return code;
		from = last + 1;
	}
	return 0;
}

struct plan {
	kontor_job *job;
	const struct run_record *run;
	const struct shop_borders *borders;
	bool has_claims;
	struct rule_set rules;
	uint64_t items;
};

static int add_chunks(kontor_conn *tx, const struct plan *plan, kontor_writer *input, struct kontor_error *err)
{
	uint64_t from = 0;
	for (size_t i = 0; i < plan->borders->len; i++) {
		const void *data;
		size_t size;
		kontor_writer_reset(input);
		kontor_write_map(input);
		kontor_put_uint(input, "shop_from", from);
		kontor_put_uint(input, "shop_to", plan->borders->last_shops[i]);
		kontor_put_bool(input, "has_claims", plan->has_claims);
		kontor_put_uint(input, "rules_revision", plan->rules.revision);
		kontor_put_int(input, "rules_at_ms", plan->rules.at_ms);
		kontor_write_end(input);
		int code = kontor_writer_finish(input, &data, &size, err);
		if (!code)
			code = kontor_job_add_chunk(tx, plan->job, (uint32_t)i, data, size, err);
		if (code)
			return code;
		from = plan->borders->last_shops[i] + 1;
	}
	return 0;
}

static int store_plan(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct plan *plan = arg;
	uint64_t changed = 0;
	int code = kontor_db_exec(
		tx, SQL_RUN_START,
		KONTOR_PARAMS(P_UINT(plan->rules.revision), P_UINT(plan->run->run_id), P_UINT(plan->run->generation)),
		&changed, err);
	if (code)
		return code;
	if (changed != 1)
		return kontor_fail(err, KONTOR_E_BUSY, "payout run %llu was changed while it was planned",
				   (unsigned long long)plan->run->run_id);
	kontor_writer *input = kontor_writer_new();
	if (!input)
		return kontor_fail(err, KONTOR_E_INTERNAL, "payout run: out of memory");
	code = add_chunks(tx, plan, input, err);
	kontor_writer_free(input);
	if (!code)
		code = kontor_job_planned(tx, plan->job, plan->items, err);
	return code;
}

static int plan_nothing(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	return kontor_job_planned(tx, arg, 0, err);
}

/* Only with claims the chunks pay for a join. Claims cannot change any more: the window is settling. */
static int look_for_claims(kontor_conn *conn, const struct run_record *run, bool *ret, struct kontor_error *err)
{
	int64_t one;
	int code = kontor_db_query_int(conn, SQL_WINDOW_HAS_CLAIMS,
				       KONTOR_PARAMS(P_STRING(run->region), P_UINT(run->window_no)), &one, err);
	*ret = code == 0;
	return code == KONTOR_E_NOT_FOUND ? 0 : code;
}

int run_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	struct payout *payout = self;
	kontor_conn *conn = kontor_job_db(job);
	struct run_record run;
	struct settlement_window window;
	struct shop_borders borders = {0};
	struct plan plan = {.job = job, .run = &run, .borders = &borders};
	int code = run_by_id(conn, kontor_get_uint(kontor_job_params(job), "run_id", 0), &run, err);
	if (code)
		return code;
	if (run_is(&run, RUN_BALANCED)) /* an earlier job got this far; only the window's state may be missing */
		return kontor_db_transaction(conn, plan_nothing, job, err);
	if (!run_is(&run, RUN_PLANNING))
		code = run_take_back(conn, &run, err);
	if (!code)
		code = settlement_settle_begin(payout->host, run.region, run.window_no, run.run_id, err);
	if (!code)
		code = settlement_window_get(payout->host, run.region, run.window_no, &window, err);
	if (!code)
		code = look_for_claims(conn, &run, &plan.has_claims, err);
	if (!code)
		code = rules_newest_revision(conn, run.region, &plan.rules.revision, err);
	if (!code)
		code = find_borders(conn, &run, payout->chunk_items, &borders, err);
	if (!code) {
		plan.items = window.items;
		plan.rules.at_ms = window.to_ms - 1; /* its last instant: a rule of exactly this week is in force */
		code = kontor_db_transaction(conn, store_plan, &plan, err);
	}
	free(borders.last_shops);
	return code;
}
