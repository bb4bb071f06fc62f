/* SPDX-License-Identifier: Apache-2.0 */
#include "rule_row.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "kontor/money.h"
#include "kontor/time.h"

const struct kontor_column rule_columns[RULE_COLUMNS] = {
	[RULE_SHOP] = {"shop_user_id", true, "the seller's shop: 1 to 2^63-1"},
	[RULE_NAME] = {"rule", true, "hold, minimum_payout or commission_percent"},
	[RULE_VALUE] = {"value", true,
			"hold: yes or no; minimum_payout: decimal major units; commission_percent: 0 to 100 with at "
			"most 4 decimals"},
	[RULE_CURRENCY] = {"currency", false,
			   "only payouts in this currency; empty: all of them, for minimum_payout the region's first "
			   "currency"},
	[RULE_FROM] = {"from", false, "RFC 3339: in force from then on; empty: without beginning"},
	[RULE_UNTIL] = {"until", false, "RFC 3339: no longer in force then; empty: without end"},
};

#define COMMISSION_DECIMALS 4
#define COMMISSION_LIMIT 1000000 /* 100 percent */

static const char *const kind_names[RULE_KINDS] = {
	[RULE_COMMISSION_PERCENT] = "commission_percent",
	[RULE_HOLD] = "hold",
	[RULE_MINIMUM_PAYOUT] = "minimum_payout",
};

const char *rule_kind_name(enum rule_kind kind)
{
	return (unsigned)kind < RULE_KINDS ? kind_names[kind] : "?";
}

enum rule_kind rule_kind_of(struct kontor_text name)
{
	enum rule_kind kind = 0;
	while (kind < RULE_KINDS && !kontor_text_is(name, kind_names[kind]))
		kind++;
	return kind;
}

static bool bad(struct kontor_row *row, enum rule_column column, const char *reason)
{
	kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, (int)column, "%s %s", rule_columns[column].name, reason);
	return false;
}

static bool read_key(const struct kontor_upload *upload, struct kontor_row *row, struct rule *rule)
{
	if (!kontor_parse_id(row->fields[RULE_SHOP], &rule->shop_user_id))
		return bad(row, RULE_SHOP,
			   "must be a whole number from 1 to 2^63-1 without sign, blanks or leading zeros");
	rule->kind = rule_kind_of(row->fields[RULE_NAME]);
	if (rule->kind == RULE_KINDS) {
		const char *nearest = kontor_text_nearest(row->fields[RULE_NAME], kind_names, RULE_KINDS);
		kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, RULE_NAME,
				  "rule must be hold, minimum_payout or commission_percent%s%s",
				  nearest ? "; the nearest is " : "", nearest ? nearest : "");
		return false;
	}
	const struct kontor_currency *currency = NULL;
	if (row->fields[RULE_CURRENCY].size > 0) {
		currency = kontor_region_currency(upload->region, row->fields[RULE_CURRENCY]);
		if (!currency) {
			kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, RULE_CURRENCY,
					  "currency must be one that %s accepts (ISO 4217, three capital letters)",
					  upload->region->code);
			return false;
		}
	} else if (rule->kind == RULE_MINIMUM_PAYOUT) {
		currency = upload->region->currencies[0];
	}
	memcpy(rule->currency, currency ? currency->code : "", currency ? sizeof(rule->currency) : 1);
	return true;
}

static bool read_hold(struct kontor_row *row, struct rule *rule)
{
	rule->number = kontor_text_is(row->fields[RULE_VALUE], "yes");
	return rule->number || kontor_text_is(row->fields[RULE_VALUE], "no") ||
	       bad(row, RULE_VALUE, "of hold must be yes or no");
}

static bool read_minimum(const struct kontor_upload *upload, struct kontor_row *row, struct rule *rule)
{
	const struct kontor_currency *currency = kontor_region_currency(upload->region, kontor_text_of(rule->currency));
	char explained[120];
	enum kontor_amount_fault fault =
		kontor_amount_parse(row->fields[RULE_VALUE], currency->exponent, &rule->number);
	if (fault != KONTOR_AMOUNT_OK) {
		kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, RULE_VALUE, "value of minimum_payout: %s",
				  kontor_amount_explain(fault, currency, explained, sizeof(explained)));
		return false;
	}
	return rule->number >= 0 || bad(row, RULE_VALUE, "of minimum_payout must not be negative");
}

static bool read_commission(struct kontor_row *row, struct rule *rule)
{
	enum kontor_amount_fault fault =
		kontor_amount_parse(row->fields[RULE_VALUE], COMMISSION_DECIMALS, &rule->number);
	if (fault == KONTOR_AMOUNT_OK && rule->number >= 0 && rule->number <= COMMISSION_LIMIT)
		return true;
	return bad(row, RULE_VALUE,
		   fault == KONTOR_AMOUNT_DECIMALS
			   ? "of commission_percent must have at most 4 decimals"
			   : "of commission_percent must be a decimal number from 0 to 100, such as 2.5");
}

static bool read_value(const struct kontor_upload *upload, struct kontor_row *row, struct rule *rule)
{
	struct kontor_text value = row->fields[RULE_VALUE];
	bool good = rule->kind == RULE_HOLD             ? read_hold(row, rule)
		    : rule->kind == RULE_MINIMUM_PAYOUT ? read_minimum(upload, row, rule)
							: read_commission(row, rule);
	/* Checked digits: at most 16, a point and decimals. */
	if (good)
		snprintf(rule->value, sizeof(rule->value), "%.*s", (int)value.size, value.data);
	return good;
}

static bool read_instant(struct kontor_row *row, enum rule_column column, int64_t absent, int64_t *ret_ms)
{
	*ret_ms = absent;
	if (row->fields[column].size == 0)
		return true;
	enum kontor_time_fault fault = kontor_time_parse(row->fields[column], ret_ms);
	if (fault == KONTOR_TIME_OK)
		return true;
	kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, (int)column, "%s: %s", rule_columns[column].name,
			  kontor_time_explain(fault));
	return false;
}

static bool read_times(struct kontor_row *row, struct rule *rule)
{
	if (!read_instant(row, RULE_FROM, RULE_ALWAYS, &rule->from_ms) ||
	    !read_instant(row, RULE_UNTIL, RULE_FOREVER, &rule->until_ms))
		return false;
	return rule->from_ms < rule->until_ms || bad(row, RULE_UNTIL, "must be later than from");
}

/* Fixed layout, numbers in the machine's order: a key lives no longer than its upload. */
static int identify(const struct rule *rule, struct kontor_identity *ret_identity, struct kontor_error *err)
{
	uint8_t bytes[3 * sizeof(int64_t) + 1 + sizeof(rule->currency)] = {0}, digest[EVP_MAX_MD_SIZE];
	memcpy(bytes, &rule->shop_user_id, sizeof(int64_t));
	memcpy(bytes + 8, &rule->from_ms, sizeof(int64_t));
	memcpy(bytes + 16, &rule->until_ms, sizeof(int64_t));
	bytes[24] = (uint8_t)rule->kind;
	memcpy(bytes + 25, rule->currency, strlen(rule->currency));
	if (!EVP_Digest(bytes, sizeof(bytes), digest, NULL, EVP_sha256(), NULL))
		return kontor_fail(err, KONTOR_E_INTERNAL, "OpenSSL cannot compute SHA-256");
	*ret_identity = (struct kontor_identity){0};
	memcpy(ret_identity->key, digest, KONTOR_IDENTITY_SIZE);
	memcpy(ret_identity->facts, &rule->number, sizeof(rule->number));
	return 0;
}

int rule_identify(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
		  struct kontor_identity *ret_identity, struct kontor_error *err)
{
	(void)self;
	struct rule *rule = kontor_arena_alloc(arena, sizeof(*rule));
	if (!rule)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a row of shop-rules");
	if (!read_key(upload, row, rule) || !read_value(upload, row, rule) || !read_times(row, rule))
		return 0;
	row->parsed = rule;
	return identify(rule, ret_identity, err);
}

int rule_compare_key(const struct rule *a, const struct rule *b)
{
	if (a->shop_user_id != b->shop_user_id)
		return a->shop_user_id < b->shop_user_id ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->currency, b->currency);
}

bool rule_same(const struct rule *a, const struct rule *b)
{
	return a->number == b->number && a->from_ms == b->from_ms && a->until_ms == b->until_ms;
}

bool rule_overlaps(const struct rule *a, const struct rule *b)
{
	return a->from_ms < b->until_ms && b->from_ms < a->until_ms;
}
