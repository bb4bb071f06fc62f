/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <string.h>

#include "kontor/time.h"
#include "statements.h"

static int out_of_range(uint64_t run_id, const char *currency, struct kontor_error *err)
{
	return kontor_fail(err, PAYOUT_E_RANGE, "payout run %llu: a control total of %s does not fit 63 bits",
			   (unsigned long long)run_id, currency);
}

int control_of_chunks(kontor_conn *conn, uint64_t run_id, struct control_totals *ret, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	*ret = (struct control_totals){0};
	int code =
		kontor_db_query(conn, KONTOR_READ_ALL, SQL_CONTROL_CHUNKS, KONTOR_PARAMS(P_UINT(run_id)), &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		struct control_line chunk = {
			.payouts = kontor_rows_int(rows, 1),
			.items = kontor_rows_int(rows, 2),
			.items_minor = kontor_rows_int(rows, 3),
			.carry_in_minor = kontor_rows_int(rows, 4),
			.payouts_minor = kontor_rows_int(rows, 5),
			.held_minor = kontor_rows_int(rows, 6),
			.carried_minor = kontor_rows_int(rows, 7),
			.fees_minor = kontor_rows_int(rows, 8),
			.reserve_minor = kontor_rows_int(rows, 9),
		};
		struct control_line *line = control_line_of(ret, kontor_rows_string(rows, 0));
		if (!line || !control_add_line(line, &chunk)) {
			code = out_of_range(run_id, kontor_rows_string(rows, 0), err);
			break;
		}
	}
	kontor_rows_close(rows);
	return code;
}

/* The same sums from the payouts themselves: a second way to the same figures. */
static int control_of_payouts(kontor_conn *conn, uint64_t run_id, struct control_totals *ret, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	*ret = (struct control_totals){0};
	int code = kontor_db_query(conn, KONTOR_READ_STREAM, SQL_CONTROL_PAYOUTS, KONTOR_PARAMS(P_UINT(run_id)), &rows,
				   err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		struct payout_figures figures = {
			.gross_minor = kontor_rows_int(rows, 2),
			.fees_minor = kontor_rows_int(rows, 3),
			.carry_in_minor = kontor_rows_int(rows, 4),
			.net_minor = kontor_rows_int(rows, 5),
			.carry_out_minor = kontor_rows_int(rows, 6),
			.state = kontor_text_is(kontor_rows_text(rows, 8), "held") ? PAYOUT_HELD : PAYOUT_READY,
		};
		struct control_line *line = control_line_of(ret, kontor_rows_string(rows, 0));
		if (!line || !control_add_payout(line, kontor_rows_uint(rows, 1), &figures) ||
		    !kontor_amount_add(&line->reserve_minor, kontor_rows_int(rows, 7))) {
			code = out_of_range(run_id, kontor_rows_string(rows, 0), err);
			break;
		}
	}
	kontor_rows_close(rows);
	return code;
}

/* What a manual run must find. */
static int expect_claims(kontor_conn *conn, const struct run_record *run, struct control_totals *ret,
			 struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	*ret = (struct control_totals){0};
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_CLAIMS_TOTALS,
				   KONTOR_PARAMS(P_STRING(run->region), P_UINT(run->upload_id)), &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		struct control_line *line = control_line_of(ret, kontor_rows_string(rows, 0));
		if (!line) {
			code = out_of_range(run->run_id, kontor_rows_string(rows, 0), err);
			break;
		}
		line->items = kontor_rows_int(rows, 1);
		line->items_minor = kontor_rows_int(rows, 2);
	}
	kontor_rows_close(rows);
	return code;
}

/* What an automatic run must find: the window's totals without the items that manual runs claimed. */
static int expect_window(kontor_conn *conn, const struct run_record *run, const struct settlement_window *window,
			 struct control_totals *ret, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	*ret = window->totals;
	int code = kontor_db_query(conn, KONTOR_READ_STREAM, SQL_ITEMS_CLAIMED,
				   KONTOR_PARAMS(P_STRING(run->region), P_UINT(run->window_no)), &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		struct control_line *line = control_line_of(ret, kontor_rows_string(rows, 0));
		if (!line || !kontor_amount_add(&line->items_minor, -kontor_rows_int(rows, 1))) {
			code = out_of_range(run->run_id, kontor_rows_string(rows, 0), err);
			break;
		}
		line->items--;
	}
	kontor_rows_close(rows);
	return code;
}

static int expect(kontor_conn *conn, const struct run_record *run, const struct settlement_window *window,
		  struct control_totals *ret, struct kontor_error *err)
{
	return run->upload_id ? expect_claims(conn, run, ret, err) : expect_window(conn, run, window, ret, err);
}

static int differs(const struct run_record *run, const char *currency, const char *left, int64_t left_items,
		   int64_t left_minor, const char *right, int64_t right_items, int64_t right_minor,
		   struct kontor_error *err)
{
	char window[KONTOR_WINDOW_SIZE];
	return kontor_fail(
		err, PAYOUT_E_UNBALANCED,
		"payout run %llu of %s %s does not balance in %s: %s %lld items of %lld minor units, %s %lld of "
		"%lld; nothing is paid; see: kontor payout control --run %llu",
		(unsigned long long)run->run_id, run->region, kontor_window_format(run->window_no, window), currency,
		left, (long long)left_items, (long long)left_minor, right, (long long)right_items,
		(long long)right_minor, (unsigned long long)run->run_id);
}

static const struct control_line no_line; /* of a currency that one side does not have */

static const struct control_line *line_or_zero(const struct control_totals *totals, const char *currency)
{
	const struct control_line *line = control_line_find(totals, currency);
	return line ? line : &no_line;
}

static int check_window(const struct run_record *run, const struct control_totals *expected,
			const struct control_totals *chunks, struct kontor_error *err)
{
	struct control_totals all = *chunks; /* its currencies, and those that only the window has */
	for (size_t i = 0; i < expected->len; i++)
		if (!control_line_of(&all, expected->lines[i].currency))
			return out_of_range(run->run_id, expected->lines[i].currency, err);
	for (size_t i = 0; i < all.len; i++) {
		const char *currency = all.lines[i].currency;
		const struct control_line *wanted = line_or_zero(expected, currency);
		const struct control_line *found = line_or_zero(chunks, currency);
		if (wanted->items != found->items || wanted->items_minor != found->items_minor)
			return differs(run, currency, run->upload_id ? "its upload claims" : "the window has",
				       wanted->items, wanted->items_minor, "the chunks", found->items,
				       found->items_minor, err);
	}
	return 0;
}

static int check_payouts(const struct run_record *run, const struct control_totals *chunks,
			 const struct control_totals *payouts, struct kontor_error *err)
{
	for (size_t i = 0; i < chunks->len; i++) {
		const struct control_line *chunk = &chunks->lines[i];
		const struct control_line *stored = line_or_zero(payouts, chunk->currency);
		if (!control_line_equal(chunk, stored))
			return differs(run, chunk->currency, "the chunks have", chunk->items, chunk->items_minor,
				       "the stored payouts", stored->items, stored->items_minor, err);
		if (!control_line_balanced(chunk))
			return kontor_fail(
				err, PAYOUT_E_UNBALANCED,
				"payout run %llu: in %s items %lld + carry-in %lld is not payouts %lld + held %lld + "
				"carried %lld + fees %lld + reserve %lld; nothing is paid",
				(unsigned long long)run->run_id, chunk->currency, (long long)chunk->items_minor,
				(long long)chunk->carry_in_minor, (long long)chunk->payouts_minor,
				(long long)chunk->held_minor, (long long)chunk->carried_minor,
				(long long)chunk->fees_minor, (long long)chunk->reserve_minor);
	}
	if (payouts->len != chunks->len)
		return kontor_fail(err, PAYOUT_E_UNBALANCED,
				   "payout run %llu: its chunks have %zu currencies, its payouts %zu; nothing is paid",
				   (unsigned long long)run->run_id, chunks->len, payouts->len);
	return 0;
}

static int check_ledger(kontor_conn *conn, const struct run_record *run, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_CONTROL_LEDGER, KONTOR_PARAMS(P_UINT(run->run_id)), &rows,
				   err);
	if (code)
		return code;
	code = kontor_rows_next(rows, err);
	if (code == 1)
		code = kontor_fail(err, PAYOUT_E_UNBALANCED,
				   "payout run %llu: the ledger's debit in %s is %s, its credit %s; nothing is paid",
				   (unsigned long long)run->run_id, kontor_rows_string(rows, 0),
				   kontor_rows_string(rows, 1), kontor_rows_string(rows, 2));
	kontor_rows_close(rows);
	return code;
}

int control_check(kontor_conn *conn, const struct run_record *run, const struct settlement_window *window,
		  struct control_totals *ret_totals, struct kontor_error *err)
{
	struct control_totals expected, chunks, payouts;
	int code = expect(conn, run, window, &expected, err);
	if (!code)
		code = control_of_chunks(conn, run->run_id, &chunks, err);
	if (!code)
		code = control_of_payouts(conn, run->run_id, &payouts, err);
	if (!code)
		code = check_window(run, &expected, &chunks, err);
	if (!code)
		code = check_payouts(run, &chunks, &payouts, err);
	if (!code)
		code = check_ledger(conn, run, err);
	if (!code)
		*ret_totals = chunks;
	return code;
}

static void put_line(kontor_writer *w, const struct control_line *line, const struct control_line *expected)
{
	kontor_write_map(w);
	kontor_put_string(w, "currency", line->currency);
	kontor_put_int(w, "items", line->items);
	kontor_put_int(w, "items_minor", line->items_minor);
	kontor_put_int(w, "carry_in_minor", line->carry_in_minor);
	kontor_put_int(w, "payouts", line->payouts);
	kontor_put_int(w, "payouts_minor", line->payouts_minor);
	kontor_put_int(w, "held_minor", line->held_minor);
	kontor_put_int(w, "carried_minor", line->carried_minor);
	kontor_put_int(w, "fees_minor", line->fees_minor);
	kontor_put_int(w, "reserve_minor", line->reserve_minor);
	kontor_put_int(w, "window_items", expected->items);
	kontor_put_int(w, "window_items_minor", expected->items_minor);
	kontor_put_bool(w, "balanced",
			control_line_balanced(line) && line->items == expected->items &&
				line->items_minor == expected->items_minor);
	kontor_write_end(w);
}

static void put_control(kontor_request *request, const struct run_record *run, struct control_totals *chunks,
			const struct control_totals *expected)
{
	char window[KONTOR_WINDOW_SIZE];
	kontor_writer *w = kontor_reply(request);
	for (size_t i = 0; i < expected->len; i++)
		control_line_of(chunks, expected->lines[i].currency);
	kontor_put_uint(w, "run_id", run->run_id);
	kontor_put_string(w, "region", run->region);
	kontor_put_string(w, "window", kontor_window_format(run->window_no, window));
	kontor_put_string(w, "state", run->state);
	kontor_put_array(w, "rows");
	for (size_t i = 0; i < chunks->len; i++)
		put_line(w, &chunks->lines[i], line_or_zero(expected, chunks->lines[i].currency));
	kontor_write_end(w);
}

/* Compared anew with the settlement plugin's figures each time; also for a run that did not balance. */
int payout_control(void *self, kontor_request *request)
{
	struct payout *payout = self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *conn = kontor_request_db(request);
	struct run_record run;
	struct settlement_window window;
	struct control_totals chunks, expected;
	int code = run_of_request(request, "run", &run);
	if (!code && !run_is(&run, RUN_FAILED_CONTROL))
		code = run_require_balanced(&run, err);
	if (!code && !run.upload_id)
		code = settlement_window_get(payout->host, run.region, run.window_no, &window, err);
	if (!code)
		code = expect(conn, &run, &window, &expected, err);
	if (!code)
		code = control_of_chunks(conn, run.run_id, &chunks, err);
	if (!code)
		put_control(request, &run, &chunks, &expected);
	return code;
}
