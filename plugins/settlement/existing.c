/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks items up by their two natural keys, many in one statement.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kontor/upload.h"
#include "statements.h"
#include "store.h"

static int by_id_and_shop(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
	if (x->billing_item_id != y->billing_item_id)
		return x->billing_item_id < y->billing_item_id ? -1 : 1;
	return (x->shop_user_id > y->shop_user_id) - (x->shop_user_id < y->shop_user_id);
}

static int by_fact_key(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
	return memcmp(x->identity.key, y->identity.key, KONTOR_IDENTITY_SIZE);
}

/* One of the two keys. */
struct lookup {
	const char *sql;
	bool with_id; /* it serves the items that brought an id, or those that did not */
	int (*order)(const void *a, const void *b);
};

static const struct lookup lookups[] = {
	{SQL_FIND_BY_ITEM, true, by_id_and_shop},
	{SQL_FIND_BY_FACT, false, by_fact_key},
};

static void read_stored(const kontor_rows *rows, struct stored_item *ret_stored, struct item *ret_probe)
{
	*ret_stored = (struct stored_item){
		.window = (uint32_t)kontor_rows_uint(rows, 0),
		.shop_user_id = kontor_rows_uint(rows, 1),
		.billing_item_id = kontor_rows_uint(rows, 2),
		.type = (unsigned)kontor_rows_uint(rows, 4),
		.amount_minor = kontor_rows_int(rows, 5),
		.occurred_ms = kontor_rows_int(rows, 7),
		.upload_id = kontor_rows_uint(rows, 8),
		.line = kontor_rows_uint(rows, 9),
		.accepted = kontor_rows_int(rows, 11) != 0,
	};
	snprintf(ret_stored->order_id, sizeof(ret_stored->order_id), "%s", kontor_rows_string(rows, 3));
	snprintf(ret_stored->currency, sizeof(ret_stored->currency), "%s", kontor_rows_string(rows, 6));
	ret_probe->shop_user_id = ret_stored->shop_user_id;
	ret_probe->billing_item_id = ret_stored->billing_item_id;
	struct kontor_text key = kontor_rows_text(rows, 10);
	memcpy(ret_probe->identity.key, key.data, KONTOR_IDENTITY_SIZE);
}

/* The fact is in an upload that may still be cancelled: whether it counts is known later. */
static int wait_for_upload(kontor_conn *tx, const struct item_batch *batch, const struct stored_item *stored,
			   struct kontor_error *err)
{
	if (batch->upload_id)
		return kontor_upload_wait(tx, batch->upload_id, stored->upload_id, stored->line, err);
	return kontor_fail(err, KONTOR_E_BUSY,
			   "billing item %" PRIu64 " is also on line %" PRIu64 " of upload %" PRIu64
			   ", which is not accepted yet; try again when it is accepted or cancelled",
			   stored->billing_item_id, stored->line, stored->upload_id);
}

static int judge_rows(struct settlement *self, kontor_conn *tx, const struct lookup *lookup,
		      const struct item_batch *batch, kontor_rows *rows, struct item **items, size_t len,
		      struct kontor_error *err)
{
	struct stored_item stored;
	struct item probe, *probe_at = &probe;
	int rc;
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		read_stored(rows, &stored, &probe);
		struct item **found = bsearch(&probe_at, items, len, sizeof(*items), lookup->order);
		if (!found) /* the same id in another shop is another item */
			continue;
		if (!stored.accepted && stored.upload_id != batch->upload_id && !batch->dry_run)
			return wait_for_upload(tx, batch, &stored, err);
		item_compare(*found, &stored, self->host);
	}
	return rc;
}

/* items: sorted by the lookup's key; at most LOOKUP_KEYS. */
static int look_up(struct settlement *self, kontor_conn *tx, const struct lookup *lookup,
		   const struct item_batch *batch, struct item **items, size_t len, struct kontor_error *err)
{
	struct kontor_param params[LOOKUP_KEYS + 2];
	params[0] = P_STRING(batch->region->code);
	for (size_t i = 0; i < LOOKUP_KEYS; i++) {
		const struct item *item = items[i < len ? i : len - 1];
		params[1 + i] = lookup->with_id ? P_UINT(item->billing_item_id)
						: P_BYTES(item->identity.key, KONTOR_IDENTITY_SIZE);
	}
	params[LOOKUP_KEYS + 1] = (struct kontor_param){KONTOR_P_END, {0}, NULL, 0};
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(tx, KONTOR_READ_ALL, lookup->sql, params, &rows, err);
	if (rc)
		return rc;
	rc = judge_rows(self, tx, lookup, batch, rows, items, len, err);
	kontor_rows_close(rows);
	return rc;
}

int find_existing(struct settlement *self, kontor_conn *tx, const struct item_batch *batch, struct item *const *items,
		  size_t len, struct kontor_error *err)
{
	struct item **chosen = malloc((len ? len : 1) * sizeof(*chosen));
	if (!chosen)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a lookup of %zu billing items", len);
	int rc = 0;
	for (size_t k = 0; k < sizeof(lookups) / sizeof(lookups[0]) && !rc; k++) {
		size_t count = 0;
		for (size_t i = 0; i < len; i++)
			if (items[i]->verdict == KONTOR_VERDICT_OK && items[i]->has_id == lookups[k].with_id)
				chosen[count++] = items[i];
		qsort(chosen, count, sizeof(*chosen), lookups[k].order);
		for (size_t from = 0; from < count && !rc; from += LOOKUP_KEYS) {
			size_t keys = count - from < LOOKUP_KEYS ? count - from : LOOKUP_KEYS;
			rc = look_up(self, tx, &lookups[k], batch, chosen + from, keys, err);
		}
	}
	free(chosen);
	return rc;
}
