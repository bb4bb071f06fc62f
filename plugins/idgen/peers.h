/* SPDX-License-Identifier: Apache-2.0
 *
 * What other idgen units, of this and other datacenters, said about themselves: who uses which datacenter id with which
 * database, how far ids are reserved, and what time it is there. Nothing here calls anybody (peer_calls.h does).
 *
 * Two databases that both believed to be datacenter 1 once issued the same billing item ids, and neither could have
 * known from its own data; this is how they find out.
 */
#ifndef IDGEN_PEERS_H
#define IDGEN_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster.h"
#include "journal.h"
#include "kontor/method.h"

#define PEER_UNIT_SIZE 64
#define PEER_ENDPOINT_SIZE 160
#define PEER_MARKS JOURNAL_KEYS /* all that a unit's journal has */
#define PEERS_RECENT_MS 30000   /* what was heard longer ago says nothing about now: 15 exchanges were missed */

struct peer_mark {
	char key[JOURNAL_KEY_SIZE]; /* "std63/7", "segment/tickets" */
	uint64_t epoch, hwm;
	bool held; /* the unit issues from it now */
};

/* What a unit says about itself: the arguments and the reply of the internal method idgen.peer. About 18 KiB. */
struct peer_report {
	unsigned datacenter;                  /* its configured id, 1-15 */
	char cluster_uuid[CLUSTER_UUID_SIZE]; /* "": its database is not bound yet */
	char unit[PEER_UNIT_SIZE];            /* "all@host-3": different for each unit that works at the same time */
	uint64_t process;                     /* peers_process(): tells a unit that it called itself */
	int64_t wall_ms;                      /* its clock, ms since 1970 */
	size_t marks_len;
	struct peer_mark marks[PEER_MARKS];
};

/* ---- reports on the wire ---------------------------------------------------------------------------------------- */

/* The arguments of idgen.peer, for its row in the table of methods. */
#define PEER_REPORT_ARGS 6
extern const struct kontor_arg peer_report_args[PEER_REPORT_ARGS];

/* Puts the entries into the map that is open: a request's arguments, or a reply. */
void peer_report_put(const struct peer_report *report, kontor_writer *w);
/* From a reply. BAD_REQUEST names what is missing or out of range. *ret is touched also on failure. */
int peer_report_read(const msgpack_object *map, struct peer_report *ret, struct kontor_error *err);
/* From the request that idgen.peer handles; fails like a handler. */
int peer_report_take(kontor_request *request, struct peer_report *ret);

/* ---- the book; any thread --------------------------------------------------------------------------------------- */

struct peers;

/* NULL when out of memory. `datacenter` is our own id. */
struct peers *peers_new(unsigned datacenter);
struct peers *peers_free(struct peers *book); /* NULL is fine; returns NULL */
/* Random: to be put into each own report, so that a list of peers which names this unit too does no harm. */
uint64_t peers_process(const struct peers *book);

/* Instead of our clock: how old the report is is not known (it may have waited while this process was stopped), so its
 * clock is not compared with ours. */
#define PEERS_NO_CLOCK INT64_MIN

/* Notes what a unit said, with our clocks of that moment. endpoint: where we asked; NULL: it asked us. TOO_BIG: there
 * are more keys of our datacenter id than PEERS_KEYS; the rest of the report is noted. */
int peers_note(struct peers *book, const char *endpoint, const struct peer_report *report, int64_t own_wall_ms,
	       int64_t monotonic_ms, struct kontor_error *err);
#define PEERS_KEYS 768
/* Notes why the unit at the endpoint could not be asked; its next report clears that. */
void peers_note_problem(struct peers *book, const char *endpoint, const char *problem);

/* The largest hwm, and the largest epoch, that any unit of our datacenter id and this cluster ever told us for the key;
 * 0 when none did. *ret_held_recently: some unit said within PEERS_RECENT_MS that it issues from it. The ret_ may be
 * NULL. */
uint64_t peers_hwm(struct peers *book, const char *cluster_uuid, const char *key, int64_t monotonic_ms,
		   uint64_t *ret_epoch, bool *ret_held_recently);

/* CONFLICT, in words for the operator, when some unit uses our datacenter id with another database than ours. It goes
 * away only when that very unit says something that agrees. cluster_uuid "": ours is not bound, so any that is bound to
 * our datacenter id is another one. */
int peers_conflict(struct peers *book, const char *cluster_uuid, struct kontor_error *err);

/* How many peers had their clock compared within PEERS_RECENT_MS, and the (upper) median of (peer's clock - ours);
 * untouched when none. */
size_t peers_clock_offset(struct peers *book, int64_t monotonic_ms, int64_t *ret_median_ms);

/* Puts "peers": [{endpoint?, unit, datacenter, cluster, heard_ms_ago, clock_offset_ms, problem?}, ...]. */
void peers_put(struct peers *book, const char *cluster_uuid, int64_t monotonic_ms, kontor_writer *w);

#endif
