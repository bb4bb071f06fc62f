/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums per shop and currency of a range of shops, gathered from a stream of items and from open carries.
 */
#ifndef PAYOUT_SHOP_TABLE_H
#define PAYOUT_SHOP_TABLE_H

#include <stddef.h>

#include "arithmetic.h"
#include "kontor/text.h"

struct shop_entry {
	uint64_t shop_user_id;
	char currency[4];
	struct shop_sums sums;
};

/* All zero is an empty table. One thread at a time. */
struct shop_table {
	struct shop_entry *entries;
	size_t len, capacity;
	size_t last_shop; /* first entry of the shop that came last */
};

/* settlement's billing_item.item_type; commission is taken of these two. */
#define ITEM_TYPE_ORDER 1
#define ITEM_TYPE_REFUND 2

/* Fast when items come grouped by shop. currency: three letters. false: out of memory. */
bool shop_table_add_item(struct shop_table *table, uint64_t shop_user_id, struct kontor_text currency, int item_type,
			 int64_t amount_minor);
bool shop_table_add_carry(struct shop_table *table, uint64_t shop_user_id, struct kontor_text currency,
			  int64_t amount_minor);
/* Sorts by (currency, shop) and joins entries of the same shop and currency. */
void shop_table_finish(struct shop_table *table);
void shop_table_free(struct shop_table *table);

#endif
