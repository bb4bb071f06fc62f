/* SPDX-License-Identifier: Apache-2.0
 *
 * Job settlement.close. One chunk raises the fence and counts what is behind it; finish freezes the totals. Every
 * change of a window's state is in a transaction that also moves the job's own row, so a runner that lost its lease
 * changes nothing. A chunk that finds the fence raised (its checkpoint says so) goes on from there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "close.h"
#include "statements.h"

struct closing {
	struct settlement *self;
	kontor_job *job;
	kontor_chunk *chunk; /* NULL outside the chunk step */
	const struct kontor_region *region;
	uint32_t window;
	bool early, wait;
	int64_t asked_ms;
	uint64_t epoch; /* of the fence; 0: not raised */
	uint64_t items;
	size_t totals_len;
	struct window_total {
		char currency[4];
		uint64_t items;
		int64_t amount_minor;
	} totals[KONTOR_REGION_CURRENCIES];
};

static int read_params(struct settlement *self, kontor_job *job, struct closing *ret_closing, struct kontor_error *err)
{
	const msgpack_object *params = kontor_job_params(job);
	*ret_closing = (struct closing){.self = self,
					.job = job,
					.region = kontor_region_find(self->host, kontor_job_region(job)),
					.window = (uint32_t)kontor_get_uint(params, "window", 0),
					.early = kontor_get_bool(params, "early", false),
					.wait = kontor_get_bool(params, "wait", false),
					.asked_ms = kontor_get_int(params, "asked_ms", INT64_MAX)};
	if (!ret_closing->region)
		return kontor_job_fail(job, err, KONTOR_E_CONFLICT, "region %s is not configured in this unit",
				       kontor_job_region(job));
	return 0;
}

/* ---- plan ---- */

static int add_the_chunk(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	kontor_job *job = arg;
	int rc = kontor_job_add_chunk(tx, job, 0, NULL, 0, err);
	return rc ? rc : kontor_job_planned(tx, job, 1, err);
}

static int plan(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	return kontor_db_transaction(kontor_job_db(job), add_the_chunk, job, err);
}

/* ---- chunk ---- */

static int checkpoint_epoch(kontor_conn *tx, const struct closing *closing, uint64_t epoch, struct kontor_error *err)
{
	const void *data;
	size_t size;
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(w);
	kontor_put_uint(w, "epoch", epoch);
	kontor_write_end(w);
	int rc = kontor_writer_finish(w, &data, &size, err);
	if (!rc)
		rc = kontor_chunk_checkpoint(tx, closing->chunk, data, size, 0, err);
	kontor_writer_free(w);
	return rc;
}

static int raise_fence(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct closing *closing = arg;
	int rc = close_raise_fence(tx, closing->region, closing->window, kontor_job_id(closing->job), &closing->epoch,
				   err);
	return rc ? rc : checkpoint_epoch(tx, closing, closing->epoch, err);
}

static int lower_fence(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct closing *closing = arg;
	int rc = close_reopen(tx, closing->region, kontor_job_id(closing->job), err);
	return rc ? rc : checkpoint_epoch(tx, closing, 0, err);
}

/* 0: nothing stands against it; else what the step returns. */
static int look_for_obstacle(struct closing *closing, struct kontor_error *err)
{
	kontor_conn *conn = kontor_job_db(closing->job);
	struct close_wish wish = {closing->region, closing->window, closing->early, closing->asked_ms};
	struct obstacle obstacle;
	int rc = close_find_obstacle(conn, &wish, &obstacle, err);
	if (rc || !obstacle.code)
		return rc;
	if (obstacle.code == KONTOR_E_CONFLICT || !closing->wait) /* undo lowers the fence */
		return kontor_job_fail(closing->job, err, obstacle.code, "%s", obstacle.message);
	if (closing->epoch) {
		rc = kontor_db_transaction(conn, lower_fence, closing, err);
		if (!rc)
			rc = close_move_writers(conn, closing->region, err);
		if (rc)
			return rc;
	}
	return kontor_job_wait(closing->job, (uint32_t)closing->self->close_retry_ms, "%s", obstacle.message);
}

/* Older windows without a row are empty and close along with this one. */
static int make_windows(struct closing *closing, struct kontor_error *err)
{
	kontor_conn *conn = kontor_job_db(closing->job);
	struct window_bounds bounds;
	uint64_t epoch;
	uint32_t window;
	int rc = window_open_from(conn, closing->region, &epoch, &window, err);
	for (; !rc && window <= closing->window; window = kontor_window_next(window))
		rc = window_find_bounds(conn, closing->region, window, true, &bounds, err);
	return rc;
}

static int add_total(struct closing *closing, struct kontor_text currency, uint64_t items, struct kontor_text sum,
		     struct kontor_error *err)
{
	int64_t amount_minor;
	if (closing->totals_len == KONTOR_REGION_CURRENCIES)
		return kontor_fail(err, KONTOR_E_INTERNAL, "window %u of %s has more than %d currencies",
				   (unsigned)closing->window, closing->region->code, KONTOR_REGION_CURRENCIES);
	if (!kontor_parse_int(sum, &amount_minor))
		return kontor_job_fail(closing->job, err, KONTOR_E_INTERNAL,
				       "the sum of %.3s in window %u of %s, %.*s, is beyond 2^63 minor units",
				       currency.data, (unsigned)closing->window, closing->region->code, (int)sum.size,
				       sum.data);
	struct window_total *total = &closing->totals[closing->totals_len++];
	snprintf(total->currency, sizeof(total->currency), "%.*s", (int)currency.size, currency.data);
	total->items = items;
	total->amount_minor = amount_minor;
	closing->items += items;
	return 0;
}

/* One scan in primary-key order. Behind the fence nothing changes any more, so it needs no transaction. */
static int sum_window(struct closing *closing, struct kontor_error *err)
{
	kontor_conn *conn = kontor_job_db(closing->job);
	const struct kontor_param *params = KONTOR_PARAMS(P_STRING(closing->region->code), P_UINT(closing->window));
	closing->items = 0;
	closing->totals_len = 0;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_SUM_WINDOW, params, &rows, err);
	if (rc)
		return rc;
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		rc = add_total(closing, kontor_rows_text(rows, 0), kontor_rows_uint(rows, 1), kontor_rows_text(rows, 2),
			       err);
		if (rc)
			break;
	}
	kontor_rows_close(rows);
	int64_t counted = 0;
	if (!rc)
		rc = kontor_db_query_int(conn, SQL_COUNT_WINDOW, params, &counted, err);
	if (!rc && (uint64_t)counted != closing->items)
		return kontor_job_fail(closing->job, err, KONTOR_E_INTERNAL,
				       "window %u of %s has %" PRIu64
				       " items, but uploads and services brought %" PRId64
				       ": do not settle it, compare billing_item with item_batch",
				       (unsigned)closing->window, closing->region->code, closing->items, counted);
	return rc;
}

static void write_result(kontor_writer *w, const struct closing *closing)
{
	kontor_write_map(w);
	kontor_put_uint(w, "epoch", closing->epoch);
	kontor_put_array(w, "totals");
	for (size_t i = 0; i < closing->totals_len; i++) {
		kontor_write_map(w);
		kontor_put_string(w, "currency", closing->totals[i].currency);
		kontor_put_uint(w, "items", closing->totals[i].items);
		kontor_put_int(w, "amount_minor", closing->totals[i].amount_minor);
		kontor_write_end(w);
	}
	kontor_write_end(w);
	kontor_write_end(w);
}

static int chunk_done(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct closing *closing = arg;
	const void *data;
	size_t size;
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	write_result(w, closing);
	int rc = kontor_writer_finish(w, &data, &size, err);
	if (!rc)
		rc = kontor_chunk_done(tx, closing->chunk, data, size, 1, err);
	kontor_writer_free(w);
	return rc;
}

static int fence_and_count(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err)
{
	kontor_conn *conn = kontor_job_db(job);
	struct closing closing;
	int rc = read_params(self, job, &closing, err);
	if (rc)
		return rc;
	closing.chunk = chunk;
	closing.epoch = kontor_get_uint(kontor_chunk_checkpoint_of(chunk), "epoch", 0);
	if (!closing.epoch) {
		rc = look_for_obstacle(&closing, err);
		if (!rc)
			rc = make_windows(&closing, err);
		if (!rc)
			rc = kontor_db_transaction(conn, raise_fence, &closing, err);
		if (rc)
			return rc;
	}
	rc = close_move_writers(conn, closing.region, err);
	if (!rc)
		rc = look_for_obstacle(&closing, err); /* what came in before the fence stood */
	if (!rc)
		rc = sum_window(&closing, err);
	return rc ? rc : kontor_db_transaction(conn, chunk_done, &closing, err);
}

/* ---- finish ---- */

static int take_result(void *arg, uint32_t chunk_no, const msgpack_object *result, struct kontor_error *err)
{
	struct closing *closing = arg;
	const msgpack_object *totals = kontor_get(result, "totals");
	(void)chunk_no;
	closing->epoch = kontor_get_uint(result, "epoch", 0);
	if (!closing->epoch || !totals || totals->type != MSGPACK_OBJECT_ARRAY ||
	    totals->via.array.size > KONTOR_REGION_CURRENCIES)
		return kontor_fail(err, KONTOR_E_INTERNAL, "settlement.close: the chunk left no totals");
	for (uint32_t i = 0; i < totals->via.array.size; i++) {
		struct window_total *total = &closing->totals[closing->totals_len++];
		kontor_get_string(&totals->via.array.ptr[i], "currency", total->currency, sizeof(total->currency));
		total->items = kontor_get_uint(&totals->via.array.ptr[i], "items", 0);
		total->amount_minor = kontor_get_int(&totals->via.array.ptr[i], "amount_minor", 0);
		closing->items += total->items;
	}
	return 0;
}

static int add_totals(kontor_conn *tx, const struct closing *closing, struct kontor_error *err)
{
	const char *region = closing->region->code;
	int rc = kontor_db_exec(tx, SQL_DELETE_WINDOW_TOTALS, KONTOR_PARAMS(P_STRING(region), P_UINT(closing->window)),
				NULL, err);
	for (size_t i = 0; i < closing->totals_len && !rc; i++)
		rc = kontor_db_exec(
			tx, SQL_ADD_WINDOW_TOTAL,
			KONTOR_PARAMS(P_STRING(region), P_UINT(closing->window), P_STRING(closing->totals[i].currency),
				      P_UINT(closing->totals[i].items), P_INT(closing->totals[i].amount_minor)),
			NULL, err);
	return rc;
}

static int close_windows(kontor_conn *tx, const struct closing *closing, struct kontor_error *err)
{
	const char *region = closing->region->code;
	uint64_t job_id = kontor_job_id(closing->job), closed = 0;
	int64_t epoch = 0, now = 0;
	int rc = kontor_db_query_int(tx, SQL_LOCK_EPOCH, KONTOR_PARAMS(P_STRING(region)), &epoch, err);
	if (!rc)
		rc = database_now_ms(tx, &now, err);
	if (!rc)
		rc = kontor_db_exec(tx, SQL_CLOSE_WINDOW,
				    KONTOR_PARAMS(P_UINT(closing->items), P_INT(now), P_STRING(region),
						  P_UINT(closing->window), P_UINT(job_id)),
				    &closed, err);
	if (!rc && (closed != 1 || (uint64_t)epoch != closing->epoch))
		return kontor_job_fail(
			closing->job, err, KONTOR_E_CONFLICT,
			"the fence of window %u of %s was lowered after its items were counted; close it again",
			(unsigned)closing->window, region);
	if (!rc)
		rc = kontor_db_exec(
			tx, SQL_CLOSE_EMPTY_OLDER,
			KONTOR_PARAMS(P_INT(now), P_STRING(region), P_UINT(closing->window), P_UINT(job_id)), NULL,
			err);
	return rc;
}

static int job_done(kontor_conn *tx, const struct closing *closing, struct kontor_error *err)
{
	char name[KONTOR_WINDOW_SIZE];
	const void *data;
	size_t size;
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(w);
	kontor_put_string(w, "window", kontor_window_format(closing->window, name));
	kontor_put_string(w, "state", "closed");
	kontor_put_uint(w, "items", closing->items);
	kontor_put_map(w, "items_minor");
	for (size_t i = 0; i < closing->totals_len; i++)
		kontor_put_int(w, closing->totals[i].currency, closing->totals[i].amount_minor);
	kontor_write_end(w);
	kontor_write_end(w);
	int rc = kontor_writer_finish(w, &data, &size, err);
	if (!rc)
		rc = kontor_job_done(tx, closing->job, data, size, err);
	kontor_writer_free(w);
	return rc;
}

static int freeze(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct closing *closing = arg;
	int rc = close_windows(tx, closing, err);
	if (!rc)
		rc = add_totals(tx, closing, err);
	return rc ? rc : job_done(tx, closing, err);
}

static int finish(void *self, kontor_job *job, struct kontor_error *err)
{
	struct closing closing;
	int rc = read_params(self, job, &closing, err);
	if (!rc)
		rc = kontor_job_each_result(kontor_job_db(job), job, take_result, &closing, err);
	return rc ? rc : kontor_db_transaction(kontor_job_db(job), freeze, &closing, err);
}

/* ---- undo ---- */

static int reopen(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct closing *closing = arg;
	return close_reopen(tx, closing->region, kontor_job_id(closing->job), err);
}

static int undo(void *self, kontor_job *job, struct kontor_error *err)
{
	struct closing closing;
	int rc = read_params(self, job, &closing, err);
	if (!rc)
		rc = kontor_db_transaction(kontor_job_db(job), reopen, &closing, err);
	return rc ? rc : close_move_writers(kontor_job_db(job), closing.region, err);
}

const struct kontor_job_kind close_job_kind[SETTLEMENT_JOB_KINDS] = {
	{
		.name = "settlement.close",
		.lane = KONTOR_LANE_SETTLE,
		.help = "Ends all writing to a settlement window and freezes its totals.",
		.plan = plan,
		.chunk = fence_and_count,
		.finish = finish,
		.undo = undo,
	},
	{
		.name = REPORT_ITEMS_KIND,
		.lane = KONTOR_LANE_REPORT,
		.help = "Writes the billing items of a window that count as CSV.",
		.plan = report_items_plan,
		.chunk = report_items_chunk,
		.finish = report_items_finish,
	}};
