/* SPDX-License-Identifier: Apache-2.0
 *
 * Claims: items that a manual run settles instead of their window's own. The table's key lets an item be claimed once.
 */
#ifndef SETTLEMENT_CLAIMS_H
#define SETTLEMENT_CLAIMS_H

#include "manual_row.h"
#include "settlement.h"

/* Gives the rows that are OK their verdict and claims the items of those that stay OK; a dry run only judges. Each row
 * gets the stored item's amount. In the caller's transaction, which from then on and until it ends keeps the windows of
 * these items from being settled. */
int claim_items(struct settlement *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		size_t rows_len, struct kontor_error *err);

#endif
