/* SPDX-License-Identifier: Apache-2.0
 *
 * settlement.hold and settlement.release: a version of the rule `hold` of one shop, in force at once.
 */
#include <stdio.h>

#include "rule_store.h"
#include "statements.h"

/* One rule for all currencies, and one for each that has a rule of its own, which would go before it. */
#define HOLD_RULES (KONTOR_REGION_CURRENCIES + 1)

/* *ret_known: the shop has, or had, a hold. */
static int add_currencies(kontor_request *request, const struct rule *all, struct rule *rules, size_t *len,
			  bool *ret_known)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(
		kontor_request_db(request), KONTOR_READ_ALL, SQL_LIST_HOLD_CURRENCIES,
		KONTOR_PARAMS(P_STRING(kontor_arg_string(request, "region")), P_UINT(all->shop_user_id)), &rows, err);
	if (rc)
		return rc;
	*ret_known = false;
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		*ret_known = true;
		const char *currency = kontor_rows_string(rows, 0);
		if (!currency[0])
			continue;
		if (*len == HOLD_RULES) {
			rc = kontor_request_fail(request, KONTOR_E_TOO_BIG,
						 "shop %llu has rules in more than %d currencies: change them by an "
						 "upload of kind shop-rules",
						 (unsigned long long)all->shop_user_id, HOLD_RULES - 1);
			break;
		}
		rules[*len] = *all;
		snprintf(rules[(*len)++].currency, sizeof(all->currency), "%s", currency);
	}
	kontor_rows_close(rows);
	return rc;
}

static int change_hold(kontor_request *request, bool hold)
{
	struct kontor_error *err = kontor_request_error(request);
	struct rule_source source = {.region = kontor_arg_string(request, "region")};
	struct rule rules[HOLD_RULES] = {{.shop_user_id = kontor_arg_id(request, "shop"),
					  .kind = RULE_HOLD,
					  .from_ms = RULE_ALWAYS,
					  .until_ms = RULE_FOREVER,
					  .number = hold}};
	struct rule_change changes[HOLD_RULES] = {{0}};
	size_t len = 1;
	bool known = false, changed = false;
	snprintf(rules[0].value, sizeof(rules[0].value), "%s", hold ? "yes" : "no");
	/* First, so that two of these commands do not wait for each other's rows. */
	int rc = rule_begin_revision(kontor_request_db(request), source.region, err);
	if (!rc)
		rc = add_currencies(request, &rules[0], rules, &len, &known);
	if (!rc && !hold && !known) /* nothing to end: a rule that says so would look as if there had been */
		len = 0;
	for (size_t i = 0; i < len; i++)
		changes[i].rule = &rules[i];
	if (!rc && len)
		rc = rule_store(kontor_request_db(request), &source, changes, len, err);
	for (size_t i = 0; i < len; i++)
		changed |= !changes[i].unchanged;
	if (!rc && changed)
		rc = rule_give_revision(kontor_request_db(request), &source, err);
	if (rc)
		return rc;
	kontor_put_uint(kontor_reply(request), "shop_user_id", rules[0].shop_user_id);
	kontor_put_bool(kontor_reply(request), "hold", hold);
	kontor_put_bool(kontor_reply(request), "changed", changed);
	return 0;
}

int handle_hold(void *self, kontor_request *request)
{
	(void)self;
	return change_hold(request, true);
}

int handle_release(void *self, kontor_request *request)
{
	(void)self;
	return change_hold(request, false);
}
