/* SPDX-License-Identifier: Apache-2.0
 *
 * One row of a manual-settlement file. Pure.
 */
#ifndef SETTLEMENT_MANUAL_ROW_H
#define SETTLEMENT_MANUAL_ROW_H

#include "kontor/upload.h"

enum manual_column {
	MANUAL_SHOP,
	MANUAL_ITEM,
	MANUAL_AMOUNT,
	MANUAL_CURRENCY,
	MANUAL_COLUMNS,
};
extern const struct kontor_column manual_columns[MANUAL_COLUMNS];

/* The item that somebody wants to have settled now. What is not given is not compared. */
struct manual_row {
	uint64_t shop_user_id, billing_item_id;
	struct kontor_text amount;              /* as written, borrowed from the row; absent: not given */
	const struct kontor_currency *currency; /* NULL: not given */
};

/* row->parsed (a struct manual_row), the amount for the totals where it is known already, and the identity (shop and
 * item), or BAD_ROW. As identify() of struct kontor_upload_kind. */
int manual_identify(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
		    struct kontor_identity *ret_identity, struct kontor_error *err);

#endif
