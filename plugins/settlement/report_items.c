/* SPDX-License-Identifier: Apache-2.0
 *
 * The report of a window's billing items: those that count, by shop and item.
 */
#include <inttypes.h>
#include <string.h>

#include "items.h"
#include "kontor/money.h"
#include "kontor/report.h"
#include "kontor/time.h"
#include "statements.h"
#include "windows.h"

#define PAGE_ROWS 4000

static int write_row(kontor_job *job, const kontor_rows *rows, struct kontor_report_page *page,
		     struct kontor_error *err)
{
	FILE *out = page->out;
	char amount[24], at[KONTOR_TIME_SIZE];
	struct kontor_text code = kontor_rows_text(rows, 5);
	const struct kontor_currency *currency = kontor_currency_find(kontor_job_host(job), code);
	if (!currency)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "currency %.*s of item %" PRIu64 " is not configured in this unit", (int)code.size,
				   code.data, kontor_rows_uint(rows, 0));
	fprintf(out, "%" PRIu64 ",%" PRIu64 ",", kontor_rows_uint(rows, 1), kontor_rows_uint(rows, 0));
	kontor_report_field(out, kontor_rows_text(rows, 2), ',');
	fprintf(out, "%s,%s,%.*s,%s,%s,", item_type_name((unsigned)kontor_rows_uint(rows, 3)),
		kontor_amount_format(kontor_rows_int(rows, 4), currency->exponent, amount), (int)code.size, code.data,
		kontor_time_format(kontor_rows_int(rows, 6), at), kontor_rows_int(rows, 9) ? "yes" : "no");
	fprintf(out, "%" PRIu64 ",%" PRIu64 ",", kontor_rows_uint(rows, 10), kontor_rows_uint(rows, 11));
	kontor_report_field(out, kontor_rows_text(rows, 13), '\n');
	page->cursor.first = kontor_rows_uint(rows, 1);
	page->cursor.second = kontor_rows_uint(rows, 0);
	return 0;
}

/* The cursor is shop and item of the last row. */
static int write_page(void *self, kontor_conn *tx, kontor_job *job, struct kontor_report_page *page,
		      struct kontor_error *err)
{
	uint64_t shop = page->cursor.first, item = page->cursor.second;
	(void)self;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(tx, KONTOR_READ_ALL, SQL_LIST_WINDOW,
				 KONTOR_PARAMS(P_STRING(kontor_job_region(job)),
					       P_UINT(kontor_get_uint(kontor_job_params(job), "window", 0)),
					       P_UINT(shop), P_UINT(shop), P_UINT(item), P_UINT(PAGE_ROWS)),
				 &rows, err);
	return rc ? rc : kontor_report_rows(page, job, rows, PAGE_ROWS, write_row, err);
}

static const struct kontor_report report = {
	.header =
		"shop_user_id,billing_item_id,order_id,item_type,amount,currency,occurred_at,late,upload_id,line,note",
	.page = write_page,
};

int report_items_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	int64_t items = 0;
	(void)self;
	int rc = kontor_db_query_int(kontor_job_db(job), SQL_COUNT_WINDOW,
				     KONTOR_PARAMS(P_STRING(kontor_job_region(job)),
						   P_UINT(kontor_get_uint(kontor_job_params(job), "window", 0))),
				     &items, err);
	return rc ? rc : kontor_report_plan(job, (uint64_t)items, err);
}

int report_items_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err)
{
	(void)self;
	return kontor_report_chunk(&report, job, chunk, err);
}

int report_items_finish(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	return kontor_report_finish(job, err);
}

int handle_report_items(void *self, kontor_request *request)
{
	char name[KONTOR_WINDOW_SIZE];
	const char *region = kontor_arg_string(request, "region");
	uint32_t window = kontor_arg_window(request, "window");
	struct window_row row;
	(void)self;
	int rc = window_get(kontor_request_db(request), region, window, false, &row, kontor_request_error(request));
	if (rc == KONTOR_E_NOT_FOUND)
		return kontor_request_fail(request, rc,
					   "window %s of %s has never had an item; see: kontor settlement windows "
					   "--region %s",
					   kontor_window_format(window, name), region, region);
	return rc ? rc : kontor_report_submit(request, REPORT_ITEMS_KIND);
}
