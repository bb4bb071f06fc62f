/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "iban.h"

static enum iban_fault check(const char *iban)
{
	return iban_check(kontor_text_of(iban));
}

/* Examples of the IBAN registry (SWIFT). */
static const char *const good[] = {
	"DE89370400440532013000",          "GB29NWBK60161331926819",      "NO9386011117947",
	"MT84MALT011000012345MTLCAST001S", "FR1420041010050500013M02606", "BR1800360305000010009795493C1",
	"CH9300762011623852957",           "AE070331234567890123456",
};

static void test_ibans_of_the_registry_are_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(check(good[i]), IBAN_OK);
}

static void test_every_single_changed_digit_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char iban[40];
		snprintf(iban, sizeof(iban), "%s", good[i]);
		for (size_t at = 2; iban[at]; at++) {
			char was = iban[at];
			if (was < '0' || was > '9')
				continue;
			iban[at] = was == '9' ? '0' : (char)(was + 1);
			assert_int_equal(check(iban), IBAN_CHECK_DIGITS);
			iban[at] = was;
		}
	}
}

static void test_two_swapped_digits_are_found(void **state)
{
	(void)state;
	assert_int_equal(check("DE89370400440532010300"), IBAN_CHECK_DIGITS);
}

/* 00, 01, 02 are congruent to 97, 98, 99: mod 97 alone would accept both of a pair. */
static void test_an_account_has_exactly_one_pair_of_check_digits(void **state)
{
	(void)state;
	unsigned with_twin = 0;
	for (unsigned account = 0; account < 300; account++) {
		unsigned fine = 0;
		for (unsigned digits = 0; digits < 100; digits++) {
			char iban[40];
			snprintf(iban, sizeof(iban), "DE%02u370400440532%06u", digits, account);
			bool good_one = check(iban) == IBAN_OK;
			fine += good_one;
			with_twin += good_one && (digits == 2 || digits >= 97);
		}
		assert_int_equal(fine, 1);
	}
	assert_true(with_twin > 0);
}

static void test_other_forms_are_no_iban(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
					  "DE",
					  "DE89",
					  "de89370400440532013000",
					  "DE89 3704 0044 0532 0130 00",
					  "DE8937040044053201300-",
					  "1234567890123456",
					  "D189370400440532013000",
					  "DEX9370400440532013000",
					  "DE893704004405320130001234567890123"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(check(bad[i]), IBAN_SYNTAX);
	assert_int_equal(iban_check((struct kontor_text){NULL, 0}), IBAN_SYNTAX);
}

static void test_bics_have_8_or_11_characters(void **state)
{
	(void)state;
	assert_true(bic_valid(kontor_text_of("COBADEFF")));
	assert_true(bic_valid(kontor_text_of("COBADEFFXXX")));
	assert_true(bic_valid(kontor_text_of("DBSSSGSG")));
	static const char *const bad[] = {"",         "COBADEF",  "COBADEFFX", "COBADEFFXXXX",
					  "cobadeff", "COBA1EFF", "COBADE F"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(bic_valid(kontor_text_of(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ibans_of_the_registry_are_accepted),
		cmocka_unit_test(test_every_single_changed_digit_is_found),
		cmocka_unit_test(test_two_swapped_digits_are_found),
		cmocka_unit_test(test_an_account_has_exactly_one_pair_of_check_digits),
		cmocka_unit_test(test_other_forms_are_no_iban),
		cmocka_unit_test(test_bics_have_8_or_11_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
