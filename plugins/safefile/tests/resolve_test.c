/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "charset.h"
#include "resolve.h"

static struct resolver *resolver;
static const struct profile profile = {.name = "pain001", .name_limit = 70};
static struct payment payment;
static char reason[RESOLVE_REASON_SIZE];

static int open_resolver(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	return resolver_new(&resolver, &err);
}

static int close_resolver(void **state)
{
	(void)state;
	resolver = resolver_free(resolver);
	return 0;
}

static struct payee someone(const char *name)
{
	return (struct payee){.name = kontor_text_of(name),
			      .country = KONTOR_TEXT("DE"),
			      .iban = KONTOR_TEXT("DE89370400440532013000")};
}

static bool resolve(struct payee payee)
{
	memset(&payment, 'x', sizeof(payment)); /* nothing of an earlier payment may be left */
	return resolve_payee(resolver, &profile, &payee, &payment, reason);
}

static const char *name_of(const char *name)
{
	return resolve(someone(name)) ? payment.name : reason;
}

static void test_names_of_other_scripts_become_latin(void **state)
{
	(void)state;
	assert_string_equal(name_of("สมชาย ใจดี"), "smchay cidi");
	assert_string_equal(name_of("王小明"), "wang xiao ming");
	assert_string_equal(name_of("Nguyễn Thị Ánh"), "Nguyen Thi Anh");
	assert_string_equal(name_of("Nguye\xcc\x82\xcc\x83n"), "Nguyen"); /* typed with combining marks */
	assert_string_equal(name_of("Đặng"), "Dang");
	assert_string_equal(name_of("Дмитрий Щербаков"), "Dmitrij Serbakov");
	assert_string_equal(name_of("Ａｌｉｃｅ　１２３"), "Alice 123");
	assert_string_equal(name_of("Söhne & Straße"), "Sohne + Strasse");
}

static void test_a_name_of_the_charset_stays_as_it_is(void **state)
{
	(void)state;
	assert_string_equal(name_of("O'Neil (Sons), A/S: 7-11? yes. +1"), "O'Neil (Sons), A/S: 7-11? yes. +1");
}

static void test_the_latin_name_is_preferred(void **state)
{
	(void)state;
	struct payee payee = someone("สมชาย ใจดี");
	payee.name_latin = kontor_text_of("Somchai Jaidee");
	assert_true(resolve(payee));
	assert_string_equal(payment.name, "Somchai Jaidee");
	payee.name_latin = kontor_text_of("");
	assert_true(resolve(payee));
	assert_string_equal(payment.name, "smchay cidi");
}

static void test_a_name_that_vanishes_is_an_error_and_never_empty(void **state)
{
	(void)state;
	static const char *const names[] = {"", " ", "!!!", "😀", "😀 🏪", "\t", "...", "///", "— —"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_false(resolve(someone(names[i])));
		assert_non_null(strstr(reason, "name_latin"));
	}
}

static void test_every_result_is_in_the_charset(void **state)
{
	(void)state;
	static const char *const names[] = {"a//b",        "/a/",    "a /",           "//",      "x\ny",
					    "<b>\"&'</b>", "a\x01z", "{[(x)]}",       "中文😀名", "محمد علي",
					    "김철수",      "שלום",   "x\xEF\xBF\xBDy"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!resolve(someone(names[i])))
			continue;
		assert_true(charset_epc217_valid(payment.name));
		assert_true(charset_has_alphanumeric(payment.name));
		assert_true(payment.name[0] != ' ' && payment.name[strlen(payment.name) - 1] != ' ');
	}
	assert_string_equal(name_of("a//b"), "a/b");
	assert_string_equal(name_of("/a/"), "a");
}

static void test_long_names_are_cut_at_the_profile_s_limit(void **state)
{
	(void)state;
	char name[141];
	memset(name, 'A', 140);
	name[140] = '\0';
	assert_int_equal(strlen(name_of(name)), 70);
	name[69] = ' ';
	assert_int_equal(strlen(name_of(name)), 69);
	/* 140 Han characters become several hundred letters */
	char han[140 * 3 + 1];
	for (size_t i = 0; i < 140; i++)
		memcpy(han + 3 * i, "王", 3);
	han[sizeof(han) - 1] = '\0';
	assert_true(resolve(someone(han)));
	assert_true(strlen(payment.name) <= 70);
}

static void test_wrong_accounts_are_named_by_their_last_four_characters(void **state)
{
	(void)state;
	struct payee payee = someone("Alice");
	payee.iban = kontor_text_of("DE88370400440532013000");
	assert_false(resolve(payee));
	assert_non_null(strstr(reason, "ends in 3000 has wrong check digits"));
	assert_null(strstr(reason, "0532013000"));
	payee.iban = (struct kontor_text){NULL, 0};
	assert_false(resolve(payee));
	assert_non_null(strstr(reason, "neither an IBAN nor an account"));
	payee.account = kontor_text_of("1234567890");
	assert_false(resolve(payee));
	assert_non_null(strstr(reason, "bank_code or a bic"));
	payee.bank_code = kontor_text_of("7171");
	assert_true(resolve(payee));
	assert_string_equal(payment.account, "1234567890");
	assert_string_equal(payment.bank_code, "7171");
	assert_string_equal(payment.iban, "");
	payee.account = kontor_text_of("12345678901234567890123456789012345");
	assert_false(resolve(payee));
	static const char *const outside[] = {"12_34", "12//34", "/1234", "1234/", "๑๒๓๔", " ", "-"};
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		payee.account = kontor_text_of(outside[i]); /* never converted: it would be another account */
		assert_false(resolve(payee));
	}
	payee.account = kontor_text_of("1234");
	payee.bic = kontor_text_of("DBSSSGSGXX");
	assert_false(resolve(payee));
	assert_non_null(strstr(reason, "bic"));
}

static void test_a_town_that_vanishes_leaves_out_the_address_only(void **state)
{
	(void)state;
	struct payee payee = someone("Alice");
	payee.town = kontor_text_of("Đà Nẵng");
	assert_true(resolve(payee));
	assert_string_equal(payment.town, "Da Nang");
	payee.town = kontor_text_of("🏝");
	assert_true(resolve(payee));
	assert_string_equal(payment.town, "");
	assert_string_equal(payment.country, "DE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_other_scripts_become_latin),
		cmocka_unit_test(test_a_name_of_the_charset_stays_as_it_is),
		cmocka_unit_test(test_the_latin_name_is_preferred),
		cmocka_unit_test(test_a_name_that_vanishes_is_an_error_and_never_empty),
		cmocka_unit_test(test_every_result_is_in_the_charset),
		cmocka_unit_test(test_long_names_are_cut_at_the_profile_s_limit),
		cmocka_unit_test(test_wrong_accounts_are_named_by_their_last_four_characters),
		cmocka_unit_test(test_a_town_that_vanishes_leaves_out_the_address_only),
	};
	return cmocka_run_group_tests(tests, open_resolver, close_resolver);
}
