/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of uploaded files, and the column that a reject names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "upload_header.h"

static const struct kontor_column columns[] = {
	{"shop_user_id", true, "id of the shop"},
	{"amount", true, "decimal major units"},
	{"note", false, "free text"},
};
static const struct kontor_upload_kind kind = {.name = "test-items", .columns = columns, .columns_len = 3};

static int check(const char *line, struct kontor_upload_header *header, struct kontor_error *err)
{
	struct kontor_csv_record record;
	size_t skipped;
	kontor_csv *csv = kontor_csv_new();
	assert_non_null(csv);
	assert_true(kontor_csv_next(csv, kontor_text_of(line), true, true, &record, &skipped) > 0);
	int rc = kontor_upload_header_check(&kind, &record, 1, header, err);
	kontor_csv_free(csv);
	return rc;
}

static void assert_refused(const char *line, const char *word, const char *other_word)
{
	struct kontor_upload_header header;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(check(line, &header, &err), KONTOR_E_BAD_REQUEST);
	if (!strstr(err.message, "line 1") || !strstr(err.message, word) || !strstr(err.message, other_word))
		fail_msg("\"%s\" should name \"%s\" and \"%s\"", err.message, word, other_word);
}

static void test_columns_may_stand_in_any_order(void **state)
{
	(void)state;
	struct kontor_upload_header header;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(check("note,\"amount\",shop_user_id\n", &header, &err), 0);
	assert_int_equal(header.columns_len, 3);
	assert_int_equal(header.positions[0], 3);
	assert_int_equal(header.positions[1], 2);
	assert_int_equal(header.positions[2], 1);
	assert_string_equal(kontor_upload_header_name(&header, &kind, 3), "shop_user_id");
	assert_string_equal(kontor_upload_header_name(&header, &kind, 0), "");
	assert_string_equal(kontor_upload_header_name(&header, &kind, 4), "");
	assert_int_equal(check("amount,shop_user_id", &header, &err), 0);
	assert_int_equal(header.positions[2], 0);
}

static void test_files_of_another_format_are_named(void **state)
{
	(void)state;
	assert_refused("PK\x03\x04\x14", "zip", "CSV UTF-8");
	assert_refused("\xd0\xcf\x11\xe0\xa1\xb1", "xls", "CSV UTF-8");
	assert_refused("\xfd"
		       "7zXZ",
		       "xz", "gzip or zstd");
	assert_refused("BZh91AY&SY", "bzip2", "gzip or zstd");
	assert_refused("\xff\xfes", "UTF-16", "CSV UTF-8");
	assert_refused("\xfe\xff", "UTF-16", "CSV UTF-8");
	assert_refused("shop_user_id,amount\r1,2\r", "CR alone", "CRLF");
	assert_refused("BZ,amount", "unknown column", "BZ");
}

static void test_another_separator_is_named(void **state)
{
	(void)state;
	assert_refused("shop_user_id;amount;note\n", "semicolons", "commas");
	assert_refused("shop_user_id\tamount\tnote\n", "tabs", "commas");
}

static void test_an_unknown_column_is_refused_with_the_nearest_known_one(void **state)
{
	(void)state;
	assert_refused("shop_user_id,amout", "\"amout\"", "\"amount\"");
	assert_refused("shop_user_id,Amount", "\"Amount\"", "\"amount\"");
	assert_refused("shop_user_id, amount", "column 2", "\"amount\"");
	assert_refused("shop_user_id,amount,completely_else", "completely_else", "shop_user_id, amount, note");
	assert_refused("shop_user_id,amount,", "column 3", "unknown column \"\"");
	assert_refused("shop_user_id,amount,a\xc2\x85z", "column 3", "a??z");
}

static void test_a_column_that_is_there_twice_or_missing_is_refused(void **state)
{
	(void)state;
	assert_refused("amount,shop_user_id,amount", "\"amount\"", "twice");
	assert_refused("shop_user_id,note", "\"amount\" is missing", "decimal");
}

static void test_an_unreadable_header_is_refused_with_the_reason(void **state)
{
	(void)state;
	assert_refused("shop_user_id,am\"ount", "column 2", "quote");
	assert_refused("shop_user_id,am\xe9", "column 2", "UTF-8");
}

static void test_a_reject_names_the_column_of_the_file(void **state)
{
	(void)state;
	static const unsigned positions[] = {3, 1, 0};
	struct kontor_row row = {.positions = positions};
	kontor_row_reject(&row, KONTOR_VERDICT_BAD_ROW, 0, "value %d", 5);
	assert_int_equal(row.column, 3);
	assert_int_equal(row.verdict, KONTOR_VERDICT_BAD_ROW);
	assert_string_equal(row.reason, "value 5");
	kontor_row_reject(&row, KONTOR_VERDICT_CONFLICT, -1, "x");
	assert_int_equal(row.column, 0);
	row.positions = NULL;
	kontor_row_reject(&row, KONTOR_VERDICT_CONFLICT, 1, "x");
	assert_int_equal(row.column, 2);
}

static void test_an_overlong_reason_is_cut_between_characters(void **state)
{
	(void)state;
	struct kontor_row row = {0};
	char text[400] = "";
	for (size_t i = 0; i < 390; i++)
		text[i] = "\xe2\x82\xac"[i % 3];
	kontor_row_reject(&row, KONTOR_VERDICT_BAD_ROW, -1, "%s", text);
	assert_int_equal(strlen(row.reason), 255);
	assert_true(kontor_text_utf8(kontor_text_of(row.reason)));
	kontor_row_reject(&row, KONTOR_VERDICT_BAD_ROW, -1, "a%s", text);
	assert_int_equal(strlen(row.reason), 253);
	assert_true(kontor_text_utf8(kontor_text_of(row.reason)));
}

static void test_every_verdict_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (enum kontor_verdict a = 0; a < KONTOR_VERDICT_COUNT; a++) {
		assert_non_null(kontor_verdict_name(a));
		for (enum kontor_verdict b = 0; b < a; b++)
			assert_string_not_equal(kontor_verdict_name(a), kontor_verdict_name(b));
	}
	assert_string_equal(kontor_verdict_name(KONTOR_VERDICT_ALREADY_EXISTS), "already_exists");
	assert_false(kontor_verdict_rejects(KONTOR_VERDICT_LATE));
	assert_false(kontor_verdict_rejects(KONTOR_VERDICT_NEEDS_APPROVAL));
	assert_true(kontor_verdict_rejects(KONTOR_VERDICT_HELD));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_may_stand_in_any_order),
		cmocka_unit_test(test_files_of_another_format_are_named),
		cmocka_unit_test(test_another_separator_is_named),
		cmocka_unit_test(test_an_unknown_column_is_refused_with_the_nearest_known_one),
		cmocka_unit_test(test_a_column_that_is_there_twice_or_missing_is_refused),
		cmocka_unit_test(test_an_unreadable_header_is_refused_with_the_reason),
		cmocka_unit_test(test_a_reject_names_the_column_of_the_file),
		cmocka_unit_test(test_an_overlong_reason_is_cut_between_characters),
		cmocka_unit_test(test_every_verdict_has_a_name_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
