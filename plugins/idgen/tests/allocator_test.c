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

static struct allocator_time at(int64_t ms)
{
	return (struct allocator_time){START_MS + ms, 1000000 + ms};
}

static void open_window(struct allocator *a)
{
	allocator_init(a, DATACENTER);
	allocator_open(a, at(0), SLOT, 3, layout_counter_at(START_MS - 90000), layout_counter_at(START_MS + WINDOW_MS));
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
	assert_in_range(issued, layout_counters(ALLOCATOR_AHEAD_MS) - 100000, layout_counters(ALLOCATOR_AHEAD_MS) + 1);
	assert_in_range(retry_ms, 1, 26);
	assert_int_equal(allocator_take(&a, at(retry_ms - 2), 100000, &range, &retry_ms), ALLOCATOR_AHEAD);
	assert_int_equal(allocator_take(&a, at(26), 100000, &range, &retry_ms), ALLOCATOR_OK);
	allocator_destroy(&a);
}

static void test_a_clock_set_back_stops_nothing(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	uint64_t before = take(&a, at(5000), 1).base;
	for (int64_t ms = 5000; ms < 50000; ms += 100) {
		struct allocator_time now = at(ms);
		now.wall_ms -= 3600000;
		uint64_t id = take(&a, now, 1000).base;
		assert_true(id > before);
		assert_in_range(kontor_id_decode(id).time_ms - START_MS, ms, ms + 1);
		before = id;
	}
	struct allocator_time now = at(50000);
	now.wall_ms -= 3600000;
	struct allocator_state look;
	allocator_look(&a, now, &look);
	assert_int_equal(look.clock_ms - now.wall_ms, 3600000);
	allocator_destroy(&a);
}

static void test_nothing_is_issued_beyond_the_window(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	struct kontor_id_range range;
	uint32_t retry_ms;
	uint64_t end = layout_counter_at(START_MS + WINDOW_MS);
	assert_int_equal(counter_of(take(&a, at(WINDOW_MS), 1).base), end);
	assert_int_equal(allocator_take(&a, at(WINDOW_MS), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	assert_int_equal(allocator_take(&a, at(WINDOW_MS + 3600000), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	allocator_extend(&a, end + 2);
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
	allocator_init(&a, DATACENTER);
	allocator_set_reason(&a, "the database is away");
	assert_int_equal(allocator_take(&a, at(0), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	allocator_look(&a, at(0), &look);
	assert_string_equal(look.reason, "the database is away");
	allocator_open(&a, at(0), SLOT, 1, 0, layout_counter_at(START_MS + WINDOW_MS));
	take(&a, at(0), 1);
	allocator_close(&a, "given up");
	assert_int_equal(allocator_take(&a, at(1), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
	allocator_destroy(&a);
}

static void test_the_next_slot_begins_with_a_right_clock_again(void **state)
{
	(void)state;
	struct allocator a;
	open_window(&a);
	struct allocator_time wrong = at(0);
	wrong.wall_ms += 30000;
	take(&a, wrong, 1);
	assert_int_equal(kontor_id_decode(take(&a, at(10), 1).base).time_ms, START_MS + 30010);
	allocator_open(&a, at(20), SLOT + 1, 1, 0, layout_counter_at(START_MS + WINDOW_MS));
	assert_int_equal(kontor_id_decode(take(&a, at(20), 1).base).time_ms, START_MS + 20);
	allocator_destroy(&a);
}

static void test_ids_rise_and_stay_in_the_window_under_any_clock(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 300; round++) {
		struct allocator a;
		open_window(&a);
		uint64_t last = layout_counter_at(START_MS - 90000), end = layout_counter_at(START_MS + WINDOW_MS);
		int64_t wall = START_MS, monotonic = 1000000;
		for (int n = 0; n < 1000; n++) {
			monotonic += rand() % 50;
			wall += rand() % 20 ? rand() % 50 : rand() % 200000 - 100000;
			if (rand() % 50 == 0)
				allocator_extend(&a, end = end + layout_counters((uint64_t)rand() % 20000));
			uint32_t count = 1 + (uint32_t)rand() % (rand() % 10 ? 100 : KONTOR_ID_GRANT_LIMIT), retry_ms;
			struct kontor_id_range range;
			if (allocator_take(&a, (struct allocator_time){wall, monotonic}, count, &range, &retry_ms) !=
			    ALLOCATOR_OK)
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
		cmocka_unit_test(test_a_clock_set_back_stops_nothing),
		cmocka_unit_test(test_nothing_is_issued_beyond_the_window),
		cmocka_unit_test(test_nothing_is_issued_without_a_slot),
		cmocka_unit_test(test_the_next_slot_begins_with_a_right_clock_again),
		cmocka_unit_test(test_ids_rise_and_stay_in_the_window_under_any_clock),
		cmocka_unit_test(test_threads_never_get_the_same_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
