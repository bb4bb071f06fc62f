/* SPDX-License-Identifier: Apache-2.0 */
#include "list.h"

#include <stdio.h>
#include <string.h>

#include "kontor/time.h"
#include "run_record.h"
#include "statements.h"

#define LIST_LIMIT 1000 /* rows of one page unless the caller wants fewer */

int page_start_after(kontor_conn *conn, uint64_t run_id, uint64_t payout_id, struct page_start *ret,
		     struct kontor_error *err)
{
	*ret = (struct page_start){0};
	if (!payout_id)
		return 0;
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_PAYOUT_POSITION,
				   KONTOR_PARAMS(P_UINT(payout_id), P_UINT(run_id)), &rows, err);
	if (code)
		return code;
	code = kontor_rows_next(rows, err);
	if (code == 1) {
		snprintf(ret->currency, sizeof(ret->currency), "%s", kontor_rows_string(rows, 0));
		ret->shop_user_id = kontor_rows_uint(rows, 1);
		code = 0;
	} else if (code == 0) {
		code = kontor_fail(err, KONTOR_E_BAD_REQUEST, "after: run %llu has no payout %llu",
				   (unsigned long long)run_id, (unsigned long long)payout_id);
	}
	kontor_rows_close(rows);
	return code;
}

int put_page(kontor_request *request, kontor_rows *rows, int64_t limit,
	     void (*put)(kontor_writer *, const kontor_rows *))
{
	kontor_writer *w = kontor_reply(request);
	uint64_t last = 0;
	int64_t count = 0;
	int code;
	kontor_put_array(w, "rows");
	while ((code = kontor_rows_next(rows, kontor_request_error(request))) == 1) {
		kontor_write_map(w);
		put(w, rows);
		kontor_write_end(w);
		last = kontor_rows_uint(rows, 0);
		count++;
	}
	kontor_write_end(w);
	if (count == limit)
		kontor_put_uint(w, "next", last);
	kontor_rows_close(rows);
	return code;
}

const char *payout_reason(const kontor_rows *rows)
{
	const char *stored = kontor_rows_string(rows, 12);
	if (stored[0] || !kontor_text_is(kontor_rows_text(rows, 11), "ready"))
		return stored;
	if (kontor_rows_null(rows, 15))
		return "no_payee";
	return kontor_rows_int(rows, 16) ? "payee_waits" : "";
}

/* The columns of SQL_PAYOUT_COLUMNS, into the open map. */
static void put_payout(kontor_writer *w, const kontor_rows *rows)
{
	kontor_put_uint(w, "payout_id", kontor_rows_uint(rows, 0));
	kontor_put_uint(w, "run_id", kontor_rows_uint(rows, 1));
	kontor_put_uint(w, "shop_user_id", kontor_rows_uint(rows, 2));
	kontor_put_text(w, "currency", kontor_rows_text(rows, 3));
	kontor_put_int(w, "gross_minor", kontor_rows_int(rows, 5));
	kontor_put_int(w, "fees_minor", kontor_rows_int(rows, 6));
	kontor_put_int(w, "carry_in_minor", kontor_rows_int(rows, 7));
	kontor_put_int(w, "net_minor", kontor_rows_int(rows, 8));
	kontor_put_int(w, "carry_out_minor", kontor_rows_int(rows, 9));
	kontor_put_int(w, "reserve_minor", kontor_rows_int(rows, 10));
	kontor_put_uint(w, "items", kontor_rows_uint(rows, 4));
	kontor_put_text(w, "state", kontor_rows_text(rows, 11));
	kontor_put_string(w, "reason", payout_reason(rows));
	kontor_put_uint(w, "attempt", kontor_rows_uint(rows, 13));
	if (kontor_rows_null(rows, 14))
		kontor_put_string(w, "safefile_id", NULL);
	else
		kontor_put_uint(w, "safefile_id", kontor_rows_uint(rows, 14));
}

/* *ret_state: NULL = any. A state that does not exist would look like "none is in it". */
static int state_of_request(kontor_request *request, const char **ret_state)
{
	static const char *const states[] = {"ready", "held", "carried", "zero", "batched"};
	*ret_state = NULL;
	if (!kontor_arg_given(request, "state"))
		return 0;
	*ret_state = kontor_arg_string(request, "state");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(*ret_state, states[i]))
			return 0;
	return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
				   "state: there is no \"%s\"; it is ready, held, carried, zero or batched",
				   *ret_state);
}

int payout_list(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *conn = kontor_request_db(request);
	struct run_record run;
	struct page_start start;
	int64_t limit = kontor_arg_given(request, "limit") ? kontor_arg_int(request, "limit") : LIST_LIMIT;
	const char *state;
	int code = state_of_request(request, &state);
	if (!code)
		code = run_of_request(request, "run", &run);
	if (!code)
		code = run_require_balanced(&run, err);
	if (!code)
		code = page_start_after(conn, run.run_id, kontor_arg_id(request, "after"), &start, err);
	if (code)
		return code;
	kontor_rows *rows = NULL;
	code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_PAYOUT_LIST,
			       KONTOR_PARAMS(P_UINT(run.run_id), P_STRING(start.currency), P_STRING(start.currency),
					     P_UINT(start.shop_user_id), P_STRING(state), P_STRING(state),
					     P_INT(limit)),
			       &rows, err);
	return code ? code : put_page(request, rows, limit, put_payout);
}

static void put_attempt(kontor_writer *w, const kontor_rows *rows)
{
	kontor_put_uint(w, "attempt", kontor_rows_uint(rows, 0));
	kontor_put_uint(w, "safefile_id", kontor_rows_uint(rows, 1));
	kontor_put_text(w, "e2e_id", kontor_rows_text(rows, 2));
	kontor_put_int(w, "amount_minor", kontor_rows_int(rows, 3));
	kontor_put_text(w, "state", kontor_rows_text(rows, 4));
	kontor_put_time(w, "created", kontor_rows_int(rows, 5));
}

static void put_event(kontor_writer *w, const kontor_rows *rows)
{
	kontor_put_uint(w, "seq", kontor_rows_uint(rows, 0));
	kontor_put_time(w, "at", kontor_rows_int(rows, 1));
	kontor_put_text(w, "from", kontor_rows_text(rows, 2));
	kontor_put_text(w, "to", kontor_rows_text(rows, 3));
	kontor_put_text(w, "user", kontor_rows_text(rows, 4));
	kontor_put_text(w, "reason", kontor_rows_text(rows, 5));
}

/* Puts an array of what `sql` finds for the payout. */
static int put_history(kontor_request *request, const char *key, const char *sql, uint64_t payout_id,
		       void (*put)(kontor_writer *, const kontor_rows *))
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_writer *w = kontor_reply(request);
	kontor_rows *rows = NULL;
	int code = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, sql, KONTOR_PARAMS(P_UINT(payout_id)),
				   &rows, err);
	if (code)
		return code;
	kontor_put_array(w, key);
	while ((code = kontor_rows_next(rows, err)) == 1) {
		kontor_write_map(w);
		put(w, rows);
		kontor_write_end(w);
	}
	kontor_write_end(w);
	kontor_rows_close(rows);
	return code;
}

int payout_get(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *conn = kontor_request_db(request);
	uint64_t payout_id = kontor_arg_id(request, "payout_id");
	kontor_writer *w = kontor_reply(request);
	kontor_rows *rows = NULL;
	struct run_record run = {0};
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_PAYOUT_GET, KONTOR_PARAMS(P_UINT(payout_id)), &rows, err);
	if (code)
		return code;
	code = kontor_rows_next(rows, err);
	if (code == 0)
		code = kontor_request_fail(request, KONTOR_E_NOT_FOUND, "there is no payout %llu",
					   (unsigned long long)payout_id);
	else if (code == 1)
		code = run_by_id(conn, kontor_rows_uint(rows, 1), &run, err);
	if (!code)
		code = run_require_balanced(&run, err);
	if (!code) {
		char window[KONTOR_WINDOW_SIZE];
		put_payout(w, rows);
		kontor_put_string(w, "region", run.region);
		kontor_put_string(w, "window", kontor_window_format(run.window_no, window));
	}
	kontor_rows_close(rows);
	if (!code)
		code = put_history(request, "attempts", SQL_PAYOUT_ATTEMPTS, payout_id, put_attempt);
	if (!code)
		code = put_history(request, "events", SQL_PAYOUT_EVENTS, payout_id, put_event);
	return code;
}
