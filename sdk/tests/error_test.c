/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/error.h"
#include "kontor/text.h"

static void test_a_failure_carries_code_and_message(void **state)
{
	(void)state;
	struct kontor_error err = {0, 77, "old"};
	assert_int_equal(kontor_fail(&err, KONTOR_E_CONFLICT, "row %d of %s", 7, "file"), KONTOR_E_CONFLICT);
	assert_int_equal(err.code, KONTOR_E_CONFLICT);
	assert_int_equal(err.retry_after_ms, 0);
	assert_string_equal(err.message, "row 7 of file");
	assert_int_equal(kontor_fail(NULL, KONTOR_E_BUSY, "nobody listens"), KONTOR_E_BUSY);
}

static void test_context_goes_in_front(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_fail(&err, KONTOR_E_BUSY, "no worker is free");
	err.retry_after_ms = 50;
	assert_int_equal(kontor_fail_in(&err, "upload %d", 3), KONTOR_E_BUSY);
	assert_string_equal(err.message, "upload 3: no worker is free");
	assert_int_equal(err.retry_after_ms, 50);
}

static void test_a_message_may_quote_itself(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_fail(&err, KONTOR_E_STORAGE, "first");
	kontor_fail(&err, KONTOR_E_INTERNAL, "second after %s", err.message);
	assert_string_equal(err.message, "second after first");
}

static void test_a_long_message_is_cut_between_characters(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	for (int shift = 0; shift < 4; shift++) {
		char text[1024] = "xxx";
		size_t length = (size_t)shift;
		for (; length < 1000; length += 3)
			memcpy(text + length, "\xE0\xB8\x81", 4); /* Thai ko kai */
		kontor_fail(&err, KONTOR_E_INTERNAL, "%s", text);
		size_t kept = strlen(err.message);
		assert_in_range(kept, sizeof(err.message) - 3, sizeof(err.message) - 1);
		assert_true(kontor_text_utf8(kontor_text_of(err.message)));
		kontor_fail_in(&err, "a");
		assert_true(kontor_text_utf8(kontor_text_of(err.message)));
		assert_int_equal(strncmp(err.message, "a: ", 3), 0);
	}
}

static void test_each_code_has_a_name_and_an_outcome(void **state)
{
	(void)state;
	assert_string_equal(kontor_code_name(0), "OK");
	assert_string_equal(kontor_code_name(KONTOR_E_BUSY), "BUSY");
	assert_string_equal(kontor_code_name(-100), "PLUGIN");
	assert_string_equal(kontor_code_name(-99), "UNKNOWN");
	assert_int_equal(kontor_code_outcome(0), KONTOR_OUTCOME_DONE);
	assert_int_equal(kontor_code_outcome(KONTOR_E_DISABLED), KONTOR_OUTCOME_FINAL);
	assert_int_equal(kontor_code_outcome(-250), KONTOR_OUTCOME_FINAL);
	assert_int_equal(kontor_code_outcome(KONTOR_E_DEADLINE), KONTOR_OUTCOME_NOTHING);
	assert_int_equal(kontor_code_outcome(KONTOR_E_UNKNOWN_OUTCOME), KONTOR_OUTCOME_UNKNOWN);
	assert_int_equal(kontor_code_outcome(KONTOR_E_STORAGE), KONTOR_OUTCOME_ROLLED_BACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failure_carries_code_and_message),
		cmocka_unit_test(test_context_goes_in_front),
		cmocka_unit_test(test_a_message_may_quote_itself),
		cmocka_unit_test(test_a_long_message_is_cut_between_characters),
		cmocka_unit_test(test_each_code_has_a_name_and_an_outcome),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
