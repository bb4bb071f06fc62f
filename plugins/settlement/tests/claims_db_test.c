/* SPDX-License-Identifier: Apache-2.0
 *
 * Manual settlement: which rows may claim their item, that an item is claimed once, and that no claim slips in beside
 * the run of its window.
 */
#include "file_fixture.h"

#include "manual_row.h"
#include "rule_store.h"

#define KIND (&upload_kinds[KIND_MANUAL_SETTLEMENT])
#define SHOP 880000000001
#define AT "2026-11-03T10:00:00Z" /* window 2026-W45 */

static struct file *new_file(uint64_t upload_id)
{
	return file_new(KIND, upload_id);
}

static struct file *file_of(uint64_t upload_id, const char *line)
{
	struct file *file = new_file(upload_id);
	add_good(file, line);
	return file;
}

static void undo(struct file *file)
{
	kontor_conn *conn;
	check(kontor_db_acquire(db, &conn, &err));
	check(KIND->undo(&self, conn, &file->upload, &err));
	kontor_db_release(conn);
}

/* Items 1 to 4 of SHOP (10.00, 20.00, 30.00, 40.00 SGD), and item 9 of the next shop: accepted. Item 5: not accepted.
 */
static int begin(void **state)
{
	(void)state;
	static const char *const tables[] = {"DELETE FROM billing_item",
					     "DELETE FROM item_batch",
					     "DELETE FROM claim",
					     "DELETE FROM claim_batch",
					     "DELETE FROM manual_settlement",
					     "DELETE FROM shop_rule",
					     "DELETE FROM job",
					     "DELETE FROM idempotency",
					     "UPDATE `window` SET state = 'open'",
					     "DELETE FROM shop_rule_revision"};
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		sql_run(tables[i]);
	arena = kontor_arena_new(0);
	struct batch *items = batch_new(100), *others = batch_new(101);
	batch_add(items, SHOP, "a", "10.00", AT, 1);
	batch_add(items, SHOP, "b", "20.00", AT, 2);
	batch_add(items, SHOP, "c", "30.00", AT, 3);
	batch_add(items, SHOP, "d", "40.00", AT, 4);
	batch_add(items, SHOP + 1, "e", "50.00", AT, 9);
	batch_add(others, SHOP, "f", "60.00", AT, 5);
	check(batch_apply(items));
	check(batch_apply(others));
	batch_accept(items);
	batch_free(items);
	batch_free(others);
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena = kontor_arena_free(arena);
	return 0;
}

#define SHOP_TEXT "880000000001"

static void test_a_bad_row_names_its_column(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum manual_column column;
	} bad[] = {
		{",1,,", MANUAL_SHOP},
		{"0,1,,", MANUAL_SHOP},
		{SHOP_TEXT ",,,", MANUAL_ITEM},
		{SHOP_TEXT ",01,,", MANUAL_ITEM},
		{SHOP_TEXT ",1,1.234,SGD", MANUAL_AMOUNT},
		{SHOP_TEXT ",1,1.23456,", MANUAL_AMOUNT},
		{SHOP_TEXT ",1,ten,", MANUAL_AMOUNT},
		{SHOP_TEXT ",1,,VND", MANUAL_CURRENCY},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct kontor_identity identity;
		struct kontor_row *row = add_row(new_file(1), bad[i].line, &identity);
		assert_int_equal(row->verdict, KONTOR_VERDICT_BAD_ROW);
		if (row->column != (unsigned)bad[i].column + 1 || !row->reason[0])
			fail_msg("%s: column %u: %s", bad[i].line, row->column, row->reason);
	}
	assert_true(manual_columns[MANUAL_SHOP].required);
}

static void expect(const char *line, enum kontor_verdict verdict, const char *reason)
{
	struct file *file = file_of(77, line);
	file->upload.dry_run = true;
	apply(file);
	if (file->rows[0].verdict != verdict || !strstr(file->rows[0].reason, reason))
		fail_msg("%s: %s: %s", line, kontor_verdict_name(file->rows[0].verdict), file->rows[0].reason);
}

static void test_each_row_gets_the_verdict_of_its_item(void **state)
{
	(void)state;
	expect(SHOP_TEXT ",1,,", KONTOR_VERDICT_OK, "");
	expect(SHOP_TEXT ",1,10,SGD", KONTOR_VERDICT_OK, "");
	expect(SHOP_TEXT ",1,10.0,", KONTOR_VERDICT_OK, "");
	expect(SHOP_TEXT ",8,,", KONTOR_VERDICT_NOT_FOUND, "8");
	expect(SHOP_TEXT ",5,,", KONTOR_VERDICT_NOT_FOUND, "accepted");
	expect(SHOP_TEXT ",9,,", KONTOR_VERDICT_OTHER_SHOP, "880000000002");
	expect(SHOP_TEXT ",1,10.01,", KONTOR_VERDICT_CONFLICT, "the item has 10.00 SGD, here it is 10.01");
	expect(SHOP_TEXT ",1,10.001,", KONTOR_VERDICT_CONFLICT, "10.00 SGD");
	expect(SHOP_TEXT ",1,10,KWD", KONTOR_VERDICT_CONFLICT, "KWD");
	expect(SHOP_TEXT ",1,,MYR", KONTOR_VERDICT_CONFLICT, "MYR");
	struct file *other = file_of(78, SHOP_TEXT ",2,,");
	assert_int_equal(apply(other), KONTOR_VERDICT_OK);
	expect(SHOP_TEXT ",2,99,", KONTOR_VERDICT_ALREADY_CLAIMED, "upload 78");
	accept_file(other);
	expect(SHOP_TEXT ",2,,", KONTOR_VERDICT_ALREADY_CLAIMED, "upload 78");
	sql_run("UPDATE manual_settlement SET state = 'settled'");
	expect(SHOP_TEXT ",2,,", KONTOR_VERDICT_ALREADY_SETTLED, "upload 78");
	sql_run("INSERT INTO shop_rule (region, shop_user_id, rule, currency, version, value, number, from_ms, "
		"upload_id, "
		"revision) VALUES ('SG', 880000000001, 'hold', 'SGD', 1, 'yes', 1, 0, 0, 1)");
	expect(SHOP_TEXT ",1,99,", KONTOR_VERDICT_HELD, "on hold");
	sql_run("UPDATE `window` SET state = 'settling' WHERE window_no = 202645");
	expect(SHOP_TEXT ",1,,", KONTOR_VERDICT_ALREADY_SETTLED, "2026-W45 is settling");
	sql_run("UPDATE `window` SET state = 'closed' WHERE window_no = 202645");
	expect(SHOP_TEXT ",1,,", KONTOR_VERDICT_HELD, "on hold");
	assert_int_equal(sql_int("SELECT COUNT(*) FROM claim"), 1);
}

static void test_the_totals_have_the_items_own_amounts(void **state)
{
	(void)state;
	struct file *file = new_file(1);
	add_good(file, SHOP_TEXT ",1,,");
	add_good(file, SHOP_TEXT ",3,31,SGD");
	add_good(file, SHOP_TEXT ",8,5,SGD");
	apply(file);
	assert_int_equal(file->rows[0].amount_minor, 1000);
	assert_string_equal(file->rows[0].currency, "SGD");
	assert_int_equal(file->rows[1].verdict, KONTOR_VERDICT_CONFLICT);
	assert_int_equal(file->rows[1].amount_minor, 3100);
	assert_int_equal(file->rows[2].amount_minor, 500);
	assert_int_equal(sql_int("SELECT amount_minor FROM claim_batch WHERE upload_id = 1 AND claims = 1"), 1000);
}

static void test_accepting_submits_the_run_in_the_same_transaction(void **state)
{
	(void)state;
	struct file *file = new_file(1), *nothing = file_of(2, SHOP_TEXT ",8,,");
	const uint64_t some[KONTOR_VERDICT_COUNT] = {1}, none[KONTOR_VERDICT_COUNT] = {0, 5, 5, 5, 5};
	add_good(file, SHOP_TEXT ",1,,");
	add_good(file, SHOP_TEXT ",2,,");
	apply(file);
	apply(nothing);
	assert_true(KIND->needs_approval(&self, &file->upload, some));
	assert_false(KIND->needs_approval(&self, &file->upload, none));
	accept_file(nothing);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM job"), 0);
	accept_file(file);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM job j JOIN manual_settlement m USING (job_id) "
				 "WHERE j.kind = 'payout.manual' AND j.region = 'SG' AND m.window_no = 202601 "
				 "AND m.run_id > 0 AND m.user = 'alice'"),
			 1);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM claim_batch WHERE accepted = 1 AND claims = 2 "
				 "AND amount_minor = 3000"),
			 1);
}

static void test_a_cancelled_upload_gives_its_items_back(void **state)
{
	(void)state;
	struct file *file = file_of(1, SHOP_TEXT ",1,,");
	apply(file);
	undo(file);
	undo(file);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM claim"), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM claim_batch"), 0);
	assert_int_equal(apply(file_of(2, SHOP_TEXT ",1,,")), KONTOR_VERDICT_OK);
}

/* ---- races ---- */

struct racer {
	struct file *file;
	pthread_t thread;
	int result;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct kontor_error own = KONTOR_ERROR_INIT;
	racer->result = kontor_db_transact(db, apply_tx, racer->file, &own);
	return NULL;
}

static void start(struct racer *racer, uint64_t upload_id, const char *line)
{
	racer->file = file_of(upload_id, line);
	pthread_create(&racer->thread, NULL, race, racer);
}

static enum kontor_verdict verdict_of(struct racer *racer)
{
	pthread_join(racer->thread, NULL);
	assert_int_equal(racer->result, 0);
	return racer->file->rows[0].verdict;
}

static void test_of_many_uploads_at_once_one_claims_the_item(void **state)
{
	(void)state;
	enum { RACERS = 4 };
	struct racer racers[RACERS];
	for (unsigned i = 0; i < RACERS; i++)
		start(&racers[i], 10 + i, SHOP_TEXT ",1,,");
	unsigned claimed = 0;
	for (unsigned i = 0; i < RACERS; i++) {
		enum kontor_verdict verdict = verdict_of(&racers[i]);
		assert_true(verdict == KONTOR_VERDICT_OK || verdict == KONTOR_VERDICT_ALREADY_CLAIMED);
		claimed += verdict == KONTOR_VERDICT_OK;
	}
	assert_int_equal(claimed, 1);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM claim"), 1);
	assert_int_equal(sql_int("SELECT CAST(SUM(claims) AS SIGNED) FROM claim_batch"), 1);
}

/* A session in the middle of a transaction. */
static kontor_conn *session_with(const char *first, const char *second)
{
	kontor_conn *conn;
	check(kontor_db_acquire(db, &conn, &err));
	check(kontor_db_exec(conn, "START TRANSACTION", KONTOR_NO_PARAMS, NULL, &err));
	check(kontor_db_exec(conn, first, KONTOR_NO_PARAMS, NULL, &err));
	if (second)
		check(kontor_db_exec(conn, second, KONTOR_NO_PARAMS, NULL, &err));
	return conn;
}

static void commit(kontor_conn *conn)
{
	check(kontor_db_exec(conn, "COMMIT", KONTOR_NO_PARAMS, NULL, &err));
	kontor_db_release(conn);
}

/* The statistics of a table that is empty, or was until now, make reading all of a region look cheap. */
static void test_each_item_costs_one_look_at_the_claims_however_old_the_statistics(void **state)
{
	(void)state;
	char sql[sizeof("EXPLAIN ") + sizeof(SQL_FIND_CLAIMABLE)];
	struct kontor_param params[1 + LOOKUP_KEYS + 1] = {P_STRING("SG")};
	for (size_t i = 0; i < LOOKUP_KEYS; i++)
		params[1 + i] = P_UINT(i + 1);
	params[1 + LOOKUP_KEYS].type = KONTOR_P_END;
	snprintf(sql, sizeof(sql), "EXPLAIN %s", SQL_FIND_CLAIMABLE);
	kontor_conn *conn;
	kontor_rows *rows = NULL;
	int seen = 0;
	check(kontor_db_acquire(db, &conn, &err));
	check(kontor_db_query(conn, KONTOR_READ_ALL, sql, params, &rows, &err));
	while (kontor_rows_next(rows, &err) > 0) { /* id, select_type, table, type, possible_keys, key, ... */
		bool items = kontor_text_is(kontor_rows_text(rows, 2), "i");
		assert_string_equal(kontor_rows_string(rows, 5), items ? "item" : "PRIMARY");
		seen++;
	}
	kontor_rows_close(rows);
	kontor_db_release(conn);
	assert_int_equal(seen, 4);
}

static void test_without_the_fence_the_tables_key_decides(void **state)
{
	(void)state;
	kontor_conn *first =
		session_with("INSERT INTO claim (region, window_no, shop_user_id, billing_item_id, kind, "
			     "run_id, upload_id, line_no) VALUES ('SG', 202645, 880000000001, 1, 'MANUAL', "
			     "0, 5, 2)",
			     NULL);
	struct racer second;
	start(&second, 6, SHOP_TEXT ",1,,");
	assert_true(test_database_wait_for_a_waiter(first));
	commit(first);
	assert_int_equal(verdict_of(&second), KONTOR_VERDICT_ALREADY_CLAIMED);
	assert_non_null(strstr(second.file->rows[0].reason, "upload 5"));
}

static int settle_begin(struct kontor_error *e)
{
	kontor_body *body = NULL;
	kontor_writer *args = arguments();
	kontor_put_string(args, "window", "2026-W45");
	kontor_put_uint(args, "run_id", 4711);
	int rc = call("settle_begin", args, &body, e);
	kontor_body_free(body);
	return rc;
}

static void test_a_claim_that_meets_the_start_of_the_windows_run_comes_too_late(void **state)
{
	(void)state;
	sql_run("UPDATE `window` SET state = 'closed' WHERE window_no = 202645");
	kontor_conn *run = session_with(
		"SELECT state INTO @state FROM `window` WHERE region = 'SG' AND window_no = 202645 FOR UPDATE",
		"UPDATE `window` SET state = 'settling', run_id = 1 WHERE region = 'SG' AND window_no = 202645 "
		"AND state = 'closed'");
	struct racer claim;
	start(&claim, 6, SHOP_TEXT ",1,,");
	assert_true(test_database_wait_for_a_waiter(run));
	commit(run);
	assert_int_equal(verdict_of(&claim), KONTOR_VERDICT_ALREADY_SETTLED);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM claim"), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM claim_batch"), 0);
}

static void *begin_settling(void *arg)
{
	struct kontor_error own = KONTOR_ERROR_INIT;
	*(int *)arg = settle_begin(&own);
	return NULL;
}

static int hold_claim(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	pthread_t thread;
	static int result;
	struct file *file = arg;
	int rc = apply_tx(tx, file, e);
	if (rc)
		return rc;
	/* Our transaction is open: the window's run cannot begin before it ends. */
	pthread_create(&thread, NULL, begin_settling, &result);
	assert_true(test_database_wait_for_a_waiter(tx));
	check(kontor_db_exec(tx, "COMMIT", KONTOR_NO_PARAMS, NULL, e));
	pthread_join(thread, NULL);
	return result;
}

static void test_the_windows_run_that_meets_a_claim_waits_until_it_is_decided(void **state)
{
	(void)state;
	sql_run("UPDATE `window` SET state = 'closed' WHERE window_no = 202645");
	struct file *file = file_of(6, SHOP_TEXT ",1,,");
	assert_int_equal(kontor_db_transact(db, hold_claim, file, &err), KONTOR_E_BUSY);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM claim"), 1);
	assert_int_equal(settle_begin(&err), KONTOR_E_BUSY);
	assert_non_null(strstr(err.message, "upload 6"));
	accept_file(file);
	assert_int_equal(settle_begin(&err), 0);
}

static void test_a_cancelled_claim_lets_the_windows_run_begin(void **state)
{
	(void)state;
	sql_run("UPDATE `window` SET state = 'closed' WHERE window_no = 202645");
	struct file *file = file_of(6, SHOP_TEXT ",1,,");
	apply(file);
	assert_int_equal(settle_begin(&err), KONTOR_E_BUSY);
	undo(file);
	assert_int_equal(settle_begin(&err), 0);
}

/* ---- settlement.manual ---- */

static int manual(kontor_body **ret_body)
{
	kontor_writer *args = arguments();
	kontor_put_uint(args, "upload", 6);
	return call("manual", args, ret_body, &err);
}

static void test_a_run_that_ended_too_early_goes_on(void **state)
{
	(void)state;
	kontor_body *body = NULL;
	assert_int_equal(manual(&body), KONTOR_E_NOT_FOUND);
	struct file *file = file_of(6, SHOP_TEXT ",1,,");
	apply(file);
	assert_int_equal(manual(&body), KONTOR_E_BUSY);
	accept_file(file);
	static const char *const ends[] = {"failed", "dead", "cancelled"};
	for (size_t i = 0; i < 3; i++) {
		char sql[128];
		snprintf(sql, sizeof(sql), "UPDATE job SET state = '%s', unique_key = NULL", ends[i]);
		sql_run(sql);
		check(manual(&body));
		assert_int_equal(sql_int("SELECT COUNT(*) FROM job j JOIN manual_settlement m USING (job_id) "
					 "WHERE j.state = 'queued'"),
				 1);
		kontor_body_free(body);
	}
	assert_int_equal(sql_int("SELECT COUNT(DISTINCT run_id) FROM manual_settlement"), 1);
}

static void test_only_the_uploads_own_run_settles_it(void **state)
{
	(void)state;
	kontor_body *body = NULL;
	struct file *file = file_of(6, SHOP_TEXT ",1,,");
	apply(file);
	accept_file(file);
	for (int own = 0; own < 2; own++) {
		kontor_writer *args = arguments();
		kontor_put_uint(args, "upload", 6);
		kontor_put_uint(args, "run_id",
				own ? (uint64_t)sql_int("SELECT run_id FROM manual_settlement") : 12345);
		kontor_put_uint(args, "payouts", 3);
		assert_int_equal(call("manual_end", args, &body, &err), own ? 0 : KONTOR_E_CONFLICT);
		if (own)
			kontor_body_free(body);
	}
	sql_run("DELETE FROM job"); /* the history is not kept for ever */
	check(manual(&body));
	char shown[16];
	assert_string_equal(kontor_get_string(kontor_body_map(body), "state", shown, sizeof(shown)), "balanced");
	assert_int_equal(kontor_get_int(kontor_body_map(body), "payouts", 0), 3);
	kontor_body_free(body);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM job"), 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_a_bad_row_names_its_column),
		TEST(test_each_row_gets_the_verdict_of_its_item),
		TEST(test_the_totals_have_the_items_own_amounts),
		TEST(test_accepting_submits_the_run_in_the_same_transaction),
		TEST(test_a_cancelled_upload_gives_its_items_back),
		TEST(test_of_many_uploads_at_once_one_claims_the_item),
		TEST(test_each_item_costs_one_look_at_the_claims_however_old_the_statistics),
		TEST(test_without_the_fence_the_tables_key_decides),
		TEST(test_a_claim_that_meets_the_start_of_the_windows_run_comes_too_late),
		TEST(test_the_windows_run_that_meets_a_claim_waits_until_it_is_decided),
		TEST(test_a_cancelled_claim_lets_the_windows_run_begin),
		TEST(test_a_run_that_ended_too_early_goes_on),
		TEST(test_only_the_uploads_own_run_settles_it),
	};
	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
