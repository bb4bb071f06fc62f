/* SPDX-License-Identifier: Apache-2.0
 *
 * What of the plugin runs in a simulated unit, and how: the only file of the simulation that knows the plugin's
 * interfaces. All of its code is compiled as it is; what it calls outside of itself (kontor/db.h, the journal's file,
 * memory, chance) is answered here and in session.c.
 */
#ifndef SIMULATION_PROCESS_H
#define SIMULATION_PROCESS_H

#include "idgen.h"
#include "journal_file.h"
#include "sql_server.h"

/* Ways to ask for ids: a namespace of each layout. Those of one kind and one remainder must never be the same. */
enum process_kind { KIND_STD63, KIND_JS53, KIND_SEGMENT, PROCESS_KINDS };

struct process_options {
	const char *name;
	unsigned datacenter, slots, kinds; /* kinds: a bit each */
	int64_t window_ms;
	bool peers;
};

/* What is on the unit's disk: the journal's blocks without what they are filled up with. */
struct process_disk {
	struct journal_block blocks[JOURNAL_COPIES][JOURNAL_BLOCKS];
};

/* What lies in the unit's memory, beside stack and heap. */
struct process {
	bool ready;
	struct idgen idgen;
};

/* The first three run as the unit's coroutine. */
void process_start(struct process *process, const struct process_options *options);
void process_step(struct process *process);

/* These run in between, in another of its threads. */
enum process_take { TAKE_OK, TAKE_LATER, TAKE_NO };
enum process_take process_take(struct process *process, enum process_kind kind, uint32_t count,
			       struct kontor_id_range *ret_range);
void process_report(struct process *process, struct peer_report *ret_report);
void process_note(struct process *process, const char *endpoint, const struct peer_report *report);
void process_fence(struct process *process);
/* Why there are no ids. */
const char *process_reason(struct process *process, enum process_kind kind);

uint32_t process_grant_limit(enum process_kind kind);
bool process_serves(const struct process_options *options, enum process_kind kind);
/* Where sql_server.reserved keeps what was reserved for this id; false: no id of the kind can look like this. */
bool process_reserved_slot(enum process_kind kind, uint64_t id, unsigned *ret_slot);
/* When a counter's ids are due; INT64_MIN for numbers without time. */
int64_t process_counter_ms(enum process_kind kind, uint64_t counter);

/* A server with the plugin's tables. reference: see sql_server_open(). */
void process_open_server(struct sql_server *server, bool reference);
/* Some unit has bound it, and has noticed which server it is now. */
bool process_is_set_up(struct sql_server *server);
/* Leaves out the namespaces of other kinds. */
void process_prepare_server(struct sql_server *server, unsigned kinds);
/* What an operator does after a database's clock was wrong: ends leases and quarantines that would last for ever. */
void process_end_long_leases(struct sql_server *server, int64_t now_ms, int64_t window_ms);
/* An operator takes any slot away from its owner. */
void process_evict(struct sql_server *server, struct answer *scratch, uint64_t chance);

/* After each statement: an owner that was evicted, or whose slot was taken, must not reserve. False: one did. */
bool process_owner_is_fenced(struct sql_server *server, const struct statement *statement, const struct answer *answer);

#endif
