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
	struct kontor_upload_repeats found = {0};
	assert_int_equal(kontor_upload_find_repeats(rows, len, contradictions, &found, &err), 0);
	kontor_upload_sort_repeats(&found);
	repeats = found.rows;
	return found.len;
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

/* ---- those that may be repeats, by hash ---- */

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *state >> 11;
}

static struct kontor_upload_print print_of(uint64_t identity, uint32_t number)
{
	struct kontor_identity made = {.key = {0}};
	memcpy(made.key + KONTOR_IDENTITY_SIZE / 2 * (identity & 1), &identity, sizeof(identity));
	return kontor_upload_print_of(&made, number);
}

/* Against a count of each identity. */
static void test_suspects_are_the_rows_whose_identity_comes_twice(void **state)
{
	(void)state;
	enum { COUNT = 200000, IDENTITIES = 150000 };
	uint64_t random = 1;
	struct kontor_upload_print *prints = malloc(COUNT * sizeof(*prints));
	uint64_t *identities = malloc(COUNT * sizeof(*identities));
	unsigned *times = calloc(IDENTITIES, sizeof(*times));
	for (uint32_t i = 0; i < COUNT; i++) {
		identities[i] = next_random(&random) % IDENTITIES;
		times[identities[i]]++;
		prints[i] = print_of(identities[i], i);
	}
	size_t len = kontor_upload_find_suspects(prints, COUNT), expected = 0;
	for (uint32_t i = 0; i < COUNT; i++)
		expected += times[identities[i]] > 1;
	assert_int_equal(len, expected);
	for (size_t from = 0, to; from < len; from = to) {
		uint64_t identity = identities[prints[from].row];
		for (to = from + 1; to < len && identities[prints[to].row] == identity;)
			to++;
		assert_int_equal(to - from, times[identity]);
		times[identity] = 0; /* once only: all of an identity stand beside each other */
	}
	free(times);
	free(identities);
	free(prints);
}

static void test_rows_that_are_all_the_same_are_all_suspects(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	struct kontor_upload_print prints[COUNT];
	for (uint32_t i = 0; i < COUNT; i++)
		prints[i] = print_of(77, i);
	assert_int_equal(kontor_upload_find_suspects(prints, COUNT), COUNT);
	assert_int_equal(kontor_upload_find_suspects(prints, 1), 0);
	assert_int_equal(kontor_upload_find_suspects(NULL, 0), 0);
}

static void test_a_share_of_suspects_never_ends_between_equal_ones(void **state)
{
	(void)state;
	struct kontor_upload_print prints[] = {print_of(1, 0), print_of(1, 1), print_of(1, 2), print_of(2, 3),
					       print_of(2, 4)};
	size_t len = kontor_upload_find_suspects(prints, 5);
	assert_int_equal(len, 5);
	size_t first = prints[0].high == prints[2].high ? 3 : 2;
	assert_int_equal(kontor_upload_suspects_end(prints, len, 0, 1), first);
	assert_int_equal(kontor_upload_suspects_end(prints, len, 0, first), first);
	assert_int_equal(kontor_upload_suspects_end(prints, len, 0, first + 1), 5);
	assert_int_equal(kontor_upload_suspects_end(prints, len, first, 100), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_different_rows_are_no_repeats),
		cmocka_unit_test(test_of_equal_rows_the_lowest_line_counts),
		cmocka_unit_test(test_one_contradiction_makes_all_rows_of_the_identity_conflict),
		cmocka_unit_test(test_where_the_first_line_wins_the_others_are_duplicates),
		cmocka_unit_test(test_many_repeats_come_in_order_of_lines),
		cmocka_unit_test(test_suspects_are_the_rows_whose_identity_comes_twice),
		cmocka_unit_test(test_rows_that_are_all_the_same_are_all_suspects),
		cmocka_unit_test(test_a_share_of_suspects_never_ends_between_equal_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
