/* SPDX-License-Identifier: Apache-2.0
 *
 * The slots that this unit holds in one layout with time, and their windows.
 *
 *   no slot --acquire--> slot, epoch, hwm --renew--> hwm grows --0 rows, or the lease ran out--> given up for good
 *
 * Why nobody ever issues a counter twice: a counter is issued only from (hwm before, hwm after] of a committed UPDATE
 * that said `WHERE hwm = before`, and each value of hwm is the `before` of at most one committed UPDATE because hwm
 * only grows. Slot, epoch and lease are hygiene, and no clock is in the argument, as long as the database keeps what it
 * acknowledged and nobody copies this memory. Against a database that does not, there are the journal, the peers, the
 * lease and the quarantine; against a copy, the allocator's suspicion.
 */
#ifndef IDGEN_SLOT_POOL_H
#define IDGEN_SLOT_POOL_H

#include "reservation.h"

struct slot_lease {
	bool held;
	unsigned slot;
	uint64_t epoch, hwm;  /* as committed */
	uint64_t pending_hwm; /* a reservation whose outcome is unknown; 0: none */
	int64_t until_ms;     /* monotonic, no later than the database's */
};

struct slot_pool {
	struct allocator allocator;
	unsigned size;                               /* slots to hold; 0: no namespace here has this layout */
	struct slot_lease leases[ALLOCATOR_WINDOWS]; /* the allocator's window of the same number */
};

void slot_pool_init(struct slot_pool *pool, const struct layout *layout, unsigned datacenter,
		    struct allocator_time now);
void slot_pool_destroy(struct slot_pool *pool);

/* Something is to be reserved. */
bool slot_pool_due(struct slot_pool *pool, const struct reservation_unit *unit, struct allocator_time now);
/* Adds the slots of which the database has lost reservations that are known. */
int slot_pool_find_lost(struct slot_pool *pool, const struct reservation *reservation, struct lost_reservations *lost,
			struct kontor_error *err);
/* Does what is due. A failure at one slot does not keep the others from theirs; the first one is returned. */
int slot_pool_step(struct slot_pool *pool, struct reservation *reservation, struct kontor_error *err);
/* Nothing more is issued from the slots; others may take them once their counters are past (conn NULL: once their
 * leases have ended). */
void slot_pool_give_up(struct slot_pool *pool, kontor_conn *conn, struct allocator_time now, const char *reason);

#endif
