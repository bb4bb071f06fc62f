/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <stdlib.h>

#include "statements.h"
#include "writer.h"

#define ID_NAMESPACE "billing-item"
/* Each round but the first means that somebody stored one of our facts between our lookup and our insert. */
#define INSERT_ROUNDS 8

/* The window of each item, under the open_from that the fence gave. */
static int place_items(kontor_conn *tx, const struct item_batch *batch, struct window_map *windows, struct item **items,
		       size_t len, struct kontor_error *err)
{
	int rc = 0;
	for (size_t i = 0; i < len && !rc; i++) {
		struct item *item = items[i];
		if (item->verdict != KONTOR_VERDICT_OK)
			continue;
		rc = window_of_instant(tx, batch->region, windows, item->occurred_ms, !batch->dry_run, &item->window,
				       &item->late, err);
	}
	return rc;
}

/* Ids for the undecided items without one. Those that end up unused are lost, which is fine. */
static int issue_ids(struct settlement *self, struct item **items, size_t len, struct kontor_error *err)
{
	uint32_t count = 0;
	for (size_t i = 0; i < len; i++)
		count += items[i]->verdict == KONTOR_VERDICT_OK && !items[i]->has_id;
	if (!count)
		return 0;
	struct kontor_id_range range;
	int rc = kontor_ids_take(self->host, ID_NAMESPACE, count, &range, err);
	if (rc)
		return rc;
	uint64_t id = range.base;
	for (size_t i = 0; i < len; i++) {
		if (items[i]->verdict != KONTOR_VERDICT_OK || items[i]->has_id)
			continue;
		items[i]->billing_item_id = id;
		id += range.stride;
	}
	return 0;
}

/* What the order is by stands together: comparing through pointers to 10,000 items misses the processor's caches. */
struct place {
	uint32_t window;
	uint64_t shop_user_id, billing_item_id;
	struct item *item;
};

static int by_primary_key(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->window != y->window)
		return x->window < y->window ? -1 : 1;
	if (x->shop_user_id != y->shop_user_id)
		return x->shop_user_id < y->shop_user_id ? -1 : 1;
	return (x->billing_item_id > y->billing_item_id) - (x->billing_item_id < y->billing_item_id);
}

/* Often they are in order already: sorted for the insert, and nothing was found in another window. */
static int sort_by_primary_key(struct item **items, size_t len, struct kontor_error *err)
{
	struct place *places = reallocarray(NULL, len, sizeof(*places));
	if (!places)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the order of %zu billing items", len);
	bool in_order = true;
	for (size_t i = 0; i < len; i++) {
		struct item *item = items[i];
		places[i] = (struct place){item->window, item->shop_user_id, item->billing_item_id, item};
		in_order = in_order && (i == 0 || by_primary_key(&places[i - 1], &places[i]) <= 0);
	}
	if (!in_order) {
		qsort(places, len, sizeof(*places), by_primary_key);
		for (size_t i = 0; i < len; i++)
			items[i] = places[i].item;
	}
	free(places);
	return 0;
}

/* All undecided items in one statement; CONFLICT: one of them is there already and none was stored. */
static int insert_once(kontor_conn *tx, const struct item_batch *batch, struct item **items, size_t len,
		       kontor_bulk *bulk, struct kontor_error *err)
{
	kontor_bulk_clear(bulk);
	int rc = 0;
	for (size_t i = 0; i < len && !rc; i++) {
		const struct item *item = items[i];
		if (item->verdict != KONTOR_VERDICT_OK)
			continue;
		rc = kontor_bulk_add(
			bulk,
			KONTOR_PARAMS(P_STRING(batch->region->code), P_UINT(item->window), P_UINT(item->shop_user_id),
				      P_UINT(item->billing_item_id), P_STRING(item->order_id), P_UINT(item->type),
				      P_INT(item->amount_minor), P_STRING(item->currency), P_INT(item->occurred_ms),
				      P_TEXT(item->note), P_UINT(item->late), P_UINT(batch->upload_id),
				      P_UINT(item->line), P_BYTES(item->identity.key, KONTOR_IDENTITY_SIZE)),
			err);
	}
	return rc ? rc : kontor_bulk_exec(tx, SQL_ADD_ITEM, bulk, NULL, err);
}

/* A fresh file takes one statement. Where facts are there already, they are found and judged, and the rest goes again.
 * New ids in each round: an issued id that happens to exist in that shop would otherwise fail for ever. */
static int insert_items(struct settlement *self, kontor_conn *tx, const struct item_batch *batch, struct item **items,
			size_t len, struct kontor_error *err)
{
	kontor_bulk *bulk = kontor_bulk_new(ADD_ITEM_COLUMNS);
	if (!bulk)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu billing items", len);
	int rc = KONTOR_E_CONFLICT;
	for (int round = 0; round < INSERT_ROUNDS && rc == KONTOR_E_CONFLICT; round++) {
		rc = round > 0 ? find_existing(self, tx, batch, items, len, err) : 0;
		if (!rc)
			rc = issue_ids(self, items, len, err);
		if (!rc)
			rc = sort_by_primary_key(items, len, err);
		if (rc)
			break;
		rc = insert_once(tx, batch, items, len, bulk, err);
	}
	kontor_bulk_free(bulk);
	if (rc == KONTOR_E_CONFLICT)
		return kontor_fail(err, KONTOR_E_BUSY, "other sessions keep storing the same billing items; try again");
	return rc;
}

/* One row of item_batch per window. Last, because the batches of one upload share these rows. items: by window. */
static int count_items(kontor_conn *tx, const struct item_batch *batch, uint64_t source, struct item *const *items,
		       size_t len, struct kontor_error *err)
{
	int rc = 0;
	for (size_t from = 0, to; from < len && !rc; from = to) {
		uint64_t stored = 0, late = 0;
		for (to = from; to < len && items[to]->window == items[from]->window; to++) {
			stored += items[to]->verdict == KONTOR_VERDICT_OK;
			late += items[to]->verdict == KONTOR_VERDICT_OK && items[to]->late;
		}
		if (stored)
			rc = kontor_db_exec(tx, SQL_COUNT_BATCH,
					    KONTOR_PARAMS(P_STRING(batch->region->code), P_UINT(items[from]->window),
							  P_UINT(source), P_UINT(batch->upload_id),
							  P_UINT(batch->upload_id == 0), P_UINT(stored), P_UINT(late)),
					    NULL, err);
	}
	return rc;
}

static void say_late(struct item *const *items, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (items[i]->verdict == KONTOR_VERDICT_OK && items[i]->late)
			items[i]->verdict = KONTOR_VERDICT_LATE;
}

static int judge_only(struct settlement *self, kontor_conn *conn, const struct item_batch *batch, struct item **items,
		      size_t len, struct kontor_error *err)
{
	struct window_map windows = {0};
	uint64_t epoch;
	int rc = window_open_from(conn, batch->region, &epoch, &windows.open_from, err);
	if (!rc)
		rc = place_items(conn, batch, &windows, items, len, err);
	if (!rc)
		rc = find_existing(self, conn, batch, items, len, err);
	if (!rc)
		say_late(items, len);
	return rc;
}

int store_items(struct settlement *self, kontor_conn *tx, const struct item_batch *batch, struct item **items,
		size_t len, struct kontor_error *err)
{
	if (len == 0)
		return 0;
	if (batch->dry_run)
		return judge_only(self, tx, batch, items, len, err);
	struct writer *writer;
	int rc = writer_enter(self, tx, batch->region, len, &writer, err);
	if (!rc)
		rc = place_items(tx, batch, &writer->windows, items, len, err);
	if (!rc)
		rc = insert_items(self, tx, batch, items, len, err);
	if (!rc)
		rc = sort_by_primary_key(items, len, err); /* already_exists took over the first one's window */
	if (!rc)
		rc = count_items(tx, batch, batch->upload_id ? batch->upload_id : writer->number, items, len, err);
	if (!rc)
		say_late(items, len);
	return rc;
}
