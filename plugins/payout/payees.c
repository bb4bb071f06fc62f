/* SPDX-License-Identifier: Apache-2.0 */
#include "payees.h"

#include <stdlib.h>
#include <string.h>

#include "kontor/time.h"
#include "payee_row.h"
#include "payout.h"
#include "statements.h"

#define ER_DUPLICATE_KEY 1062
#define UNDO_ROWS 10000 /* rows deleted by one statement, which is one transaction */

/* A row that is to be judged, and what the table has of its shop and currency. */
struct candidate {
	struct kontor_row *row;
	const struct payee *payee;
	uint64_t last_version;
	bool in_force; /* there is a version in force */
	bool same;     /* as the one in force */
};

static int by_key(const struct payee *a, const struct payee *b)
{
	if (a->shop_user_id != b->shop_user_id)
		return a->shop_user_id < b->shop_user_id ? -1 : 1;
	return strcmp(a->currency, b->currency);
}

static int compare(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	return by_key(a->payee, b->payee);
}

/* The good rows in order of the table's key. */
static struct candidate *collect(struct kontor_row *rows, size_t rows_len, size_t *ret_len)
{
	struct candidate *candidates = calloc(rows_len + 1, sizeof(*candidates));
	*ret_len = 0;
	for (size_t i = 0; candidates && i < rows_len; i++)
		if (rows[i].verdict == KONTOR_VERDICT_OK)
			candidates[(*ret_len)++] = (struct candidate){.row = &rows[i], .payee = rows[i].parsed};
	if (candidates)
		qsort(candidates, *ret_len, sizeof(*candidates), compare);
	return candidates;
}

static struct payee payee_of(const kontor_rows *rows)
{
	struct payee payee = {
		.shop_user_id = kontor_rows_uint(rows, 0),
		.name = kontor_rows_text(rows, 4),
		.name_latin = kontor_rows_text(rows, 5),
		.country = kontor_rows_text(rows, 6),
		.iban = kontor_rows_text(rows, 7),
		.account = kontor_rows_text(rows, 8),
		.bank_code = kontor_rows_text(rows, 9),
		.bic = kontor_rows_text(rows, 10),
		.town = kontor_rows_text(rows, 11),
	};
	strncpy(payee.currency, kontor_rows_string(rows, 1), sizeof(payee.currency) - 1);
	return payee;
}

/* A version of another upload that is not accepted yet (pending, waiting) only takes up its number: it may be cancelled
 * or refused. If it made this row `unchanged`, this upload would count without anybody's approval, and its change would
 * be lost with the other one's refusal. */
static void take_version(struct candidate *candidates, size_t len, const kontor_rows *rows)
{
	struct payee version = payee_of(rows);
	struct kontor_text state = kontor_rows_text(rows, 3);
	struct candidate wanted = {.payee = &version};
	struct candidate *found = bsearch(&wanted, candidates, len, sizeof(wanted), compare);
	if (!found)
		return;
	found->last_version = kontor_rows_uint(rows, 2);
	if (kontor_text_is(state, "in_force")) {
		found->in_force = true;
		found->same = payee_same(&version, found->payee);
	}
}

/* Looks up the shops of up to SQL_LIST_SIZE candidates. */
static int look_up(kontor_conn *tx, const char *region, struct candidate *candidates, size_t len,
		   struct kontor_error *err)
{
	struct kontor_param params[1 + SQL_LIST_SIZE + 1] = {P_STRING(region)};
	for (size_t i = 0; i < SQL_LIST_SIZE; i++) /* a short list is filled up with its last shop */
		params[1 + i] = P_UINT(candidates[i < len ? i : len - 1].payee->shop_user_id);
	params[1 + SQL_LIST_SIZE].type = KONTOR_P_END;
	kontor_rows *rows = NULL;
	int code = kontor_db_query(tx, KONTOR_READ_STREAM, SQL_PAYEE_VERSIONS, params, &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1)
		take_version(candidates, len, rows);
	kontor_rows_close(rows);
	return code;
}

static void judge(struct candidate *candidate)
{
	if (candidate->same)
		candidate->row->verdict = KONTOR_VERDICT_UNCHANGED;
	else if (candidate->in_force)
		candidate->row->verdict = KONTOR_VERDICT_NEEDS_APPROVAL;
}

static int add_version(kontor_bulk *bulk, const struct kontor_upload *upload, const struct candidate *candidate,
		       struct kontor_error *err)
{
	const struct payee *payee = candidate->payee;
	return kontor_bulk_add(bulk,
			       KONTOR_PARAMS(P_STRING(upload->region->code), P_UINT(payee->shop_user_id),
					     P_STRING(payee->currency), P_UINT(candidate->last_version + 1),
					     P_STRING(candidate->in_force ? "waiting" : "pending"), P_TEXT(payee->name),
					     P_TEXT(payee->name_latin), P_TEXT(payee->country), P_TEXT(payee->iban),
					     P_TEXT(payee->account), P_TEXT(payee->bank_code), P_TEXT(payee->bic),
					     P_TEXT(payee->town), P_UINT(upload->upload_id), P_INT(kontor_now_ms())),
			       err);
}

static int store(kontor_conn *tx, const struct kontor_upload *upload, const struct candidate *candidates, size_t len,
		 struct kontor_error *err)
{
	kontor_bulk *bulk = kontor_bulk_new("sususssssssssui");
	int code = bulk ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a batch of payees");
	for (size_t i = 0; !code && i < len; i++)
		if (candidates[i].row->verdict != KONTOR_VERDICT_UNCHANGED)
			code = add_version(bulk, upload, &candidates[i], err);
	if (!code)
		code = kontor_bulk_exec(tx, SQL_PAYEE_INSERT, bulk, NULL, err);
	if (code == KONTOR_E_CONFLICT)
		code = kontor_fail(err, KONTOR_E_BUSY, "another upload stores payees of the same shops at this moment");
	kontor_bulk_free(bulk);
	return code;
}

static int apply(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		 size_t rows_len, struct kontor_error *err)
{
	(void)self;
	size_t len;
	struct candidate *candidates = collect(rows, rows_len, &len);
	int code = 0;
	if (!candidates)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a batch of payees");
	for (size_t i = 0; !code && i < len; i += SQL_LIST_SIZE)
		code = look_up(tx, upload->region->code, candidates + i,
			       len - i < SQL_LIST_SIZE ? len - i : SQL_LIST_SIZE, err);
	for (size_t i = 0; !code && i < len; i++)
		judge(&candidates[i]);
	if (!code && !upload->dry_run)
		code = store(tx, upload, candidates, len, err);
	free(candidates);
	return code;
}

static bool needs_approval(void *self, const struct kontor_upload *upload, const uint64_t counts[KONTOR_VERDICT_COUNT])
{
	(void)self;
	(void)upload;
	return counts[KONTOR_VERDICT_NEEDS_APPROVAL] > 0;
}

/* Two uploads may each hold a first version of one shop. The second to be accepted would change it without anybody's
 * approval, so it is refused. */
static int refuse_overtaken(kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *err)
{
	int64_t shop;
	int code = kontor_db_query_int(tx, SQL_PAYEE_OVERTAKEN, KONTOR_PARAMS(P_UINT(upload->upload_id)), &shop, err);
	if (code == KONTOR_E_NOT_FOUND)
		return 0;
	if (code)
		return code;
	return kontor_fail(err, KONTOR_E_CONFLICT,
			   "shop %lld got its first account by another upload meanwhile: upload this file again, a "
			   "difference then waits for approval",
			   (long long)shop);
}

static int accept_versions(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *err)
{
	(void)self;
	const struct kontor_param *upload_id = KONTOR_PARAMS(P_UINT(upload->upload_id));
	int code = refuse_overtaken(tx, upload, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_PAYEE_SUPERSEDE, upload_id, NULL, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_PAYEE_IN_FORCE, upload_id, NULL, err);
	if (code == KONTOR_E_CONFLICT && kontor_db_errno(tx) == ER_DUPLICATE_KEY)
		code = kontor_fail(err, KONTOR_E_BUSY, "another upload of the same shops is accepted at this moment");
	return code;
}

static int undo(void *self, kontor_conn *conn, const struct kontor_upload *upload, struct kontor_error *err)
{
	(void)self;
	uint64_t deleted = UNDO_ROWS;
	int code = 0;
	while (!code && deleted == UNDO_ROWS)
		code = kontor_db_exec(conn, SQL_PAYEE_UNDO, KONTOR_PARAMS(P_UINT(upload->upload_id), P_INT(UNDO_ROWS)),
				      &deleted, err);
	return code;
}

const struct kontor_upload_kind payees_kind = {
	.name = "payees",
	.columns = payee_columns,
	.columns_len = PAYEE_COLUMNS,
	.help = "where a shop is paid, per currency; a changed account or name waits for another user's approval",
	.identify = payee_identify,
	.contradictions = KONTOR_VERDICT_DUPLICATE_IN_FILE,
	.apply = apply,
	.needs_approval = needs_approval,
	.accept = accept_versions,
	.undo = undo,
};
