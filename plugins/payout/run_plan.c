/* SPDX-License-Identifier: Apache-2.0
 *
 * The plans of payout.run and payout.manual: ranges of shops, each a chunk.
 */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#include "settlement_calls.h"
#include "shop_rules.h"
#include "statements.h"

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

static int next_border(kontor_conn *conn, const struct run_record *run, uint64_t from, int64_t chunk_items,
		       uint64_t *ret_by_items, uint64_t *ret_by_carries, struct kontor_error *err)
{
	struct kontor_param region = P_STRING(run->region), rows = P_INT(chunk_items);
	*ret_by_carries = INT64_MAX;
	if (run->upload_id) /* a manual run ignores carries */
		return shop_after(conn, SQL_BORDER_BY_CLAIMS,
				  KONTOR_PARAMS(region, P_UINT(run->upload_id), P_UINT(from), rows), ret_by_items, err);
	int code = shop_after(conn, SQL_BORDER_BY_ITEMS,
			      KONTOR_PARAMS(region, P_UINT(run->window_no), P_UINT(from), rows), ret_by_items, err);
	return code ? code
		    : shop_after(conn, SQL_BORDER_BY_CARRIES, KONTOR_PARAMS(region, P_UINT(from), rows), ret_by_carries,
				 err);
}

/* Ranges of shops that cover all ids from 0 to 2^63-1, so that shops with an open carry but without items are in one.
 * Each holds at most about chunk_items items and as many carries, but a shop is never cut. */
static int find_borders(kontor_conn *conn, const struct run_record *run, int64_t chunk_items,
			struct shop_borders *borders, struct kontor_error *err)
{
	uint64_t from = 0, last = 0;
	while (last != INT64_MAX) {
		uint64_t by_items, by_carries;
		int code = next_border(conn, run, from, chunk_items, &by_items, &by_carries, err);
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

/* Those of the window without those claimed; only with claims the chunks pay for a join. Claims cannot change any more:
 * the window is settling. */
static int count_items(kontor_conn *conn, struct plan *plan, const struct settlement_window *window,
		       struct kontor_error *err)
{
	int64_t claims = 0;
	int code = kontor_db_query_int(conn, SQL_WINDOW_CLAIMS,
				       KONTOR_PARAMS(P_STRING(plan->run->region), P_UINT(plan->run->window_no)),
				       &claims, err);
	plan->has_claims = claims > 0;
	plan->items = window->items - (uint64_t)claims;
	return code;
}

/* Its ranges, rules and chunks; the run is in state planning. window: the one that it belongs to. */
static int make_plan(struct payout *payout, kontor_conn *conn, struct plan *plan,
		     const struct settlement_window *window, struct kontor_error *err)
{
	struct shop_borders borders = {0};
	plan->borders = &borders;
	plan->rules.at_ms = window->to_ms - 1; /* its last instant: a rule of exactly this week is in force */
	int code = rules_newest_revision(conn, plan->run->region, &plan->rules.revision, err);
	if (!code)
		code = find_borders(conn, plan->run, payout->chunk_items, &borders, err);
	if (!code)
		code = kontor_db_transaction(conn, store_plan, plan, err);
	free(borders.last_shops);
	return code;
}

int run_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	struct payout *payout = self;
	kontor_conn *conn = kontor_job_db(job);
	struct run_record run;
	struct settlement_window window;
	struct plan plan = {.job = job, .run = &run};
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
		code = count_items(conn, &plan, &window, err);
	return code ? code : make_plan(payout, conn, &plan, &window, err);
}

/* ---- a manual run ---- */

static int insert_run(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	kontor_job *job = arg;
	const msgpack_object *params = kontor_job_params(job);
	return kontor_db_exec(tx, SQL_MANUAL_RUN_INSERT,
			      KONTOR_PARAMS(P_UINT(kontor_get_uint(params, "run_id", 0)),
					    P_STRING(kontor_job_region(job)),
					    P_UINT(kontor_get_uint(params, "window_no", 0)), P_UINT(kontor_job_id(job)),
					    P_STRING(kontor_job_user(job)), P_INT(kontor_now_ms()),
					    P_UINT(kontor_get_uint(params, "upload_id", 0))),
			      NULL, err);
}

/* The job's run in state planning, or balanced. settlement has given it its id, the row is made here. */
static int prepare_run(kontor_conn *conn, kontor_job *job, struct run_record *ret_run, struct kontor_error *err)
{
	uint64_t run_id = kontor_get_uint(kontor_job_params(job), "run_id", 0);
	struct kontor_error missing = KONTOR_ERROR_INIT;
	int code = run_by_id(conn, run_id, ret_run, &missing);
	if (code == KONTOR_E_NOT_FOUND) {
		code = kontor_db_transaction(conn, insert_run, job, err);
		return code ? code : run_by_id(conn, run_id, ret_run, err);
	}
	if (code)
		return kontor_fail(err, code, "%s", missing.message);
	if (run_is(ret_run, RUN_PLANNING) || run_is(ret_run, RUN_BALANCED))
		return 0;
	return run_take_back(conn, ret_run, err);
}

int run_manual_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	struct payout *payout = self;
	kontor_conn *conn = kontor_job_db(job);
	struct run_record run;
	struct settlement_window window;
	struct plan plan = {.job = job, .run = &run};
	int64_t items = 0;
	int code = prepare_run(conn, job, &run, err);
	if (code)
		return code;
	if (run_is(&run, RUN_BALANCED))
		return kontor_db_transaction(conn, plan_nothing, job, err);
	code = settlement_window_get(payout->host, run.region, run.window_no, &window, err);
	if (!code)
		code = kontor_db_query_int(conn, SQL_CLAIMS_COUNT,
					   KONTOR_PARAMS(P_STRING(run.region), P_UINT(run.upload_id)), &items, err);
	plan.items = (uint64_t)items;
	return code ? code : make_plan(payout, conn, &plan, &window, err);
}
