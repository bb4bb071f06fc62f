/* SPDX-License-Identifier: Apache-2.0
 *
 * Upload kind billing-items.
 */
#include <stdlib.h>

#include "statements.h"
#include "store.h"
#include "upload_kinds.h"

int items_identify(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
		   struct kontor_identity *ret_identity, struct kontor_error *err)
{
	(void)self;
	struct item *item = kontor_arena_alloc(arena, sizeof(*item));
	if (!item)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the items of upload %llu",
				   (unsigned long long)upload->upload_id);
	struct item_fields fields = {.now_ms = upload->checked_ms, .key_only = !upload->wants_facts};
	for (int i = 0; i < ITEM_COLUMNS; i++)
		fields.text[i] = row->fields[i];
	item->line = row->line;
	int rc = item_read(item, upload->region, &fields, arena, err);
	if (rc)
		return rc;
	if (item->verdict != KONTOR_VERDICT_OK) {
		kontor_row_reject(row, item->verdict, item->column, "%s", item->reason);
		return 0;
	}
	row->parsed = item;
	row->amount_minor = item->amount_minor;
	for (size_t i = 0; i < sizeof(row->currency); i++)
		row->currency[i] = item->currency[i];
	*ret_identity = item->identity;
	return 0;
}

int items_apply(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		size_t rows_len, struct kontor_error *err)
{
	struct item **items = malloc((rows_len ? rows_len : 1) * sizeof(*items));
	if (!items)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu rows", rows_len);
	size_t len = 0;
	for (size_t i = 0; i < rows_len; i++) {
		if (rows[i].verdict != KONTOR_VERDICT_OK)
			continue;
		items[len] = rows[i].parsed;
		item_reset(items[len++]);
	}
	struct item_batch batch = {upload->region, upload->upload_id, upload->dry_run};
	int rc = store_items(self, tx, &batch, items, len, err);
	free(items);
	for (size_t i = 0; i < rows_len && !rc; i++) {
		const struct item *item = rows[i].parsed;
		if (rows[i].verdict != KONTOR_VERDICT_OK)
			continue;
		if (kontor_verdict_rejects(item->verdict))
			kontor_row_reject(&rows[i], item->verdict, item->column, "%s", item->reason);
		else
			rows[i].verdict = item->verdict;
	}
	return rc;
}

int items_accept(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *err)
{
	(void)self;
	return kontor_db_exec(tx, SQL_ACCEPT_BATCHES,
			      KONTOR_PARAMS(P_STRING(upload->region->code), P_UINT(upload->upload_id)), NULL, err);
}

/* ---- undo: window by window, a bounded number of items in each transaction ---- */

struct undo_page {
	const struct kontor_upload *upload;
	uint32_t window;
	uint64_t after_shop, after_item;
	kontor_bulk *bulk;
};

static int delete_page(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct undo_page *page = arg;
	return kontor_bulk_exec(tx, SQL_DELETE_UPLOADED_ITEM, page->bulk, NULL, err);
}

static int delete_batch(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct undo_page *page = arg;
	return kontor_db_exec(tx, SQL_DELETE_BATCH,
			      KONTOR_PARAMS(P_STRING(page->upload->region->code), P_UINT(page->window),
					    P_UINT(page->upload->upload_id)),
			      NULL, err);
}

/* Fills the page's bulk with the next keys and moves its cursor; no rows: the window is done. */
static int read_page(struct settlement *self, kontor_conn *conn, struct undo_page *page, struct kontor_error *err)
{
	const char *region = page->upload->region->code;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_UPLOADED_ITEMS,
				 KONTOR_PARAMS(P_STRING(region), P_UINT(page->window), P_UINT(page->after_shop),
					       P_UINT(page->after_shop), P_UINT(page->after_item),
					       P_UINT(page->upload->upload_id), P_INT(self->undo_rows)),
				 &rows, err);
	if (rc)
		return rc;
	kontor_bulk_clear(page->bulk);
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		page->after_shop = kontor_rows_uint(rows, 0);
		page->after_item = kontor_rows_uint(rows, 1);
		rc = kontor_bulk_add(page->bulk,
				     KONTOR_PARAMS(P_STRING(region), P_UINT(page->window), P_UINT(page->after_shop),
						   P_UINT(page->after_item), P_UINT(page->upload->upload_id)),
				     err);
		if (rc)
			break;
	}
	kontor_rows_close(rows);
	return rc;
}

static int undo_window(struct settlement *self, kontor_conn *conn, struct undo_page *page, struct kontor_error *err)
{
	int rc;
	while (!(rc = read_page(self, conn, page, err)) && kontor_bulk_rows(page->bulk) > 0) {
		rc = kontor_db_transaction(conn, delete_page, page, err);
		if (rc)
			return rc;
	}
	return rc ? rc : kontor_db_transaction(conn, delete_batch, page, err);
}

static int next_window(kontor_conn *conn, const struct kontor_upload *upload, int64_t *ret_window,
		       struct kontor_error *err)
{
	return kontor_db_query_int(conn, SQL_FIND_UNACCEPTED_BATCH,
				   KONTOR_PARAMS(P_STRING(upload->region->code), P_UINT(upload->upload_id)), ret_window,
				   err);
}

int items_undo(void *self, kontor_conn *conn, const struct kontor_upload *upload, struct kontor_error *err)
{
	kontor_bulk *bulk = kontor_bulk_new(DELETE_UPLOADED_ITEM_COLUMNS);
	if (!bulk)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for removing items");
	int64_t window;
	int rc;
	while (!(rc = next_window(conn, upload, &window, err))) {
		struct undo_page page = {upload, (uint32_t)window, 0, 0, bulk};
		rc = undo_window(self, conn, &page, err);
		if (rc)
			break;
	}
	kontor_bulk_free(bulk);
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
}
