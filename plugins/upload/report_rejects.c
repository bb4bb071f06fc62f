/* SPDX-License-Identifier: Apache-2.0
 *
 * The report of what was rejected of the uploads that a region began during a window. A job's output stays for a time
 * of its own, whatever becomes of the uploads; so no row goes into it whose kind holds bank accounts: what was wrong
 * with it, and where, is enough to find it (upload.rejects), as long as it is kept.
 */
#include <inttypes.h>
#include <stdio.h>

#include "kontor/host.h"
#include "kontor/region.h"
#include "kontor/report.h"
#include "kontor/time.h"
#include "retention.h"
#include "statements.h"

#define PAGE_ROWS 500 /* a line of a file has up to 64 KiB */

struct span {
	int64_t from_ms, to_ms;
};

static int find_span(const kontor_job *job, struct span *ret, struct kontor_error *err)
{
	const struct kontor_region *region = kontor_region_find(kontor_job_host(job), kontor_job_region(job));
	if (!region)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "region %s is not configured in this unit",
				   kontor_job_region(job));
	kontor_zone_window_bounds(region->zone, (uint32_t)kontor_get_uint(kontor_job_params(job), "window", 0),
				  &ret->from_ms, &ret->to_ms);
	return 0;
}

static int write_row(kontor_job *job, const kontor_rows *rows, struct kontor_report_page *page,
		     struct kontor_error *err)
{
	(void)job;
	(void)err;
	page->cursor.first = kontor_rows_uint(rows, 0);
	page->cursor.second = kontor_rows_uint(rows, 3);
	fprintf(page->out, "%" PRIu64 ",%s,", page->cursor.first, kontor_rows_string(rows, 1));
	kontor_report_field(page->out, kontor_rows_text(rows, 2), ',');
	fprintf(page->out, "%" PRIu64 ",", page->cursor.second);
	for (unsigned column = 4; column <= 6; column++) /* column, verdict, reason */
		kontor_report_field(page->out, kontor_rows_text(rows, column), ',');
	bool shown = !kind_holds_accounts(kontor_rows_string(rows, 1));
	kontor_report_field(page->out, shown ? kontor_rows_text(rows, 7) : (struct kontor_text){0}, '\n');
	return 0;
}

/* Moves the cursor to the front of the next upload of the span; false: there is none. */
static int find_next_upload(kontor_conn *tx, const kontor_job *job, const struct span *span,
			    struct kontor_report_page *page, bool *ret_found, struct kontor_error *err)
{
	int64_t upload_id = 0;
	int rc = kontor_db_query_int(tx, SQL_NEXT_UPLOAD_OF_SPAN,
				     KONTOR_PARAMS(P_STRING(kontor_job_region(job)), P_UINT(page->cursor.first),
						   P_INT(span->from_ms), P_INT(span->to_ms)),
				     &upload_id, err);
	*ret_found = rc == 0;
	if (rc == 0)
		page->cursor = (struct kontor_report_cursor){.first = (uint64_t)upload_id};
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
}

/* Upload by upload, so that a page costs what it has, however much is behind it. The cursor is upload and line of the
 * last row. */
static int write_page(void *self, kontor_conn *tx, kontor_job *job, struct kontor_report_page *page,
		      struct kontor_error *err)
{
	struct span span = {0, 0};
	bool found = page->cursor.first != 0;
	(void)self;
	int rc = find_span(job, &span, err);
	if (!rc && !found)
		rc = find_next_upload(tx, job, &span, page, &found, err);
	page->last = !found;
	while (!rc && found) {
		kontor_rows *rows = NULL;
		rc = kontor_db_query(
			tx, KONTOR_READ_ALL, SQL_LIST_REJECTS_BEHIND,
			KONTOR_PARAMS(P_UINT(page->cursor.first), P_UINT(page->cursor.second), P_UINT(PAGE_ROWS)),
			&rows, err);
		if (!rc)
			rc = kontor_report_rows(page, job, rows, PAGE_ROWS, write_row, err);
		if (rc || !page->last) /* the page is full */
			return rc;
		rc = find_next_upload(tx, job, &span, page, &found, err);
	}
	return rc;
}

static const struct kontor_report report = {
	.header = "upload_id,kind,file,line,column,verdict,reason,row",
	.page = write_page,
};

int upload_report_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	struct span span = {0, 0};
	int64_t rejects = 0;
	(void)self;
	int rc = find_span(job, &span, err);
	if (!rc)
		rc = kontor_db_query_int(
			kontor_job_db(job), SQL_COUNT_REJECTS_OF_SPAN,
			KONTOR_PARAMS(P_STRING(kontor_job_region(job)), P_INT(span.from_ms), P_INT(span.to_ms)),
			&rejects, err);
	return rc ? rc : kontor_report_plan(job, (uint64_t)rejects, err);
}

int upload_report_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err)
{
	(void)self;
	return kontor_report_chunk(&report, job, chunk, err);
}

int upload_report_finish(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	return kontor_report_finish(job, err);
}

int upload_report(void *self, kontor_request *request)
{
	(void)self;
	return kontor_report_submit(request, UPLOAD_REPORT_KIND);
}
