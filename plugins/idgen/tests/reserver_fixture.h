/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit's reserver on a real database, stepped by the test, with clocks that the test moves.
 */
#ifndef IDGEN_RESERVER_FIXTURE_H
#define IDGEN_RESERVER_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/time.h"
#include "reserver.h"
#include "test_database.h"

extern const struct kontor_schema_step idgen_schema[];
extern const size_t idgen_schema_len;

static kontor_db *db;
static int64_t wall_shift_ms, monotonic_shift_ms; /* the fake clock is the real one, shifted */

static inline struct allocator_time shifted_clock(void *arg)
{
	(void)arg;
	return (struct allocator_time){.wall_ms = kontor_now_ms() + wall_shift_ms,
				       .monotonic_ms = kontor_monotonic_ms() + monotonic_shift_ms};
}

/* Time passes, on both of this machine's clocks. */
static inline void pass(int64_t ms)
{
	wall_shift_ms += ms;
	monotonic_shift_ms += ms;
}

static inline void sql(const char *statement)
{
	kontor_conn *conn = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_db_acquire(db, &conn, &err) || kontor_db_exec(conn, statement, KONTOR_NO_PARAMS, NULL, &err))
		fail_msg("%s: %s", statement, err.message);
	kontor_db_release(conn);
}

static inline int64_t sql_int(const char *statement)
{
	kontor_conn *conn = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	int64_t value = 0;
	if (kontor_db_acquire(db, &conn, &err) || kontor_db_query_int(conn, statement, KONTOR_NO_PARAMS, &value, &err))
		fail_msg("%s: %s", statement, err.message);
	kontor_db_release(conn);
	return value;
}

static inline int open_database(void **state)
{
	(void)state;
	db = test_database_open();
	return 0;
}

static inline int close_database(void **state)
{
	(void)state;
	db = test_database_close(db);
	return 0;
}

static inline int fresh_tables(void **state)
{
	(void)state;
	wall_shift_ms = monotonic_shift_ms = 0;
	sql("DROP TABLE IF EXISTS id_cluster, id_slot, id_namespace");
	for (size_t i = 0; i < idgen_schema_len; i++)
		sql(idgen_schema[i].sql);
	return 0;
}

/* One unit; its thread is not started, tests step it. */
struct unit {
	struct reserver reserver;
	struct journal journal;
	char journal_path[64];
};

#define WINDOW_MS 60000

static const struct layout *const std63 = &layouts[LAYOUT_STD63];

static inline struct unit *unit_new(unsigned datacenter, bool claim_auto)
{
	struct unit *unit = calloc(1, sizeof(*unit));
	unit->reserver = (struct reserver){
		.db = db,
		.slots = 1,
		.claim_auto = claim_auto,
		.unit = {
			.datacenter = datacenter, .owner = "all@test", .window_ms = WINDOW_MS, .clock = shifted_clock}};
	reserver_init(&unit->reserver);
	return unit;
}

static inline void open_journal(struct unit *unit, const char *path)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	snprintf(unit->journal_path, sizeof(unit->journal_path), "%s", path);
	if (journal_open(&unit->journal, path, &err))
		fail_msg("%s", err.message);
	unit->reserver.unit.journal = &unit->journal;
}

/* Ends like kill -9: nothing is released. */
static inline void unit_kill(struct unit *unit)
{
	journal_close(&unit->journal);
	reserver_destroy(&unit->reserver);
	free(unit);
}

static inline int visit(struct unit *unit, struct kontor_error *err)
{
	unit->reserver.visited_ms = 0; /* now, not in two seconds */
	return reserver_step(&unit->reserver, err);
}

static inline void step(struct unit *unit)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (visit(unit, &err))
		fail_msg("%s", err.message);
}

static inline struct allocator *allocator_of(struct unit *unit, const char *namespace_)
{
	const struct namespace *found = namespaces_find(&unit->reserver.namespaces, namespace_);
	return found ? found->allocator : &unit->reserver.pools[0].allocator;
}

static inline enum allocator_result take_of(struct unit *unit, const char *namespace_, uint32_t count,
					    struct kontor_id_range *ret_range)
{
	uint32_t retry_ms;
	return allocator_take(allocator_of(unit, namespace_), shifted_clock(NULL), count, ret_range, &retry_ms);
}

static inline enum allocator_result take(struct unit *unit, uint32_t count, struct kontor_id_range *ret_range)
{
	return take_of(unit, "default", count, ret_range);
}

static inline struct slot_lease *lease_of(struct unit *unit)
{
	return &unit->reserver.pools[0].leases[0];
}

static inline struct allocator_state look(struct unit *unit)
{
	struct allocator_state state;
	allocator_look(&unit->reserver.pools[0].allocator, shifted_clock(NULL), &state);
	if (!state.windows)
		state.current.slot = 0;
	return state;
}

/* Brings the unit's window close to its end, so that the next step reserves. */
static inline void make_renewal_due(struct unit *unit)
{
	uint64_t cut = layout_counters(std63, 30000);
	kontor_conn *conn = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(kontor_db_acquire(db, &conn, &err), 0);
	assert_int_equal(kontor_db_exec(conn, "UPDATE id_slot SET hwm = hwm - ? WHERE layout = 'std63' AND slot = ?",
					KONTOR_PARAMS(P_UINT(cut), P_UINT(lease_of(unit)->slot)), NULL, &err),
			 0);
	kontor_db_release(conn);
	lease_of(unit)->hwm -= cut;
	unit->reserver.pools[0].allocator.windows[0].end -= cut;
}

#endif
