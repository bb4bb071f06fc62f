/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps windows of ids reserved ahead of use: a thread that visits the database whenever something is due, and every
 * two seconds to see that it still is the database that it was.
 *
 *   reserver.c     when to visit, and what is done in one visit
 *   slot_pool.c    slots and their windows (std63, js53)
 *   segment.c      numbers of a namespace (segment)
 *   cluster.c      which datacenter id the database belongs to; quarantine
 *   reservation.c  what journal and peers know
 */
#ifndef IDGEN_RESERVER_H
#define IDGEN_RESERVER_H

#include "namespaces.h"
#include "segment.h"
#include "slot_pool.h"

#define RESERVER_POOLS 2u /* std63, js53 */

struct reserver {
	/* given */
	kontor_db *db;
	struct reservation_unit unit;
	unsigned slots;  /* to hold in each layout that is in use: 1 .. ALLOCATOR_WINDOWS */
	bool claim_auto; /* bind an unbound database by itself */

	struct slot_pool pools[RESERVER_POOLS];
	struct segment segments[NAMESPACE_LIMIT];
	size_t segments_len;
	struct namespaces namespaces;
	int64_t visited_ms;             /* monotonic; 0: never */
	char server[CLUSTER_TEXT_SIZE]; /* that answered last; "" */
	bool connected;                 /* the database answered in the last visit */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	int64_t asking_since_ms; /* monotonic: the database was asked then and has not answered yet; 0: it is not asked
				  */
	struct cluster cluster;  /* as last read */
	bool stopping, woken, fenced;
	char clocks[160]; /* what is wrong with the clocks; "" */

	pthread_t thread;
	bool running;
};

/* After the given members were set. */
void reserver_init(struct reserver *r);
void reserver_destroy(struct reserver *r);

/* Does what is due: nothing, reservations, acquisitions. The allocators' reasons say why not. In the reserver's thread,
 * or before it was started. */
int reserver_step(struct reserver *r, struct kontor_error *err);

int reserver_start(struct reserver *r, struct kontor_error *err);
void reserver_stop_soon(struct reserver *r);
/* Waits for the thread, then lets the slots go. */
void reserver_stop(struct reserver *r);

/* Any thread from here on. */

/* Something is due: does not wait. */
void reserver_wake(struct reserver *r);
/* Drops all windows as soon as possible and takes other slots: this machine was, or will be, copied. */
void reserver_fence(struct reserver *r);

/* What was last seen of the database. */
struct cluster reserver_cluster(struct reserver *r);
/* Why there are no ids, into buffer (ALLOCATOR_REASON_SIZE); returns buffer. `state` of the allocator that has none. */
char *reserver_reason(struct reserver *r, const struct allocator_state *state, char buffer[ALLOCATOR_REASON_SIZE]);
/* What is wrong with the clocks, or "", into buffer (160 bytes or more); returns buffer. */
char *reserver_clocks(struct reserver *r, char *buffer, size_t size);
struct allocator_time reserver_now(const struct reserver *r);

#endif
