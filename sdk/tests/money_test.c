/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/money.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct amount_case {
	const char *text;
	unsigned exponent;
	enum kontor_amount_fault fault;
	int64_t minor;
};

static void test_amounts_are_read_as_the_contract_says(void **state)
{
	(void)state;
	static const struct amount_case cases[] = {
		{"0", 2, KONTOR_AMOUNT_OK, 0},
		{"0.00", 2, KONTOR_AMOUNT_OK, 0},
		{"12.5", 2, KONTOR_AMOUNT_OK, 1250},
		{"12.50", 2, KONTOR_AMOUNT_OK, 1250},
		{"-0.05", 2, KONTOR_AMOUNT_OK, -5},
		{"1250", 0, KONTOR_AMOUNT_OK, 1250},
		{"-1.234", 3, KONTOR_AMOUNT_OK, -1234},
		{"99999999999999.99", 2, KONTOR_AMOUNT_OK, INT64_C(9999999999999999)},
		{"-9999999999999999", 0, KONTOR_AMOUNT_OK, -INT64_C(9999999999999999)},
		{"100000000000000.00", 2, KONTOR_AMOUNT_RANGE, 0},
		{"100000000000000", 2, KONTOR_AMOUNT_RANGE, 0},
		{"10000000000000000", 0, KONTOR_AMOUNT_RANGE, 0},
		{"100000000000000000000000", 2, KONTOR_AMOUNT_RANGE, 0},
		{"-100000000000000000000000", 2, KONTOR_AMOUNT_RANGE, 0},
		{"1.5", 0, KONTOR_AMOUNT_DECIMALS, 0},
		{"1.0", 0, KONTOR_AMOUNT_DECIMALS, 0},
		{"1.234", 2, KONTOR_AMOUNT_DECIMALS, 0},
		{"1.230", 2, KONTOR_AMOUNT_DECIMALS, 0},
		{"1.2345", 3, KONTOR_AMOUNT_DECIMALS, 0},
		{"-0", 2, KONTOR_AMOUNT_MINUS_0, 0},
		{"-0.00", 2, KONTOR_AMOUNT_MINUS_0, 0},
		{"-0", 0, KONTOR_AMOUNT_MINUS_0, 0},
	};
	for (size_t k = 0; k < COUNT(cases); k++) {
		int64_t minor = 77;
		assert_int_equal(kontor_amount_parse(kontor_text_of(cases[k].text), cases[k].exponent, &minor),
				 cases[k].fault);
		assert_int_equal(minor, cases[k].fault == KONTOR_AMOUNT_OK ? cases[k].minor : 77);
	}
}

static void test_other_ways_to_write_an_amount_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",     "-",     "+5",    "1e5",     "1E5", "007", "00",    "-01",  "1.",   ".5",   "-.5",
		"1..2", "1.2.3", "1,000", "1_0",     " 1",  "1 ",  "1\n",   "--1",  "１２", "1.２", "\xE2\x88\x92\x35",
		"0x10", "NaN",   "inf",   "1.5 SGD", "$5",  "(5)", "1'000", "1.-5", "-+1",  "5-"};
	int64_t minor = 77;
	for (size_t k = 0; k < COUNT(bad); k++)
		assert_int_equal(kontor_amount_parse(kontor_text_of(bad[k]), 2, &minor), KONTOR_AMOUNT_SYNTAX);
	assert_int_equal(kontor_amount_parse(kontor_text_of(NULL), 2, &minor), KONTOR_AMOUNT_SYNTAX);
	assert_int_equal(kontor_amount_parse((struct kontor_text){"1\0", 2}, 2, &minor), KONTOR_AMOUNT_SYNTAX);
	assert_int_equal(minor, 77);
}

static void test_amounts_are_written_with_all_decimals(void **state)
{
	(void)state;
	char text[24];
	assert_string_equal(kontor_amount_format(0, 2, text), "0.00");
	assert_string_equal(kontor_amount_format(0, 0, text), "0");
	assert_string_equal(kontor_amount_format(-5, 2, text), "-0.05");
	assert_string_equal(kontor_amount_format(1250, 2, text), "12.50");
	assert_string_equal(kontor_amount_format(-1250, 0, text), "-1250");
	assert_string_equal(kontor_amount_format(1, 3, text), "0.001");
	assert_string_equal(kontor_amount_format(INT64_MIN, 3, text), "-9223372036854775.808");
}

static void test_what_is_written_is_read_again(void **state)
{
	(void)state;
	srand(2);
	for (int n = 0; n < 200000; n++) {
		int64_t minor =
			(int64_t)((uint64_t)rand() << 31 ^ (uint64_t)rand()) % KONTOR_AMOUNT_LIMIT >> rand() % 60;
		if (rand() % 2)
			minor = -minor;
		unsigned exponent = (unsigned)rand() % 4;
		char text[24];
		int64_t back = 77;
		kontor_amount_format(minor, exponent, text);
		assert_int_equal(kontor_amount_parse(kontor_text_of(text), exponent, &back), KONTOR_AMOUNT_OK);
		assert_int_equal(back, minor);
	}
}

static void test_each_fault_is_explained_in_the_currencys_terms(void **state)
{
	(void)state;
	const struct kontor_currency yen = {"JPY", 0, 1}, dinar = {"KWD", 3, 1};
	char text[256];
	assert_non_null(
		strstr(kontor_amount_explain(KONTOR_AMOUNT_DECIMALS, &yen, text, sizeof(text)), "JPY has no decimals"));
	assert_non_null(strstr(kontor_amount_explain(KONTOR_AMOUNT_DECIMALS, &dinar, text, sizeof(text)), "12.500"));
	assert_non_null(strstr(kontor_amount_explain(KONTOR_AMOUNT_SYNTAX, &dinar, text, sizeof(text)), "12.500"));
	assert_non_null(strstr(kontor_amount_explain(KONTOR_AMOUNT_RANGE, &dinar, text, sizeof(text)), "10^16"));
	assert_non_null(strstr(kontor_amount_explain(KONTOR_AMOUNT_MINUS_0, &dinar, text, sizeof(text)), "minus zero"));
}

static void test_a_sum_never_wraps(void **state)
{
	(void)state;
	int64_t sum = INT64_MAX - 1;
	assert_true(kontor_amount_add(&sum, 1));
	assert_false(kontor_amount_add(&sum, 1));
	assert_true(sum == INT64_MAX);
	sum = INT64_MIN;
	assert_false(kontor_amount_add(&sum, -1));
	assert_true(kontor_amount_add(&sum, INT64_MAX));
	assert_int_equal(sum, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_amounts_are_read_as_the_contract_says),
		cmocka_unit_test(test_other_ways_to_write_an_amount_are_refused),
		cmocka_unit_test(test_amounts_are_written_with_all_decimals),
		cmocka_unit_test(test_what_is_written_is_read_again),
		cmocka_unit_test(test_each_fault_is_explained_in_the_currencys_terms),
		cmocka_unit_test(test_a_sum_never_wraps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
