/* SPDX-License-Identifier: Apache-2.0
 *
 * The report of the payouts of a window's run, by currency and shop.
 */
#include "report_payouts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kontor/host.h"
#include "kontor/money.h"
#include "kontor/region.h"
#include "list.h"
#include "run_record.h"
#include "statements.h"

#define PAGE_ROWS 4000

static int find_run(kontor_conn *conn, const kontor_job *job, struct run_record *ret, struct kontor_error *err)
{
	int rc = run_by_window(conn, kontor_job_region(job),
			       (uint32_t)kontor_get_uint(kontor_job_params(job), "window", 0), ret, err);
	return rc ? rc : run_require_balanced(ret, err);
}

static int write_row(kontor_job *job, const kontor_rows *rows, struct kontor_report_page *page,
		     struct kontor_error *err)
{
	FILE *out = page->out;
	char amount[24];
	struct kontor_text code = kontor_rows_text(rows, 3);
	const struct kontor_currency *currency = kontor_currency_find(kontor_job_host(job), code);
	if (!currency)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "currency %.*s of payout %" PRIu64 " is not configured in this unit", (int)code.size,
				   code.data, kontor_rows_uint(rows, 0));
	fprintf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.*s,%" PRIu64, kontor_rows_uint(rows, 0),
		kontor_rows_uint(rows, 1), kontor_rows_uint(rows, 2), (int)code.size, code.data,
		kontor_rows_uint(rows, 4));
	for (unsigned column = 5; column <= 10; column++) /* gross, fees, carry in, net, carry out, reserve */
		fprintf(out, ",%s", kontor_amount_format(kontor_rows_int(rows, column), currency->exponent, amount));
	fprintf(out, ",%s,%s,%" PRIu64 ",", kontor_rows_string(rows, 11), payout_reason(rows),
		kontor_rows_uint(rows, 13));
	if (!kontor_rows_null(rows, 14))
		fprintf(out, "%" PRIu64, kontor_rows_uint(rows, 14));
	putc('\n', out);
	snprintf(page->cursor.text, sizeof(page->cursor.text), "%s", kontor_rows_string(rows, 3));
	page->cursor.first = kontor_rows_uint(rows, 2);
	return 0;
}

/* The cursor is currency and shop of the last row. */
static int write_page(void *self, kontor_conn *tx, kontor_job *job, struct kontor_report_page *page,
		      struct kontor_error *err)
{
	struct run_record run;
	(void)self;
	int rc = find_run(tx, job, &run, err);
	if (rc)
		return rc;
	kontor_rows *rows = NULL;
	const struct kontor_param any_state = P_STRING(NULL);
	rc = kontor_db_query(tx, KONTOR_READ_ALL, SQL_PAYOUT_LIST,
			     KONTOR_PARAMS(P_UINT(run.run_id), P_STRING(page->cursor.text), P_STRING(page->cursor.text),
					   P_UINT(page->cursor.first), any_state, any_state, P_INT(PAGE_ROWS)),
			     &rows, err);
	return rc ? rc : kontor_report_rows(page, job, rows, PAGE_ROWS, write_row, err);
}

static const struct kontor_report report = {
	.header = "payout_id,run_id,shop_user_id,currency,items,gross,fees,carry_in,net,carry_out,reserve,state,reason,"
		  "attempt,"
		  "safefile_id",
	.page = write_page,
};

int payout_report_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	struct run_record run;
	(void)self;
	int rc = find_run(kontor_job_db(job), job, &run, err);
	return rc ? rc : kontor_report_plan(job, run.payouts, err);
}

int payout_report_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err)
{
	(void)self;
	return kontor_report_chunk(&report, job, chunk, err);
}

int payout_report_finish(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	return kontor_report_finish(job, err);
}

int payout_report(void *self, kontor_request *request)
{
	struct kontor_error *err = kontor_request_error(request);
	struct run_record run;
	(void)self;
	int rc = run_by_window(kontor_request_db(request), kontor_arg_string(request, "region"),
			       kontor_arg_window(request, "window"), &run, err);
	if (!rc)
		rc = run_require_balanced(&run, err);
	return rc ? rc : kontor_report_submit(request, PAYOUT_REPORT_KIND);
}
