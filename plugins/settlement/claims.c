/* SPDX-License-Identifier: Apache-2.0 */
#include "claims.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kontor/money.h"
#include "rule_store.h"
#include "statements.h"
#include "windows.h"

/* Each round but the first means that another session claimed one of our items between our look and our insert. The
 * fence of their window does not let it come to that; the table's key would. */
#define CLAIM_ROUNDS 8

/* A row that is to be judged, and what is known about its item. */
struct candidate {
	struct kontor_row *row;
	const struct manual_row *wanted;
	bool found;           /* the shop has the item, and it counts */
	uint64_t other_shop;  /* another shop that has an item of this id; 0: none */
	uint64_t claimed_by;  /* upload; 0: nobody */
	bool claim_paid;      /* the claim's run has paid it */
	uint32_t window;      /* of the item */
	char settled[16];     /* the window's state, when it is settling or settled */
	int64_t amount_minor; /* of the item */
	char currency[4];
	bool held;
};

struct claiming {
	struct settlement *self;
	kontor_conn *tx;
	const struct kontor_upload *upload;
	struct candidate *candidates;
	size_t len;
};

/* ---- what is stored ---- */

static int by_item(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	if (a->wanted->billing_item_id != b->wanted->billing_item_id)
		return a->wanted->billing_item_id < b->wanted->billing_item_id ? -1 : 1;
	return (a->wanted->shop_user_id > b->wanted->shop_user_id) -
	       (a->wanted->shop_user_id < b->wanted->shop_user_id);
}

/* Those that were not found are in front. */
static int by_primary_key(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	if (a->window != b->window)
		return a->window < b->window ? -1 : 1;
	if (a->wanted->shop_user_id != b->wanted->shop_user_id)
		return a->wanted->shop_user_id < b->wanted->shop_user_id ? -1 : 1;
	return (a->wanted->billing_item_id > b->wanted->billing_item_id) -
	       (a->wanted->billing_item_id < b->wanted->billing_item_id);
}

static size_t first_of_item(const struct candidate *candidates, size_t len, uint64_t item)
{
	size_t low = 0, high = len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (candidates[middle].wanted->billing_item_id < item)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void take_item(struct candidate *candidates, size_t len, const kontor_rows *rows)
{
	uint64_t shop = kontor_rows_uint(rows, 1), item = kontor_rows_uint(rows, 2);
	for (size_t i = first_of_item(candidates, len, item); i < len; i++) {
		struct candidate *candidate = &candidates[i];
		if (candidate->wanted->billing_item_id != item)
			break;
		if (candidate->wanted->shop_user_id != shop) {
			candidate->other_shop = shop;
			continue;
		}
		candidate->found = true;
		candidate->window = (uint32_t)kontor_rows_uint(rows, 0);
		candidate->amount_minor = kontor_rows_int(rows, 3);
		snprintf(candidate->currency, sizeof(candidate->currency), "%s", kontor_rows_string(rows, 4));
		candidate->claimed_by = kontor_rows_uint(rows, 5);
		candidate->claim_paid = kontor_text_is(kontor_rows_text(rows, 6), "settled");
	}
}

static int find_items(const struct claiming *claiming, struct kontor_error *err)
{
	struct candidate *candidates = claiming->candidates;
	int rc = 0;
	qsort(candidates, claiming->len, sizeof(*candidates), by_item);
	for (size_t from = 0, size; from < claiming->len && !rc; from += size) {
		size = claiming->len - from < LOOKUP_KEYS ? claiming->len - from : LOOKUP_KEYS;
		struct kontor_param params[1 + LOOKUP_KEYS + 1] = {P_STRING(claiming->upload->region->code)};
		for (size_t i = 0; i < LOOKUP_KEYS; i++)
			params[1 + i] = P_UINT(candidates[from + (i < size ? i : size - 1)].wanted->billing_item_id);
		params[1 + LOOKUP_KEYS].type = KONTOR_P_END;
		kontor_rows *rows = NULL;
		rc = kontor_db_query(claiming->tx, KONTOR_READ_STREAM, SQL_FIND_CLAIMABLE, params, &rows, err);
		while (!rc && (rc = kontor_rows_next(rows, err)) > 0) {
			take_item(candidates + from, size, rows);
			rc = 0;
		}
		kontor_rows_close(rows);
	}
	return rc;
}

/* ---- the fence: a window that is written here is not settled before this transaction ends ---- */

static int enter_window(const struct claiming *claiming, uint32_t window, uint64_t offers, char *ret_settled,
			size_t size, struct kontor_error *err)
{
	const char *region = claiming->upload->region->code;
	struct window_row row;
	uint64_t entered = 0;
	ret_settled[0] = '\0';
	if (!claiming->upload->dry_run) {
		int rc = kontor_db_exec(claiming->tx, SQL_OFFER_CLAIMS,
					KONTOR_PARAMS(P_UINT(offers), P_STRING(region), P_UINT(window)), &entered, err);
		if (rc || entered)
			return rc;
	}
	int rc = window_get(claiming->tx, region, window, false, &row, err);
	if (rc)
		return rc == KONTOR_E_NOT_FOUND
			       ? kontor_fail(err, KONTOR_E_INTERNAL, "window %u of %s has items but no row",
					     (unsigned)window, region)
			       : rc;
	if (!strcmp(row.state, "settling") || !strcmp(row.state, "settled"))
		snprintf(ret_settled, size, "%s", row.state);
	return 0;
}

/* In order of the windows, so that two uploads do not wait for each other in a circle. */
static int enter_windows(const struct claiming *claiming, struct kontor_error *err)
{
	struct candidate *candidates = claiming->candidates;
	qsort(candidates, claiming->len, sizeof(*candidates), by_primary_key);
	for (size_t from = 0, to; from < claiming->len; from = to) {
		char settled[sizeof(candidates->settled)] = "";
		for (to = from + 1; to < claiming->len && candidates[to].window == candidates[from].window;)
			to++;
		int rc = candidates[from].window ? enter_window(claiming, candidates[from].window, to - from, settled,
								sizeof(settled), err)
						 : 0;
		if (rc)
			return rc;
		for (size_t i = from; i < to; i++)
			memcpy(candidates[i].settled, settled, sizeof(settled));
	}
	return 0;
}

/* ---- verdicts ---- */

static int find_holds(const struct claiming *claiming, struct kontor_error *err)
{
	struct hold_question *questions = calloc(claiming->len + 1, sizeof(*questions));
	size_t len = 0;
	if (!questions)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu claims", claiming->len);
	for (size_t i = 0; i < claiming->len; i++) {
		const struct candidate *candidate = &claiming->candidates[i];
		if (!candidate->found)
			continue;
		questions[len] = (struct hold_question){.shop_user_id = candidate->wanted->shop_user_id, .index = i};
		memcpy(questions[len++].currency, candidate->currency, sizeof(candidate->currency));
	}
	int rc = rule_find_holds(claiming->tx, claiming->upload->region->code, claiming->upload->checked_ms, questions,
				 len, err);
	for (size_t i = 0; i < len; i++)
		claiming->candidates[questions[i].index].held = questions[i].held;
	free(questions);
	return rc;
}

static void describe_amount(const kontor_host *host, const struct candidate *candidate, char *out, size_t size)
{
	const struct kontor_currency *currency = kontor_currency_find(host, kontor_text_of(candidate->currency));
	char number[32];
	if (currency)
		snprintf(out, size, "%s %s", kontor_amount_format(candidate->amount_minor, currency->exponent, number),
			 candidate->currency);
	else
		snprintf(out, size, "%" PRId64 " minor units of %s", candidate->amount_minor, candidate->currency);
}

/* The column in which the file and the item differ, -1 when they agree in all that was given. */
static int difference(const kontor_host *host, const struct candidate *candidate)
{
	const struct manual_row *wanted = candidate->wanted;
	const struct kontor_currency *currency = kontor_currency_find(host, kontor_text_of(candidate->currency));
	int64_t minor;
	if (wanted->currency && strcmp(wanted->currency->code, candidate->currency) != 0)
		return MANUAL_CURRENCY;
	if (wanted->amount.size &&
	    (!currency || kontor_amount_parse(wanted->amount, currency->exponent, &minor) != KONTOR_AMOUNT_OK ||
	     minor != candidate->amount_minor))
		return MANUAL_AMOUNT;
	return -1;
}

static void judge_found(const kontor_host *host, struct candidate *candidate)
{
	struct kontor_row *row = candidate->row;
	char name[KONTOR_WINDOW_SIZE], amount[64];
	int column = difference(host, candidate);
	if (candidate->claimed_by && !candidate->claim_paid) {
		kontor_row_reject(row, KONTOR_VERDICT_ALREADY_CLAIMED, -1, "upload %" PRIu64 " has claimed it",
				  candidate->claimed_by);
	} else if (candidate->claimed_by) {
		kontor_row_reject(row, KONTOR_VERDICT_ALREADY_SETTLED, -1,
				  "the manual run of upload %" PRIu64 " has settled it", candidate->claimed_by);
	} else if (candidate->settled[0]) {
		kontor_row_reject(row, KONTOR_VERDICT_ALREADY_SETTLED, -1, "its window %s is %s",
				  kontor_window_format(candidate->window, name), candidate->settled);
	} else if (candidate->held) {
		kontor_row_reject(row, KONTOR_VERDICT_HELD, MANUAL_SHOP, "shop %" PRIu64 " is on hold in %s",
				  candidate->wanted->shop_user_id, candidate->currency);
	} else if (column >= 0) {
		describe_amount(host, candidate, amount, sizeof(amount));
		kontor_row_reject(row, KONTOR_VERDICT_CONFLICT, column, "the item has %s, here it is %.*s", amount,
				  (int)(row->fields[column].size < 40 ? row->fields[column].size : 40),
				  row->fields[column].data);
		if (row->currency[0]) /* the totals show what the file says */
			return;
	}
	row->amount_minor = candidate->amount_minor;
	memcpy(row->currency, candidate->currency, sizeof(row->currency));
}

static void judge(const kontor_host *host, struct candidate *candidate)
{
	const struct manual_row *wanted = candidate->wanted;
	candidate->row->verdict = KONTOR_VERDICT_OK;
	if (candidate->found)
		judge_found(host, candidate);
	else if (candidate->other_shop)
		kontor_row_reject(candidate->row, KONTOR_VERDICT_OTHER_SHOP, MANUAL_SHOP,
				  "billing item %" PRIu64 " is of shop %" PRIu64 ", not of shop %" PRIu64,
				  wanted->billing_item_id, candidate->other_shop, wanted->shop_user_id);
	else
		kontor_row_reject(candidate->row, KONTOR_VERDICT_NOT_FOUND, MANUAL_ITEM,
				  "there is no billing item %" PRIu64 " that counts (those of uploads do once they are "
				  "accepted)",
				  wanted->billing_item_id);
}

/* ---- claiming ---- */

/* All in one statement, in order of the table's key; CONFLICT: one of them is claimed already, and none was stored. */
static int insert_claims(const struct claiming *claiming, struct kontor_error *err)
{
	kontor_bulk *bulk = kontor_bulk_new(ADD_CLAIM_COLUMNS);
	int rc = bulk ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu claims", claiming->len);
	for (size_t i = 0; i < claiming->len && !rc; i++) {
		const struct candidate *candidate = &claiming->candidates[i];
		if (candidate->row->verdict == KONTOR_VERDICT_OK)
			rc = kontor_bulk_add(
				bulk,
				KONTOR_PARAMS(P_STRING(claiming->upload->region->code), P_UINT(candidate->window),
					      P_UINT(candidate->wanted->shop_user_id),
					      P_UINT(candidate->wanted->billing_item_id),
					      P_UINT(claiming->upload->upload_id), P_UINT(candidate->row->line)),
				err);
	}
	if (!rc)
		rc = kontor_bulk_exec(claiming->tx, SQL_ADD_CLAIM, bulk, NULL, err);
	kontor_bulk_free(bulk);
	return rc;
}

struct batch {
	char currency[4];
	uint64_t claims;
	int64_t amount_minor;
};

static int count_batch(const struct claiming *claiming, uint32_t window, const struct batch *batch,
		       struct kontor_error *err)
{
	return kontor_db_exec(claiming->tx, SQL_COUNT_CLAIMS,
			      KONTOR_PARAMS(P_STRING(claiming->upload->region->code), P_UINT(window),
					    P_UINT(claiming->upload->upload_id), P_STRING(batch->currency),
					    P_UINT(batch->claims), P_INT(batch->amount_minor)),
			      NULL, err);
}

static int add_to_batches(struct batch *batches, size_t *len, const struct candidate *candidate,
			  struct kontor_error *err)
{
	size_t i = 0;
	while (i < *len && strcmp(batches[i].currency, candidate->currency) != 0)
		i++;
	if (i == KONTOR_REGION_CURRENCIES)
		return kontor_fail(err, KONTOR_E_INTERNAL, "claims in more than %d currencies: a region has no more",
				   KONTOR_REGION_CURRENCIES);
	if (i == *len) {
		memcpy(batches[i].currency, candidate->currency, sizeof(candidate->currency));
		*len = i + 1;
	}
	batches[i].claims++;
	if (!kontor_amount_add(&batches[i].amount_minor, candidate->amount_minor))
		return kontor_fail(err, KONTOR_E_TOO_BIG,
				   "the claimed items add up to more than 2^63 minor units of %s: split the file",
				   candidate->currency);
	return 0;
}

/* One row of claim_batch per window and currency. candidates: by window. */
static int count_claims(const struct claiming *claiming, struct kontor_error *err)
{
	int rc = 0;
	for (size_t from = 0, to; from < claiming->len && !rc; from = to) {
		struct batch batches[KONTOR_REGION_CURRENCIES] = {{{0}, 0, 0}};
		size_t len = 0;
		uint32_t window = claiming->candidates[from].window;
		for (to = from; to < claiming->len && claiming->candidates[to].window == window && !rc; to++)
			if (claiming->candidates[to].row->verdict == KONTOR_VERDICT_OK)
				rc = add_to_batches(batches, &len, &claiming->candidates[to], err);
		for (size_t i = 0; i < len && !rc; i++)
			rc = count_batch(claiming, window, &batches[i], err);
	}
	return rc;
}

/* Finds the items, keeps their windows from being settled, and only then looks who has claimed what. */
static int judge_and_claim(const struct claiming *claiming, struct kontor_error *err)
{
	int rc = find_items(claiming, err);
	if (!rc)
		rc = enter_windows(claiming, err);
	for (int round = 0; round < CLAIM_ROUNDS && !rc; round++) {
		rc = find_items(claiming, err);
		qsort(claiming->candidates, claiming->len, sizeof(*claiming->candidates), by_primary_key);
		if (!rc)
			rc = find_holds(claiming, err);
		for (size_t i = 0; i < claiming->len && !rc; i++)
			judge(claiming->self->host, &claiming->candidates[i]);
		if (rc || claiming->upload->dry_run)
			return rc;
		rc = insert_claims(claiming, err);
		if (!rc)
			return count_claims(claiming, err);
		if (rc == KONTOR_E_CONFLICT)
			rc = 0;
	}
	return rc ? rc : kontor_fail(err, KONTOR_E_BUSY, "other sessions keep claiming the same items; try again");
}

int claim_items(struct settlement *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		size_t rows_len, struct kontor_error *err)
{
	struct claiming claiming = {
		.self = self, .tx = tx, .upload = upload, .candidates = calloc(rows_len + 1, sizeof(struct candidate))};
	if (!claiming.candidates)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu claims", rows_len);
	for (size_t i = 0; i < rows_len; i++)
		if (rows[i].verdict == KONTOR_VERDICT_OK)
			claiming.candidates[claiming.len++] =
				(struct candidate){.row = &rows[i], .wanted = rows[i].parsed};
	int rc = claiming.len ? judge_and_claim(&claiming, err) : 0;
	free(claiming.candidates);
	return rc;
}
