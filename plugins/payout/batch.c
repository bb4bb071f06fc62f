/* SPDX-License-Identifier: Apache-2.0
 *
 * payout.batch and payout.unbatch: a payout attempt is in at most one payment file ever. Each call is one transaction,
 * which the host opens: all of its payouts move, or none.
 */
#include "batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "end_to_end.h"
#include "kontor/time.h"
#include "payout.h"
#include "run_record.h"
#include "statements.h"

#define REASON_SIZE 64

/* The statements that move payouts, array-bound, and what they need all the time. */
struct move {
	kontor_request *request;
	kontor_bulk *payouts, *attempts, *events;
	uint64_t safefile_id;
	int64_t now_ms;
	char reason[REASON_SIZE];
	uint64_t moved, already;
};

static int move_begin(struct move *move, kontor_request *request, const char *payouts, const char *attempts)
{
	*move = (struct move){
		.request = request,
		.payouts = kontor_bulk_new(payouts),
		.attempts = kontor_bulk_new(attempts),
		.events = kontor_bulk_new("uiissss"),
		.safefile_id = kontor_arg_id(request, "safefile_id"),
		.now_ms = kontor_now_ms(),
	};
	if (!move->payouts || !move->attempts || !move->events)
		return kontor_request_fail(request, KONTOR_E_INTERNAL, "out of memory for a batch of payouts");
	return 0;
}

static void move_end(struct move *move)
{
	kontor_bulk_free(move->payouts);
	kontor_bulk_free(move->attempts);
	kontor_bulk_free(move->events);
}

/* last_event: the highest seq that the payout has. */
static int add_event(struct move *move, uint64_t payout_id, int64_t last_event, const char *from, const char *to)
{
	return kontor_bulk_add(
		move->events,
		KONTOR_PARAMS(P_UINT(payout_id), P_INT(last_event + 1), P_INT(move->now_ms), P_STRING(from),
			      P_STRING(to), P_STRING(kontor_request_user(move->request)->name), P_STRING(move->reason)),
		kontor_request_error(move->request));
}

static int move_payouts(struct move *move, const char *payout_sql, const char *attempt_sql)
{
	struct kontor_error *err = kontor_request_error(move->request);
	kontor_conn *tx = kontor_request_db(move->request);
	uint64_t changed = 0;
	int code = kontor_bulk_exec(tx, payout_sql, move->payouts, &changed, err);
	if (!code && changed != move->moved)
		code = kontor_request_fail(move->request, KONTOR_E_INTERNAL,
					   "safefile %llu: %llu of %llu locked payouts could be moved",
					   (unsigned long long)move->safefile_id, (unsigned long long)changed,
					   (unsigned long long)move->moved);
	if (!code)
		code = kontor_bulk_exec(tx, attempt_sql, move->attempts, NULL, err);
	if (!code)
		code = kontor_bulk_exec(tx, SQL_EVENT_INSERT, move->events, NULL, err);
	return code;
}

/* ---- into a file ---- */

static int refuse(const struct move *move, const kontor_rows *rows, int code, const char *why)
{
	return kontor_request_fail(move->request, code, "payout %llu of shop %llu cannot go into safefile %llu: %s",
				   (unsigned long long)kontor_rows_uint(rows, 0),
				   (unsigned long long)kontor_rows_uint(rows, 4), (unsigned long long)move->safefile_id,
				   why);
}

/* A payee that was changed since payout.payable named it: BUSY, because the next page of payable tells. */
static int check_payable(const struct move *move, const kontor_rows *rows, uint64_t run_id)
{
	char why[96];
	if (kontor_rows_uint(rows, 1) != run_id)
		return refuse(move, rows, KONTOR_E_CONFLICT, "it belongs to another run");
	if (!kontor_text_is(kontor_rows_text(rows, 7), "ready")) {
		snprintf(why, sizeof(why), "it is %s%s", kontor_rows_string(rows, 7),
			 kontor_rows_null(rows, 9) ? "" : " in another safefile");
		return refuse(move, rows, KONTOR_E_CONFLICT, why);
	}
	if (kontor_rows_int(rows, 6) <= 0)
		return refuse(move, rows, KONTOR_E_CONFLICT, "there is nothing to pay");
	if (kontor_rows_uint(rows, 8) >= END_TO_END_ATTEMPTS)
		return refuse(move, rows, KONTOR_E_CONFLICT, "all 99 attempts were used");
	if (kontor_rows_null(rows, 11))
		return refuse(move, rows, KONTOR_E_BUSY, "its shop has no payee in force");
	if (kontor_rows_int(rows, 12))
		return refuse(move, rows, KONTOR_E_BUSY, "a change of its shop's payee waits for approval");
	return 0;
}

static int add_to_file(struct move *move, const kontor_rows *rows, uint64_t run_id)
{
	struct kontor_error *err = kontor_request_error(move->request);
	uint64_t payout_id = kontor_rows_uint(rows, 0);
	int64_t attempt = kontor_rows_int(rows, 8) + 1;
	char e2e_id[END_TO_END_LENGTH + 1];
	if (kontor_text_is(kontor_rows_text(rows, 7), "batched") && kontor_rows_uint(rows, 9) == move->safefile_id) {
		move->already++;
		return 0;
	}
	int code = check_payable(move, rows, run_id);
	if (code)
		return code;
	end_to_end_format(kontor_rows_string(rows, 2), (uint32_t)kontor_rows_uint(rows, 3), payout_id,
			  (unsigned)attempt, e2e_id);
	move->moved++;
	code = kontor_bulk_add(move->payouts, KONTOR_PARAMS(P_INT(attempt), P_UINT(payout_id), P_INT(attempt - 1)),
			       err);
	if (!code)
		code = kontor_bulk_add(move->attempts,
				       KONTOR_PARAMS(P_UINT(payout_id), P_INT(attempt), P_UINT(move->safefile_id),
						     P_STRING(e2e_id), P_INT(kontor_rows_int(rows, 6)),
						     P_TEXT(kontor_rows_text(rows, 5)), P_INT(move->now_ms)),
				       err);
	return code ? code : add_event(move, payout_id, kontor_rows_int(rows, 10), "ready", "batched");
}

/* Up to SQL_LIST_SIZE payouts, in order of their ids: all callers lock in the same order. */
static int add_group(struct move *move, uint64_t run_id, const uint64_t *ids, size_t len, size_t *ret_found)
{
	struct kontor_error *err = kontor_request_error(move->request);
	struct kontor_param params[SQL_LIST_SIZE + 1];
	for (size_t i = 0; i < SQL_LIST_SIZE; i++) /* a short list is filled up with its last id */
		params[i] = P_UINT(ids[i < len ? i : len - 1]);
	params[SQL_LIST_SIZE] = (struct kontor_param){.type = KONTOR_P_END};
	kontor_rows *rows = NULL;
	int code =
		kontor_db_query(kontor_request_db(move->request), KONTOR_READ_ALL, SQL_BATCH_LOCK, params, &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		code = add_to_file(move, rows, run_id);
		if (code)
			break;
		(*ret_found)++;
	}
	kontor_rows_close(rows);
	return code;
}

static int compare_ids(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return a < b ? -1 : a > b;
}

/* The argument's ids sorted, each once; in the request's arena. */
static const uint64_t *sorted_ids(kontor_request *request, size_t *ret_len)
{
	const msgpack_object_array *list = kontor_arg_list(request, "payouts");
	uint64_t *ids = kontor_arena_alloc(kontor_request_arena(request), (list->size + 1) * sizeof(*ids));
	if (!ids)
		return NULL;
	for (uint32_t i = 0; i < list->size; i++)
		ids[i] = list->ptr[i].via.u64;
	qsort(ids, list->size, sizeof(*ids), compare_ids);
	size_t len = 0;
	for (uint32_t i = 0; i < list->size; i++)
		if (i == 0 || ids[i] != ids[len - 1])
			ids[len++] = ids[i];
	*ret_len = len;
	return ids;
}

static int add_all(struct move *move, uint64_t run_id)
{
	size_t len = 0, found = 0;
	const uint64_t *ids = sorted_ids(move->request, &len);
	if (!ids)
		return kontor_request_fail(move->request, KONTOR_E_INTERNAL, "out of memory for a batch of payouts");
	for (size_t i = 0; i < len; i += SQL_LIST_SIZE) {
		int code = add_group(move, run_id, ids + i, len - i < SQL_LIST_SIZE ? len - i : SQL_LIST_SIZE, &found);
		if (code)
			return code;
	}
	if (found != len)
		return kontor_request_fail(move->request, KONTOR_E_NOT_FOUND, "%zu of %zu payouts do not exist",
					   len - found, len);
	return 0;
}

int payout_batch(void *self, kontor_request *request)
{
	(void)self;
	struct run_record run;
	struct move move;
	int code = run_by_id(kontor_request_db(request), kontor_arg_id(request, "run_id"), &run,
			     kontor_request_error(request));
	if (!code)
		code = run_require_balanced(&run, kontor_request_error(request));
	if (code)
		return code;
	code = move_begin(&move, request, "iui", "uiusisi");
	snprintf(move.reason, sizeof(move.reason), "safefile %llu", (unsigned long long)move.safefile_id);
	if (!code)
		code = add_all(&move, run.run_id);
	if (!code)
		code = move_payouts(&move, SQL_PAYOUT_BATCH, SQL_ATTEMPT_INSERT);
	if (!code)
		kontor_put_uint(kontor_reply(request), "batched", move.moved + move.already);
	move_end(&move);
	return code;
}

/* ---- and out again ---- */

static int collect_batched(struct move *move, int64_t limit)
{
	struct kontor_error *err = kontor_request_error(move->request);
	kontor_rows *rows = NULL;
	int code = kontor_db_query(kontor_request_db(move->request), KONTOR_READ_ALL, SQL_UNBATCH_LOCK,
				   KONTOR_PARAMS(P_UINT(move->safefile_id), P_INT(limit)), &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		uint64_t payout_id = kontor_rows_uint(rows, 0);
		const struct kontor_param *key = KONTOR_PARAMS(P_UINT(payout_id), P_INT(kontor_rows_int(rows, 1)));
		move->moved++;
		code = kontor_bulk_add(move->payouts, key, err);
		if (!code)
			code = kontor_bulk_add(move->attempts, key, err);
		if (!code)
			code = add_event(move, payout_id, kontor_rows_int(rows, 2), "batched", "ready");
		if (code)
			break;
	}
	kontor_rows_close(rows);
	return code;
}

int payout_unbatch(void *self, kontor_request *request)
{
	(void)self;
	struct move move;
	int64_t limit = kontor_arg_int(request, "limit");
	int code = move_begin(&move, request, "ui", "ui");
	snprintf(move.reason, sizeof(move.reason), "safefile %llu was cancelled", (unsigned long long)move.safefile_id);
	if (!code)
		code = collect_batched(&move, limit);
	if (!code)
		code = move_payouts(&move, SQL_PAYOUT_UNBATCH, SQL_ATTEMPT_CANCEL);
	if (!code) {
		kontor_put_uint(kontor_reply(request), "unbatched", move.moved);
		kontor_put_bool(kontor_reply(request), "more", move.moved == (uint64_t)limit);
	}
	move_end(&move);
	return code;
}
