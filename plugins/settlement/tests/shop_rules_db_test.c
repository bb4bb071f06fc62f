/* SPDX-License-Identifier: Apache-2.0
 *
 * Shop rules: what a row may say, which version decides, and what an upload that ends badly leaves behind.
 */
#include "file_fixture.h"

#include "rule_store.h"

#define KIND (&upload_kinds[KIND_SHOP_RULES])

static struct file *new_file(uint64_t upload_id)
{
	return file_new(KIND, upload_id);
}

static enum kontor_verdict import(uint64_t upload_id, const char *line)
{
	struct file *file = new_file(upload_id);
	add_good(file, line);
	apply(file);
	accept_file(file);
	return file->rows[0].verdict;
}

static bool held(uint64_t shop, const char *currency, const char *at)
{
	kontor_conn *conn;
	int64_t at_ms;
	struct hold_question question = {.shop_user_id = shop};
	snprintf(question.currency, sizeof(question.currency), "%s", currency);
	assert_int_equal(kontor_time_parse(kontor_text_of(at), &at_ms), KONTOR_TIME_OK);
	check(kontor_db_acquire(db, &conn, &err));
	check(rule_find_holds(conn, "SG", at_ms, &question, 1, &err));
	kontor_db_release(conn);
	return question.held;
}

#define NOW "2026-11-20T00:00:00Z"

static int begin(void **state)
{
	(void)state;
	sql_run("DELETE FROM shop_rule");
	sql_run("DELETE FROM shop_rule_revision");
	arena = kontor_arena_new(0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena = kontor_arena_free(arena);
	return 0;
}

static void test_a_bad_row_names_its_column_and_the_rule(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum rule_column column;
		const char *reason;
	} bad[] = {
		{"07,hold,yes,,,", RULE_SHOP, "leading zeros"},
		{",hold,yes,,,", RULE_SHOP, "whole number"},
		{"7,holds,yes,,,", RULE_NAME, "the nearest is hold"},
		{"7,,yes,,,", RULE_NAME, "must be hold"},
		{"7,hold,YES,,,", RULE_VALUE, "yes or no"},
		{"7,hold,,,,", RULE_VALUE, "yes or no"},
		{"7,minimum_payout,-1,,,", RULE_VALUE, "negative"},
		{"7,minimum_payout,1.234,,,", RULE_VALUE, "SGD"},
		{"7,minimum_payout,1.5,JPY,,", RULE_VALUE, "JPY"},
		{"7,minimum_payout,1,VND,,", RULE_CURRENCY, "SG accepts"},
		{"7,hold,yes,sgd,,", RULE_CURRENCY, "SG accepts"},
		{"7,commission_percent,2.12345,,,", RULE_VALUE, "4 decimals"},
		{"7,commission_percent,100.0001,,,", RULE_VALUE, "0 to 100"},
		{"7,commission_percent,-1,,,", RULE_VALUE, "0 to 100"},
		{"7,commission_percent,2%,,,", RULE_VALUE, "0 to 100"},
		{"7,hold,yes,,yesterday,", RULE_FROM, "from"},
		{"7,hold,yes,,2026-01-01T00:00:00,", RULE_FROM, "from"},
		{"7,hold,yes,,,2026-13-01T00:00:00Z", RULE_UNTIL, "until"},
		{"7,hold,yes,,2026-01-02T00:00:00Z,2026-01-02T00:00:00Z", RULE_UNTIL, "later than from"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct kontor_identity identity;
		struct kontor_row *row = add_row(new_file(1), bad[i].line, &identity);
		assert_int_equal(row->verdict, KONTOR_VERDICT_BAD_ROW);
		if (row->column != (unsigned)bad[i].column + 1 || !strstr(row->reason, bad[i].reason))
			fail_msg("%s: column %u: %s", bad[i].line, row->column, row->reason);
	}
}

static void test_good_rows_become_exact_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *line, *currency;
		int64_t number;
	} good[] = {
		{"7,hold,yes,,,", "", 1},
		{"7,hold,no,MYR,,", "MYR", 0},
		{"7,minimum_payout,12.5,,,", "SGD", 1250}, /* the region's first currency */
		{"7,minimum_payout,500,JPY,,", "JPY", 500},
		{"7,minimum_payout,0,KWD,,", "KWD", 0},
		{"7,commission_percent,2.1234,,,", "", 21234},
		{"7,commission_percent,100,,,", "", 1000000},
		{"7,commission_percent,0.0000,,,", "", 0},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct kontor_identity identity;
		struct kontor_row *row = add_row(new_file(1), good[i].line, &identity);
		assert_int_equal(row->verdict, KONTOR_VERDICT_OK);
		const struct rule *rule = row->parsed;
		assert_int_equal(rule->number, good[i].number);
		assert_string_equal(rule->currency, good[i].currency);
		assert_true(rule->from_ms == RULE_ALWAYS && rule->until_ms == RULE_FOREVER);
	}
}

static bool same_identity(const char *a, const char *b)
{
	struct kontor_identity first, second;
	struct file *file = new_file(1);
	add_row(file, a, &first);
	add_row(file, b, &second);
	return memcmp(first.key, second.key, sizeof(first.key)) == 0;
}

static void test_rows_are_about_the_same_rule_when_shop_rule_currency_and_time_agree(void **state)
{
	(void)state;
	assert_true(same_identity("7,hold,yes,,,", "7,hold,no,,,"));
	assert_true(same_identity("7,minimum_payout,5,,,", "7,minimum_payout,6,SGD,,"));
	assert_true(same_identity("7,hold,yes,,2026-01-01T00:00:00Z,", "7,hold,yes,,2026-01-01T08:00:00+08:00,"));
	assert_false(same_identity("7,hold,yes,,,", "8,hold,yes,,,"));
	assert_false(same_identity("7,hold,yes,,,", "7,hold,yes,SGD,,"));
	assert_false(same_identity("7,hold,yes,,,", "7,hold,yes,,2026-01-01T00:00:00Z,"));
	assert_false(same_identity("7,hold,yes,,,", "7,hold,yes,,,2026-01-01T00:00:00Z"));
	assert_int_equal(KIND->contradictions, KONTOR_VERDICT_DUPLICATE_IN_FILE);
}

static void test_a_rule_is_in_force_once_its_upload_is_accepted(void **state)
{
	(void)state;
	struct file *file = new_file(1);
	add_good(file, "7,hold,yes,,,");
	apply(file);
	assert_int_equal(file->rows[0].verdict, KONTOR_VERDICT_OK);
	assert_false(held(7, "SGD", NOW));
	accept_file(file);
	assert_true(held(7, "SGD", NOW));
	assert_false(held(8, "SGD", NOW));
	assert_int_equal(sql_int("SELECT revision FROM shop_rule_revision WHERE region = 'SG'"), 1);
}

static void test_the_same_again_is_unchanged_and_a_change_is_a_new_version(void **state)
{
	(void)state;
	assert_int_equal(import(1, "7,commission_percent,2.5,,,"), KONTOR_VERDICT_OK);
	assert_int_equal(import(2, "7,commission_percent,2.50,,,"), KONTOR_VERDICT_UNCHANGED);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM shop_rule"), 1);
	assert_int_equal(import(3, "7,commission_percent,3,,,"), KONTOR_VERDICT_OK);
	assert_int_equal(import(4, "7,commission_percent,2.5,,,"), KONTOR_VERDICT_OK); /* back again */
	assert_int_equal(sql_int("SELECT MAX(version) FROM shop_rule"), 3);
	assert_int_equal(sql_int("SELECT COUNT(DISTINCT revision) FROM shop_rule"), 3);
}

static void test_what_a_later_version_overlaid_is_no_longer_unchanged(void **state)
{
	(void)state;
	const char *all = "7,hold,no,,,", *summer = "7,hold,yes,,2026-06-01T00:00:00Z,2026-09-01T00:00:00Z";
	import(1, all);
	import(2, summer);
	assert_int_equal(import(3, summer), KONTOR_VERDICT_UNCHANGED);
	assert_true(held(7, "SGD", "2026-08-31T23:59:59.999Z"));
	assert_false(held(7, "SGD", "2026-09-01T00:00:00Z"));
	assert_int_equal(import(4, all), KONTOR_VERDICT_OK); /* the summer's hold stood against it */
	assert_false(held(7, "SGD", "2026-07-01T00:00:00Z"));
	assert_int_equal(import(5, all), KONTOR_VERDICT_UNCHANGED);
}

static void test_in_one_file_the_line_further_down_decides(void **state)
{
	(void)state;
	struct file *file = new_file(1);
	add_good(file, "7,hold,yes,,2026-03-01T00:00:00Z,");
	add_good(file, "7,hold,no,,2026-02-01T00:00:00Z,");
	add_good(file, "7,hold,yes,,2026-10-01T00:00:00Z,");
	apply(file);
	accept_file(file);
	assert_false(held(7, "SGD", "2026-04-01T00:00:00Z"));
	assert_true(held(7, "SGD", NOW));
}

static void test_a_line_that_repeats_what_is_stored_overrules_the_lines_above_it(void **state)
{
	(void)state;
	import(1, "7,hold,no,,,");
	struct file *file = new_file(2);
	add_good(file, "7,hold,yes,,2026-03-01T00:00:00Z,");
	add_good(file, "7,hold,no,,,");
	apply(file);
	accept_file(file);
	assert_int_equal(file->rows[1].verdict, KONTOR_VERDICT_OK);
	assert_false(held(7, "SGD", NOW));
}

/* Chunks of a file are judged apart, in any order. */
static void test_a_line_that_repeats_what_is_stored_overrules_lines_of_other_batches(void **state)
{
	(void)state;
	import(1, "7,hold,no,,,");
	struct file *above = new_file(2), *below = new_file(2);
	add_good(above, "7,hold,yes,,2026-03-01T00:00:00Z,");
	add_good(below, "7,hold,no,,,");
	below->rows[0].line = 10001;
	apply(below);
	apply(above);
	accept_file(below);
	assert_false(held(7, "SGD", NOW));
	assert_int_equal(import(3, "7,hold,no,,,"), KONTOR_VERDICT_UNCHANGED);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM shop_rule WHERE revision = 0"), 0);
}

static void test_what_is_accepted_in_between_is_overruled_by_a_line_that_was_unchanged(void **state)
{
	(void)state;
	import(1, "7,hold,no,,,");
	struct file *file = new_file(2);
	add_good(file, "7,hold,no,,,");
	add_good(file, "8,hold,no,,,");
	apply(file);
	assert_int_equal(file->rows[0].verdict, KONTOR_VERDICT_UNCHANGED);
	import(3, "7,hold,yes,,,");
	assert_true(held(7, "SGD", NOW));
	accept_file(file);
	assert_false(held(7, "SGD", NOW));
}

static void test_a_rule_of_one_currency_goes_before_one_of_all(void **state)
{
	(void)state;
	import(1, "7,hold,no,JPY,,");
	import(2, "7,hold,yes,,,");
	assert_false(held(7, "JPY", NOW));
	assert_true(held(7, "SGD", NOW));
}

static void test_an_upload_that_is_undone_leaves_nothing(void **state)
{
	(void)state;
	import(1, "7,hold,no,,,");
	struct file *file = new_file(2);
	add_good(file, "7,hold,yes,,,");
	add_good(file, "9,hold,yes,,,");
	apply(file);
	kontor_conn *conn;
	check(kontor_db_acquire(db, &conn, &err));
	check(KIND->undo(&self, conn, &file->upload, &err));
	file->upload.upload_id = 1; /* what is in force stays, whatever is undone */
	check(KIND->undo(&self, conn, &file->upload, &err));
	kontor_db_release(conn);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM shop_rule"), 1);
	assert_int_equal(import(3, "7,hold,no,,,"), KONTOR_VERDICT_UNCHANGED);
}

static void test_a_dry_run_judges_alike_and_stores_nothing(void **state)
{
	(void)state;
	import(1, "7,hold,no,,,");
	struct file *file = new_file(2);
	file->upload.dry_run = true;
	add_good(file, "7,hold,no,,,");
	add_good(file, "8,hold,no,,,");
	apply(file);
	assert_int_equal(file->rows[0].verdict, KONTOR_VERDICT_UNCHANGED);
	assert_int_equal(file->rows[1].verdict, KONTOR_VERDICT_OK);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM shop_rule"), 1);
}

static void test_of_two_uploads_the_one_accepted_last_decides(void **state)
{
	(void)state;
	struct file *first = new_file(1), *second = new_file(2);
	add_good(first, "7,hold,yes,,,");
	add_good(second, "7,hold,no,,,");
	apply(first);
	apply(second);
	accept_file(second);
	accept_file(first);
	assert_true(held(7, "SGD", NOW));
}

static bool hold(const char *method, uint64_t shop)
{
	kontor_body *body = NULL;
	kontor_writer *args = arguments();
	kontor_put_uint(args, "shop", shop);
	check(call(method, args, &body, &err));
	bool changed = kontor_get_bool(kontor_body_map(body), "changed", false);
	kontor_body_free(body);
	return changed;
}

static void test_hold_and_release_of_one_shop_reach_every_currency(void **state)
{
	(void)state;
	import(1, "7,hold,yes,JPY,,");
	import(2, "7,hold,no,MYR,,");
	assert_true(hold("hold", 7));
	assert_false(hold("hold", 7));
	assert_true(held(7, "SGD", NOW) && held(7, "MYR", NOW) && held(7, "JPY", NOW));
	assert_true(hold("release", 7));
	assert_false(hold("release", 7));
	assert_false(held(7, "SGD", NOW) || held(7, "MYR", NOW) || held(7, "JPY", NOW));
	assert_int_equal(sql_int("SELECT COUNT(*) FROM shop_rule WHERE revision = 0"), 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_a_bad_row_names_its_column_and_the_rule),
		TEST(test_good_rows_become_exact_numbers),
		TEST(test_rows_are_about_the_same_rule_when_shop_rule_currency_and_time_agree),
		TEST(test_a_rule_is_in_force_once_its_upload_is_accepted),
		TEST(test_the_same_again_is_unchanged_and_a_change_is_a_new_version),
		TEST(test_what_a_later_version_overlaid_is_no_longer_unchanged),
		TEST(test_in_one_file_the_line_further_down_decides),
		TEST(test_a_line_that_repeats_what_is_stored_overrules_the_lines_above_it),
		TEST(test_a_line_that_repeats_what_is_stored_overrules_lines_of_other_batches),
		TEST(test_what_is_accepted_in_between_is_overruled_by_a_line_that_was_unchanged),
		TEST(test_a_rule_of_one_currency_goes_before_one_of_all),
		TEST(test_an_upload_that_is_undone_leaves_nothing),
		TEST(test_a_dry_run_judges_alike_and_stores_nothing),
		TEST(test_of_two_uploads_the_one_accepted_last_decides),
		TEST(test_hold_and_release_of_one_shop_reach_every_currency),
	};
	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
