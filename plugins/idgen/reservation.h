/* SPDX-License-Identifier: Apache-2.0
 *
 * One visit to the database in order to reserve: what the visit knows, and what this unit knows of earlier reservations
 * from its own journal and from its peers.
 */
#ifndef IDGEN_RESERVATION_H
#define IDGEN_RESERVATION_H

#include "allocator.h"
#include "cluster.h"
#include "journal.h"
#include "peers.h"

#define RESERVATION_KEY_SIZE 48u

/* What does not change while a unit runs. */
struct reservation_unit {
	unsigned datacenter;
	char owner[128];         /* for people who look at id_slot */
	int64_t window_ms;       /* a fresh window reaches this far beyond the clock; a lease lasts as long */
	struct journal *journal; /* NULL: only in tests */
	struct peers *peers;     /* NULL: none are configured */
	struct allocator_time (*clock)(void *arg);
	void *clock_arg;
};

struct reservation {
	const struct reservation_unit *unit;
	kontor_conn *conn;
	struct allocator_time now; /* when the visit began */
	struct cluster cluster;
	int64_t database_ms; /* its clock when it was asked first: so old as the visit, at most */
	int64_t clock_ms;    /* the earliest of this machine's clock, the database's and most peers': since 1970 */
};

/* A renewal is due when less than this is left of a window. Windows are renewed early, so that a database which is away
 * for so long is not felt; and not more often than every 20 s, whatever the rate. */
int64_t reservation_renew_below_ms(const struct reservation_unit *unit);

/* How long a quarantine lasts: every window that the database may have forgotten has ended by then. */
int64_t reservation_quarantine_ms(const struct reservation_unit *unit);

/* "std63/7", "segment/tickets": what journal and peers call it. slot 0: `name` of a namespace. Returns buffer. */
const char *reservation_key(char buffer[RESERVATION_KEY_SIZE], const struct layout *layout, unsigned slot,
			    const char *name);

/* What is known to be reserved, whatever the database says. */
struct known_reservation {
	uint64_t epoch, hwm; /* 0: nothing is known */
	bool held_by_peer;   /* it said so a moment ago */
};
struct known_reservation reservation_known(const struct reservation *reservation, const char *key);

/* Whether somebody else was heard of meanwhile who reserved beyond `before`, or holds the slot: to be asked after a
 * reservation was answered, because its statement may have been executed long after what was known was looked at. */
bool reservation_overtaken(const struct reservation *reservation, const char *key, uint64_t before);

/* Writes down what was just committed. Until this has worked nothing may be issued from it. */
int reservation_record(const struct reservation *reservation, const char *key, uint64_t epoch, uint64_t hwm,
		       struct kontor_error *err);

#endif
