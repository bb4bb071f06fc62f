/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocator.h"

#define START_MS (KONTOR_ID_EPOCH_MS + INT64_C(28000000000)) /* 2026-11-21 */
#define WINDOW_MS 60000
#define DATACENTER 5
#define SLOT 17

static const struct layout *const std63 = &layouts[LAYOUT_STD63];

static struct allocator_time at(int64_t ms)
{
	return (struct allocator_time){.wall_ms = START_MS + ms, .monotonic_ms = 1000000 + ms};
}

static void open_window(struct allocator *a)
{
	allocator_init(a, std63, DATACENTER, at(0));
	allocator_set_clock(a, at(0), START_MS);
	allocator_open(a, 0, SLOT, 3, layout_counter_at(std63, START_MS - 90000),
		       layout_counter_at(std63, START_MS + WINDOW_MS));
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t counter_of(uint64_t id)
{
	return id / KONTOR_ID_STRIDE;
}

static struct kontor_id_range take(struct allocator *a, struct allocator_time now, uint32_t count)
{
	struct kontor_id_range range = {0};
	uint32_t retry_ms;
	assert_int_equal(allocator_take(a, now, count, &range, &retry_ms), ALLOCATOR_OK);
	assert_int_equal(range.count, count);
	return range;
}

static void test_an_id_tells_time_datacenter_and_slot(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	for (unsigned i = 0; i < 3; i++) {
		struct kontor_id_parts parts = kontor_id_decode(take(&a, at(7), 1).base);
		assert_int_equal(parts.time_ms, START_MS + 7);
		assert_int_equal(parts.datacenter, DATACENTER);
		assert_int_equal(parts.slot, SLOT);
		assert_int_equal(parts.sequence, i);
	}
	allocator_destroy(&a);
}

static void test_a_grant_is_one_range_whatever_its_size(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	struct kontor_id_range big = take(&a, at(0), KONTOR_ID_GRANT_LIMIT);
	assert_int_equal(big.stride, 1024);
	uint64_t last = big.base + (uint64_t)(big.count - 1) * big.stride;
	assert_int_equal(kontor_id_decode(last).time_ms, START_MS + 255);
	assert_int_equal(kontor_id_decode(last).slot, SLOT);
	assert_true(take(&a, at(0), 1).base == last + big.stride);
	allocator_destroy(&a);
}

static void test_ids_run_at_most_two_seconds_ahead_of_the_clock(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	struct kontor_id_range range;
	uint32_t retry_ms = 0;
	enum allocator_result result;
	uint64_t issued = 0;
	while ((result = allocator_take(&a, at(0), 100000, &range, &retry_ms)) == ALLOCATOR_OK)
		issued += 100000;
	assert_int_equal(result, ALLOCATOR_AHEAD);
	assert_in_range(issued, layout_counters(std63, ALLOCATOR_AHEAD_MS) - 100000,
			layout_counters(std63, ALLOCATOR_AHEAD_MS) + 1);
	assert_in_range(retry_ms, 1, 26);
	assert_int_equal(allocator_take(&a, at(retry_ms - 2), 100000, &range, &retry_ms), ALLOCATOR_AHEAD);
	assert_int_equal(allocator_take(&a, at(26), 100000, &range, &retry_ms), ALLOCATOR_OK);
	allocator_destroy(&a);
}

static void test_a_small_step_of_the_wall_clock_changes_nothing(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	uint64_t before = take(&a, at(5000), 1).base;
	for (int64_t ms = 5000; ms < 50000; ms += 100) {
		struct allocator_time now = at(ms);
		now.wall_ms -= 900;
		uint64_t id = take(&a, now, 1000).base;
		assert_true(id > before);
		assert_in_range(kontor_id_decode(id).time_ms - START_MS, ms, ms + 1);
		before = id;
	}
	allocator_destroy(&a);
}

/* A snapshot that is resumed finds the wall clock elsewhere, and another machine may use the same windows by now. */
static void test_after_a_jump_of_the_wall_clock_only_fresh_windows_count(void **state)
{
	(void)state;
	const int64_t steps[] = {1000, -1000, -5000, 3600000, -3600000};
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct allocator a;
		struct kontor_id_range range;
		uint32_t retry_ms;
		open_window(&a);
		take(&a, at(0), 1);
		struct allocator_time jumped = at(10);
		jumped.wall_ms += steps[i];
		assert_int_equal(allocator_take(&a, jumped, 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
		assert_int_equal(allocator_take(&a, at(20), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW); /* also back */
		assert_false(allocator_observe(&a, at(30)));
		allocator_distrust_windows(&a, at(30), "jumped");
		assert_int_equal(allocator_take(&a, at(30), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
		assert_true(allocator_observe(&a, at(31)));
		allocator_open(&a, 0, SLOT + 1, 1, 0, layout_counter_at(std63, START_MS + WINDOW_MS));
		assert_int_equal(kontor_id_decode(take(&a, at(40), 1).base).slot, SLOT + 1);
		allocator_destroy(&a);
	}
}

static void test_another_generation_of_the_machine_stops_all_at_once(void **state)
{
	(void)state;
	struct allocator a;
	struct kontor_id_range range;
	uint32_t retry_ms;
	open_window(&a);
	take(&a, at(0), 1);
	struct allocator_time copy = at(0);
	copy.generation = 1;
	assert_int_equal(allocator_take(&a, copy, 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	assert_false(allocator_observe(&a, copy));
	allocator_destroy(&a);
}

/* Slewing, as a time daemon does it, is followed. */
static void test_a_slow_drift_is_no_jump(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	for (int64_t ms = 0; ms < 50000; ms += 500) {
		struct allocator_time now = at(ms);
		now.wall_ms -= ms / 10;
		assert_true(allocator_observe(&a, now));
		take(&a, now, 1);
	}
	allocator_destroy(&a);
}

static void test_nothing_is_issued_beyond_the_window(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	struct kontor_id_range range;
	uint32_t retry_ms;
	uint64_t end = layout_counter_at(std63, START_MS + WINDOW_MS);
	assert_int_equal(counter_of(take(&a, at(WINDOW_MS), 1).base), end);
	assert_int_equal(allocator_take(&a, at(WINDOW_MS), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	assert_int_equal(allocator_take(&a, at(WINDOW_MS + 900), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	allocator_extend(&a, 0, end + 2);
	assert_int_equal(allocator_take(&a, at(WINDOW_MS), 3, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	struct allocator_state look;
	allocator_look(&a, at(WINDOW_MS), &look);
	assert_int_equal(look.refused, 3);
	assert_int_equal(look.issued, 1);
	allocator_destroy(&a);
}

static void test_nothing_is_issued_without_a_slot(void **state)
{
	(void)state;
	struct allocator a;
	struct kontor_id_range range;
	uint32_t retry_ms;
	struct allocator_state look;
	allocator_init(&a, std63, DATACENTER, at(0));
	allocator_set_clock(&a, at(0), START_MS);
	allocator_set_reason(&a, "the database is away");
	assert_int_equal(allocator_take(&a, at(0), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	allocator_look(&a, at(0), &look);
	assert_string_equal(look.reason, "the database is away");
	allocator_open(&a, 0, SLOT, 1, 0, layout_counter_at(std63, START_MS + WINDOW_MS));
	take(&a, at(0), 1);
	allocator_close(&a, 0, "given up");
	assert_int_equal(allocator_take(&a, at(1), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	allocator_destroy(&a);
}

static void test_ids_go_on_rising_in_the_next_slot_unless_the_clock_went_back(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	struct kontor_id_range ahead = take(&a, at(0), 1000000); /* 244 ms ahead of the clock */
	uint64_t last = ahead.base + (ahead.count - 1) * ahead.stride;
	allocator_close(&a, 0, "lost");
	allocator_open(&a, 0, SLOT + 1, 1, 0, layout_counter_at(std63, START_MS + WINDOW_MS));
	uint64_t next = take(&a, at(1), 1).base;
	assert_true(next > last);
	assert_int_equal(kontor_id_decode(next).slot, SLOT + 1);
	allocator_close(&a, 0, "lost");
	allocator_set_clock(&a, at(2), START_MS - 30000);
	allocator_open(&a, 0, SLOT + 2, 1, 0, layout_counter_at(std63, START_MS + WINDOW_MS - 30000));
	assert_int_equal(kontor_id_decode(take(&a, at(2), 1).base).time_ms, START_MS - 30000);
	allocator_destroy(&a);
}

static void test_a_second_slot_takes_over_when_the_first_ran_ahead(void **state)
{
	(void)state;
	struct allocator a;
	struct kontor_id_range range;
	uint32_t retry_ms;
	uint64_t issued = 0;
	bool seen[64] = {false};
	open_window(&a);
	allocator_open(&a, 5, SLOT + 1, 1, 0, layout_counter_at(std63, START_MS + WINDOW_MS));
	while (allocator_take(&a, at(0), 100000, &range, &retry_ms) == ALLOCATOR_OK) {
		issued += 100000;
		seen[kontor_id_decode(range.base).slot] = true;
	}
	assert_in_range(issued, 2 * layout_counters(std63, ALLOCATOR_AHEAD_MS) - 200000,
			2 * layout_counters(std63, ALLOCATOR_AHEAD_MS) + 2);
	assert_true(seen[SLOT] && seen[SLOT + 1]);
	allocator_destroy(&a);
}

/* ---- the other layouts ---- */

static void test_js53_ids_fit_into_a_double(void **state)
{
	(void)state;
	const struct layout *js53 = &layouts[LAYOUT_JS53];
	struct allocator a;
	allocator_init(&a, js53, 7, at(0));
	allocator_set_clock(&a, at(0), START_MS);
	allocator_open(&a, 0, 14, 1, 0, layout_counter_at(js53, START_MS + WINDOW_MS));
	assert_int_equal(allocator_grant_limit(js53), 65536);
	struct kontor_id_range range = take(&a, at(0), 65536);
	assert_int_equal(range.stride, 128);
	assert_true(range.base + (range.count - 1) * range.stride < UINT64_C(1) << 53);
	struct layout_parts parts;
	assert_true(layout_take_apart(js53, range.base, &parts));
	assert_int_equal(parts.datacenter, 7);
	assert_int_equal(parts.slot, 14);
	assert_int_equal(layout_time_ms(js53, parts.counter), START_MS / 1000 * 1000);
	uint32_t retry_ms = 0;
	take(&a, at(0), 1); /* the first of the second that is two ahead */
	assert_int_equal(allocator_take(&a, at(0), 1, &range, &retry_ms), ALLOCATOR_AHEAD);
	assert_int_equal(retry_ms, 1000);
	/* the last one of all times, of the highest datacenter and slot */
	assert_true(layout_id(js53, js53->counter_limit - 1, js53->datacenters, js53->slots) < UINT64_C(1) << 53);
	allocator_destroy(&a);
}

static void test_numbers_are_dense(void **state)
{
	(void)state;
	const struct layout *segment = &layouts[LAYOUT_SEGMENT];
	struct allocator a;
	struct kontor_id_range range;
	uint32_t retry_ms;
	allocator_init(&a, segment, 3, at(0));
	assert_int_equal(allocator_take(&a, at(0), 10, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	assert_int_equal(allocator_numbers(&a).wanted, 10);
	allocator_add_numbers(&a, 0, 100);
	assert_int_equal(allocator_numbers(&a).wanted, 0);
	for (uint64_t n = 1; n <= 91; n += 10)
		assert_int_equal(take(&a, at(0), 10).base, n << 4 | 3);
	assert_int_equal(allocator_take(&a, at(0), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	allocator_add_numbers(&a, 100, 110);
	allocator_add_numbers(&a, 110, 120); /* one window with the ten before */
	assert_int_equal(take(&a, at(0), 15).base, UINT64_C(101) << 4 | 3);
	allocator_add_numbers(&a, 500, 520); /* somebody else was between: a window of its own */
	assert_int_equal(allocator_numbers(&a).left, 25);
	assert_int_equal(take(&a, at(0), 20).base, UINT64_C(501) << 4 | 3);
	assert_int_equal(take(&a, at(0), 5).base, UINT64_C(116) << 4 | 3);
	assert_int_equal(allocator_numbers(&a).left, 0);
	allocator_destroy(&a);
}

static void test_every_id_is_taken_apart_as_it_was_made(void **state)
{
	(void)state;
	srand(11);
	for (size_t l = 0; l < LAYOUTS; l++)
		for (int n = 0; n < 10000; n++) {
			const struct layout *layout = &layouts[l];
			uint64_t counter = ((uint64_t)rand() << 31 | (uint64_t)rand()) % layout->counter_limit;
			unsigned datacenter = 1 + (unsigned)rand() % layout->datacenters;
			unsigned slot = layout->slots ? 1 + (unsigned)rand() % layout->slots : 0;
			struct layout_parts parts;
			uint64_t id = layout_id(layout, counter, datacenter, slot);
			assert_true(id <= INT64_MAX);
			assert_true(layout_take_apart(layout, id, &parts));
			assert_true(parts.counter == counter);
			assert_int_equal(parts.datacenter, datacenter);
			assert_int_equal(parts.slot, slot);
		}
	struct layout_parts parts;
	assert_false(layout_take_apart(&layouts[LAYOUT_STD63], UINT64_C(1) << 22 | 5, &parts)); /* datacenter 0 */
	assert_false(layout_take_apart(&layouts[LAYOUT_JS53], UINT64_C(1) << 53 | 0x11, &parts));
}

static void test_ids_rise_and_stay_in_the_window_under_any_clock(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 300; round++) {
		struct allocator a;
		open_window(&a);
		uint64_t last = layout_counter_at(std63, START_MS - 90000),
			 end = layout_counter_at(std63, START_MS + WINDOW_MS);
		int64_t wall = START_MS, monotonic = 1000000;
		for (int n = 0; n < 1000; n++) {
			monotonic += rand() % 50;
			wall += rand() % 20 ? rand() % 50 : rand() % 2000 - 1000;
			struct allocator_time now = {.wall_ms = wall, .monotonic_ms = monotonic};
			if (!allocator_observe(&a, now)) { /* fresh windows, as from another slot */
				allocator_distrust_windows(&a, now, "jumped");
				allocator_set_clock(&a, now, wall);
				allocator_open(&a, 0, SLOT, 3, last,
					       end = later(end, last) + layout_counters(std63, 60000));
			}
			if (rand() % 50 == 0)
				allocator_extend(&a, 0, end = end + layout_counters(std63, rand() % 20000));
			uint32_t count = 1 + (uint32_t)rand() % (rand() % 10 ? 100 : KONTOR_ID_GRANT_LIMIT), retry_ms;
			struct kontor_id_range range;
			if (allocator_take(&a, now, count, &range, &retry_ms) != ALLOCATOR_OK)
				continue;
			assert_true(counter_of(range.base) > last);
			last = counter_of(range.base) + count - 1;
			assert_true(last <= end);
		}
		allocator_destroy(&a);
	}
}

#define THREADS 4
#define GRANTS 20000

struct taker {
	struct allocator *allocator;
	uint64_t bases[GRANTS];
};

static void *take_many(void *arg)
{
	struct taker *taker = arg;
	for (int n = 0; n < GRANTS; n++) {
		struct kontor_id_range range = {0};
		uint32_t retry_ms;
		if (allocator_take(taker->allocator, at(n / 10), 10, &range, &retry_ms) == ALLOCATOR_OK)
			taker->bases[n] = range.base;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void test_threads_never_get_the_same_ids(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	struct taker *takers = calloc(THREADS, sizeof(*takers));
	uint64_t *all = calloc(THREADS * GRANTS, sizeof(*all));
	pthread_t threads[THREADS];
	size_t len = 0;
	for (int t = 0; t < THREADS; t++) {
		takers[t].allocator = &a;
		pthread_create(&threads[t], NULL, take_many, &takers[t]);
	}
	for (int t = 0; t < THREADS; t++) {
		pthread_join(threads[t], NULL);
		for (int n = 0; n < GRANTS; n++)
			if (takers[t].bases[n])
				all[len++] = takers[t].bases[n];
	}
	assert_true(len > THREADS * GRANTS / 2);
	qsort(all, len, sizeof(*all), compare);
	for (size_t i = 1; i < len; i++)
		assert_true(all[i] >= all[i - 1] + UINT64_C(10) * KONTOR_ID_STRIDE);
	free(all);
	free(takers);
	allocator_destroy(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_id_tells_time_datacenter_and_slot),
		cmocka_unit_test(test_a_grant_is_one_range_whatever_its_size),
		cmocka_unit_test(test_ids_run_at_most_two_seconds_ahead_of_the_clock),
		cmocka_unit_test(test_a_small_step_of_the_wall_clock_changes_nothing),
		cmocka_unit_test(test_after_a_jump_of_the_wall_clock_only_fresh_windows_count),
		cmocka_unit_test(test_another_generation_of_the_machine_stops_all_at_once),
		cmocka_unit_test(test_a_slow_drift_is_no_jump),
		cmocka_unit_test(test_nothing_is_issued_beyond_the_window),
		cmocka_unit_test(test_nothing_is_issued_without_a_slot),
		cmocka_unit_test(test_ids_go_on_rising_in_the_next_slot_unless_the_clock_went_back),
		cmocka_unit_test(test_a_second_slot_takes_over_when_the_first_ran_ahead),
		cmocka_unit_test(test_js53_ids_fit_into_a_double),
		cmocka_unit_test(test_numbers_are_dense),
		cmocka_unit_test(test_every_id_is_taken_apart_as_it_was_made),
		cmocka_unit_test(test_ids_rise_and_stay_in_the_window_under_any_clock),
		cmocka_unit_test(test_threads_never_get_the_same_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
