/* SPDX-License-Identifier: Apache-2.0
 *
 * safefile.get, list, unpayable, approval: what people and scripts see of a safefile. Accounts are never shown whole.
 */
#include <string.h>

#include "kontor/approval.h"
#include "safefile.h"
#include "statements.h"

/* A verified safefile that has its approvals is shown as approved. */
static int shown_state(kontor_conn *conn, const struct stored_file *file, const char **ret_state,
		       struct kontor_error *err)
{
	enum kontor_approval_state approval = KONTOR_APPROVAL_NONE;
	*ret_state = file->state;
	if (strcmp(file->state, STATE_VERIFIED) != 0 || !file->has_digest)
		return 0;
	int code = kontor_approval_state(conn, SAFEFILE_SUBJECT, file->safefile_id, file->digest, &approval, err);
	if (!code && approval == KONTOR_APPROVAL_GIVEN)
		*ret_state = STATE_APPROVED;
	return code;
}

static void put_parts(kontor_writer *w, const struct stored_part *parts, size_t len)
{
	char hex[2 * SHA256_SIZE + 1];
	struct currency_total totals[KONTOR_REGION_CURRENCIES];
	size_t totals_len = stored_totals(parts, len, totals);
	kontor_put_map(w, "total_minor");
	for (size_t i = 0; i < totals_len; i++)
		kontor_put_int(w, totals[i].currency, totals[i].amount_minor);
	kontor_write_end(w);
	kontor_put_map(w, "sha256");
	for (size_t i = 0; i < len; i++)
		if (parts[i].written)
			kontor_put_string(w, parts[i].file_name, kontor_hex(parts[i].sha256, SHA256_SIZE, hex));
	kontor_write_end(w);
}

static int put_approvals(kontor_conn *conn, const struct stored_file *file, kontor_writer *w, struct kontor_error *err)
{
	if (file->has_digest)
		return kontor_approval_put_votes(conn, SAFEFILE_SUBJECT, file->safefile_id, file->digest, w,
						 "approvals", err);
	kontor_put_array(w, "approvals");
	kontor_write_end(w);
	return 0;
}

/* Under "unpayable"; *ret_last is the last payout's id when the page is full, else 0. */
static int put_unpayable(kontor_conn *conn, uint64_t safefile_id, uint64_t after, uint64_t limit, kontor_writer *w,
			 const char *key, uint64_t *ret_last, struct kontor_error *err)
{
	kontor_rows *rows;
	uint64_t count = 0, last = 0;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_UNPAYABLE,
				   KONTOR_PARAMS(P_UINT(safefile_id), P_UINT(after), P_UINT(limit)), &rows, err);
	if (code)
		return code;
	kontor_put_array(w, key);
	while ((code = kontor_rows_next(rows, err)) > 0) {
		last = kontor_rows_uint(rows, 0);
		count++;
		kontor_write_map(w);
		kontor_put_uint(w, "payout_id", last);
		kontor_put_uint(w, "shop_user_id", kontor_rows_uint(rows, 1));
		kontor_put_text(w, "reason", kontor_rows_text(rows, 2));
		kontor_write_end(w);
	}
	kontor_write_end(w);
	kontor_rows_close(rows);
	*ret_last = count == limit ? last : 0;
	return code;
}

static void put_facts(const struct stored_file *file, const char *state, kontor_writer *w)
{
	char window[KONTOR_WINDOW_SIZE], hex[2 * SHA256_SIZE + 1];
	kontor_put_uint(w, "safefile_id", file->safefile_id);
	kontor_put_string(w, "state", state);
	kontor_put_string(w, "path", file->path);
	kontor_put_string(w, "profile", file->profile.name);
	kontor_put_string(w, "region", file->region);
	kontor_put_string(w, "window", kontor_window_format(file->window, window));
	kontor_put_uint(w, "run_id", file->run_id);
	kontor_put_string(w, "user", file->user);
	kontor_put_string(w, "execution_date", file->execution_date);
	kontor_put_time(w, "created", file->created_ms);
	kontor_put_time(w, "published", strcmp(file->state, STATE_PUBLISHED) == 0 ? file->published_ms : 0);
	kontor_put_uint(w, "sequence", file->sequence);
	kontor_put_string(w, "manifest_sha256",
			  file->has_manifest ? kontor_hex(file->manifest_sha256, SHA256_SIZE, hex) : NULL);
	kontor_put_uint(w, "payments", file->payments);
}

int safefile_put(kontor_conn *conn, kontor_arena *arena, kontor_writer *w, uint64_t safefile_id, uint64_t job_id,
		 bool submitted, struct kontor_error *err)
{
	struct stored_file *file = kontor_arena_alloc(arena, sizeof(*file));
	struct stored_part *parts;
	size_t len;
	const char *state;
	int64_t unpayable = 0;
	uint64_t last;
	if (!file)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	int code = stored_file_load(conn, safefile_id, file, err);
	if (!code)
		code = stored_parts_load(conn, safefile_id, arena, &parts, &len, err);
	if (!code)
		code = shown_state(conn, file, &state, err);
	if (!code)
		code = kontor_db_query_int(conn, SQL_COUNT_UNPAYABLE, KONTOR_PARAMS(P_UINT(safefile_id)), &unpayable,
					   err);
	if (code)
		return code;
	kontor_put_uint(w, "job_id", job_id ? job_id : file->job_id);
	put_facts(file, submitted ? "queued" : state, w);
	put_parts(w, parts, len);
	kontor_put_int(w, "unpayable_total", unpayable);
	code = put_approvals(conn, file, w, err);
	return code ? code : put_unpayable(conn, safefile_id, 0, UNPAYABLE_SHOWN, w, "unpayable", &last, err);
}

int safefile_get(void *self, kontor_request *request)
{
	(void)self;
	return safefile_put(kontor_request_db(request), kontor_request_arena(request), kontor_reply(request),
			    kontor_arg_id(request, "safefile_id"), 0, false, kontor_request_error(request));
}

#define LIST_LIMIT 20 /* a row may name UNPAYABLE_SHOWN payouts: 20 rows stay below a frame of 4 MiB */

static int list_ids(kontor_request *request, uint64_t *ids, uint64_t limit, uint64_t *ret_len)
{
	kontor_rows *rows;
	struct kontor_error *err = kontor_request_error(request);
	const char *region = kontor_arg_string(request, "region"), *profile = kontor_arg_string(request, "profile");
	uint64_t window = kontor_arg_window(request, "window"), len = 0;
	int code = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_LIST_FILES,
				   KONTOR_PARAMS(P_UINT(kontor_arg_id(request, "after")), P_STRING(region),
						 P_STRING(region), P_UINT(window), P_UINT(window), P_STRING(profile),
						 P_STRING(profile), P_UINT(limit)),
				   &rows, err);
	if (code)
		return code;
	while (len < limit && (code = kontor_rows_next(rows, err)) > 0)
		ids[len++] = kontor_rows_uint(rows, 0);
	kontor_rows_close(rows);
	*ret_len = len;
	return code < 0 ? code : 0;
}

int safefile_list(void *self, kontor_request *request)
{
	(void)self;
	uint64_t ids[LIST_LIMIT] = {0}, len = 0;
	uint64_t limit = kontor_arg_given(request, "limit") ? (uint64_t)kontor_arg_int(request, "limit") : LIST_LIMIT;
	kontor_writer *w = kontor_reply(request);
	if (limit > LIST_LIMIT)
		limit = LIST_LIMIT;
	int code = list_ids(request, ids, limit, &len);
	if (code)
		return code;
	kontor_put_array(w, "rows");
	for (uint64_t i = 0; i < len && !code; i++) {
		kontor_write_map(w);
		code = safefile_put(kontor_request_db(request), kontor_request_arena(request), w, ids[i], 0, false,
				    kontor_request_error(request));
		kontor_write_end(w);
	}
	kontor_write_end(w);
	if (!code && len == limit)
		kontor_put_uint(w, "next", ids[len - 1]);
	return code;
}

int safefile_unpayable(void *self, kontor_request *request)
{
	(void)self;
	uint64_t last = 0;
	uint64_t limit =
		kontor_arg_given(request, "limit") ? (uint64_t)kontor_arg_int(request, "limit") : UNPAYABLE_SHOWN;
	int code = put_unpayable(kontor_request_db(request), kontor_arg_id(request, "safefile_id"),
				 kontor_arg_id(request, "after"), limit, kontor_reply(request), "rows", &last,
				 kontor_request_error(request));
	if (!code && last)
		kontor_put_uint(kontor_reply(request), "next", last);
	return code;
}

int safefile_approval(void *self, kontor_request *request)
{
	(void)self;
	uint64_t approval_id = 0;
	const char *state;
	struct stored_file file;
	struct kontor_error *err = kontor_request_error(request);
	int code = stored_file_load(kontor_request_db(request), kontor_arg_id(request, "safefile_id"), &file, err);
	if (code)
		return code;
	code = kontor_approval_find(kontor_request_db(request), SAFEFILE_SUBJECT, file.safefile_id, &approval_id, err);
	if (code == KONTOR_E_NOT_FOUND)
		return shown_state(kontor_request_db(request), &file, &state, err)
			       ? err->code
			       : kontor_request_fail(request, KONTOR_E_NOT_FOUND,
						     "safefile %llu is %s and waits for no approval",
						     (unsigned long long)file.safefile_id, state);
	if (!code)
		kontor_put_uint(kontor_reply(request), "approval_id", approval_id);
	return code;
}
