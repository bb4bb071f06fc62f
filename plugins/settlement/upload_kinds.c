/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_kinds.h"

#include "items.h"
#include "manual_row.h"
#include "rule_row.h"

const struct kontor_upload_kind upload_kinds[UPLOAD_KINDS] = {
	[KIND_BILLING_ITEMS] =
		{
			.name = "billing-items",
			.columns = item_columns,
			.columns_len = ITEM_COLUMNS,
			.help = "New facts that will be settled: orders, refunds, adjustments, fees, taxes, vouchers.",
			.identify = items_identify,
			.contradictions = KONTOR_VERDICT_CONFLICT,
			.apply = items_apply,
			.accept = items_accept,
			.undo = items_undo,
		},
	[KIND_SHOP_RULES] =
		{
			.name = "shop-rules",
			.columns = rule_columns,
			.columns_len = RULE_COLUMNS,
			.help = "Rules of shops for payouts: hold, minimum_payout, commission_percent; each change is "
				"a new "
				"version.",
			.identify = rule_identify,
			.contradictions = KONTOR_VERDICT_DUPLICATE_IN_FILE,
			.apply = shop_rules_apply,
			.accept = shop_rules_accept,
			.undo = shop_rules_undo,
		},
	[KIND_MANUAL_SETTLEMENT] =
		{
			.name = "manual-settlement",
			.columns = manual_columns,
			.columns_len = MANUAL_COLUMNS,
			.help = "Settles exactly these items now, by a run of their own; needs another user's "
				"approval.",
			.identify = manual_identify,
			.contradictions = KONTOR_VERDICT_DUPLICATE_IN_FILE,
			.apply = manual_apply,
			.needs_approval = manual_needs_approval,
			.accept = manual_accept,
			.undo = manual_undo,
		},
};
