/* SPDX-License-Identifier: Apache-2.0
 *
 * The last days of a layout. A generator whose bits had run out went on with negative ids; this one stops.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/time.h"
#include "slot_pool.h"

#define DATACENTER 7
#define WINDOW_MS 120000

static const struct layout *const with_time[] = {&layouts[LAYOUT_STD63], &layouts[LAYOUT_JS53]};

static struct allocator_time at(int64_t wall_ms)
{
	return (struct allocator_time){.wall_ms = wall_ms, .monotonic_ms = 1000};
}

static void test_layouts_end_when_they_are_said_to(void **state)
{
	(void)state;
	assert_int_equal(layout_end_ms(with_time[0]), KONTOR_ID_EPOCH_MS + (INT64_C(1) << 41));        /* 2095-09-07 */
	assert_int_equal(layout_end_ms(with_time[1]), KONTOR_ID_EPOCH_MS + (INT64_C(1) << 31) * 1000); /* 2094-01-19 */
}

static void test_the_last_counter_of_a_layout_is_issued_and_none_after_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct layout *layout = with_time[i];
		struct allocator a;
		struct kontor_id_range range = {0};
		struct layout_parts parts;
		uint32_t retry_ms = 0;
		int64_t last_ms = layout_end_ms(layout) - 1;
		allocator_init(&a, layout, DATACENTER, at(last_ms));
		allocator_set_clock(&a, at(last_ms), last_ms);
		allocator_open(&a, 0, layout->slots, 1, layout->counter_limit - 6, layout->counter_limit - 1);
		assert_int_equal(allocator_take(&a, at(last_ms), 5, &range, &retry_ms), ALLOCATOR_OK);
		uint64_t last = range.base + 4 * range.stride;
		assert_true(last <= INT64_MAX);
		assert_true(layout_take_apart(layout, last, &parts));
		assert_int_equal(parts.counter, layout->counter_limit - 1);
		assert_int_equal(allocator_take(&a, at(last_ms), 1, &range, &retry_ms), ALLOCATOR_NO_WINDOW);
		allocator_destroy(&a);
	}
}

static void test_no_window_is_reserved_beyond_the_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct layout *layout = with_time[i];
		struct reservation_unit unit = {.datacenter = DATACENTER, .window_ms = WINDOW_MS};
		/* no connection: the database is not even asked */
		struct reservation reservation = {.unit = &unit, .clock_ms = layout_end_ms(layout) - WINDOW_MS};
		struct slot_pool pool;
		struct kontor_error err = KONTOR_ERROR_INIT;
		slot_pool_init(&pool, layout, DATACENTER, at(reservation.clock_ms));
		pool.size = 1;
		assert_int_equal(slot_pool_step(&pool, &reservation, &err), KONTOR_E_UNAVAILABLE);
		assert_non_null(strstr(err.message, layout->name));
		assert_non_null(strstr(err.message, "its time has ended"));
		slot_pool_destroy(&pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts_end_when_they_are_said_to),
		cmocka_unit_test(test_the_last_counter_of_a_layout_is_issued_and_none_after_it),
		cmocka_unit_test(test_no_window_is_reserved_beyond_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
