/* SPDX-License-Identifier: Apache-2.0
 *
 * Storing items: from an upload's batch or from a service, always through the fence of close.
 */
#ifndef SETTLEMENT_STORE_H
#define SETTLEMENT_STORE_H

#include "items.h"

struct item_batch {
	const struct kontor_region *region;
	uint64_t upload_id; /* 0: settlement.add_items; its items count at once, those of an upload when it is accepted
			     */
	bool dry_run;       /* verdicts only */
};

/* Gives each undecided item (verdict OK) its verdict, window and id, and inserts those that end ok or late. In the
 * caller's transaction. `items` is reordered. BUSY when an upload that is not accepted yet holds one of the facts:
 * whether it counts is known later, so nothing may be decided now (kontor_upload_wait: the transaction has to end). */
int store_items(struct settlement *self, kontor_conn *tx, const struct item_batch *batch, struct item **items,
		size_t len, struct kontor_error *err);

/* existing.c: verdicts for those undecided items that are stored already. */
int find_existing(struct settlement *self, kontor_conn *tx, const struct item_batch *batch, struct item *const *items,
		  size_t len, struct kontor_error *err);

#endif
