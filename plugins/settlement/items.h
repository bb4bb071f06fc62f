/* SPDX-License-Identifier: Apache-2.0
 *
 * A billing item: the rules for its fields, its identity, and how two of them are compared. Pure: no database.
 */
#ifndef SETTLEMENT_ITEMS_H
#define SETTLEMENT_ITEMS_H

#include "settlement.h"

/* In the order of the kind's columns. */
enum item_column {
	ITEM_SHOP,
	ITEM_ORDER,
	ITEM_TYPE,
	ITEM_AMOUNT,
	ITEM_CURRENCY,
	ITEM_OCCURRED,
	ITEM_ID,
	ITEM_NOTE,
	ITEM_COLUMNS,
};
#define ITEM_NO_COLUMN (-1)

#define ITEM_ORDER_SIZE 33  /* 32 characters and a NUL */
#define ITEM_NOTE_LIMIT 500 /* bytes */
#define ITEM_REASON_SIZE 256
#define ITEM_FUTURE_LIMIT_MS INT64_C(86400000) /* an item may lie this far after the database's clock */

extern const struct kontor_column item_columns[ITEM_COLUMNS];

struct item {
	uint64_t shop_user_id;
	uint64_t billing_item_id; /* without has_id: issued when it is stored */
	bool has_id;              /* it brought its own */
	char order_id[ITEM_ORDER_SIZE];
	unsigned type; /* 1 order, 2 refund, 3 adjustment, 4 fee, 5 tax, 6 voucher */
	int64_t amount_minor;
	char currency[4];
	int64_t occurred_ms;
	struct kontor_text note;         /* data NULL: none. No fact: items that differ in it alone are the same */
	uint64_t line;                   /* of its file; in settlement.add_items the place in the list, from 1 */
	struct kontor_identity identity; /* key: the fact_key of docs/architecture.md */

	/* OK until something else is known about it. */
	enum kontor_verdict verdict;
	int column; /* enum item_column or ITEM_NO_COLUMN: what a verdict blames */
	char reason[ITEM_REASON_SIZE];
	uint32_t window; /* filled by store_items(), with late */
	bool late;
};

/* What the fields of an item look like before they are checked. */
struct item_fields {
	struct kontor_text text[ITEM_COLUMNS]; /* an optional one that is absent or empty means "none" */
	const char *const *names;              /* as the sender calls them; NULL: the columns' */
	bool minor_units;                      /* amount: an integer in minor units, else decimal major units */
	bool milliseconds;                     /* occurred_at: milliseconds since 1970, else RFC 3339 */
	int64_t now_ms;                        /* the database's clock: no item may lie far after it */
	bool key_only;                         /* nobody compares: identity.facts is not needed */
};

/* Fills the facts, or the verdict BAD_ROW with the first bad column and the rule that it breaks. The note is copied
 * into arena. Returns 0 in both cases; INTERNAL when out of memory. */
int item_read(struct item *item, const struct kontor_region *region, const struct item_fields *fields,
	      kontor_arena *arena, struct kontor_error *err);
/* Back to undecided, for another run of the same transaction. */
void item_reset(struct item *item);
void item_decide(struct item *item, enum kontor_verdict verdict, int column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

const char *item_type_name(unsigned type); /* "order"; "?" for none */

/* identity.key = fact_key: the first 16 bytes of SHA-256 over parts, each one byte of length and its bytes; numbers are
 * decimal. With an id: "i", shop, item. Without: "f", shop, order, type number, amount_minor, currency, occurred_ms.
 * identity.facts: the same over "f" ... in both cases, left alone if key_only and the item has an id. Only for items
 * that are OK. */
int item_identify(struct item *item, bool key_only, struct kontor_error *err);
/* Frees this thread's hash state. */
void item_thread_end(void);

/* An item that is stored already. */
struct stored_item {
	uint32_t window;
	uint64_t shop_user_id, billing_item_id;
	char order_id[ITEM_ORDER_SIZE];
	unsigned type;
	int64_t amount_minor;
	char currency[4];
	int64_t occurred_ms;
	uint64_t upload_id, line; /* upload_id 0: through settlement.add_items */
	bool accepted;
};
/* Two items of the same identity: ALREADY_EXISTS with the first one's id and origin, or CONFLICT with both values. */
void item_compare(struct item *item, const struct stored_item *stored, const kontor_host *host);

#endif
