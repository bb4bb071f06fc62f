/* SPDX-License-Identifier: Apache-2.0
 *
 * Granted ids that nobody has yet: at most two grants, given out in the order they came. No lock, no clock, and no
 * pointers: it lies in memory that is wiped in a child of fork(2). Not installed.
 */
#ifndef KONTOR_IDS_STOCK_H
#define KONTOR_IDS_STOCK_H

#include "kontor/ids.h"

#define ID_STOCK_GRANTS 2

struct id_grant {
	struct kontor_id_range range; /* what is left of it */
	int64_t asked_ms;             /* monotonic, before the request was sent: its ids are not older */
};

struct id_stock {
	uint64_t alive; /* 0: wiped */
	size_t len;
	struct id_grant grants[ID_STOCK_GRANTS];
	uint32_t last_count; /* of the newest grant when it came */
};

/* The oldest one goes when there are two. */
void kontor_id_stock_put(struct id_stock *stock, const struct id_grant *grant);
/* Cuts least .. most ids off the front; false when no grant has `least`. Grants in front that have fewer are dropped:
 * ids must not go back in time. Those asked for before oldest_ms are dropped too. */
bool kontor_id_stock_cut(struct id_stock *stock, uint32_t least, uint32_t most, int64_t oldest_ms,
			 struct id_grant *ret_piece);
void kontor_id_stock_expire(struct id_stock *stock, int64_t oldest_ms);
uint64_t kontor_id_stock_left(const struct id_stock *stock);
/* Cuts least .. most ids off a grant that has at least `least`. */
struct id_grant kontor_id_grant_cut(struct id_grant *grant, uint32_t most);

#endif
