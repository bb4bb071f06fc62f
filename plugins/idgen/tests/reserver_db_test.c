/* SPDX-License-Identifier: Apache-2.0 */
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

static struct allocator_time shifted_clock(void *arg)
{
	(void)arg;
	return (struct allocator_time){.wall_ms = kontor_now_ms() + wall_shift_ms,
				       .monotonic_ms = kontor_monotonic_ms() + monotonic_shift_ms};
}

/* Time passes, on both of this machine's clocks. */
static void pass(int64_t ms)
{
	wall_shift_ms += ms;
	monotonic_shift_ms += ms;
}

static void sql(const char *statement)
{
	kontor_conn *conn = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_db_acquire(db, &conn, &err) || kontor_db_exec(conn, statement, KONTOR_NO_PARAMS, NULL, &err))
		fail_msg("%s: %s", statement, err.message);
	kontor_db_release(conn);
}

static int64_t sql_int(const char *statement)
{
	kontor_conn *conn = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	int64_t value = 0;
	if (kontor_db_acquire(db, &conn, &err) || kontor_db_query_int(conn, statement, KONTOR_NO_PARAMS, &value, &err))
		fail_msg("%s: %s", statement, err.message);
	kontor_db_release(conn);
	return value;
}

static int fresh_tables(void **state)
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

static struct unit *unit_new(unsigned datacenter, bool claim_auto)
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

static void open_journal(struct unit *unit, const char *path)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	snprintf(unit->journal_path, sizeof(unit->journal_path), "%s", path);
	if (journal_open(&unit->journal, path, &err))
		fail_msg("%s", err.message);
	unit->reserver.unit.journal = &unit->journal;
}

/* Ends like kill -9: nothing is released. */
static void unit_kill(struct unit *unit)
{
	journal_close(&unit->journal);
	reserver_destroy(&unit->reserver);
	free(unit);
}

static int visit(struct unit *unit, struct kontor_error *err)
{
	unit->reserver.visited_ms = 0; /* now, not in two seconds */
	return reserver_step(&unit->reserver, err);
}

static void step(struct unit *unit)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (visit(unit, &err))
		fail_msg("%s", err.message);
}

static struct allocator *allocator_of(struct unit *unit, const char *namespace_)
{
	const struct namespace *found = namespaces_find(&unit->reserver.namespaces, namespace_);
	return found ? found->allocator : &unit->reserver.pools[0].allocator;
}

static enum allocator_result take_of(struct unit *unit, const char *namespace_, uint32_t count,
				     struct kontor_id_range *ret_range)
{
	uint32_t retry_ms;
	return allocator_take(allocator_of(unit, namespace_), shifted_clock(NULL), count, ret_range, &retry_ms);
}

static enum allocator_result take(struct unit *unit, uint32_t count, struct kontor_id_range *ret_range)
{
	return take_of(unit, "default", count, ret_range);
}

static struct slot_lease *lease_of(struct unit *unit)
{
	return &unit->reserver.pools[0].leases[0];
}

static struct allocator_state look(struct unit *unit)
{
	struct allocator_state state;
	allocator_look(&unit->reserver.pools[0].allocator, shifted_clock(NULL), &state);
	if (!state.windows)
		state.current.slot = 0;
	return state;
}

static void test_an_unbound_database_gives_no_ids(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, false);
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct kontor_id_range range;
	assert_int_equal(visit(unit, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "kontor id claim"));
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_NO_WINDOW);
	assert_non_null(strstr(look(unit).reason, "kontor id claim"));
	sql("INSERT INTO id_cluster (dc_id, cluster_uuid, bound_ms, bound_by) VALUES (1, 'a', 1, 'x')");
	step(unit);
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
	unit_kill(unit);
}

static void test_a_database_of_another_datacenter_is_refused(void **state)
{
	(void)state;
	struct unit *first = unit_new(1, true), *second = unit_new(2, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	step(first);
	assert_int_equal(visit(second, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "datacenter id 1"));
	assert_non_null(strstr(err.message, "one is 2"));
	assert_int_equal(look(second).current.slot, 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM id_cluster"), 1);
	unit_kill(first);
	unit_kill(second);
}

static void test_a_database_is_bound_once(void **state)
{
	(void)state;
	kontor_conn *conn = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct cluster first, again, other;
	bool bound;
	assert_int_equal(kontor_db_acquire(db, &conn, &err), 0);
	assert_int_equal(cluster_bind(conn, 3, "ann", &first, &bound, &err), 0);
	assert_true(bound);
	assert_int_equal(cluster_bind(conn, 3, "bob", &again, &bound, &err), 0);
	assert_false(bound);
	assert_string_equal(first.uuid, again.uuid);
	assert_int_equal(cluster_bind(conn, 4, "bob", &other, &bound, &err), KONTOR_E_CONFLICT);
	assert_int_not_equal(kontor_db_exec(conn,
					    "INSERT INTO id_cluster (dc_id, cluster_uuid, bound_ms, bound_by) "
					    "VALUES (4, 'b', 1, 'x')",
					    KONTOR_NO_PARAMS, NULL, &err),
			     0);
	kontor_db_release(conn);
}

static void test_a_window_is_renewed_when_less_than_38_of_60_s_are_left(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	step(unit);
	uint64_t end = look(unit).current.end;
	assert_in_range(look(unit).left_ms, 59000, 60000);
	assert_int_equal(end, (uint64_t)sql_int("SELECT hwm FROM id_slot WHERE epoch = 1"));
	pass(4500); /* within what a clock may be ahead of the database's */
	step(unit);
	assert_int_equal(look(unit).current.end, end);
	sql("UPDATE id_slot SET hwm = hwm - 25 * 4096000 WHERE epoch = 1"); /* as if the clocks were 25 s later */
	lease_of(unit)->hwm -= layout_counters(std63, 25000);
	unit->reserver.pools[0].allocator.windows[0].end -= layout_counters(std63, 25000);
	assert_in_range(look(unit).left_ms, 30000, 37999);
	step(unit);
	assert_in_range(look(unit).left_ms, 59000, 60000);
	assert_int_equal(look(unit).current.end, (uint64_t)sql_int("SELECT hwm FROM id_slot WHERE epoch = 1"));
	unit_kill(unit);
}

static void test_each_unit_has_a_slot_of_its_own(void **state)
{
	(void)state;
	struct unit *units[62];
	bool seen[62 + 1] = {false};
	for (int i = 0; i < 62; i++) {
		units[i] = unit_new(1, true);
		step(units[i]);
		unsigned slot = look(units[i]).current.slot;
		assert_in_range(slot, 1, 62);
		assert_false(seen[slot]);
		seen[slot] = true;
	}
	struct unit *late = unit_new(1, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(visit(late, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "none of the 62 id slots"));
	/* an ended lease alone frees nothing: the slots' counters reach beyond the clock */
	sql("UPDATE id_slot SET lease_until_ms = 0");
	assert_int_equal(visit(late, &err), KONTOR_E_UNAVAILABLE);
	/* and counters that are past free nothing while the lease lasts */
	sql("UPDATE id_slot SET lease_until_ms = 9000000000000 WHERE slot <> 9");
	sql("UPDATE id_slot SET hwm = 4096");
	step(late);
	assert_int_equal(look(late).current.slot, 9);
	assert_int_equal(look(late).current.epoch, 2);
	for (int i = 0; i < 62; i++)
		unit_kill(units[i]);
	unit_kill(late);
}

/* Brings the unit's window close to its end, so that the next step reserves. */
static void make_renewal_due(struct unit *unit)
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

static void test_a_slot_that_was_taken_over_is_given_up_for_good(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_id_range before, after;
	step(unit);
	unsigned slot = look(unit).current.slot;
	assert_int_equal(take(unit, 1, &before), ALLOCATOR_OK);
	make_renewal_due(unit);
	sql("UPDATE id_slot SET epoch = epoch + 1, owner = 'thief', lease_until_ms = 9000000000000 WHERE epoch = 1");
	int64_t hwm = sql_int("SELECT hwm FROM id_slot WHERE owner = 'thief'");
	step(unit);
	assert_int_not_equal(look(unit).current.slot, slot);
	assert_int_equal(take(unit, 1, &after), ALLOCATOR_OK);
	assert_int_not_equal(kontor_id_decode(after.base).slot, slot);
	assert_int_equal(sql_int("SELECT hwm FROM id_slot WHERE owner = 'thief'"), hwm);
	unit_kill(unit);
}

static void test_a_reservation_whose_answer_was_lost_is_not_used(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	step(unit);
	unsigned slot = look(unit).current.slot;
	make_renewal_due(unit);
	/* the same compare-and-set has worked already, but nobody told us */
	lease_of(unit)->pending_hwm = lease_of(unit)->hwm + 1000;
	sql("UPDATE id_slot SET hwm = hwm + 1000 WHERE epoch = 1");
	step(unit);
	assert_int_not_equal(look(unit).current.slot, slot);
	assert_int_equal(lease_of(unit)->pending_hwm, 0);
	unit_kill(unit);
}

static void test_the_same_reservation_is_repeated_until_it_is_known(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct kontor_id_range range;
	step(unit);
	unsigned slot = look(unit).current.slot;
	make_renewal_due(unit);
	uint64_t end = look(unit).current.end;
	sql("CREATE TRIGGER refuse BEFORE UPDATE ON id_slot FOR EACH ROW SIGNAL SQLSTATE '45000'");
	assert_int_not_equal(visit(unit, &err), 0);
	uint64_t pending = lease_of(unit)->pending_hwm;
	assert_true(pending > 0);
	assert_true(look(unit).reason[0] != '\0');
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK); /* the window that we have is ours all the same */
	pass(100);
	assert_int_not_equal(visit(unit, &err), 0);
	assert_int_equal(lease_of(unit)->pending_hwm, pending);
	assert_int_equal(look(unit).current.end, end); /* nothing more before the answer */
	sql("DROP TRIGGER refuse");
	step(unit);
	assert_int_equal(look(unit).current.slot, slot);
	assert_int_equal(look(unit).current.end, pending);
	assert_string_equal(look(unit).reason, "");
	unit_kill(unit);
}

/* The earlier of both clocks counts: neither of them can burn years of ids. */
static void test_a_wrong_clock_burns_no_ids(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_id_range range;
	char clocks[160];
	wall_shift_ms = INT64_C(86400000) * 365;
	step(unit);
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
	assert_in_range(kontor_id_decode(range.base).time_ms, kontor_now_ms() - 5000, kontor_now_ms() + 1000);
	assert_in_range(layout_time_ms(std63, (uint64_t)sql_int("SELECT MAX(hwm) FROM id_slot")), 0,
			kontor_now_ms() + WINDOW_MS + 1000);
	assert_non_null(strstr(reserver_clocks(&unit->reserver, clocks, sizeof(clocks)), "ahead of the database's"));
	unit_kill(unit);
	wall_shift_ms = -3600000;
	unit = unit_new(1, true);
	step(unit);
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
	assert_in_range(kontor_id_decode(range.base).time_ms, kontor_now_ms() - 3605000, kontor_now_ms() - 3599000);
	assert_non_null(strstr(reserver_clocks(&unit->reserver, clocks, sizeof(clocks)), "behind the database's"));
	wall_shift_ms = -kontor_now_ms();
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(visit(unit, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "before 2026"));
	unit_kill(unit);
}

static void test_after_the_clock_jumped_ids_come_from_another_slot(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_id_range range;
	const int64_t jumps[] = {-5000, -3600000, 3600000 + 5000, 1100};
	step(unit);
	for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
		assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
		unsigned slot = kontor_id_decode(range.base).slot;
		wall_shift_ms += jumps[i];
		assert_int_equal(take(unit, 1, &range), ALLOCATOR_NO_WINDOW);
		step(unit);
		assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
		assert_int_not_equal(kontor_id_decode(range.base).slot, slot);
	}
	unit_kill(unit);
}

/* ---- what the guards find ---- */

static void test_a_copy_of_the_machine_and_the_original_part_at_the_next_visit(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true), *copy = unit_new(1, true);
	step(unit);
	unsigned slot = look(unit).current.slot;
	step(copy); /* becomes the original, byte for byte where it counts */
	copy->reserver.pools[0].leases[0] = *lease_of(unit);
	copy->reserver.pools[0].allocator.windows[0] = unit->reserver.pools[0].allocator.windows[0];
	make_renewal_due(unit);
	copy->reserver.pools[0].leases[0] = *lease_of(unit);
	step(unit); /* renews */
	assert_int_equal(look(unit).current.slot, slot);
	step(copy);
	assert_int_not_equal(look(copy).current.slot, slot);
	unit_kill(unit);
	unit_kill(copy);
}

static void test_an_evicted_unit_takes_another_slot(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	step(unit);
	unsigned slot = look(unit).current.slot;
	sql("UPDATE id_slot SET epoch = epoch + 1, owner = '', lease_until_ms = 0 WHERE epoch > 0");
	step(unit);
	assert_int_not_equal(look(unit).current.slot, slot);
	assert_int_not_equal(look(unit).current.slot, 0);
	unit_kill(unit);
}

static void test_fencing_drops_the_windows_and_takes_others(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_id_range range;
	step(unit);
	unsigned slot = look(unit).current.slot;
	reserver_fence(&unit->reserver);
	step(unit);
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
	assert_int_not_equal(kontor_id_decode(range.base).slot, slot);
	unit_kill(unit);
}

static char journal_folder[] = "/tmp/kontor-idgen-test.XXXXXX";

static const char *journal_path(const char *name)
{
	static char path[64];
	snprintf(path, sizeof(path), "%s/%s", journal_folder, name);
	return path;
}

static void test_a_database_that_lost_commits_is_found_out(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true), *newcomer = unit_new(1, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct kontor_id_range range;
	unlink(journal_path("a"));
	open_journal(unit, journal_path("a"));
	sql("CREATE OR REPLACE TABLE dump AS SELECT * FROM id_slot");
	step(unit);
	unsigned slot = look(unit).current.slot;
	uint64_t end = look(unit).current.end;
	/* an old backup is restored */
	sql("REPLACE INTO id_slot SELECT * FROM dump");
	step(unit); /* sees it at its next visit, and goes on in its slot */
	assert_int_equal(look(unit).current.slot, slot);
	assert_true((uint64_t)sql_int("SELECT MAX(hwm) FROM id_slot") >= end);
	assert_in_range(sql_int("SELECT quarantine_until_ms FROM id_cluster"), kontor_now_ms() + 2 * WINDOW_MS - 9000,
			kontor_now_ms() + 2 * WINDOW_MS);
	assert_int_equal(visit(newcomer, &err), KONTOR_E_UNAVAILABLE); /* there may be more that was forgotten */
	assert_non_null(strstr(err.message, "old backup"));
	assert_int_equal(take(newcomer, 1, &range), ALLOCATOR_NO_WINDOW);
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
	sql("UPDATE id_cluster SET quarantine_until_ms = 1");
	step(newcomer);
	assert_int_equal(take(newcomer, 1, &range), ALLOCATOR_OK);
	assert_int_not_equal(look(newcomer).current.slot, slot);
	unit_kill(unit);
	unit_kill(newcomer);
}

/* A unit that was killed, and whose reservation the database forgot, finds it in its journal when it starts again. */
static void test_the_journal_outlives_the_unit(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	unlink(journal_path("b"));
	open_journal(unit, journal_path("b"));
	sql("CREATE OR REPLACE TABLE dump AS SELECT * FROM id_slot");
	step(unit);
	uint64_t end = look(unit).current.end;
	unit_kill(unit);
	sql("REPLACE INTO id_slot SELECT * FROM dump");
	unit = unit_new(1, true);
	open_journal(unit, journal_path("b"));
	assert_int_equal(visit(unit, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "lost reservations"));
	assert_true((uint64_t)sql_int("SELECT MAX(hwm) FROM id_slot") == end);
	assert_true(sql_int("SELECT MAX(epoch) FROM id_slot") == 1);
	unit_kill(unit);
}

/* What a unit with that slot would say. */
static struct peer_report *report_of(const char *name, unsigned datacenter, const char *cluster_uuid, const char *key,
				     uint64_t epoch, uint64_t hwm)
{
	struct peer_report *report = calloc(1, sizeof(*report));
	report->datacenter = datacenter;
	snprintf(report->cluster_uuid, sizeof(report->cluster_uuid), "%s", cluster_uuid);
	snprintf(report->unit, sizeof(report->unit), "%s", name);
	report->process = 77;
	report->wall_ms = kontor_now_ms();
	report->marks_len = 1;
	snprintf(report->marks[0].key, sizeof(report->marks[0].key), "%s", key);
	report->marks[0].epoch = epoch;
	report->marks[0].hwm = hwm;
	report->marks[0].held = true;
	return report;
}

static void hear(struct unit *unit, struct peer_report *report)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct allocator_time now = shifted_clock(NULL);
	assert_int_equal(
		peers_note(unit->reserver.unit.peers, "ipc:///peer", report, now.wall_ms, now.monotonic_ms, &err), 0);
	free(report);
}

static void test_what_a_peer_reserved_is_not_forgotten_with_the_database(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	step(unit);
	unit->reserver.unit.peers = peers_new(1);
	const char *uuid = unit->reserver.cluster.uuid;
	uint64_t hwm = layout_counter_at(std63, kontor_now_ms() + 30000);
	hear(unit, report_of("b", 1, uuid, "std63/9", 3, hwm)); /* the database has never seen that */
	step(unit);
	assert_true((uint64_t)sql_int("SELECT hwm FROM id_slot WHERE layout = 'std63' AND slot = 9") == hwm);
	assert_int_equal(sql_int("SELECT epoch FROM id_slot WHERE layout = 'std63' AND slot = 9"), 3);
	assert_true(sql_int("SELECT quarantine_until_ms FROM id_cluster") > kontor_now_ms());
	struct unit *newcomer = unit_new(1, true);
	assert_int_equal(visit(newcomer, &err), KONTOR_E_UNAVAILABLE);
	unit_kill(newcomer);
	peers_free(unit->reserver.unit.peers);
	unit_kill(unit);
}

static void test_a_slot_that_a_peer_holds_too_is_given_up(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	step(unit);
	unit->reserver.unit.peers = peers_new(1);
	assert_int_equal(look(unit).current.slot, 1);
	hear(unit, report_of("b", 1, unit->reserver.cluster.uuid, "std63/1", 1, lease_of(unit)->hwm));
	step(unit);
	assert_int_equal(look(unit).current.slot, 2);
	peers_free(unit->reserver.unit.peers);
	unit_kill(unit);
}

static void test_a_datacenter_id_that_is_used_twice_stops_all(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct kontor_id_range range;
	char uuid[CLUSTER_UUID_SIZE];
	step(unit);
	unit->reserver.unit.peers = peers_new(1);
	hear(unit, report_of("b", 2, "ffffffffffffffffffffffffffffffff", "std63/1", 1, 1)); /* another id: fine */
	step(unit);
	snprintf(uuid, sizeof(uuid), "%s", unit->reserver.cluster.uuid);
	hear(unit, report_of("b", 1, "ffffffffffffffffffffffffffffffff", "std63/1", 1, 1));
	assert_int_equal(visit(unit, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "ffffffff"));
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_NO_WINDOW);
	assert_int_equal(visit(unit, &err), KONTOR_E_CONFLICT); /* until that peer says otherwise */
	hear(unit, report_of("b", 2, "ffffffffffffffffffffffffffffffff", "std63/1", 1, 1));
	step(unit);
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
	assert_string_equal(unit->reserver.cluster.uuid, uuid);
	/* and a database that is not bound yet is not bound to an id that is in use */
	sql("DELETE FROM id_cluster");
	struct unit *second = unit_new(1, true);
	second->reserver.unit.peers = peers_new(1);
	hear(second, report_of("b", 1, uuid, "std63/1", 1, 1));
	assert_int_equal(visit(second, &err), KONTOR_E_CONFLICT);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM id_cluster"), 0);
	peers_free(second->reserver.unit.peers);
	unit_kill(second);
	peers_free(unit->reserver.unit.peers);
	unit_kill(unit);
}

static void test_most_peers_know_the_time_better_than_a_clock_far_ahead(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_id_range range;
	int64_t days_ms = INT64_C(100) * 86400000;
	unit->reserver.unit.peers = peers_new(1);
	for (const char *name = "bc"; *name; name++) {
		struct peer_report *report =
			report_of((char[]){*name, '\0'}, 2, "ffffffffffffffffffffffffffffffff", "std63/1", 1, 1);
		report->wall_ms -= days_ms; /* ours and the database's clock are 100 days ahead */
		report->process = (uint64_t)*name;
		hear(unit, report);
	}
	step(unit);
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
	assert_in_range(kontor_id_decode(range.base).time_ms, kontor_now_ms() - days_ms - 60000,
			kontor_now_ms() - days_ms + 60000);
	peers_free(unit->reserver.unit.peers);
	unit_kill(unit);
}

static void test_a_database_of_another_cluster_is_not_this_units(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	unlink(journal_path("c"));
	open_journal(unit, journal_path("c"));
	step(unit);
	sql("UPDATE id_cluster SET cluster_uuid = 'ffffffffffffffffffffffffffffffff'");
	assert_int_equal(visit(unit, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "replaced by another"));
	unit_kill(unit);
	unit = unit_new(1, true);
	open_journal(unit, journal_path("c"));
	assert_int_equal(visit(unit, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "journal"));
	unit_kill(unit);
}

static void test_another_database_server_means_quarantine(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true), *newcomer = unit_new(1, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	step(unit);
	unsigned slot = look(unit).current.slot;
	sql("UPDATE id_cluster SET server = 'old-host 1 3306'");
	step(unit);
	assert_int_equal(look(unit).current.slot, slot);
	assert_int_equal(sql_int("SELECT server LIKE '%old-host%' FROM id_cluster"), 0);
	assert_int_equal(visit(newcomer, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "moved from server 'old-host"));
	unit_kill(unit);
	unit_kill(newcomer);
}

/* The old server names itself as the last one; but this unit has seen another since. */
static void test_an_old_server_that_is_back_means_quarantine_too(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	step(unit);
	assert_int_equal(sql_int("SELECT quarantine_until_ms FROM id_cluster"), 0);
	snprintf(unit->reserver.server, sizeof(unit->reserver.server), "new-host 2 3306");
	step(unit);
	assert_true(sql_int("SELECT quarantine_until_ms FROM id_cluster") > kontor_now_ms());
	assert_int_equal(sql_int("SELECT quarantine_reason LIKE '%from server %new-host 2%' FROM id_cluster"), 1);
	unit_kill(unit);
}

/* Also when the first jump is forgotten together with what was given out after it. */
static void test_a_second_jump_of_the_numbers_lands_higher_than_a_forgotten_one(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	sql("INSERT INTO id_namespace (name, layout) VALUES ('ticket', 'segment')");
	step(unit);
	int64_t jumps[2];
	for (int i = 0; i < 2; i++) {
		sql("UPDATE id_namespace SET max_n = 100 WHERE name = 'ticket'");
		sql("UPDATE id_cluster SET server = 'old-host 1 3306'");
		step(unit);
		jumps[i] = sql_int("SELECT max_n FROM id_namespace WHERE name = 'ticket'");
		usleep(1100000);
	}
	assert_true(jumps[0] > INT64_C(1) << 32);
	assert_true(jumps[1] > jumps[0] + 130000000);
	assert_true((uint64_t)jumps[1] < layouts[LAYOUT_SEGMENT].counter_limit / 100);
	unit_kill(unit);
}

static void test_a_lease_that_ran_out_is_not_renewed(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_id_range range;
	step(unit);
	unsigned slot = look(unit).current.slot;
	pass(WINDOW_MS + 1000); /* the process was stopped */
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_NO_WINDOW);
	step(unit);
	assert_int_not_equal(look(unit).current.slot, slot);
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_OK);
	unit_kill(unit);
}

/* ---- the other layouts ---- */

static void test_js53_has_slots_of_its_own(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true), *far = unit_new(8, true);
	struct kontor_id_range range;
	sql("INSERT INTO id_namespace (name, layout) VALUES ('web', 'js53')");
	step(unit);
	assert_int_equal(take_of(unit, "web", 10, &range), ALLOCATOR_OK);
	assert_int_equal(range.stride, 128);
	assert_true(range.base < UINT64_C(1) << 53);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM id_slot WHERE layout = 'js53' AND epoch > 0"), 1);
	unit_kill(unit);
	sql("DELETE FROM id_cluster");
	step(far); /* datacenter ids above 7 have no js53 */
	assert_null(namespaces_find(&far->reserver.namespaces, "web")->allocator);
	assert_int_equal(take(far, 1, &range), ALLOCATOR_OK);
	unit_kill(far);
}

static void test_numbers_are_dense_and_never_given_twice(void **state)
{
	(void)state;
	struct unit *units[3];
	struct kontor_id_range range;
	uint64_t sum = 0;
	static bool seen[20000];
	sql("INSERT INTO id_namespace (name, layout) VALUES ('ticket', 'segment')");
	for (size_t i = 0; i < 3; i++)
		step(units[i] = unit_new(9, true));
	assert_int_equal(take_of(units[0], "ticket", 1, &range),
			 ALLOCATOR_NO_WINDOW); /* nothing before it is asked for */
	assert_int_equal(sql_int("SELECT max_n FROM id_namespace WHERE name = 'ticket'"), 0);
	for (int n = 0; n < 600; n++) {
		struct unit *unit = units[n % 3];
		if (take_of(unit, "ticket", 5, &range) != ALLOCATOR_OK) {
			step(unit);
			assert_int_equal(take_of(unit, "ticket", 5, &range), ALLOCATOR_OK);
		}
		assert_int_equal(range.stride, 16);
		for (uint64_t i = 0; i < 5; i++) {
			uint64_t number = (range.base >> 4) + i;
			assert_int_equal(range.base & 15, 9);
			assert_true(number > 0 && number < 20000 && !seen[number]);
			seen[number] = true;
			sum++;
		}
	}
	assert_int_equal(sum, 3000);
	assert_true(sql_int("SELECT max_n FROM id_namespace WHERE name = 'ticket'") < 20000);
	for (size_t i = 0; i < 3; i++)
		unit_kill(units[i]);
}

static void test_forgotten_numbers_are_skipped(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_id_range range;
	unlink(journal_path("d"));
	open_journal(unit, journal_path("d"));
	sql("INSERT INTO id_namespace (name, layout) VALUES ('ticket', 'segment')");
	step(unit);
	take_of(unit, "ticket", 1, &range);
	step(unit);
	assert_int_equal(take_of(unit, "ticket", 100, &range), ALLOCATOR_OK);
	sql("UPDATE id_namespace SET max_n = 0 WHERE name = 'ticket'");
	take_of(unit, "ticket", 100, &range);
	step(unit);
	assert_int_equal(take_of(unit, "ticket", 1, &range), ALLOCATOR_OK);
	assert_true(range.base >> 4 > UINT64_C(1) << 32);
	unit_kill(unit);
}

static void test_stopping_ends_the_lease_but_keeps_the_counters(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct kontor_id_range range;
	assert_int_equal(reserver_start(&unit->reserver, &err), 0);
	for (int i = 0; i < 100 && take(unit, 1, &range) != ALLOCATOR_OK; i++)
		usleep(20000);
	int64_t hwm = sql_int("SELECT MAX(hwm) FROM id_slot");
	assert_true(hwm > 0);
	reserver_stop_soon(&unit->reserver);
	reserver_stop(&unit->reserver);
	assert_int_equal(take(unit, 1, &range), ALLOCATOR_NO_WINDOW);
	assert_int_equal(sql_int("SELECT MAX(lease_until_ms) FROM id_slot"), 0);
	assert_int_equal(sql_int("SELECT MAX(hwm) FROM id_slot"), hwm);
	unit_kill(unit);
}

#define STARTERS 8
#define STARTS 40

static pthread_barrier_t start_line;

/* The slots that one thread's units got, one per round. */
static void *start_units(void *arg)
{
	unsigned *slots = arg;
	for (int round = 0; round < STARTS; round++) {
		struct unit *unit = unit_new(1, true);
		struct kontor_error err = KONTOR_ERROR_INIT;
		if (pthread_barrier_wait(&start_line) == PTHREAD_BARRIER_SERIAL_THREAD)
			sql("UPDATE id_slot SET hwm = 4096, lease_until_ms = 0");
		pthread_barrier_wait(&start_line);
		for (int attempt = 0; attempt < 10 && !lease_of(unit)->slot; attempt++)
			reserver_step(&unit->reserver, &err);
		slots[round] = lease_of(unit)->slot;
		unit_kill(unit);
	}
	return NULL;
}

static void test_units_that_start_at_the_same_moment_get_different_slots(void **state)
{
	(void)state;
	static unsigned slots[STARTERS][STARTS];
	pthread_t threads[STARTERS];
	pthread_barrier_init(&start_line, NULL, STARTERS);
	for (int i = 0; i < STARTERS; i++)
		pthread_create(&threads[i], NULL, start_units, slots[i]);
	for (int i = 0; i < STARTERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start_line);
	for (int round = 0; round < STARTS; round++) {
		bool seen[62 + 1] = {false};
		for (int i = 0; i < STARTERS; i++) {
			assert_in_range(slots[i][round], 1, 62);
			assert_false(seen[slots[i][round]]);
			seen[slots[i][round]] = true;
		}
	}
}

#define RACERS 6
#define LIVES 8
#define GRANTS 60

/* Clocks of the race: an hour goes by in a second, and no two racers agree on the time. They begin days ago, so that
 * none is ever ahead of the database's. */
static _Atomic int64_t race_ms;
static _Thread_local int64_t race_skew_ms;

static struct allocator_time race_clock(void *arg)
{
	(void)arg;
	int64_t passed = race_ms;
	return (struct allocator_time){.wall_ms = kontor_now_ms() - INT64_C(400000000) + passed + race_skew_ms,
				       .monotonic_ms = kontor_monotonic_ms() + passed};
}

struct grant {
	uint64_t base;
	uint32_t count;
};

struct racer {
	unsigned seed;
	size_t len;
	struct grant grants[LIVES * GRANTS];
};

/* Takes ids, loses its slot to others and takes theirs, is killed, lives again. */
static void *race(void *arg)
{
	struct racer *racer = arg;
	for (int life = 0; life < LIVES; life++) {
		struct unit *unit = unit_new(1, true);
		unit->reserver.unit.clock = race_clock;
		for (int n = 0; n < GRANTS; n++) {
			struct kontor_error err = KONTOR_ERROR_INIT;
			struct kontor_id_range range;
			uint32_t count = 1 + (uint32_t)rand_r(&racer->seed) % 100000, retry_ms;
			race_ms += rand_r(&racer->seed) % 3000;
			if (n == 0 || rand_r(&racer->seed) % 30 == 0)
				race_skew_ms = rand_r(&racer->seed) % 60000 - 30000;
			if (n == 0 || rand_r(&racer->seed) % 12 == 0)
				reserver_step(&unit->reserver, &err);
			if (allocator_take(&unit->reserver.pools[0].allocator, race_clock(NULL), count, &range,
					   &retry_ms) == ALLOCATOR_OK)
				racer->grants[racer->len++] = (struct grant){range.base, range.count};
		}
		unit_kill(unit);
	}
	return NULL;
}

static int compare_grants(const void *a, const void *b)
{
	const struct grant *x = a, *y = b;
	unsigned slot_x = kontor_id_decode(x->base).slot, slot_y = kontor_id_decode(y->base).slot;
	if (slot_x != slot_y)
		return slot_x < slot_y ? -1 : 1;
	return x->base < y->base ? -1 : x->base > y->base;
}

static void test_no_id_is_issued_twice_by_units_that_race_and_die(void **state)
{
	(void)state;
	struct racer *racers = calloc(RACERS, sizeof(*racers));
	struct grant *all = calloc(RACERS * LIVES * GRANTS, sizeof(*all));
	pthread_t threads[RACERS];
	size_t len = 0;
	sql("DELETE FROM id_slot WHERE layout = 'std63' AND slot > 4");
	for (int i = 0; i < RACERS; i++) {
		racers[i].seed = (unsigned)i + 1;
		pthread_create(&threads[i], NULL, race, &racers[i]);
	}
	for (int i = 0; i < 100; i++) { /* leases end while their owners live */
		sql("UPDATE id_slot SET lease_until_ms = 0");
		usleep(5000);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		memcpy(all + len, racers[i].grants, racers[i].len * sizeof(*all));
		len += racers[i].len;
	}
	assert_true(len > RACERS * LIVES * GRANTS / 20);
	assert_true(sql_int("SELECT SUM(epoch) FROM id_slot") > RACERS * LIVES / 2); /* slots did change hands */
	qsort(all, len, sizeof(*all), compare_grants);
	for (size_t i = 1; i < len; i++)
		if (kontor_id_decode(all[i].base).slot == kontor_id_decode(all[i - 1].base).slot)
			assert_true(all[i].base >= all[i - 1].base + (uint64_t)all[i - 1].count * KONTOR_ID_STRIDE);
	free(all);
	free(racers);
}

static void test_namespaces_come_from_the_database(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	char names[128];
	assert_null(namespaces_find(&unit->reserver.namespaces, "job"));
	step(unit);
	assert_non_null(namespaces_find(&unit->reserver.namespaces, "job"));
	assert_null(namespaces_find(&unit->reserver.namespaces, "jobs"));
	assert_string_equal(namespaces_join(&unit->reserver.namespaces, names, sizeof(names)),
			    "billing-item, default, file, job, payout");
	unit_kill(unit);
}

static int open_database(void **state)
{
	(void)state;
	db = test_database_open();
	return mkdtemp(journal_folder) ? 0 : -1;
}

static int close_database(void **state)
{
	(void)state;
	db = test_database_close(db);
	for (const char *name = "abcd"; *name; name++)
		unlink(journal_path((char[]){*name, '\0'}));
	return rmdir(journal_folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_an_unbound_database_gives_no_ids, fresh_tables),
		cmocka_unit_test_setup(test_a_database_of_another_datacenter_is_refused, fresh_tables),
		cmocka_unit_test_setup(test_a_database_is_bound_once, fresh_tables),
		cmocka_unit_test_setup(test_a_window_is_renewed_when_less_than_38_of_60_s_are_left, fresh_tables),
		cmocka_unit_test_setup(test_each_unit_has_a_slot_of_its_own, fresh_tables),
		cmocka_unit_test_setup(test_a_slot_that_was_taken_over_is_given_up_for_good, fresh_tables),
		cmocka_unit_test_setup(test_a_reservation_whose_answer_was_lost_is_not_used, fresh_tables),
		cmocka_unit_test_setup(test_the_same_reservation_is_repeated_until_it_is_known, fresh_tables),
		cmocka_unit_test_setup(test_a_wrong_clock_burns_no_ids, fresh_tables),
		cmocka_unit_test_setup(test_after_the_clock_jumped_ids_come_from_another_slot, fresh_tables),
		cmocka_unit_test_setup(test_a_copy_of_the_machine_and_the_original_part_at_the_next_visit,
				       fresh_tables),
		cmocka_unit_test_setup(test_an_evicted_unit_takes_another_slot, fresh_tables),
		cmocka_unit_test_setup(test_fencing_drops_the_windows_and_takes_others, fresh_tables),
		cmocka_unit_test_setup(test_a_database_that_lost_commits_is_found_out, fresh_tables),
		cmocka_unit_test_setup(test_the_journal_outlives_the_unit, fresh_tables),
		cmocka_unit_test_setup(test_what_a_peer_reserved_is_not_forgotten_with_the_database, fresh_tables),
		cmocka_unit_test_setup(test_a_slot_that_a_peer_holds_too_is_given_up, fresh_tables),
		cmocka_unit_test_setup(test_a_datacenter_id_that_is_used_twice_stops_all, fresh_tables),
		cmocka_unit_test_setup(test_most_peers_know_the_time_better_than_a_clock_far_ahead, fresh_tables),
		cmocka_unit_test_setup(test_a_database_of_another_cluster_is_not_this_units, fresh_tables),
		cmocka_unit_test_setup(test_another_database_server_means_quarantine, fresh_tables),
		cmocka_unit_test_setup(test_an_old_server_that_is_back_means_quarantine_too, fresh_tables),
		cmocka_unit_test_setup(test_a_second_jump_of_the_numbers_lands_higher_than_a_forgotten_one,
				       fresh_tables),
		cmocka_unit_test_setup(test_a_lease_that_ran_out_is_not_renewed, fresh_tables),
		cmocka_unit_test_setup(test_js53_has_slots_of_its_own, fresh_tables),
		cmocka_unit_test_setup(test_numbers_are_dense_and_never_given_twice, fresh_tables),
		cmocka_unit_test_setup(test_forgotten_numbers_are_skipped, fresh_tables),
		cmocka_unit_test_setup(test_stopping_ends_the_lease_but_keeps_the_counters, fresh_tables),
		cmocka_unit_test_setup(test_units_that_start_at_the_same_moment_get_different_slots, fresh_tables),
		cmocka_unit_test_setup(test_no_id_is_issued_twice_by_units_that_race_and_die, fresh_tables),
		cmocka_unit_test_setup(test_namespaces_come_from_the_database, fresh_tables),
	};
	return cmocka_run_group_tests(tests, open_database, close_database);
}
