/* SPDX-License-Identifier: Apache-2.0
 *
 * One rule of a shop, and one row of a shop-rules file: its columns, and what each may hold. Pure.
 */
#ifndef SETTLEMENT_RULE_ROW_H
#define SETTLEMENT_RULE_ROW_H

#include "kontor/upload.h"

enum rule_column {
	RULE_SHOP,
	RULE_NAME,
	RULE_VALUE,
	RULE_CURRENCY,
	RULE_FROM,
	RULE_UNTIL,
	RULE_COLUMNS,
};
extern const struct kontor_column rule_columns[RULE_COLUMNS];

/* In the order of their names, which is that of the table's key. */
enum rule_kind { RULE_COMMISSION_PERCENT, RULE_HOLD, RULE_MINIMUM_PAYOUT, RULE_KINDS };

#define RULE_ALWAYS INT64_MIN  /* from_ms: without beginning */
#define RULE_FOREVER INT64_MAX /* until_ms: without end */
#define RULE_VALUE_SIZE 33

struct rule {
	uint64_t shop_user_id;
	enum rule_kind kind;
	char currency[4];            /* "": all */
	int64_t from_ms, until_ms;   /* [from, until) */
	int64_t number;              /* hold 0 or 1; minimum_payout minor units; commission_percent times 10,000 */
	char value[RULE_VALUE_SIZE]; /* as it was written */
};

/* "hold"; and back, RULE_KINDS when there is none. */
const char *rule_kind_name(enum rule_kind kind);
enum rule_kind rule_kind_of(struct kontor_text name);

/* row->parsed (a struct rule) and the identity, or BAD_ROW. As identify() of struct kontor_upload_kind. Rows of one
 * shop, rule, currency and time have the same identity. An empty optional field is one that is not given. */
int rule_identify(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
		  struct kontor_identity *ret_identity, struct kontor_error *err);

/* In order of (shop, rule, currency): rules of which one decides. */
int rule_compare_key(const struct rule *a, const struct rule *b);
/* The same rule: it says nothing new. Both of one key. */
bool rule_same(const struct rule *a, const struct rule *b);
/* There is an instant at which both are in force. */
bool rule_overlaps(const struct rule *a, const struct rule *b);

#endif
