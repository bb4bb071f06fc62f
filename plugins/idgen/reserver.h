/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the allocator's window open: acquires a slot, reserves windows of its counters in the database before they are
 * used, gives the slot up when it is not surely ours.
 *
 *   no slot --acquire--> slot, epoch, hwm --reserve--> hwm grows --0 rows--> given up for good --> no slot
 *
 * Why nobody ever issues a counter twice: a counter is issued only from (hwm before, hwm after] of a committed UPDATE
 * that said `WHERE hwm = before`, and each value of hwm is the `before` of at most one committed UPDATE because hwm
 * only grows. Slot, epoch and lease are hygiene; no clock is in the argument.
 */
#ifndef IDGEN_RESERVER_H
#define IDGEN_RESERVER_H

#include "allocator.h"
#include "cluster.h"
#include "namespaces.h"

#define RESERVER_WINDOW_MS 60000         /* a fresh window reaches this far beyond the clock */
#define RESERVER_RENEW_BELOW_MS 40000    /* so the database may be away for so long */
#define RESERVER_LEASE_MS 60000          /* nobody else takes the slot while its owner renews */
#define RESERVER_CLOCK_TOLERANCE_MS 5000 /* a clock further ahead of the database's must not burn id space */

struct reserver {
	/* given */
	kontor_db *db;
	struct allocator *allocator;
	struct namespaces *namespaces;
	unsigned datacenter;
	bool claim_auto; /* bind an unbound database by itself */
	char owner[128]; /* for people who look at id_slot */
	struct allocator_time (*clock)(void);

	/* the slot that we hold; only the reserver's thread */
	unsigned slot; /* 0: none */
	uint64_t epoch, hwm;
	uint64_t pending_hwm; /* a reservation whose outcome is unknown; 0: none */
	struct cluster cluster;

	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* guards stopping */
	pthread_cond_t wake;
	bool stopping;
};

struct allocator_time reserver_clock(void); /* the system's clocks */

/* Does what is due: nothing, a reservation, or an acquisition. The allocator's reason says why not. In the reserver's
 * thread, or before it was started. */
int reserver_step(struct reserver *r, struct kontor_error *err);

int reserver_start(struct reserver *r, struct kontor_error *err);
void reserver_stop_soon(struct reserver *r);
/* Waits for the thread, then lets the slot go. */
void reserver_stop(struct reserver *r);

#endif
