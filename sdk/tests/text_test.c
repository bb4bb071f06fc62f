/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/arena.h"
#include "kontor/log.h"
#include "kontor/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_numbers_are_accepted_in_one_form_only(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
					  "-",
					  "+5",
					  "-0",
					  "007",
					  "00",
					  "1e5",
					  "1.0",
					  " 1",
					  "1 ",
					  "0x1",
					  "1_000",
					  "１２",
					  "18446744073709551616",
					  "99999999999999999999999"};
	uint64_t u = 77;
	int64_t i = 77;
	for (size_t k = 0; k < COUNT(bad); k++) {
		assert_false(kontor_parse_uint(kontor_text_of(bad[k]), &u));
		assert_false(kontor_parse_int(kontor_text_of(bad[k]), &i));
		assert_false(kontor_parse_id(kontor_text_of(bad[k]), &u));
	}
	assert_false(kontor_parse_uint(kontor_text_of(NULL), &u));
	assert_false(kontor_parse_uint((struct kontor_text){"1\0002", 3}, &u));
	assert_int_equal(u, 77);
	assert_int_equal(i, 77);
	assert_true(kontor_parse_uint(kontor_text_of("18446744073709551615"), &u));
	assert_true(u == UINT64_MAX);
	assert_true(kontor_parse_uint(kontor_text_of("0"), &u));
	assert_true(u == 0);
}

static void test_integers_keep_within_64_bits(void **state)
{
	(void)state;
	int64_t i = 77;
	assert_true(kontor_parse_int(kontor_text_of("-9223372036854775808"), &i));
	assert_true(i == INT64_MIN);
	assert_true(kontor_parse_int(kontor_text_of("9223372036854775807"), &i));
	assert_true(i == INT64_MAX);
	assert_false(kontor_parse_int(kontor_text_of("9223372036854775808"), &i));
	assert_false(kontor_parse_int(kontor_text_of("-9223372036854775809"), &i));
	srand(1);
	for (int n = 0; n < 100000; n++) {
		int64_t value =
			(int64_t)((uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand()) >> rand() % 64;
		char text[32];
		snprintf(text, sizeof(text), "%" PRId64, value);
		assert_true(kontor_parse_int(kontor_text_of(text), &i));
		assert_true(i == value);
	}
}

static void test_ids_are_1_to_2_to_the_63_less_1(void **state)
{
	(void)state;
	uint64_t id = 77;
	assert_false(kontor_parse_id(kontor_text_of("0"), &id));
	assert_false(kontor_parse_id(kontor_text_of("9223372036854775808"), &id));
	assert_int_equal(id, 77);
	assert_true(kontor_parse_id(kontor_text_of("9223372036854775807"), &id));
	assert_true(id == INT64_MAX);
}

static void test_durations_need_a_unit(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0},       {"0s", 0},         {"30s", 30000},   {"500ms", 500},
		    {"2m", 120000}, {"12h", 43200000}, {"7d", 604800000}};
	static const char *const bad[] = {"",    "30", "s", "-1s", "1 s", "1S", "1.5s", "1sec", "99999999999999999d",
					  "010s"};
	int64_t ms = 77;
	for (size_t k = 0; k < COUNT(bad); k++)
		assert_false(kontor_parse_duration(kontor_text_of(bad[k]), &ms));
	assert_int_equal(ms, 77);
	for (size_t k = 0; k < COUNT(good); k++) {
		assert_true(kontor_parse_duration(kontor_text_of(good[k].text), &ms));
		assert_int_equal(ms, good[k].ms);
	}
}

static void test_sizes_are_binary(void **state)
{
	(void)state;
	uint64_t bytes = 77;
	assert_false(kontor_parse_size(kontor_text_of("4MB"), &bytes));
	assert_false(kontor_parse_size(kontor_text_of("4 MiB"), &bytes));
	assert_false(kontor_parse_size(kontor_text_of("18446744073709551615KiB"), &bytes));
	assert_int_equal(bytes, 77);
	assert_true(kontor_parse_size(kontor_text_of("512"), &bytes) && bytes == 512);
	assert_true(kontor_parse_size(kontor_text_of("64KiB"), &bytes) && bytes == 65536);
	assert_true(kontor_parse_size(kontor_text_of("1GiB"), &bytes) && bytes == 1u << 30);
}

static void test_names_cannot_leave_a_folder(void **state)
{
	(void)state;
	static const char *const bad[] = {"",    "-a",  "A",   "a.b", "../x",
					  "a/b", "a b", "a\n", "é",   "abcdefghijklmnopqrstuvwxyz0123456"};
	for (size_t k = 0; k < COUNT(bad); k++)
		assert_false(kontor_name_valid(kontor_text_of(bad[k])));
	assert_true(kontor_name_valid(kontor_text_of("pain001")));
	assert_true(kontor_name_valid(kontor_text_of("0-a-")));
	assert_true(kontor_name_valid(kontor_text_of("abcdefghijklmnopqrstuvwxyz012345")));
	assert_true(kontor_region_valid(kontor_text_of("SG")));
	assert_false(kontor_region_valid(kontor_text_of("sg")));
	assert_false(kontor_region_valid(kontor_text_of("SGP")));
}

static void test_utf8_refuses_what_rfc_3629_refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {"\x80",
					  "\xC0\x80",
					  "\xC1\xBF",
					  "\xC3",
					  "\xE0\x9F\xBF",
					  "\xED\xA0\x80",
					  "\xF0\x8F\xBF\xBF",
					  "\xF4\x90\x80\x80",
					  "\xF5\x80\x80\x80",
					  "\xFF",
					  "eight by\xE4tes",
					  "caf\xE9"};
	for (size_t k = 0; k < COUNT(bad); k++)
		assert_false(kontor_text_utf8(kontor_text_of(bad[k])));
	assert_true(kontor_text_utf8(kontor_text_of("Łukasz 山田太郎 สมชาย Nguyễn Иван 👛 \xF4\x8F\xBF\xBF")));
	assert_true(kontor_text_utf8((struct kontor_text){"a\0b", 3}));
	assert_true(kontor_text_utf8(kontor_text_of("")));
}

static void test_the_nearest_name_is_offered(void **state)
{
	(void)state;
	static const char *const columns[] = {"shop_user_id", "order_id", "amount", "currency"};
	assert_string_equal(kontor_text_nearest(kontor_text_of("ammount"), columns, 4), "amount");
	assert_string_equal(kontor_text_nearest(kontor_text_of("Shop_User_Id"), columns, 4), "shop_user_id");
	assert_string_equal(kontor_text_nearest(kontor_text_of("AMOUNT"), columns, 4), "amount");
	assert_null(kontor_text_nearest(kontor_text_of("zzzzzz"), columns, 4));
	assert_null(kontor_text_nearest(kontor_text_of(""), columns, 4));
}

static void test_hexadecimal_goes_there_and_back(void **state)
{
	(void)state;
	uint8_t bytes[3] = {0x00, 0xab, 0xff}, back[3];
	char text[7];
	assert_string_equal(kontor_hex(bytes, 3, text), "00abff");
	assert_true(kontor_unhex(kontor_text_of("00abff"), back, 3));
	assert_memory_equal(bytes, back, 3);
	assert_false(kontor_unhex(kontor_text_of("00abf"), back, 3));
	assert_false(kontor_unhex(kontor_text_of("00abfg"), back, 3));
}

static void test_absent_is_not_empty(void **state)
{
	(void)state;
	assert_false(kontor_text_equal(kontor_text_of(NULL), kontor_text_of("")));
	assert_true(kontor_text_equal(kontor_text_of(NULL), kontor_text_of(NULL)));
	assert_true(kontor_text_is(KONTOR_TEXT("ab"), "ab"));
	assert_false(kontor_text_is(KONTOR_TEXT("ab"), "abc"));
}

static void test_an_arena_gives_zeroed_memory_up_to_its_limit(void **state)
{
	(void)state;
	kontor_arena *arena = kontor_arena_new(100000);
	for (int round = 0; round < 3; round++) {
		size_t got = 0;
		unsigned char *p;
		while ((p = kontor_arena_alloc(arena, 999))) {
			assert_int_equal((uintptr_t)p % 16, 0);
			for (size_t i = 0; i < 999; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xEE, 999);
			got += 999;
		}
		assert_in_range(got, 90000, 100000);
		kontor_arena_reset(arena);
	}
	assert_null(kontor_arena_alloc(arena, 200000));
	assert_null(kontor_arena_alloc(arena, SIZE_MAX));
	assert_string_equal(kontor_arena_format(arena, "%d-%s", 5, "x"), "5-x");
	assert_string_equal(kontor_arena_copy(arena, "abc", 2), "ab");
	kontor_arena_free(arena);
}

static void test_log_values_cannot_forge_fields_or_lines(void **state)
{
	(void)state;
	assert_string_equal(KONTOR_QUOTED("a\" level=\"x\n\x01\\"), "\"a\\\" level=\\\"x\\n\\x01\\\\\"");
	assert_string_equal(KONTOR_QUOTED(NULL), "\"\"");
	char small[8];
	assert_string_equal(kontor_log_quote(small, sizeof(small), "abcdefghij"), "\"abcde\"");
	assert_string_equal(kontor_log_quote(small, sizeof(small), "abcd\xE0\xB8\x81"), "\"abcd\"");
	assert_string_equal(kontor_log_quote(small, sizeof(small), "ab\xE0\xB8\x81x"), "\"ab\xE0\xB8\x81\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_accepted_in_one_form_only),
		cmocka_unit_test(test_integers_keep_within_64_bits),
		cmocka_unit_test(test_ids_are_1_to_2_to_the_63_less_1),
		cmocka_unit_test(test_durations_need_a_unit),
		cmocka_unit_test(test_sizes_are_binary),
		cmocka_unit_test(test_names_cannot_leave_a_folder),
		cmocka_unit_test(test_utf8_refuses_what_rfc_3629_refuses),
		cmocka_unit_test(test_the_nearest_name_is_offered),
		cmocka_unit_test(test_hexadecimal_goes_there_and_back),
		cmocka_unit_test(test_absent_is_not_empty),
		cmocka_unit_test(test_an_arena_gives_zeroed_memory_up_to_its_limit),
		cmocka_unit_test(test_log_values_cannot_forge_fields_or_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
