/* SPDX-License-Identifier: Apache-2.0 */
#include "reserver_fixture.h"

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

/* The database is asked for its time before it is bound and after it: only the first answer is as old as the visit. */
static void test_a_database_that_was_slow_to_be_bound_burns_no_ids(void **state)
{
	(void)state;
	struct unit *unit = unit_new(1, true);
	sql("CREATE TRIGGER slow BEFORE INSERT ON id_cluster FOR EACH ROW SET NEW.bound_ms = NEW.bound_ms + SLEEP(5)");
	wall_shift_ms = INT64_C(86400000) * 365;
	step(unit);
	assert_in_range(look(unit).clock_ms, kontor_now_ms() - 60000, kontor_now_ms() + 3000);
	assert_in_range(layout_time_ms(std63, (uint64_t)sql_int("SELECT MAX(hwm) FROM id_slot")), 0,
			kontor_now_ms() + WINDOW_MS + 3000);
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

/* Clocks of the race: minutes go by in a second, and no two racers agree on the time. They begin days ago, so that
 * none is ever ahead of the database's. */
static _Atomic int64_t race_ms;
static _Atomic int racing; /* threads */
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
			bool visits = n == 0 || rand_r(&racer->seed) % 12 == 0;
			/* Little while nobody visits the database: else, where that is slow, the others' takes alone
			 * would carry the time beyond a window before it is there. */
			race_ms += rand_r(&racer->seed) % (visits ? 3000 : 100);
			if (n == 0 || rand_r(&racer->seed) % 30 == 0)
				race_skew_ms = rand_r(&racer->seed) % 60000 - 30000;
			if (visits)
				reserver_step(&unit->reserver, &err);
			if (allocator_take(&unit->reserver.pools[0].allocator, race_clock(NULL), count, &range,
					   &retry_ms) == ALLOCATOR_OK)
				racer->grants[racer->len++] = (struct grant){range.base, range.count};
		}
		unit_kill(unit);
	}
	racing--;
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
	racing = RACERS;
	for (int i = 0; i < RACERS; i++) {
		racers[i].seed = (unsigned)i + 1;
		pthread_create(&threads[i], NULL, race, &racers[i]);
	}
	while (racing) { /* leases end while their owners live */
		sql("UPDATE id_slot SET lease_until_ms = 0");
		usleep(5000);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		memcpy(all + len, racers[i].grants, racers[i].len * sizeof(*all));
		len += racers[i].len;
	}
	assert_true(len > RACERS * LIVES); /* each life had more than one on average, also on a slow machine */
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
		cmocka_unit_test_setup(test_a_database_that_was_slow_to_be_bound_burns_no_ids, fresh_tables),
		cmocka_unit_test_setup(test_after_the_clock_jumped_ids_come_from_another_slot, fresh_tables),
		cmocka_unit_test_setup(test_stopping_ends_the_lease_but_keeps_the_counters, fresh_tables),
		cmocka_unit_test_setup(test_units_that_start_at_the_same_moment_get_different_slots, fresh_tables),
		cmocka_unit_test_setup(test_no_id_is_issued_twice_by_units_that_race_and_die, fresh_tables),
		cmocka_unit_test_setup(test_namespaces_come_from_the_database, fresh_tables),
	};
	return cmocka_run_group_tests(tests, open_database, close_database);
}
