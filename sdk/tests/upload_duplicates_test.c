/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of one file that repeat or contradict each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "upload_duplicates.h"

static struct kontor_upload_identified row(uint64_t line, uint8_t key, uint8_t facts)
{
	struct kontor_upload_identified made = {.line = line};
	memset(made.identity.key, key, sizeof(made.identity.key));
	memset(made.identity.facts, facts, sizeof(made.identity.facts));
	return made;
}

static struct kontor_upload_repeat *repeats;

static size_t find(struct kontor_upload_identified *rows, size_t len, enum kontor_verdict contradictions)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	size_t found = 0;
	assert_int_equal(kontor_upload_find_repeats(rows, len, contradictions, &repeats, &found, &err), 0);
	return found;
}

static void assert_repeat(size_t index, uint64_t line, uint64_t other_line, enum kontor_upload_repeat_kind kind)
{
	assert_int_equal(repeats[index].line, line);
	assert_int_equal(repeats[index].other_line, other_line);
	assert_int_equal(repeats[index].kind, kind);
}

static void test_different_rows_are_no_repeats(void **state)
{
	(void)state;
	struct kontor_upload_identified rows[] = {row(2, 1, 1), row(3, 2, 1), row(4, 3, 1)};
	assert_int_equal(find(rows, 3, KONTOR_VERDICT_CONFLICT), 0);
	assert_int_equal(find(rows, 1, KONTOR_VERDICT_CONFLICT), 0);
	assert_int_equal(find(NULL, 0, KONTOR_VERDICT_CONFLICT), 0);
}

static void test_of_equal_rows_the_lowest_line_counts(void **state)
{
	(void)state;
	struct kontor_upload_identified rows[] = {row(9, 1, 1), row(4, 1, 1), row(6, 2, 2), row(5, 1, 1)};
	assert_int_equal(find(rows, 4, KONTOR_VERDICT_CONFLICT), 2);
	assert_repeat(0, 5, 4, KONTOR_UPLOAD_SAME_ROW);
	assert_repeat(1, 9, 4, KONTOR_UPLOAD_SAME_ROW);
	free(repeats);
}

static void test_one_contradiction_makes_all_rows_of_the_identity_conflict(void **state)
{
	(void)state;
	struct kontor_upload_identified rows[] = {row(2, 1, 1), row(3, 1, 1), row(4, 1, 7), row(5, 2, 1)};
	assert_int_equal(find(rows, 4, KONTOR_VERDICT_CONFLICT), 3);
	assert_repeat(0, 2, 4, KONTOR_UPLOAD_CONTRADICTION);
	assert_repeat(1, 3, 4, KONTOR_UPLOAD_CONTRADICTION);
	assert_repeat(2, 4, 2, KONTOR_UPLOAD_CONTRADICTION);
	free(repeats);
}

static void test_where_the_first_line_wins_the_others_are_duplicates(void **state)
{
	(void)state;
	struct kontor_upload_identified rows[] = {row(2, 1, 1), row(3, 1, 7), row(4, 1, 1)};
	assert_int_equal(find(rows, 3, KONTOR_VERDICT_DUPLICATE_IN_FILE), 2);
	assert_repeat(0, 3, 2, KONTOR_UPLOAD_SAME_IDENTITY);
	assert_repeat(1, 4, 2, KONTOR_UPLOAD_SAME_ROW);
	free(repeats);
}

static void test_many_repeats_come_in_order_of_lines(void **state)
{
	(void)state;
	enum { COUNT = 100000, IDENTITIES = 100 };
	struct kontor_upload_identified *rows = malloc(COUNT * sizeof(*rows));
	for (uint64_t i = 0; i < COUNT; i++)
		rows[i] = row(i + 2, (uint8_t)(i * 7 % IDENTITIES), 1);
	assert_int_equal(find(rows, COUNT, KONTOR_VERDICT_CONFLICT), COUNT - IDENTITIES);
	for (size_t i = 0; i < COUNT - IDENTITIES; i++)
		assert_repeat(i, i + IDENTITIES + 2, i % IDENTITIES + 2, KONTOR_UPLOAD_SAME_ROW);
	free(repeats);
	free(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_different_rows_are_no_repeats),
		cmocka_unit_test(test_of_equal_rows_the_lowest_line_counts),
		cmocka_unit_test(test_one_contradiction_makes_all_rows_of_the_identity_conflict),
		cmocka_unit_test(test_where_the_first_line_wins_the_others_are_duplicates),
		cmocka_unit_test(test_many_repeats_come_in_order_of_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
