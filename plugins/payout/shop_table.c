/* SPDX-License-Identifier: Apache-2.0 */
#include "shop_table.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 1024

static struct shop_entry *append(struct shop_table *table, uint64_t shop_user_id, struct kontor_text currency)
{
	if (table->len == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY;
		struct shop_entry *entries = realloc(table->entries, capacity * sizeof(*entries));
		if (!entries)
			return NULL;
		table->entries = entries;
		table->capacity = capacity;
	}
	struct shop_entry *entry = &table->entries[table->len++];
	*entry = (struct shop_entry){.shop_user_id = shop_user_id};
	memcpy(entry->currency, currency.data, currency.size < 3 ? currency.size : 3);
	return entry;
}

/* The entry of the shop that came last, or a new one. A shop that comes back later gets a second entry, which
 * shop_table_finish() joins. */
static struct shop_entry *entry_of(struct shop_table *table, uint64_t shop_user_id, struct kontor_text currency)
{
	if (table->last_shop < table->len && table->entries[table->last_shop].shop_user_id == shop_user_id) {
		for (size_t i = table->last_shop; i < table->len; i++)
			if (kontor_text_is(currency, table->entries[i].currency))
				return &table->entries[i];
	} else {
		table->last_shop = table->len;
	}
	return append(table, shop_user_id, currency);
}

bool shop_table_add_item(struct shop_table *table, uint64_t shop_user_id, struct kontor_text currency, int item_type,
			 int64_t amount_minor)
{
	struct shop_entry *entry = entry_of(table, shop_user_id, currency);
	if (!entry)
		return false;
	entry->sums.items++;
	entry->sums.gross += amount_minor;
	if (item_type == ITEM_TYPE_ORDER || item_type == ITEM_TYPE_REFUND)
		entry->sums.commissionable += amount_minor;
	return true;
}

bool shop_table_add_carry(struct shop_table *table, uint64_t shop_user_id, struct kontor_text currency,
			  int64_t amount_minor)
{
	struct shop_entry *entry = entry_of(table, shop_user_id, currency);
	if (!entry)
		return false;
	entry->sums.carry_in += amount_minor;
	return true;
}

static int compare(const void *left, const void *right)
{
	const struct shop_entry *a = left, *b = right;
	int order = strcmp(a->currency, b->currency);
	if (order)
		return order;
	return a->shop_user_id < b->shop_user_id ? -1 : a->shop_user_id > b->shop_user_id;
}

void shop_table_finish(struct shop_table *table)
{
	if (!table->len)
		return;
	qsort(table->entries, table->len, sizeof(*table->entries), compare);
	size_t kept = 0;
	for (size_t i = 1; i < table->len; i++) {
		struct shop_entry *last = &table->entries[kept], *next = &table->entries[i];
		if (compare(last, next)) {
			table->entries[++kept] = *next;
			continue;
		}
		last->sums.items += next->sums.items;
		last->sums.gross += next->sums.gross;
		last->sums.commissionable += next->sums.commissionable;
		last->sums.carry_in += next->sums.carry_in;
	}
	table->len = kept + 1;
	table->last_shop = table->len;
}

void shop_table_free(struct shop_table *table)
{
	free(table->entries);
	*table = (struct shop_table){0};
}
