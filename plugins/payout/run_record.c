/* SPDX-License-Identifier: Apache-2.0 */
#include "run_record.h"

#include <stdio.h>
#include <string.h>

#include "kontor/time.h"
#include "statements.h"

bool run_is(const struct run_record *run, const char *state)
{
	return !strcmp(run->state, state);
}

char *run_unique_window(const char *region, uint32_t window_no, char *out)
{
	snprintf(out, RUN_UNIQUE_SIZE, "%.2s%06u", region, window_no % 1000000);
	return out;
}

/* NOT_FOUND without a message. */
static int load(kontor_conn *conn, const char *sql, const struct kontor_param *params, struct run_record *ret,
		struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, sql, params, &rows, err);
	if (code)
		return code;
	int found = kontor_rows_next(rows, err);
	if (found == 1) {
		*ret = (struct run_record){
			.run_id = kontor_rows_uint(rows, 0),
			.window_no = (uint32_t)kontor_rows_uint(rows, 2),
			.job_id = kontor_rows_uint(rows, 5),
			.payouts = kontor_rows_uint(rows, 6),
			.items = kontor_rows_uint(rows, 7),
			.generation = (uint32_t)kontor_rows_uint(rows, 8),
			.upload_id = kontor_rows_uint(rows, 9),
		};
		snprintf(ret->region, sizeof(ret->region), "%s", kontor_rows_string(rows, 1));
		snprintf(ret->kind, sizeof(ret->kind), "%s", kontor_rows_string(rows, 3));
		snprintf(ret->state, sizeof(ret->state), "%s", kontor_rows_string(rows, 4));
	}
	kontor_rows_close(rows);
	return found == 1 ? 0 : found == 0 ? KONTOR_E_NOT_FOUND : found;
}

int run_by_id(kontor_conn *conn, uint64_t run_id, struct run_record *ret, struct kontor_error *err)
{
	int code = load(conn, SQL_RUN_BY_ID, KONTOR_PARAMS(P_UINT(run_id)), ret, err);
	if (code == KONTOR_E_NOT_FOUND)
		return kontor_fail(err, code, "there is no payout run %llu", (unsigned long long)run_id);
	return code;
}

int run_by_window(kontor_conn *conn, const char *region, uint32_t window_no, struct run_record *ret,
		  struct kontor_error *err)
{
	char unique[RUN_UNIQUE_SIZE], window[KONTOR_WINDOW_SIZE];
	int code = load(conn, SQL_RUN_BY_WINDOW, KONTOR_PARAMS(P_STRING(run_unique_window(region, window_no, unique))),
			ret, err);
	if (code == KONTOR_E_NOT_FOUND) {
		kontor_window_format(window_no, window);
		return kontor_fail(err, code,
				   "window %s of %s has no payout run; run: kontor payout run --region %s --window %s",
				   window, region, region, window);
	}
	return code;
}

int run_of_request(kontor_request *request, const char *run_argument, struct run_record *ret)
{
	bool by_run = kontor_arg_given(request, run_argument);
	bool by_region = kontor_arg_given(request, "region"), by_window = kontor_arg_given(request, "window");
	if (by_run == by_region || by_region != by_window)
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST, "give either %s, or region and window",
					   run_argument);
	kontor_conn *conn = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	if (by_run)
		return run_by_id(conn, kontor_arg_id(request, run_argument), ret, err);
	return run_by_window(conn, kontor_arg_string(request, "region"), kontor_arg_window(request, "window"), ret,
			     err);
}

int run_require_balanced(const struct run_record *run, struct kontor_error *err)
{
	if (run_is(run, RUN_BALANCED))
		return 0;
	if (run_is(run, RUN_FAILED_CONTROL))
		return kontor_fail(err, KONTOR_E_CONFLICT,
				   "payout run %llu did not balance, so its payouts are not shown; see: kontor payout "
				   "control --run %llu",
				   (unsigned long long)run->run_id, (unsigned long long)run->run_id);
	if (run->upload_id)
		return kontor_fail(err, KONTOR_E_CONFLICT,
				   "payout run %llu is not finished (%s); see: kontor settlement manual --region %s "
				   "--upload %llu",
				   (unsigned long long)run->run_id, run->state, run->region,
				   (unsigned long long)run->upload_id);
	return kontor_fail(
		err, KONTOR_E_CONFLICT,
		"payout run %llu is not finished (%s); see: kontor jobs show %llu; if that has ended, kontor payout "
		"run goes on",
		(unsigned long long)run->run_id, run->state, (unsigned long long)run->job_id);
}
