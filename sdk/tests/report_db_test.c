/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports: the pages that a kind writes come together to one file, whatever their size and wherever it is interrupted.
 */
#include <zstd.h>

#include "job_fixture.h"
#include "kontor/report.h"

#define PAGES_LIMIT 64

/* A report of the numbers 1 to `rows`, one a line, and a line of `padding` letters behind each. */
static struct {
	unsigned rows, page_rows, padding;
	unsigned fail_at; /* the row at which a page fails, once */
	uint64_t begins[PAGES_LIMIT];
	unsigned pages; /* that were begun */
} numbers;

static int write_page(void *self, kontor_conn *tx, kontor_job *job, struct kontor_report_page *page,
		      struct kontor_error *e)
{
	(void)self;
	(void)tx;
	(void)job;
	uint64_t number = page->cursor.first;
	assert_true(numbers.pages < PAGES_LIMIT);
	numbers.begins[numbers.pages++] = number;
	assert_string_equal(page->cursor.text, number ? "after" : "");
	assert_int_equal(page->cursor.second, 2 * number);
	while (number < numbers.rows && page->rows < numbers.page_rows && !kontor_report_is_full(page)) {
		if (number + 1 == numbers.fail_at) {
			numbers.fail_at = 0;
			return kontor_fail(e, KONTOR_E_UNAVAILABLE, "fails once");
		}
		fprintf(page->out, "%d\n", (int)++number);
		for (unsigned i = 0; i < numbers.padding; i++)
			putc('x', page->out);
		if (numbers.padding)
			putc('\n', page->out);
		page->rows++;
	}
	page->cursor = (struct kontor_report_cursor){"after", number, 2 * number};
	page->last = page->rows < numbers.page_rows && !kontor_report_is_full(page);
	return 0;
}

static const struct kontor_report report = {.header = "number", .page = write_page};

static int plan_report(struct script *s, kontor_job *job, struct kontor_error *e)
{
	(void)s;
	return kontor_report_plan(job, numbers.rows, e);
}

static int chunk_of_report(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	(void)s;
	return kontor_report_chunk(&report, job, chunk, e);
}

static int finish_report(struct script *s, kontor_job *job, struct kontor_error *e)
{
	(void)s;
	return kontor_report_finish(job, e);
}

static int begin(void **state)
{
	int rc = setup(state);
	memset(&numbers, 0, sizeof(numbers));
	script.plan = plan_report;
	script.chunk = chunk_of_report;
	script.finish = finish_report;
	return rc;
}

/* ---- reading it ---- */

struct file {
	FILE *out;
	uint64_t next;
	unsigned pieces;
};

static void add_piece(void *arg, uint64_t next, struct kontor_text frame, uint64_t plain_bytes)
{
	struct file *file = arg;
	char *plain = malloc(plain_bytes);
	assert_int_equal(ZSTD_decompress(plain, plain_bytes, frame.data, frame.size), plain_bytes);
	assert_in_range(plain_bytes, 1, 1 << 20);
	fwrite(plain, 1, plain_bytes, file->out);
	free(plain);
	assert_true(next > file->next);
	file->next = next;
	file->pieces++;
}

/* The job's whole output; the caller frees it. */
static char *output_of(uint64_t job_id, unsigned *ret_pieces)
{
	char *text = NULL;
	size_t size = 0;
	struct file file = {.out = open_memstream(&text, &size)};
	assert_non_null(file.out);
	do {
		*ret_pieces = file.pieces;
		ok(kontor_job_output_read(conn, job_id, file.next, add_piece, &file, &err));
	} while (file.pieces > *ret_pieces);
	fclose(file.out);
	return text;
}

/* Header, then each number once and in order. */
static void assert_numbers(const char *text)
{
	assert_int_equal(strncmp(text, "number\n", 7), 0);
	text += 7;
	for (unsigned number = 1; number <= numbers.rows; number++) {
		char *end;
		assert_int_equal(strtol(text, &end, 10), number);
		text = end + 1 + (numbers.padding ? numbers.padding + 1 : 0);
	}
	assert_string_equal(text, "");
}

static void assert_report(unsigned pieces)
{
	kontor_job_runner *runner = new_runner("u@m", 1, 600000);
	submit(1, NULL);
	run_dry(runner, 30);
	exec("UPDATE job_chunk SET run_at_ms = 0"); /* need not wait out the back-off */
	run_dry(runner, 30);
	kontor_job_runner_free(runner);
	struct kontor_job_info info = info_of(1);
	if (strcmp(info.state, "done") != 0)
		fail_msg("the job is %s: %s", info.state, info.error);
	assert_int_equal(info.total, numbers.rows);
	assert_int_equal(info.done, numbers.rows);
	unsigned found = 0;
	char *text = output_of(1, &found);
	assert_numbers(text);
	free(text);
	assert_int_equal(found, pieces);
	kontor_body *result = NULL;
	ok(kontor_job_result(conn, 1, &result, &err));
	assert_int_equal(kontor_get_uint(kontor_body_map(result), "rows", 99), numbers.rows);
	kontor_body_free(result);
}

static void test_each_page_is_a_piece_and_the_last_one_is_there_too(void **state)
{
	(void)state;
	numbers.rows = 25;
	numbers.page_rows = 10;
	assert_report(3);
	assert_int_equal(numbers.pages, 3);
}

static void test_rows_that_fill_their_pages_exactly_are_all_there(void **state)
{
	(void)state;
	numbers.rows = 20;
	numbers.page_rows = 10;
	assert_report(2); /* the third page has no row and makes no piece */
	assert_int_equal(numbers.pages, 3);
}

static void test_a_report_of_nothing_is_its_header(void **state)
{
	(void)state;
	numbers.page_rows = 10;
	assert_report(1);
}

static void test_long_rows_end_a_page_before_it_is_too_big(void **state)
{
	(void)state;
	numbers.rows = 50;
	numbers.page_rows = 1000;
	numbers.padding = 100000;
	assert_report(9); /* of half a MiB, so six rows, each */
}

static void test_a_report_goes_on_where_it_was_interrupted(void **state)
{
	(void)state;
	numbers.rows = 95;
	numbers.page_rows = 10;
	numbers.fail_at = 47; /* in the middle of the fifth page */
	assert_report(10);
	const uint64_t begins[] = {0, 10, 20, 30, 40, 40, 50, 60, 70, 80, 90};
	assert_int_equal(numbers.pages, sizeof(begins) / sizeof(begins[0]));
	assert_memory_equal(numbers.begins, begins, sizeof(begins));
}

/* ---- fields ---- */

static void test_fields_are_quoted_and_no_formula_for_a_spreadsheet(void **state)
{
	static const struct {
		const char *field, *written;
	} cases[] = {
		{"", ""},
		{"plain", "plain"},
		{"a,b", "\"a,b\""},
		{"say \"x\"", "\"say \"\"x\"\"\""},
		{"two\nlines", "\"two\nlines\""},
		{"two\rlines", "\"two\rlines\""},
		{"=1+1", "'=1+1"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"+cmd", "'+cmd"},
		{"-cmd", "'-cmd"},
		{"=1,2", "\"'=1,2\""},
		{"-12.50", "-12.50"},
		{"+5", "+5"},
		{"-", "'-"},
		{"-1.", "'-1."},
		{"-.5", "'-.5"},
		{"-1.2.3", "'-1.2.3"},
		{"-1+1", "'-1+1"},
		{"a=1", "a=1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = NULL, expected[64];
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);
		assert_non_null(out);
		kontor_report_field(out, kontor_text_of(cases[i].field), ';');
		fclose(out);
		snprintf(expected, sizeof(expected), "%s;", cases[i].written);
		assert_string_equal(text, expected);
		free(text);
	}
}

#define report_test(name) cmocka_unit_test_setup_teardown(name, begin, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		report_test(test_each_page_is_a_piece_and_the_last_one_is_there_too),
		report_test(test_rows_that_fill_their_pages_exactly_are_all_there),
		report_test(test_a_report_of_nothing_is_its_header),
		report_test(test_long_rows_end_a_page_before_it_is_too_big),
		report_test(test_a_report_goes_on_where_it_was_interrupted),
		cmocka_unit_test(test_fields_are_quoted_and_no_formula_for_a_spreadsheet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
