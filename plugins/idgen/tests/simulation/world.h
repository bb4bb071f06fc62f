/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, chance and everything that happens: servers, units, statements under way, faults. One world a process; a run is
 * a function of its seed.
 */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include <stdio.h>

#include "faults.h"
#include "grants.h"
#include "random.h"
#include "unit.h"

#define WORLD_UNITS 8u /* with clones */
#define WORLD_PLACES 4
#define WORLD_SERVERS 2u
#define WORLD_EVENTS 256u
#define WORLD_FLIGHTS 96u
#define WORLD_START_MS INT64_C(1793000000000) /* 2026-10-26 */

/* How a run's databases may lose what they acknowledged. */
enum loss {
	LOSS_NONE,
	LOSS_FAIL_OVER, /* another server answers afterwards, and says so */
	LOSS_RESTORE,   /* nothing tells */
};

/* What this seed is like. Each seed has some faults often and most of them never: that finds more than a bit of
 * everything. */
struct plan {
	unsigned places, datacenters;
	int64_t step_every_ms, take_every_ms, fault_every_ms, peers_every_ms, timeout_ms, slow_ms, faults_for_ms,
		window_ms;
	unsigned slots, kinds;
	enum loss loss;
	bool servers_ahead;   /* their clocks may be far ahead, else those of units: who could tell when both are? */
	bool peers;           /* the units are each other's peers, across datacenters */
	bool same_datacenter; /* two databases, one datacenter id */
	bool recovery;        /* afterwards everybody must be served again; costs time, so not in each run */
	unsigned permille[FAULTS]; /* of wishes that meet with it; or the weight among the faults that come by
				      themselves */
};

/* A statement on its way to a server, and its answer back. */
struct flight {
	bool used, executed, reply_lost;
	unsigned events; /* that know of it */
	struct unit *unit;
	unsigned incarnation;
	struct sql_server *server;
	unsigned server_life; /* of the session that it was sent on */
	int64_t back_ms;      /* the answer takes so long */
	struct statement statement;
	struct answer answer;
};

enum event_kind {
	EVENT_STEP,    /* of a unit's reserver */
	EVENT_TAKE,    /* callers ask it for ids */
	EVENT_EXECUTE, /* a statement reaches the server */
	EVENT_REPLY,   /* its answer reaches the unit, or an error does */
	EVENT_FAULT,   /* the next one that comes by itself */
	EVENT_START,   /* of a unit that was dead */
	EVENT_PEERS,   /* units tell each other what they know */
};

struct event {
	int64_t at_ms;
	uint64_t order; /* among those of the same millisecond: by chance */
	enum event_kind kind;
	struct unit *unit;
	unsigned incarnation;
	struct flight *flight;
	int granted; /* EVENT_REPLY without a flight */
};

struct server_state {
	int64_t frozen_until_ms, down_until_ms, clock_offset_ms, largest_offset_ms;
	unsigned life;
	bool kept; /* there is a past to bring back */
	char kept_identity[64];
	unsigned identities;
};

struct world {
	struct random random;
	struct plan plan;
	bool tracing, healing;
	bool loses_only;   /* each run loses commits, one way or the other */
	bool bad_disks;    /* each run has disks that often do not write, and must recover */
	bool reference;    /* SQLite answers each statement, too */
	unsigned residual; /* a bit of each enum residual that shall happen */
	uint64_t seed;
	int64_t now_ms, faults_until_ms, cut_until_ms;
	struct sql_server servers[WORLD_SERVERS];
	struct server_state states[WORLD_SERVERS];
	struct place places[WORLD_PLACES];
	struct unit units[WORLD_UNITS];
	unsigned lives;
	uint64_t generations;
	struct event events[WORLD_EVENTS];
	size_t events_len;
	struct flight flights[WORLD_FLIGHTS];
	struct grants grants;
	char violation[512]; /* "": none yet */

	/* over all runs */
	uint64_t happened[FAULTS], grants_made, statements, refusals, exchanges, quarantines, given_up;
};

extern struct world world;

void world_open(void);
void world_close(void);
/* True when nothing was wrong; else world.violation says what. */
bool world_run(uint64_t seed);

/* Prints an event of the run when tracing. */
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The run is over: what must never happen did. Only the first one counts. */
void world_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t world_wall_ms(const struct unit *unit);
int64_t world_monotonic_ms(const struct unit *unit);
struct server_state *world_state(const struct sql_server *server);
/* True so often, as the plan says; never while everything is healed. Counts it. */
bool world_meets(enum fault fault);

void world_schedule(int64_t in_ms, enum event_kind kind, struct unit *unit);
/* Its pause is over. */
void world_wake(struct unit *unit);
/* A process that starts now. */
void world_start(struct unit *unit);
void world_kill(struct unit *unit);
/* A unit that can become a clone; NULL: there is none. */
struct unit *world_free_unit(void);
/* A clone that was copied in the middle of whatever it did goes on. Its connections are gone. */
void world_resume(struct unit *clone);
/* A unit that starts asks all that can answer. Runs as the unit. */
void world_exchange_with_all(struct unit *unit);
/* All tell each other what they know. */
void world_exchange_all(void);
/* Whoever waits for this server is told that the connection is gone; what it has not executed it never will. */
void world_drop_flights(const struct sql_server *server);

/* ---- for session.c ---- */

enum transaction_end { TRANSACTION_DONE, TRANSACTION_UNKNOWN, TRANSACTION_AGAIN };

void world_begin_transaction(struct unit *unit);
/* Runs the memory's statement at once: in a transaction that has begun nobody comes between. */
void world_run_in_transaction(struct unit *unit);
enum transaction_end world_end_transaction(struct unit *unit, bool commit);

#endif
