/* SPDX-License-Identifier: Apache-2.0 */
#include "reserver_fixture.h"

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

static int open_database_and_folder(void **state)
{
	open_database(state);
	return mkdtemp(journal_folder) ? 0 : -1;
}

static int close_database_and_folder(void **state)
{
	close_database(state);
	for (const char *name = "abcd"; *name; name++)
		unlink(journal_path((char[]){*name, '\0'}));
	return rmdir(journal_folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_second_jump_of_the_numbers_lands_higher_than_a_forgotten_one,
				       fresh_tables),
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
		cmocka_unit_test_setup(test_a_lease_that_ran_out_is_not_renewed, fresh_tables),
		cmocka_unit_test_setup(test_js53_has_slots_of_its_own, fresh_tables),
		cmocka_unit_test_setup(test_numbers_are_dense_and_never_given_twice, fresh_tables),
		cmocka_unit_test_setup(test_forgotten_numbers_are_skipped, fresh_tables),
	};
	return cmocka_run_group_tests(tests, open_database_and_folder, close_database_and_folder);
}
