/* SPDX-License-Identifier: Apache-2.0
 *
 * payout.run_for_file and payout.payable: what a payment file reads.
 */
#include "batch.h"

#include "end_to_end.h"
#include "kontor/time.h"
#include "list.h"
#include "run_record.h"
#include "statements.h"

int payout_run_for_file(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_writer *w = kontor_reply(request);
	struct run_record run;
	int64_t ready = 0;
	int code = run_of_request(request, "run_id", &run);
	if (!code)
		code = run_require_balanced(&run, err);
	if (!code)
		code = kontor_db_query_int(kontor_request_db(request), SQL_RUN_READY, KONTOR_PARAMS(P_UINT(run.run_id)),
					   &ready, err);
	if (code)
		return code;
	char window[KONTOR_WINDOW_SIZE];
	kontor_put_uint(w, "run_id", run.run_id);
	kontor_put_string(w, "region", run.region);
	kontor_put_string(w, "window", kontor_window_format(run.window_no, window));
	kontor_put_string(w, "state", run.state);
	kontor_put_uint(w, "payouts", run.payouts);
	kontor_put_int(w, "ready", ready);
	return 0;
}

static void put_if_given(kontor_writer *w, const char *key, struct kontor_text text)
{
	if (text.data)
		kontor_put_text(w, key, text);
}

static void put_payee(kontor_writer *w, const kontor_rows *rows)
{
	kontor_put_map(w, "payee");
	kontor_put_uint(w, "version", kontor_rows_uint(rows, 8));
	kontor_put_text(w, "name", kontor_rows_text(rows, 9));
	put_if_given(w, "name_latin", kontor_rows_text(rows, 10));
	kontor_put_text(w, "country", kontor_rows_text(rows, 11));
	put_if_given(w, "iban", kontor_rows_text(rows, 12));
	put_if_given(w, "account", kontor_rows_text(rows, 13));
	put_if_given(w, "bank_code", kontor_rows_text(rows, 14));
	put_if_given(w, "bic", kontor_rows_text(rows, 15));
	put_if_given(w, "town", kontor_rows_text(rows, 16));
	kontor_write_end(w);
}

/* attempt and e2e_id are those that payout.batch gives, or has given for this file. */
static void put_payable(kontor_writer *w, const kontor_rows *rows)
{
	char e2e_id[END_TO_END_LENGTH + 1];
	uint64_t payout_id = kontor_rows_uint(rows, 0);
	bool batched = kontor_text_is(kontor_rows_text(rows, 4), "batched");
	unsigned attempt = (unsigned)kontor_rows_uint(rows, 5) + !batched;
	bool changing = kontor_rows_int(rows, 17) != 0;
	kontor_put_uint(w, "payout_id", payout_id);
	kontor_put_uint(w, "shop_user_id", kontor_rows_uint(rows, 1));
	kontor_put_text(w, "currency", kontor_rows_text(rows, 2));
	kontor_put_int(w, "amount_minor", kontor_rows_int(rows, 3));
	kontor_put_uint(w, "attempt", attempt);
	kontor_put_string(w, "e2e_id",
			  end_to_end_format(kontor_rows_string(rows, 6), (uint32_t)kontor_rows_uint(rows, 7), payout_id,
					    attempt, e2e_id));
	if (!kontor_rows_null(rows, 8) && !changing)
		put_payee(w, rows);
}

int payout_payable(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *conn = kontor_request_db(request);
	struct run_record run;
	struct page_start start;
	int64_t limit = kontor_arg_int(request, "limit");
	int code = run_by_id(conn, kontor_arg_id(request, "run_id"), &run, err);
	if (!code)
		code = run_require_balanced(&run, err);
	if (!code)
		code = page_start_after(conn, run.run_id, kontor_arg_id(request, "after"), &start, err);
	if (code)
		return code;
	kontor_rows *rows = NULL;
	code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_PAYABLE,
			       KONTOR_PARAMS(P_UINT(run.run_id), P_STRING(start.currency), P_STRING(start.currency),
					     P_UINT(start.shop_user_id), P_UINT(kontor_arg_id(request, "safefile_id")),
					     P_INT(limit)),
			       &rows, err);
	return code ? code : put_page(request, rows, limit, put_payable);
}
