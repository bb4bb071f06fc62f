/* SPDX-License-Identifier: Apache-2.0
 *
 * How many retries a client's calls and the time that passes allow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "retry_budget.h"

static void test_a_tenth_of_the_calls_may_be_retries(void **state)
{
	(void)state;
	struct retry_budget budget;
	unsigned at_once = 0;
	retry_budget_init(&budget, 1000);
	while (at_once < 1000 && retry_budget_take(&budget, 0, 1000) == 0)
		at_once++;
	assert_int_equal(at_once, 100);
	retry_budget_give_back(&budget);
	assert_int_equal(retry_budget_take(&budget, 0, 1000), 100); /* 10 in a second, so the next one in 100 ms */
	assert_int_equal(retry_budget_take(&budget, 0, 1000), 200);
	assert_int_equal(retry_budget_take(&budget, 0, 1200), 100);
	retry_budget_give_back(&budget);
	assert_int_equal(retry_budget_take(&budget, 9, 1200), 10); /* nine tenths of one were earned */
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(retry_budget_take(&budget, 30 + 10 * i, 1200), 0);
	retry_budget_take(&budget, UINT64_MAX / 2, INT64_MAX / 2);
	assert_int_equal(budget.tokens_milli, 99000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tenth_of_the_calls_may_be_retries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
