/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of CSV files: their borders, what one bad quote costs, and the same answer however the bytes come in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/csv.h"

static kontor_csv *csv;

static int open_csv(void **state)
{
	(void)state;
	csv = kontor_csv_new();
	return csv ? 0 : -1;
}

static int close_csv(void **state)
{
	(void)state;
	csv = kontor_csv_free(csv);
	return 0;
}

static void assert_text(struct kontor_text text, const char *expected)
{
	assert_int_equal(text.size, strlen(expected));
	assert_memory_equal(text.data, expected, text.size);
}

/* The first record of a whole file. */
static size_t first(const char *text, struct kontor_csv_record *record)
{
	size_t skipped = 0;
	return kontor_csv_next(csv, kontor_text_of(text), true, true, record, &skipped);
}

static void assert_fault(const char *text, enum kontor_csv_fault fault, unsigned column, const char *raw)
{
	struct kontor_csv_record record;
	assert_true(first(text, &record) > 0);
	assert_int_equal(record.fault, fault);
	assert_int_equal(record.fault_column, column);
	assert_int_equal(record.fields_len, 0);
	assert_int_equal(record.lines, 1);
	assert_text(record.raw, raw);
	assert_true(strlen(kontor_csv_explain(fault)) > 0);
}

static void test_fields_are_split_and_never_trimmed(void **state)
{
	(void)state;
	struct kontor_csv_record record;
	assert_int_equal(first("a, b ,,\td\n", &record), 10);
	assert_int_equal(record.fields_len, 4);
	assert_text(record.fields[0], "a");
	assert_text(record.fields[1], " b ");
	assert_text(record.fields[2], "");
	assert_non_null(record.fields[2].data);
	assert_text(record.fields[3], "\td");
	assert_int_equal(first("\" x \",\"\",\n", &record), 10);
	assert_int_equal(record.fields_len, 3);
	assert_text(record.fields[0], " x ");
	assert_text(record.fields[1], "");
	assert_text(record.fields[2], "");
}

static void test_a_quoted_field_may_hold_commas_quotes_and_line_ends(void **state)
{
	(void)state;
	struct kontor_csv_record record;
	assert_int_equal(first("1,\"a,\"\"b\"\"\r\nc\nd\",2\r\nnext", &record), 20);
	assert_int_equal(record.fault, KONTOR_CSV_OK);
	assert_int_equal(record.lines, 3);
	assert_int_equal(record.fields_len, 3);
	assert_text(record.fields[1], "a,\"b\"\r\nc\nd");
	assert_text(record.raw, "1,\"a,\"\"b\"\"\r\nc\nd\",2");
}

static void test_line_ends_may_be_mixed_and_the_last_one_missing(void **state)
{
	(void)state;
	struct kontor_csv_record record;
	assert_int_equal(first("a\r\nb", &record), 3);
	assert_text(record.raw, "a");
	assert_int_equal(first("a\nb", &record), 2);
	assert_text(record.raw, "a");
	assert_int_equal(first("a,\"b\"", &record), 5);
	assert_text(record.raw, "a,\"b\"");
	assert_int_equal(record.fields_len, 2);
	assert_int_equal(first("a\rb\r", &record), 4); /* CR alone ends nothing */
	assert_text(record.raw, "a\rb\r");
}

static void test_empty_lines_are_counted_but_are_no_records(void **state)
{
	(void)state;
	struct kontor_csv_record record;
	size_t skipped = 0;
	assert_int_equal(kontor_csv_next(csv, KONTOR_TEXT("\n\r\n\na\n\n"), true, true, &record, &skipped), 6);
	assert_int_equal(skipped, 3);
	assert_text(record.raw, "a");
	assert_int_equal(kontor_csv_next(csv, KONTOR_TEXT("\n"), true, true, &record, &skipped), 0);
	assert_int_equal(kontor_csv_next(csv, KONTOR_TEXT(""), true, true, &record, &skipped), 0);
}

static void test_a_bad_quote_costs_one_line(void **state)
{
	(void)state;
	assert_fault("a,b\"c\nnext\n", KONTOR_CSV_QUOTE_INSIDE, 2, "a,b\"c");
	assert_fault("a,\"b\"c\nnext\n", KONTOR_CSV_AFTER_QUOTE, 2, "a,\"b\"c");
	assert_fault("a,\"b\" \nnext\n", KONTOR_CSV_AFTER_QUOTE, 2, "a,\"b\" ");
	assert_fault("a,\"b\"\rc\nnext\n", KONTOR_CSV_AFTER_QUOTE, 2, "a,\"b\"\rc");
	assert_fault("a,b,\"c\r\nnext\nmore\n", KONTOR_CSV_UNCLOSED, 3, "a,b,\"c");
	assert_fault("a,\"", KONTOR_CSV_UNCLOSED, 2, "a,\"");
	assert_fault("\"a\nb,\"c\"\n", KONTOR_CSV_AFTER_QUOTE, 1, "\"a");
}

static void test_bytes_that_are_no_text_are_found_with_their_column(void **state)
{
	(void)state;
	struct kontor_csv_record record;
	size_t skipped;
	assert_fault("a,caf\xe9,b\n", KONTOR_CSV_NOT_UTF8, 2, "a,caf\xe9,b");
	assert_fault("a,\"caf\xe9\",b\n", KONTOR_CSV_NOT_UTF8, 2, "a,\"caf\xe9\",b");
	assert_int_equal(kontor_csv_next(csv, KONTOR_TEXT("a,b,c\0d\n"), true, true, &record, &skipped), 8);
	assert_int_equal(record.fault, KONTOR_CSV_NUL);
	assert_int_equal(record.fault_column, 3);
}

#define COMMAS_62 ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"

static void test_64_fields_are_taken_and_65_are_not(void **state)
{
	(void)state;
	struct kontor_csv_record record;
	assert_int_equal(first(COMMAS_62 ",\n", &record), 64);
	assert_int_equal(record.fields_len, 64);
	assert_fault(COMMAS_62 ",,\n", KONTOR_CSV_TOO_MANY_FIELDS, 0, COMMAS_62 ",,");
	assert_int_equal(first("\"\"," COMMAS_62 "\n", &record), 66);
	assert_int_equal(record.fields_len, 64);
	assert_fault("\"\",," COMMAS_62 "\n", KONTOR_CSV_TOO_MANY_FIELDS, 0, "\"\",," COMMAS_62);
}

static void test_64_kib_fit_and_one_byte_more_does_not(void **state)
{
	(void)state;
	struct kontor_csv_record record;
	size_t skipped, limit = KONTOR_CSV_LINE_LIMIT;
	char *text = malloc(limit + 16);
	memset(text, 'x', limit + 16);
	memcpy(text + limit, "\r\nnext\n", 7);
	assert_int_equal(kontor_csv_next(csv, (struct kontor_text){text, limit + 7}, false, true, &record, &skipped),
			 limit + 2);
	assert_int_equal(record.fault, KONTOR_CSV_OK);
	assert_int_equal(record.raw.size, limit);

	memcpy(text + limit, "x\nnext\n", 7);
	assert_int_equal(kontor_csv_next(csv, (struct kontor_text){text, limit + 7}, false, true, &record, &skipped),
			 limit + 2);
	assert_int_equal(record.fault, KONTOR_CSV_TOO_LONG);
	assert_int_equal(record.raw.size, limit + 1);

	/* A quoted field of exactly the limit, then one that closes too late: its first line alone is bad. */
	memset(text, 'x', limit);
	memcpy(text, "\"1\n2", 4);
	memcpy(text + limit - 1, "\"\r\nnext", 7);
	assert_int_equal(kontor_csv_next(csv, (struct kontor_text){text, limit + 6}, false, true, &record, &skipped),
			 limit + 2);
	assert_int_equal(record.fault, KONTOR_CSV_OK);
	assert_int_equal(record.lines, 2);
	assert_int_equal(record.fields[0].size, limit - 2);
	memcpy(text + limit - 1, "xxxx\"\n", 6);
	assert_int_equal(kontor_csv_next(csv, (struct kontor_text){text, limit + 5}, false, true, &record, &skipped),
			 3);
	assert_int_equal(record.fault, KONTOR_CSV_UNCLOSED);
	assert_text(record.raw, "\"1");
	free(text);
}

/* ---- random files ----------------------------------------------------------------------------------------------- */

struct found {
	size_t from, raw_size;
	uint64_t line;
	enum kontor_csv_fault fault;
	unsigned fault_column;
	size_t fields_len, fields_sum;
};

#define FOUND_LIMIT 4096
struct result {
	size_t len;
	struct found records[FOUND_LIMIT];
	uint64_t lines;
	size_t left;
};

static unsigned seed = 20261122;

static size_t random_below(size_t limit)
{
	seed = seed * 1103515245u + 12345u;
	return (size_t)(seed >> 8) % limit;
}

static size_t random_file(char *text, size_t capacity)
{
	static const char *const parts[] = {"a",  "b1",  ",",        ",",      "\"",       "\"\"", "\n", "\r\n",
					    "\r", "x,y", "\"q,\n\"", "\"ok\"", "\xc3\xa9", "\xe9", " "};
	size_t size = 0, length = random_below(capacity - 16);
	while (size < length) {
		const char *part = parts[random_below(sizeof(parts) / sizeof(parts[0]))];
		memcpy(text + size, part, strlen(part));
		size += strlen(part);
	}
	return size;
}

/* Gives the reader `step()` more bytes each time it asks for them. */
static void read_file(const char *text, size_t size, size_t (*step)(size_t limit), bool want_fields,
		      struct result *result)
{
	size_t from = 0, visible = step(size + 1);
	memset(result, 0, sizeof(*result));
	for (;;) {
		struct kontor_csv_record record;
		size_t skipped = 0;
		struct kontor_text rest = {text + from, visible - from};
		size_t used = kontor_csv_next(csv, rest, visible == size, want_fields, &record, &skipped);
		if (used == 0) {
			if (visible == size) {
				result->lines += skipped;
				break;
			}
			visible += 1 + step(size - visible);
			continue;
		}
		struct found *found = &result->records[result->len++];
		assert_true(result->len < FOUND_LIMIT);
		found->from = (size_t)(record.raw.data - text);
		found->raw_size = record.raw.size;
		found->line = result->lines + skipped;
		found->fault = record.fault;
		found->fault_column = record.fault_column;
		found->fields_len = record.fields_len;
		for (size_t i = 0; i < record.fields_len; i++)
			found->fields_sum = found->fields_sum * 31 + record.fields[i].size;
		result->lines += skipped + record.lines;
		from += used;
	}
	result->left = size - from;
}

static size_t whole_file(size_t limit)
{
	return limit - 1;
}

static size_t small_step(size_t limit)
{
	return random_below(limit < 9 ? (limit ? limit : 1) : 9);
}

static uint64_t count_lines(const char *text, size_t size)
{
	uint64_t lines = size > 0 && text[size - 1] != '\n';
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	return lines;
}

static void assert_nothing_is_lost(const char *text, size_t size, const struct result *result)
{
	size_t from = 0;
	for (size_t i = 0; i <= result->len; i++) {
		size_t next = i < result->len ? result->records[i].from : size;
		assert_true(next >= from);
		for (; from < next; from++) /* only line ends lie between records */
			assert_true(text[from] == '\n' || text[from] == '\r');
		if (i < result->len)
			from += result->records[i].raw_size;
	}
}

static void test_records_are_the_same_however_the_bytes_come_in(void **state)
{
	(void)state;
	char text[600];
	static struct result whole, pieces, borders;
	for (int round = 0; round < 20000; round++) {
		size_t size = random_file(text, sizeof(text));
		read_file(text, size, whole_file, true, &whole);
		read_file(text, size, small_step, true, &pieces);
		read_file(text, size, small_step, false, &borders);
		assert_int_equal(whole.len, pieces.len);
		assert_memory_equal(whole.records, pieces.records, whole.len * sizeof(whole.records[0]));
		assert_int_equal(whole.len, borders.len);
		for (size_t i = 0; i < whole.len; i++) {
			assert_int_equal(whole.records[i].from, borders.records[i].from);
			assert_int_equal(whole.records[i].raw_size, borders.records[i].raw_size);
		}
		assert_int_equal(whole.lines, count_lines(text, size));
		assert_int_equal(pieces.lines, whole.lines);
		assert_nothing_is_lost(text, size, &whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_split_and_never_trimmed),
		cmocka_unit_test(test_a_quoted_field_may_hold_commas_quotes_and_line_ends),
		cmocka_unit_test(test_line_ends_may_be_mixed_and_the_last_one_missing),
		cmocka_unit_test(test_empty_lines_are_counted_but_are_no_records),
		cmocka_unit_test(test_a_bad_quote_costs_one_line),
		cmocka_unit_test(test_bytes_that_are_no_text_are_found_with_their_column),
		cmocka_unit_test(test_64_fields_are_taken_and_65_are_not),
		cmocka_unit_test(test_64_kib_fit_and_one_byte_more_does_not),
		cmocka_unit_test(test_records_are_the_same_however_the_bytes_come_in),
	};
	return cmocka_run_group_tests(tests, open_csv, close_csv);
}
