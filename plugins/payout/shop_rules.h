/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of shops that a run applies. Rules are never changed or removed once they have a revision, so a region, a
 * revision and an instant name the same rules for ever: a run remembers them, and a chunk that is done again pays the
 * same.
 */
#ifndef PAYOUT_SHOP_RULES_H
#define PAYOUT_SHOP_RULES_H

#include <stddef.h>

#include "arithmetic.h"
#include "kontor/db.h"

struct rule_set {
	uint64_t revision; /* 0: no rules */
	int64_t at_ms;     /* ms since 1970: rules that are in force then */
};

struct shop_rule {
	uint64_t shop_user_id;
	int64_t number; /* settlement's shop_rule.number */
	uint64_t revision, line;
	char currency[4]; /* "": all */
	char name[32];
};

/* All zero: no rules. */
struct shop_rules {
	struct shop_rule *rules; /* by shop, rule, currency; one of each */
	size_t len, capacity;
};

/* The newest revision of the region's rules, 0 when there is none. */
int rules_newest_revision(kontor_conn *conn, const char *region, uint64_t *ret_revision, struct kontor_error *err);
/* The rules of shops from shop_from to shop_to, both inclusive. */
int shop_rules_load(kontor_conn *conn, const char *region, const struct rule_set *set, uint64_t shop_from,
		    uint64_t shop_to, struct shop_rules *ret, struct kontor_error *err);
void shop_rules_free(struct shop_rules *rules);
/* What holds for payouts of this currency to this shop. A rule for one currency goes before one for all. */
struct shop_terms shop_rules_terms(const struct shop_rules *rules, uint64_t shop_user_id, const char *currency);

#endif
