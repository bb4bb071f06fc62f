/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "end_to_end.h"

/* Written out by hand: SG + 2645 + 32^1 = "0000000000010" + 01. Values of 0-9 A-Z are 0-35. */
static void test_the_id_is_built_as_documented(void **state)
{
	(void)state;
	char id[END_TO_END_LENGTH + 1];
	assert_string_equal(end_to_end_format("SG", 202645, 32, 1, id), "SG2645000000000001001R");
	/* S=28*1 + G=16*2 + 2*3 + 6*4 + 4*5 + 5*6 + (digit 1 at place 18)*18 + (digit 1 at place 21)*21 = 179 = 5*31 +
	 * 24 */
	assert_int_equal(strlen(id), END_TO_END_LENGTH);
}

static void test_ids_hold_only_capitals_and_digits(void **state)
{
	(void)state;
	char id[END_TO_END_LENGTH + 1];
	end_to_end_format("TH", 202653, INT64_MAX, 99, id);
	assert_memory_equal(id, "TH26537ZZZZZZZZZZZZ99", 21);
	assert_int_equal(strlen(id), END_TO_END_LENGTH);
	for (int i = 0; i < END_TO_END_LENGTH; i++)
		assert_true(isupper((unsigned char)id[i]) || isdigit((unsigned char)id[i]));
	assert_true(end_to_end_valid(id));
}

/* 0-4 and V-Z differ by 31, the modulus: the only pairs that the check digit takes for each other. */
static bool alias(char a, char b)
{
	return a - b == 'V' - '0' || b - a == 'V' - '0';
}

static void test_a_swap_of_neighbours_is_noticed(void **state)
{
	(void)state;
	char id[END_TO_END_LENGTH + 1];
	end_to_end_format("MY", 202607, UINT64_C(123456789012345678), 3, id);
	for (int i = 0; i < END_TO_END_LENGTH - 2; i++) {
		char swapped[END_TO_END_LENGTH + 1];
		memcpy(swapped, id, sizeof(swapped));
		swapped[i] = id[i + 1];
		swapped[i + 1] = id[i];
		if (swapped[i] != id[i] && !alias(swapped[i], id[i]))
			assert_false(end_to_end_valid(swapped));
	}
}

static void test_a_wrong_digit_is_noticed(void **state)
{
	(void)state;
	char id[END_TO_END_LENGTH + 1];
	end_to_end_format("BR", 202645, UINT64_C(9007199254740993), 12, id);
	for (int i = 0; i < END_TO_END_LENGTH; i++)
		for (char c = '0'; c <= '9'; c++) {
			char wrong[END_TO_END_LENGTH + 1];
			memcpy(wrong, id, sizeof(wrong));
			wrong[i] = c;
			if (c != id[i] && !alias(c, id[i]))
				assert_false(end_to_end_valid(wrong));
		}
	assert_false(end_to_end_valid(""));
	assert_false(end_to_end_valid("SG2645000000000001001"));
	assert_false(end_to_end_valid("SG264500000000000100a0"));
}

static void test_attempts_differ(void **state)
{
	(void)state;
	char first[END_TO_END_LENGTH + 1], second[END_TO_END_LENGTH + 1];
	end_to_end_format("SG", 202645, 77, 1, first);
	end_to_end_format("SG", 202645, 77, 2, second);
	assert_string_not_equal(first, second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_id_is_built_as_documented),
		cmocka_unit_test(test_ids_hold_only_capitals_and_digits),
		cmocka_unit_test(test_a_swap_of_neighbours_is_noticed),
		cmocka_unit_test(test_a_wrong_digit_is_noticed),
		cmocka_unit_test(test_attempts_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
