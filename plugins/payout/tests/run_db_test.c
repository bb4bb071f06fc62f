/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunks of a run on a real database: every payout recomputed by SQL apart from the C code, the control totals, and
 * taking a run back.
 */
#include <stdlib.h>

#include "payout_tables.h"

#include "control.h"
#include "run.h"
#include "shop_range.h"

extern const struct kontor_schema_step settlement_schema[];
extern const size_t settlement_schema_len;

#define RUN_ID 900
#define WINDOW 202645
#define SHOPS 400
#define ITEMS 6000

static const struct kontor_currency currencies[] = {{"SGD", 2, 1}, {"JPY", 0, 1}, {"TWD", 2, 100}, {"KWD", 3, 1}};
static kontor_host *host;
static struct run_record run;

static void insert_item(uint64_t shop, uint64_t item, const char *currency, int type, int64_t amount, int window)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	uint8_t fact[16] = {0};
	memcpy(fact, &item, sizeof(item));
	memcpy(fact + sizeof(item), &window, sizeof(window));
	if (kontor_db_exec(
		    conn,
		    "INSERT INTO billing_item (region, window_no, shop_user_id, billing_item_id, order_id, item_type, "
		    "amount_minor, currency, occurred_ms, late, upload_id, line_no, fact_key) "
		    "VALUES ('SG', ?, ?, ?, 'o', ?, ?, ?, 0, 0, 0, 0, ?)",
		    KONTOR_PARAMS(P_INT(window), P_UINT(shop), P_UINT(item), P_INT(type), P_INT(amount),
				  P_STRING(currency), P_BYTES(fact, sizeof(fact))),
		    NULL, &err))
		fail_msg("%s", err.message);
}

/* Items of both signs over shops with gaps, one shop with far more than the others, noise of the next window; open
 * carries of shops with and without items, and one that an older run used up. */
static void fill_window(void)
{
	srand(45);
	sql("START TRANSACTION");
	for (uint64_t item = 1; item <= ITEMS; item++) {
		uint64_t shop = rand() % 3 ? 1 + (uint64_t)(rand() % SHOPS) * 3 : 100;
		int64_t amount = rand() % 4 ? rand() % 100000 : -(rand() % 150000);
		insert_item(shop, item, currencies[rand() % 4].code, 1 + rand() % 6, amount, WINDOW);
	}
	for (uint64_t item = ITEMS + 1; item <= ITEMS + 500; item++)
		insert_item(1 + (uint64_t)(rand() % SHOPS) * 3, item, "SGD", 1, 777, WINDOW + 1);
	insert_item(5, 999001, "SGD", 1, 500, WINDOW); /* comes to exactly nothing */
	insert_item(5, 999002, "SGD", 2, -500, WINDOW);
	insert_item(8, 999003, "TWD", 1, 99, WINDOW); /* less than one payment unit */
	sql("INSERT INTO carry (region, shop_user_id, currency, from_run, amount_minor, to_run) VALUES "
	    "('SG', 4, 'SGD', 800, -12345, 0), ('SG', 4, 'SGD', 801, -5, 0), ('SG', 8, 'TWD', 800, 1, 0), "
	    "('SG', 9000000000000000000, 'JPY', 800, 321, 0), ('SG', 2, 'KWD', 800, -77, 0), "
	    "('SG', 7, 'SGD', 700, 4242, 800), ('MY', 4, 'SGD', 800, 9999, 0)");
	sql("COMMIT");
}

static int begin(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	empty_tables();
	sql("DELETE FROM billing_item");
	sql("DELETE FROM claim");
	sql("DELETE FROM shop_rule");
	sql("INSERT INTO billing_item SELECT * FROM window_items"); /* 20 times faster than one by one */
	sql("INSERT INTO carry SELECT * FROM window_carries");
	sql("INSERT INTO run (run_id, region, window_no, kind, state, job_id, user, created_ms, unique_window) "
	    "VALUES (900, 'SG', 202645, 'auto', 'running', 1, 'alice', 0, 'SG202645')");
	assert_int_equal(run_by_id(conn, RUN_ID, &run, &err), 0);
	return 0;
}

/* ---- chunks ---- */

static struct shop_range range_of(uint32_t chunk_no, uint64_t from, uint64_t to)
{
	return (struct shop_range){.run_id = RUN_ID,
				   .region = "SG",
				   .window_no = WINDOW,
				   .chunk_no = chunk_no,
				   .shop_from = from,
				   .shop_to = to};
}

struct chunk {
	struct shop_range range;
	struct range_result result;
};

static void compute(struct chunk *chunk)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	chunk->result = (struct range_result){0};
	if (range_read(conn, &chunk->range, NULL, &chunk->result, &err) ||
	    range_compute(host, &chunk->range, &chunk->result, &err))
		fail_msg("%s", err.message);
	chunk->result.payout_ids = (struct kontor_id_range){1000000 * (chunk->range.chunk_no + 1), 1024,
							    (uint32_t)chunk->result.shops.len};
	chunk->result.ledger_tx_id = 5000 + chunk->range.chunk_no;
}

static int store_in(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct chunk *chunk = arg;
	return range_store(tx, &chunk->range, &chunk->result, err);
}

static int store(struct chunk *chunk, struct kontor_error *err)
{
	int code = kontor_db_transaction(conn, store_in, chunk, err);
	range_result_free(&chunk->result);
	return code;
}

static void run_chunks(bool has_claims)
{
	static const uint64_t borders[][2] = {{0, 99}, {100, 100}, {101, 700}, {701, INT64_MAX}};
	for (uint32_t i = 0; i < 4; i++) {
		struct kontor_error err = KONTOR_ERROR_INIT;
		struct chunk chunk = {.range = range_of(i, borders[i][0], borders[i][1])};
		chunk.range.has_claims = has_claims;
		compute(&chunk);
		if (store(&chunk, &err))
			fail_msg("%s", err.message);
	}
}

/* ---- the same by SQL ---- */

static void create_expected(void)
{
	sql("CREATE OR REPLACE TEMPORARY TABLE expected ENGINE=InnoDB AS "
	    "SELECT shop_user_id, currency, SUM(n) items, SUM(gross) gross, SUM(carry) carry_in, SUM(gross + carry) "
	    "due, "
	    "IF(currency = 'TWD', 100, 1) unit, 0 net FROM ("
	    "SELECT shop_user_id, currency, 1 n, amount_minor gross, 0 carry FROM billing_item i "
	    "WHERE region = 'SG' AND window_no = 202645 AND NOT EXISTS (SELECT 1 FROM claim c WHERE c.region = 'SG' "
	    "AND c.window_no = 202645 AND c.shop_user_id = i.shop_user_id AND c.billing_item_id = i.billing_item_id) "
	    "UNION ALL SELECT shop_user_id, currency, 0, 0, amount_minor FROM carry "
	    "WHERE region = 'SG' AND to_run = 0) facts GROUP BY shop_user_id, currency");
	sql("UPDATE expected SET net = IF(due > 0, due - due % unit, 0)");
}

static void assert_payouts_as_expected(void)
{
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout"), sql_int("SELECT COUNT(*) FROM expected"));
	assert_int_equal(
		sql_int("SELECT COUNT(*) FROM expected e LEFT JOIN payout p ON p.run_id = 900 "
			"AND p.shop_user_id = e.shop_user_id AND p.currency = e.currency WHERE p.payout_id IS NULL "
			"OR p.items <> e.items OR p.gross_minor <> e.gross OR p.carry_in_minor <> e.carry_in "
			"OR p.net_minor <> e.net OR p.carry_out_minor <> e.due - e.net OR p.fees_minor <> 0 "
			"OR p.state <> IF(e.due < 0, 'carried', IF(e.due = 0, 'zero', 'ready'))"),
		0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM expected e LEFT JOIN carry c ON c.region = 'SG' "
				 "AND c.from_run = 900 AND c.shop_user_id = e.shop_user_id AND c.currency = e.currency "
				 "WHERE e.due - e.net <> COALESCE(c.amount_minor, 0)"),
			 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM carry WHERE amount_minor = 0"), 0);
}

/* What settlement counts when the window closes. */
static struct settlement_window count_window(void)
{
	struct settlement_window window = {.state = "settling", .run_id = RUN_ID};
	kontor_rows *rows = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_db_query(conn, KONTOR_READ_ALL,
			    "SELECT currency, COUNT(*), CAST(SUM(amount_minor) AS SIGNED) FROM billing_item "
			    "WHERE region = 'SG' AND window_no = 202645 GROUP BY currency",
			    KONTOR_NO_PARAMS, &rows, &err))
		fail_msg("%s", err.message);
	while (kontor_rows_next(rows, &err) == 1) {
		struct control_line *line = control_line_of(&window.totals, kontor_rows_string(rows, 0));
		line->items = kontor_rows_int(rows, 1);
		line->items_minor = kontor_rows_int(rows, 2);
	}
	kontor_rows_close(rows);
	return window;
}

static int check(const struct settlement_window *window, struct kontor_error *err)
{
	struct control_totals totals;
	return control_check(conn, &run, window, &totals, err);
}

/* ---- tests ---- */

static void test_every_payout_equals_its_recomputation_by_sql(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	create_expected();
	run_chunks(false);
	assert_payouts_as_expected();
	assert_true(sql_int("SELECT COUNT(*) FROM payout WHERE state = 'carried'") > 50);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout WHERE shop_user_id = 5 AND state = 'zero'"), 1);
	assert_int_equal(sql_int("SELECT net_minor FROM payout WHERE shop_user_id = 8"), 100);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout WHERE shop_user_id = 9000000000000000000 AND items = 0"),
			 1);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM carry WHERE region = 'SG' AND from_run < 900 AND to_run = 900"),
			 5);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM carry WHERE region = 'MY' AND to_run = 0"), 1);
	struct settlement_window window = count_window();
	assert_int_equal(check(&window, &err), 0);
}

static void test_debit_equals_credit_in_every_ledger_transaction(void **state)
{
	(void)state;
	run_chunks(false);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM ledger_tx"), 4);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM (SELECT 1 FROM ledger_entry GROUP BY ledger_tx_id, currency "
				 "HAVING SUM(debit_minor) <> SUM(credit_minor)) wrong"),
			 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM ledger_entry WHERE account = 'payable'"),
			 sql_int("SELECT COUNT(*) FROM payout WHERE net_minor > 0"));
	assert_int_equal(
		sql_int("SELECT CAST(SUM(credit_minor) AS SIGNED) FROM ledger_entry WHERE account = 'payable'"),
		sql_int("SELECT CAST(SUM(net_minor) AS SIGNED) FROM payout"));
	assert_int_equal(sql_int("SELECT CAST(SUM(debit_minor) - SUM(credit_minor) AS SIGNED) FROM ledger_entry "
				 "WHERE account = 'clearing'"),
			 sql_int("SELECT CAST(SUM(gross_minor) AS SIGNED) FROM payout"));
	assert_int_equal(sql_int("SELECT CAST(SUM(debit_minor) - SUM(credit_minor) AS SIGNED) FROM ledger_entry "
				 "WHERE account = 'carry_forward'"),
			 sql_int("SELECT CAST(SUM(carry_in_minor) - SUM(carry_out_minor) AS SIGNED) FROM payout"));
}

static void test_claimed_items_belong_to_another_run(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	sql("INSERT INTO claim (region, window_no, shop_user_id, billing_item_id, kind, run_id, upload_id, line_no) "
	    "SELECT region, window_no, shop_user_id, billing_item_id, 'manual', 1, 1, 1 FROM billing_item "
	    "WHERE window_no = 202645 AND billing_item_id % 10 = 0");
	create_expected();
	run_chunks(true);
	assert_payouts_as_expected();
	struct settlement_window window = count_window();
	assert_int_equal(check(&window, &err), 0);
}

/* ---- rules of shops ---- */

#define WINDOW_END 1000000 /* ms; rules are those of its last instant */

static void insert_rule(uint64_t shop, const char *name, const char *currency, int64_t number, int64_t from,
			int64_t until, uint64_t revision)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_db_exec(conn,
			   "INSERT INTO shop_rule (region, shop_user_id, rule, currency, version, value, from_ms, "
			   "until_ms, upload_id, number, line_no, revision) SELECT 'SG', ?, ?, ?, "
			   "COALESCE(MAX(version), 0) + 1, '', ?, NULLIF(?, 0), 1, ?, 2, ? FROM shop_rule "
			   "WHERE region = 'SG' AND shop_user_id = ? AND rule = ? AND currency = ?",
			   KONTOR_PARAMS(P_UINT(shop), P_STRING(name), P_STRING(currency), P_INT(from), P_INT(until),
					 P_INT(number), P_UINT(revision), P_UINT(shop), P_STRING(name),
					 P_STRING(currency)),
			   NULL, &err))
		fail_msg("%s", err.message);
}

static void run_with_rules(uint64_t revision)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct chunk chunk = {.range = range_of(0, 0, INT64_MAX)};
	chunk.range.rules = (struct rule_set){revision, WINDOW_END - 1};
	compute(&chunk);
	if (store(&chunk, &err))
		fail_msg("%s", err.message);
}

static void assert_balanced(void)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct settlement_window window = count_window();
	if (check(&window, &err))
		fail_msg("%s", err.message);
}

#define COUNT_PAYOUTS "SELECT COUNT(*) FROM payout WHERE "

static void test_commission_is_taken_once_per_payout_of_orders_and_refunds(void **state)
{
	(void)state;
	sql("START TRANSACTION");
	for (uint64_t shop = 1; shop <= 1201; shop += 3)
		insert_rule(shop, "commission_percent", "", 23457, INT64_MIN, 0, 1); /* 2.3457 % */
	sql("COMMIT");
	insert_rule(100, "commission_percent", "JPY", 0, INT64_MIN, 0, 1);
	run_with_rules(1);
	sql("CREATE OR REPLACE TEMPORARY TABLE fee ENGINE=InnoDB AS SELECT shop_user_id, currency, "
	    "IF(shop_user_id % 3 <> 1 OR (shop_user_id = 100 AND currency = 'JPY'), 0, "
	    "(GREATEST(0, SUM(IF(item_type IN (1, 2), amount_minor, 0))) * 23457 + 500000) DIV 1000000) fee "
	    "FROM billing_item WHERE region = 'SG' AND window_no = 202645 GROUP BY shop_user_id, currency");
	assert_true(sql_int(COUNT_PAYOUTS "fees_minor > 0") > 300);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout p LEFT JOIN fee f USING (shop_user_id, currency) "
				 "WHERE p.fees_minor <> COALESCE(f.fee, 0)"),
			 0);
	assert_int_equal(sql_int(COUNT_PAYOUTS "gross_minor - fees_minor + carry_in_minor <> net_minor + "
					       "carry_out_minor"),
			 0);
	assert_balanced();
}

static void test_a_minimum_of_one_currency_and_a_hold_decide_the_state(void **state)
{
	(void)state;
	insert_rule(100, "minimum_payout", "SGD", INT64_MAX / 2, INT64_MIN, 0, 1);
	insert_rule(8, "hold", "", 1, INT64_MIN, 0, 1);
	run_with_rules(1);
	assert_int_equal(sql_int(COUNT_PAYOUTS "shop_user_id = 100 AND currency = 'SGD' AND state = 'carried' AND "
					       "reason = 'below_minimum' AND net_minor = 0 AND carry_out_minor > 0"),
			 1);
	assert_int_equal(sql_int(COUNT_PAYOUTS "reason = 'below_minimum'"), 1);
	assert_int_equal(sql_int(COUNT_PAYOUTS "shop_user_id = 8 AND currency = 'TWD' AND state = 'held' AND "
					       "net_minor = 100"),
			 1);
	assert_int_equal(sql_int(COUNT_PAYOUTS "state = 'held'"), 1);
	assert_int_equal(sql_int("SELECT held_minor FROM run_chunk WHERE currency = 'TWD'"), 100);
	assert_balanced();
}

static void test_rules_are_those_of_the_windows_last_instant_and_the_newest_decides(void **state)
{
	(void)state;
	insert_rule(8, "hold", "", 1, WINDOW_END, 0, 1);           /* from the next window on */
	insert_rule(100, "hold", "", 1, INT64_MIN, WINDOW_END, 1); /* up to this window's end */
	insert_rule(1, "hold", "", 1, INT64_MIN, 0, 1);
	insert_rule(1, "hold", "", 0, 5, 0, 2);
	insert_rule(4, "hold", "", 0, INT64_MIN, 0, 2);
	insert_rule(4, "hold", "", 1, INT64_MIN, 0, 1);
	run_with_rules(2);
	assert_true(sql_int(COUNT_PAYOUTS "shop_user_id = 100 AND state = 'held'") > 0);
	assert_int_equal(sql_int(COUNT_PAYOUTS "shop_user_id <> 100 AND state = 'held'"), 0);
}

static void test_a_chunk_that_is_done_again_sees_the_rules_of_its_plan(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	insert_rule(100, "commission_percent", "", 50000, INT64_MIN, 0, 1);
	run_with_rules(1);
	sql("CREATE OR REPLACE TEMPORARY TABLE first_run ENGINE=InnoDB AS SELECT shop_user_id, currency, fees_minor, "
	    "net_minor, state FROM payout");
	assert_int_equal(run_take_back(conn, &run, &err), 0);
	insert_rule(100, "commission_percent", "", 0, INT64_MIN, 0, 2);
	insert_rule(8, "hold", "", 1, INT64_MIN, 0, 2);
	insert_rule(1, "hold", "", 1, INT64_MIN, 0, 0); /* of an upload that is not accepted */
	run_with_rules(1);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout NATURAL JOIN first_run"),
			 sql_int("SELECT COUNT(*) FROM first_run"));
	assert_int_equal(sql_int(COUNT_PAYOUTS "state = 'held'"), 0);
	assert_true(sql_int(COUNT_PAYOUTS "fees_minor > 0") > 0);
}

/* ---- a manual run ---- */

/* Every seventh item of the window and some of the next one, claimed by upload 55, whose run is 901. */
static void claim_some(struct run_record *ret_run)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	sql("DELETE FROM claim_batch");
	sql("INSERT INTO claim (region, window_no, shop_user_id, billing_item_id, kind, run_id, upload_id, line_no) "
	    "SELECT region, window_no, shop_user_id, billing_item_id, 'MANUAL', 0, 55, 1 FROM billing_item "
	    "WHERE billing_item_id % 7 = 0");
	sql("INSERT INTO claim_batch SELECT region, window_no, 55, currency, 1, COUNT(*), SUM(amount_minor) "
	    "FROM claim JOIN billing_item USING (region, window_no, shop_user_id, billing_item_id) "
	    "GROUP BY region, window_no, currency");
	sql("INSERT INTO run (run_id, region, window_no, kind, state, job_id, user, created_ms, upload_id) "
	    "VALUES (901, 'SG', 202645, 'manual', 'running', 2, 'alice', 0, 55)");
	assert_int_equal(run_by_id(conn, 901, ret_run, &err), 0);
}

static void run_manual_chunks(void)
{
	static const uint64_t borders[][2] = {{0, 100}, {101, INT64_MAX}};
	for (uint32_t i = 0; i < 2; i++) {
		struct kontor_error err = KONTOR_ERROR_INIT;
		struct chunk chunk = {.range = range_of(i, borders[i][0], borders[i][1])};
		chunk.range.run_id = 901;
		chunk.range.upload_id = 55;
		compute(&chunk);
		chunk.result.payout_ids.base += 500000000;
		chunk.result.ledger_tx_id += 1000;
		if (store(&chunk, &err))
			fail_msg("%s", err.message);
	}
}

static void test_a_manual_run_and_the_windows_run_pay_each_item_once(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct run_record manual;
	struct control_totals totals;
	claim_some(&manual);
	create_expected();
	run_manual_chunks();
	assert_int_equal(control_check(conn, &manual, NULL, &totals, &err), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM carry WHERE to_run = 901"), 0);
	sql("CREATE OR REPLACE TEMPORARY TABLE claimed ENGINE=InnoDB AS SELECT shop_user_id, currency, COUNT(*) items, "
	    "SUM(amount_minor) gross, IF(currency = 'TWD', 100, 1) unit FROM billing_item "
	    "WHERE billing_item_id % 7 = 0 GROUP BY shop_user_id, currency");
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout WHERE run_id = 901"),
			 sql_int("SELECT COUNT(*) FROM claimed"));
	assert_int_equal(sql_int("SELECT COUNT(*) FROM claimed e LEFT JOIN payout p ON p.run_id = 901 "
				 "AND p.shop_user_id = e.shop_user_id AND p.currency = e.currency "
				 "WHERE p.payout_id IS NULL OR p.items <> e.items OR p.gross_minor <> e.gross "
				 "OR p.carry_in_minor <> 0 "
				 "OR p.net_minor <> IF(e.gross > 0, e.gross - e.gross % e.unit, 0) "
				 "OR p.net_minor + p.carry_out_minor <> e.gross"),
			 0);
	assert_true(sql_int("SELECT COUNT(*) FROM payout WHERE run_id = 901 AND state = 'carried'") > 20);

	/* Not balanced yet: what it carries is nobody's. */
	struct chunk automatic = {.range = range_of(0, 0, INT64_MAX)};
	automatic.range.has_claims = true;
	compute(&automatic);
	for (size_t i = 0; i < automatic.result.carries_len; i++)
		assert_true(automatic.result.carries[i].from_run != 901);
	if (store(&automatic, &err))
		fail_msg("%s", err.message);
	sql("CREATE OR REPLACE TEMPORARY TABLE manual_payout ENGINE=InnoDB AS SELECT * FROM payout WHERE run_id = 901");
	sql("DELETE FROM payout WHERE run_id = 901");
	assert_payouts_as_expected();
	sql("INSERT INTO payout SELECT * FROM manual_payout");
	assert_balanced();
	assert_int_equal(
		sql_int("SELECT CAST(SUM(items) AS SIGNED) FROM payout"),
		sql_int("SELECT COUNT(*) FROM billing_item WHERE window_no = 202645 OR billing_item_id % 7 = 0"));

	sql("UPDATE run SET state = 'balanced' WHERE run_id = 901");
	struct chunk next = {.range = range_of(0, 0, INT64_MAX)};
	next.range.run_id = 902;
	compute(&next);
	size_t used = 0;
	for (size_t i = 0; i < next.result.carries_len; i++)
		used += next.result.carries[i].from_run == 901;
	range_result_free(&next.result);
	assert_int_equal(used, sql_int("SELECT COUNT(*) FROM carry WHERE from_run = 901"));
}

static void test_a_manual_run_that_misses_an_item_fails_the_control(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct run_record manual;
	struct control_totals totals;
	claim_some(&manual);
	run_manual_chunks();
	sql("UPDATE claim_batch SET amount_minor = amount_minor + 1 WHERE currency = 'JPY' LIMIT 1");
	assert_int_equal(control_check(conn, &manual, NULL, &totals, &err), PAYOUT_E_UNBALANCED);
	assert_non_null(strstr(err.message, "its upload claims"));
	assert_int_equal(run_take_back(conn, &manual, &err), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM carry WHERE from_run = 901"), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout WHERE run_id = 901"), 0);
}

static void test_a_manual_run_ignores_the_minimum_but_not_the_hold(void **state)
{
	(void)state;
	struct run_record manual;
	claim_some(&manual);
	insert_rule(100, "minimum_payout", "SGD", INT64_MAX / 2, INT64_MIN, 0, 1);
	insert_rule(100, "hold", "", 1, INT64_MIN, 0, 1);
	struct chunk chunk = {.range = range_of(0, 100, 100)};
	chunk.range.run_id = 901;
	chunk.range.upload_id = 55;
	chunk.range.rules = (struct rule_set){1, WINDOW_END - 1};
	compute(&chunk);
	for (size_t i = 0; i < chunk.result.shops.len; i++) {
		assert_string_not_equal(chunk.result.figures[i].reason, "below_minimum");
		if (chunk.result.figures[i].net_minor > 0)
			assert_int_equal(chunk.result.figures[i].state, PAYOUT_HELD);
	}
	assert_true(chunk.result.shops.len > 1);
	range_result_free(&chunk.result);
}

static void test_a_missing_item_fails_the_control(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	run_chunks(false);
	insert_item(100, 999999, "JPY", 1, 1, WINDOW);
	struct settlement_window window = count_window();
	assert_int_equal(check(&window, &err), PAYOUT_E_UNBALANCED);
	assert_non_null(strstr(err.message, "JPY"));
}

static void test_a_payout_that_was_tampered_with_fails_the_control(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct settlement_window window = count_window();
	run_chunks(false);
	sql("UPDATE payout SET net_minor = net_minor + 1 WHERE net_minor > 0 LIMIT 1");
	assert_int_equal(check(&window, &err), PAYOUT_E_UNBALANCED);
}

static void test_a_ledger_that_was_tampered_with_fails_the_control(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct settlement_window window = count_window();
	run_chunks(false);
	sql("UPDATE ledger_entry SET debit_minor = debit_minor + 1 WHERE account = 'clearing' LIMIT 1");
	assert_int_equal(check(&window, &err), PAYOUT_E_UNBALANCED);
	assert_non_null(strstr(err.message, "ledger"));
}

static void test_a_currency_without_any_chunk_fails_the_control(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	run_chunks(false);
	struct settlement_window window = count_window();
	control_line_of(&window.totals, "USD")->items = 1;
	assert_int_equal(check(&window, &err), PAYOUT_E_UNBALANCED);
	assert_non_null(strstr(err.message, "USD"));
}

static void test_a_chunk_is_stored_once(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct chunk first = {.range = range_of(0, 0, INT64_MAX)}, second = {.range = range_of(0, 0, INT64_MAX)};
	compute(&first);
	compute(&second);
	second.result.ledger_tx_id++;
	assert_int_equal(store(&first, &err), 0);
	int64_t payouts = sql_int("SELECT COUNT(*) FROM payout");
	assert_int_equal(store(&second, &err), KONTOR_E_BUSY); /* its carries are used up */
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout"), payouts);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM ledger_tx"), 1);
}

static void test_a_carry_that_another_run_used_is_not_used_twice(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct chunk chunk = {.range = range_of(0, 0, INT64_MAX)};
	compute(&chunk);
	sql("UPDATE carry SET to_run = 850 WHERE region = 'SG' AND shop_user_id = 4 AND from_run = 801");
	assert_int_equal(store(&chunk, &err), KONTOR_E_BUSY);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout"), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM carry WHERE to_run = 900"), 0);
}

static void test_a_run_that_is_taken_back_leaves_nothing(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	sql("CREATE OR REPLACE TEMPORARY TABLE carry_before ENGINE=InnoDB AS SELECT * FROM carry");
	create_expected();
	run_chunks(false);
	assert_int_equal(run_take_back(conn, &run, &err), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout"), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM run_chunk"), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM ledger_tx"), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM ledger_entry"), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM carry"), sql_int("SELECT COUNT(*) FROM carry_before"));
	assert_int_equal(sql_int("SELECT COUNT(*) FROM carry NATURAL JOIN carry_before"),
			 sql_int("SELECT COUNT(*) FROM carry_before"));
	assert_string_equal(run.state, RUN_PLANNING);
	run_chunks(false);
	assert_payouts_as_expected();
}

static void test_a_balanced_run_is_never_taken_back(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	run_chunks(false);
	int64_t payouts = sql_int("SELECT COUNT(*) FROM payout");
	sql("UPDATE run SET state = 'balanced'");
	assert_int_equal(run_take_back(conn, &run, &err), KONTOR_E_BUSY);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout"), payouts);
}

static void test_who_takes_back_an_older_generation_is_stopped(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct run_record stale = run;
	run_chunks(false);
	assert_int_equal(run_take_back(conn, &run, &err), 0);
	sql("UPDATE run SET state = 'running'");
	run_chunks(false);
	int64_t payouts = sql_int("SELECT COUNT(*) FROM payout");
	assert_int_equal(run_take_back(conn, &stale, &err), KONTOR_E_BUSY);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout"), payouts);
}

static int open_all(void **state)
{
	open_tables(state);
	for (size_t i = 0; i < settlement_schema_len; i++)
		sql(settlement_schema[i].sql);
	struct kontor_host_options options = {.db = db, .unit = "test", .currencies = currencies, .currencies_len = 4};
	host = kontor_host_new(&options);
	fill_window();
	sql("CREATE TABLE window_items AS SELECT * FROM billing_item");
	sql("CREATE TABLE window_carries AS SELECT * FROM carry");
	return host ? 0 : -1;
}

static int close_all(void **state)
{
	host = kontor_host_free(host);
	return close_tables(state);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup(test, begin)
	const struct CMUnitTest tests[] = {
		TEST(test_every_payout_equals_its_recomputation_by_sql),
		TEST(test_debit_equals_credit_in_every_ledger_transaction),
		TEST(test_claimed_items_belong_to_another_run),
		TEST(test_commission_is_taken_once_per_payout_of_orders_and_refunds),
		TEST(test_a_minimum_of_one_currency_and_a_hold_decide_the_state),
		TEST(test_rules_are_those_of_the_windows_last_instant_and_the_newest_decides),
		TEST(test_a_chunk_that_is_done_again_sees_the_rules_of_its_plan),
		TEST(test_a_manual_run_and_the_windows_run_pay_each_item_once),
		TEST(test_a_manual_run_that_misses_an_item_fails_the_control),
		TEST(test_a_manual_run_ignores_the_minimum_but_not_the_hold),
		TEST(test_a_missing_item_fails_the_control),
		TEST(test_a_payout_that_was_tampered_with_fails_the_control),
		TEST(test_a_ledger_that_was_tampered_with_fails_the_control),
		TEST(test_a_currency_without_any_chunk_fails_the_control),
		TEST(test_a_chunk_is_stored_once),
		TEST(test_a_carry_that_another_run_used_is_not_used_twice),
		TEST(test_a_run_that_is_taken_back_leaves_nothing),
		TEST(test_a_balanced_run_is_never_taken_back),
		TEST(test_who_takes_back_an_older_generation_is_stopped),
	};
	return cmocka_run_group_tests(tests, open_all, close_all);
}
