/* SPDX-License-Identifier: Apache-2.0
 *
 * upload.get, list, rejects: what became of a file and of its rows.
 */
#include <stdio.h>
#include <string.h>

#include "kontor/money.h"
#include "retention.h"
#include "statements.h"

#define LIST_LIMIT 100
#define REJECTS_LIMIT 1000
/* A page of rejects ends before its frame (4 MiB) could be too big: one more line may have 1 MiB. */
#define REJECTS_BYTES (2u << 20)

/* The columns of UPLOAD_COLUMNS. */
static void put_upload(kontor_writer *w, const kontor_rows *rows)
{
	char hex[2 * SHA256_SIZE + 1];
	struct kontor_text sha256 = kontor_rows_text(rows, 6);
	uint64_t job_id = kontor_rows_uint(rows, 10);
	if (job_id)
		kontor_put_uint(w, "job_id", job_id);
	kontor_put_uint(w, "upload_id", kontor_rows_uint(rows, 0));
	kontor_put_string(w, "region", kontor_rows_string(rows, 1));
	kontor_put_string(w, "kind", kontor_rows_string(rows, 2));
	kontor_put_string(w, "name", kontor_rows_string(rows, 3));
	kontor_put_string(w, "user", kontor_rows_string(rows, 4));
	kontor_put_string(w, "state", kontor_rows_string(rows, 5));
	kontor_put_string(w, "sha256", sha256.size == SHA256_SIZE ? kontor_hex(sha256.data, SHA256_SIZE, hex) : NULL);
	kontor_put_uint(w, "bytes", kontor_rows_uint(rows, 7));
	kontor_put_uint(w, "received_bytes", kontor_rows_uint(rows, 8));
	kontor_put_bool(w, "dry_run", kontor_rows_int(rows, 9) != 0);
	kontor_put_uint(w, "rows", kontor_rows_uint(rows, 11));
	kontor_put_int(w, "error_code", kontor_rows_int(rows, 12));
	kontor_put_string(w, "error", kontor_rows_string(rows, 13));
	kontor_put_string(w, "packing", kontor_rows_string(rows, 16));
	kontor_put_time(w, "created", kontor_rows_int(rows, 14));
	kontor_put_time(w, "accepted", kontor_rows_int(rows, 15));
}

struct verdict_sums {
	char verdict[32];
	uint64_t rows;
	size_t len;
	struct {
		char currency[4];
		int64_t amount_minor;
	} sums[KONTOR_REGION_CURRENCIES];
};

/* "ok": {"amount_minor": {"SGD": 1050}, "amount": {"SGD": "10.50"}, "rows": 5}; nothing when there is no verdict yet.
 */
static void put_sums(const kontor_host *host, const struct verdict_sums *verdict, kontor_writer *w)
{
	if (!verdict->verdict[0])
		return;
	kontor_put_map(w, verdict->verdict);
	kontor_put_map(w, "amount_minor");
	for (size_t i = 0; i < verdict->len; i++)
		kontor_put_int(w, verdict->sums[i].currency, verdict->sums[i].amount_minor);
	kontor_write_end(w);
	kontor_put_map(w, "amount");
	for (size_t i = 0; i < verdict->len; i++) {
		const char *code = verdict->sums[i].currency;
		const struct kontor_currency *currency = kontor_currency_find(host, kontor_text_of(code));
		char text[32];
		if (currency)
			kontor_put_string(
				w, code, kontor_amount_format(verdict->sums[i].amount_minor, currency->exponent, text));
	}
	kontor_write_end(w);
	kontor_put_uint(w, "rows", verdict->rows);
	kontor_write_end(w);
}

static void add_sum(struct verdict_sums *verdict, const kontor_rows *rows)
{
	verdict->rows += kontor_rows_uint(rows, 2);
	if (!kontor_rows_text(rows, 1).size || verdict->len == KONTOR_REGION_CURRENCIES)
		return;
	snprintf(verdict->sums[verdict->len].currency, sizeof(verdict->sums[0].currency), "%s",
		 kontor_rows_string(rows, 1));
	verdict->sums[verdict->len++].amount_minor = kontor_rows_int(rows, 3);
}

/* From rows in order of verdict. */
static int put_verdicts(kontor_request *request, uint64_t upload_id, struct kontor_error *err)
{
	const kontor_host *host = kontor_request_host(request);
	kontor_writer *w = kontor_reply(request);
	kontor_rows *rows = NULL;
	struct verdict_sums verdict = {.verdict = ""};
	int rc = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_SUM_TOTALS,
				 KONTOR_PARAMS(P_UINT(upload_id)), &rows, err);
	if (rc)
		return rc;
	kontor_put_map(w, "verdicts");
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		if (!kontor_text_is(kontor_rows_text(rows, 0), verdict.verdict)) {
			put_sums(host, &verdict, w);
			verdict = (struct verdict_sums){.verdict = ""};
			snprintf(verdict.verdict, sizeof(verdict.verdict), "%s", kontor_rows_string(rows, 0));
		}
		add_sum(&verdict, rows);
	}
	put_sums(host, &verdict, w);
	kontor_write_end(w);
	kontor_rows_close(rows);
	return rc;
}

static int put_progress(kontor_conn *conn, uint64_t job_id, kontor_writer *w, struct kontor_error *err)
{
	struct kontor_job_info info;
	int rc = kontor_job_get(conn, job_id, &info, err);
	if (rc == 0) {
		kontor_put_uint(w, "done", info.done);
		kontor_put_uint(w, "total", info.total);
	}
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc; /* jobs are not kept for ever */
}

int upload_get(void *self, kontor_request *request)
{
	(void)self;
	kontor_conn *conn = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	kontor_writer *w = kontor_reply(request);
	uint64_t upload_id = kontor_arg_id(request, "upload_id"), job_id = 0;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_GET_UPLOAD, KONTOR_PARAMS(P_UINT(upload_id)), &rows, err);
	if (rc == 0)
		rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		put_upload(w, rows);
		job_id = kontor_rows_uint(rows, 10);
	}
	kontor_rows_close(rows);
	if (rc == 0)
		return kontor_request_fail(request, KONTOR_E_NOT_FOUND, "there is no upload %llu",
					   (unsigned long long)upload_id);
	if (rc < 0)
		return rc;
	kontor_put_bool(w, "repeated", false);
	rc = put_verdicts(request, upload_id, err);
	if (rc == 0 && job_id)
		rc = put_progress(conn, job_id, w, err);
	return rc;
}

static int64_t limit_of(const kontor_request *request, int64_t otherwise)
{
	return kontor_arg_given(request, "limit") ? kontor_arg_int(request, "limit") : otherwise;
}

int upload_list(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_writer *w = kontor_reply(request);
	uint64_t after = kontor_arg_given(request, "after") ? kontor_arg_id(request, "after") : UINT64_MAX;
	uint64_t last = 0;
	int64_t limit = limit_of(request, LIST_LIMIT), count = 0;
	kontor_rows *rows = NULL;
	int rc;
	if (kontor_arg_given(request, "region"))
		rc = kontor_db_query(
			kontor_request_db(request), KONTOR_READ_ALL, SQL_LIST_UPLOADS_OF_REGION,
			KONTOR_PARAMS(P_STRING(kontor_arg_string(request, "region")), P_UINT(after), P_INT(limit)),
			&rows, err);
	else
		rc = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_LIST_UPLOADS,
				     KONTOR_PARAMS(P_UINT(after), P_INT(limit)), &rows, err);
	if (rc)
		return rc;
	kontor_put_array(w, "rows");
	for (; (rc = kontor_rows_next(rows, err)) > 0; count++) {
		kontor_write_map(w);
		put_upload(w, rows);
		kontor_write_end(w);
		last = kontor_rows_uint(rows, 0);
	}
	kontor_write_end(w);
	if (count == limit)
		kontor_put_uint(w, "next", last);
	kontor_rows_close(rows);
	return rc;
}

static void put_columns(kontor_writer *w, const char *header)
{
	kontor_put_array(w, "columns");
	while (*header) {
		size_t size = strcspn(header, ",");
		kontor_write_text(w, (struct kontor_text){header, size});
		header += size + (header[size] == ',');
	}
	kontor_write_end(w);
}

/* Rejects of such a kind show accounts. */
static int check_accounts(kontor_request *request, const kontor_rows *rows)
{
	const char *kind = kontor_rows_string(rows, 1);
	if (!kind_holds_accounts(kind))
		return 0;
	if (!kontor_user_may(kontor_request_user(request), KONTOR_ROLE_OPERATOR))
		return kontor_request_fail(request, KONTOR_E_DENIED,
					   "rejects of %s show bank accounts: they need the role operator", kind);
	if (kontor_rows_int(rows, 2) == 0)
		return kontor_request_fail(
			request, KONTOR_E_NOT_FOUND,
			"the rejects were deleted with the file's bytes, because rows of %s hold bank "
			"accounts (upload_keep_days)",
			kind);
	return 0;
}

/* The file's own columns, as its header names them: rejects are lines of that file. And how far it is judged: while its
 * job runs, these are the rejects of the batches that are stored. */
static int put_header(kontor_request *request, uint64_t upload_id)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_writer *w = kontor_reply(request);
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_GET_HEADER,
				 KONTOR_PARAMS(P_UINT(upload_id)), &rows, err);
	if (rc == 0 && (rc = kontor_rows_next(rows, err)) == 0)
		rc = kontor_request_fail(request, KONTOR_E_NOT_FOUND, "there is no upload %llu",
					 (unsigned long long)upload_id);
	if (rc > 0 && (rc = check_accounts(request, rows)) == 0) {
		put_columns(w, kontor_rows_string(rows, 0));
		kontor_put_string(w, "state", kontor_rows_string(rows, 3));
		kontor_put_uint(w, "judged", kontor_rows_uint(rows, 5));
		kontor_put_uint(w, "total", kontor_rows_uint(rows, 4));
	}
	kontor_rows_close(rows);
	return rc;
}

static void put_reject(kontor_writer *w, const kontor_rows *rows)
{
	struct kontor_text raw = kontor_rows_text(rows, 5);
	kontor_write_map(w);
	kontor_put_uint(w, "line", kontor_rows_uint(rows, 0));
	kontor_put_uint(w, "column_no", kontor_rows_uint(rows, 1));
	kontor_put_string(w, "column", kontor_rows_string(rows, 2));
	kontor_put_string(w, "verdict", kontor_rows_string(rows, 3));
	kontor_put_string(w, "reason", kontor_rows_string(rows, 4));
	if (kontor_text_utf8(raw))
		kontor_put_text(w, "raw", raw);
	else
		kontor_put_bytes(w, "raw", raw.data, raw.size);
	kontor_write_end(w);
}

int upload_rejects(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_writer *w = kontor_reply(request);
	uint64_t upload_id = kontor_arg_id(request, "upload_id"), last = 0;
	int64_t limit = limit_of(request, REJECTS_LIMIT), count = 0;
	size_t bytes = 0;
	int rc = put_header(request, upload_id);
	if (rc)
		return rc;
	kontor_rows *rows = NULL;
	rc = kontor_db_query(kontor_request_db(request), KONTOR_READ_STREAM, SQL_LIST_REJECTS,
			     KONTOR_PARAMS(P_UINT(upload_id), P_INT(kontor_arg_int(request, "after")), P_INT(limit)),
			     &rows, err);
	if (rc)
		return rc;
	kontor_put_array(w, "rows");
	for (; bytes < REJECTS_BYTES && (rc = kontor_rows_next(rows, err)) > 0; count++) {
		put_reject(w, rows);
		last = kontor_rows_uint(rows, 0);
		bytes += kontor_rows_text(rows, 5).size + kontor_rows_text(rows, 4).size;
	}
	kontor_write_end(w);
	if (rc > 0 || count == limit)
		kontor_put_uint(w, "next", last);
	kontor_rows_close(rows);
	return rc < 0 ? rc : 0;
}
