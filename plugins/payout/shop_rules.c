/* SPDX-License-Identifier: Apache-2.0 */
#include "shop_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "statements.h"

int rules_newest_revision(kontor_conn *conn, const char *region, uint64_t *ret_revision, struct kontor_error *err)
{
	int64_t revision = 0;
	int code = kontor_db_query_int(conn, SQL_RULES_REVISION, KONTOR_PARAMS(P_STRING(region)), &revision, err);
	*ret_revision = (uint64_t)revision;
	return code == KONTOR_E_NOT_FOUND ? 0 : code;
}

static bool same_key(const struct shop_rule *a, const struct shop_rule *b)
{
	return a->shop_user_id == b->shop_user_id && !strcmp(a->name, b->name) && !strcmp(a->currency, b->currency);
}

static bool newer(const struct shop_rule *a, const struct shop_rule *b)
{
	return a->revision != b->revision ? a->revision > b->revision : a->line > b->line;
}

/* Versions of one rule come one after the other; the newest of those in force stays. */
static bool take(struct shop_rules *rules, const struct shop_rule *rule)
{
	struct shop_rule *last = rules->len ? &rules->rules[rules->len - 1] : NULL;
	if (last && same_key(last, rule)) {
		if (newer(rule, last))
			*last = *rule;
		return true;
	}
	if (rules->len == rules->capacity) {
		size_t capacity = rules->capacity ? rules->capacity * 2 : 256;
		struct shop_rule *grown = realloc(rules->rules, capacity * sizeof(*grown));
		if (!grown)
			return false;
		rules->rules = grown;
		rules->capacity = capacity;
	}
	rules->rules[rules->len++] = *rule;
	return true;
}

int shop_rules_load(kontor_conn *conn, const char *region, const struct rule_set *set, uint64_t shop_from,
		    uint64_t shop_to, struct shop_rules *ret, struct kontor_error *err)
{
	*ret = (struct shop_rules){0};
	if (!set->revision)
		return 0;
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_STREAM, SQL_RULES_IN_FORCE,
				   KONTOR_PARAMS(P_STRING(region), P_UINT(shop_from), P_UINT(shop_to),
						 P_UINT(set->revision), P_INT(set->at_ms), P_INT(set->at_ms)),
				   &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		struct shop_rule rule = {.shop_user_id = kontor_rows_uint(rows, 0),
					 .number = kontor_rows_int(rows, 3),
					 .revision = kontor_rows_uint(rows, 4),
					 .line = kontor_rows_uint(rows, 5)};
		snprintf(rule.name, sizeof(rule.name), "%s", kontor_rows_string(rows, 1));
		snprintf(rule.currency, sizeof(rule.currency), "%s", kontor_rows_string(rows, 2));
		if (!take(ret, &rule)) {
			code = kontor_fail(err, KONTOR_E_INTERNAL, "payout run: out of memory for the rules of shops");
			break;
		}
	}
	kontor_rows_close(rows);
	return code;
}

void shop_rules_free(struct shop_rules *rules)
{
	free(rules->rules);
	*rules = (struct shop_rules){0};
}

static size_t first_of_shop(const struct shop_rules *rules, uint64_t shop_user_id)
{
	size_t low = 0, high = rules->len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rules->rules[middle].shop_user_id < shop_user_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct shop_terms shop_rules_terms(const struct shop_rules *rules, uint64_t shop_user_id, const char *currency)
{
	struct shop_terms terms = {0};
	/* Of one rule, the one for all currencies ("") comes first and is overruled by the currency's own. */
	for (size_t i = first_of_shop(rules, shop_user_id); i < rules->len; i++) {
		const struct shop_rule *rule = &rules->rules[i];
		if (rule->shop_user_id != shop_user_id)
			break;
		if (rule->currency[0] && strcmp(rule->currency, currency) != 0)
			continue;
		if (!strcmp(rule->name, "hold"))
			terms.hold = rule->number != 0;
		else if (!strcmp(rule->name, "minimum_payout"))
			terms.minimum_minor = rule->number;
		else if (!strcmp(rule->name, "commission_percent"))
			terms.commission_ppm = (uint32_t)rule->number;
	}
	return terms;
}
