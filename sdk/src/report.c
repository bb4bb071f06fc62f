/* SPDX-License-Identifier: Apache-2.0
 *
 * The job behind a report: one chunk that writes page after page, each in the transaction of its checkpoint.
 */
#include "kontor/report.h"

#include <stdlib.h>
#include <string.h>

#include "kontor/host.h"
#include "kontor/ids.h"
#include "kontor/method.h"
#include "kontor/time.h"

#define PAGE_BYTES (512 << 10) /* the longest row fits behind it into a piece */

/* ---- CSV ---- */

/* `[+-]?digits(.digits)?`: no spreadsheet takes it for a formula. */
static bool is_number(struct kontor_text field)
{
	size_t i = field.size > 0 && (field.data[0] == '+' || field.data[0] == '-');
	size_t first = i;
	bool point = false;
	for (; i < field.size; i++) {
		if (field.data[i] == '.' && !point && i > first && i + 1 < field.size)
			point = true;
		else if (field.data[i] < '0' || field.data[i] > '9')
			return false;
	}
	return field.size > first;
}

void kontor_report_field(FILE *out, struct kontor_text field, char separator)
{
	bool quoted = false;
	for (size_t i = 0; i < field.size; i++)
		quoted = quoted || (field.data[i] && strchr("\",\r\n", field.data[i]));
	if (quoted)
		putc('"', out);
	if (field.size > 0 && field.data[0] && strchr("=+-@", field.data[0]) && !is_number(field))
		putc('\'', out);
	for (size_t i = 0; i < field.size; i++) {
		if (field.data[i] == '"')
			putc('"', out);
		putc(field.data[i], out);
	}
	if (quoted)
		putc('"', out);
	putc(separator, out);
}

bool kontor_report_is_full(const struct kontor_report_page *page)
{
	return ftell(page->out) >= PAGE_BYTES;
}

int kontor_report_rows(struct kontor_report_page *page, kontor_job *job, kontor_rows *rows, uint64_t limit,
		       int (*write_row)(kontor_job *job, const kontor_rows *rows, struct kontor_report_page *page,
					struct kontor_error *err),
		       struct kontor_error *err)
{
	int rc = 0;
	bool ended = false;
	while (!rc && !ended && !kontor_report_is_full(page)) {
		rc = kontor_rows_next(rows, err);
		ended = rc == 0;
		if (rc == 1) {
			rc = write_row(job, rows, page, err);
			page->rows++;
		}
	}
	kontor_rows_close(rows);
	page->last = ended && page->rows < limit;
	return rc;
}

/* ---- the job ---- */

struct writing {
	const struct kontor_report *report;
	kontor_job *job;
	kontor_chunk *chunk;
	struct kontor_report_cursor cursor; /* where the next page begins */
	uint32_t piece;
	uint64_t rows; /* so far */
	bool last;
};

static int tx_plan(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct writing *writing = arg;
	int rc = kontor_job_add_chunk(tx, writing->job, 0, NULL, 0, err);
	return rc ? rc : kontor_job_planned(tx, writing->job, writing->rows, err);
}

int kontor_report_plan(kontor_job *job, uint64_t total, struct kontor_error *err)
{
	struct writing writing = {.job = job, .rows = total};
	return kontor_db_transaction(kontor_job_db(job), tx_plan, &writing, err);
}

/* Checkpoint or end of the chunk, with what was written so far. */
static int keep(kontor_conn *tx, const struct writing *writing, const struct kontor_report_page *page,
		struct kontor_error *err)
{
	const void *state;
	size_t size;
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a report");
	kontor_write_map(w);
	kontor_put_string(w, "text", page->cursor.text);
	kontor_put_uint(w, "first", page->cursor.first);
	kontor_put_uint(w, "second", page->cursor.second);
	kontor_put_uint(w, "piece", writing->piece + 1);
	kontor_put_uint(w, "rows", writing->rows + page->rows);
	kontor_write_end(w);
	int rc = kontor_writer_finish(w, &state, &size, err);
	if (!rc)
		rc = page->last ? kontor_chunk_done(tx, writing->chunk, state, size, page->rows, err)
				: kontor_chunk_checkpoint(tx, writing->chunk, state, size, page->rows, err);
	kontor_writer_free(w);
	return rc;
}

static int write_page(const struct writing *writing, kontor_conn *tx, struct kontor_report_page *page,
		      struct kontor_error *err)
{
	if (writing->piece == 0)
		fprintf(page->out, "%s\n", writing->report->header);
	return writing->report->page(writing->report->self, tx, writing->job, page, err);
}

static int tx_page(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct writing *writing = arg;
	struct kontor_report_page page = {.rows = 0};
	char *text = NULL;
	size_t size = 0;
	page.cursor = writing->cursor;
	page.out = open_memstream(&text, &size);
	if (!page.out)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a report");
	int rc = write_page(writing, tx, &page, err);
	if (fclose(page.out) && !rc)
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a report");
	if (!rc && size)
		rc = kontor_chunk_output(tx, writing->chunk, writing->piece, text, size, err);
	free(text);
	if (!rc)
		rc = keep(tx, writing, &page, err);
	if (rc)
		return rc;
	writing->last = page.last;
	writing->rows += page.rows;
	writing->cursor = page.cursor;
	return 0;
}

int kontor_report_chunk(const struct kontor_report *report, kontor_job *job, kontor_chunk *chunk,
			struct kontor_error *err)
{
	struct writing writing = {.report = report, .job = job, .chunk = chunk};
	const msgpack_object *state = kontor_chunk_checkpoint_of(chunk);
	while (!writing.last) {
		if (kontor_job_stopping(job))
			return KONTOR_JOB_STOPPED;
		if (state) { /* where an interrupted run ended */
			kontor_get_string(state, "text", writing.cursor.text, sizeof(writing.cursor.text));
			writing.cursor.first = kontor_get_uint(state, "first", 0);
			writing.cursor.second = kontor_get_uint(state, "second", 0);
			writing.piece = (uint32_t)kontor_get_uint(state, "piece", 0);
			writing.rows = kontor_get_uint(state, "rows", 0);
			state = NULL;
		}
		struct writing next = writing; /* a transaction may run twice: it begins where the last page ended */
		int rc = kontor_db_transaction(kontor_job_db(job), tx_page, &next, err);
		if (rc)
			return rc;
		writing = next;
		writing.piece++;
	}
	return 0;
}

static int take_rows(void *arg, uint32_t chunk_no, const msgpack_object *result, struct kontor_error *err)
{
	(void)chunk_no;
	(void)err;
	*(uint64_t *)arg += kontor_get_uint(result, "rows", 0);
	return 0;
}

static int tx_finish(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	kontor_job *job = arg;
	uint64_t rows = 0;
	const void *result;
	size_t size;
	int rc = kontor_job_each_result(tx, job, take_rows, &rows, err);
	kontor_writer *w = rc ? NULL : kontor_writer_new();
	if (rc || !w)
		return rc ? rc : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a report");
	kontor_write_map(w);
	kontor_put_uint(w, "rows", rows);
	kontor_write_end(w);
	rc = kontor_writer_finish(w, &result, &size, err);
	if (!rc)
		rc = kontor_job_done(tx, job, result, size, err);
	kontor_writer_free(w);
	return rc;
}

int kontor_report_finish(kontor_job *job, struct kontor_error *err)
{
	return kontor_db_transaction(kontor_job_db(job), tx_finish, job, err);
}

/* ---- asking for one ---- */

int kontor_report_submit(struct kontor_request *request, const char *kind)
{
	struct kontor_error *err = kontor_request_error(request);
	struct kontor_job_new job = {.kind = kind,
				     .lane = KONTOR_LANE_REPORT,
				     .region = kontor_arg_string(request, "region"),
				     .user = kontor_request_user(request)->name};
	kontor_writer *params = kontor_writer_new();
	if (!params)
		return kontor_request_fail(request, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(params);
	kontor_put_string(params, "region", job.region);
	kontor_put_uint(params, "window", kontor_arg_window(request, "window"));
	kontor_write_end(params);
	int rc = kontor_writer_finish(params, &job.params, &job.params_size, err);
	if (!rc)
		rc = kontor_id_next(kontor_request_host(request), "job", &job.job_id, err);
	if (!rc)
		rc = kontor_job_submit(kontor_request_db(request), &job, err);
	kontor_writer_free(params);
	if (rc)
		return rc;
	kontor_put_uint(kontor_reply(request), "job_id", job.job_id);
	kontor_put_string(kontor_reply(request), "state", "queued");
	return 0;
}
