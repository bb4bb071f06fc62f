/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin's methods through the SDK's requests, on a real database: lists, and payouts on their way into a payment
 * file and out again.
 */
#include <stdlib.h>

#include "payout_tables.h"

#include "end_to_end.h"
#include "kontor/host.h"
#include "kontor/plugin.h"
#include "kontor/time.h"
#include "request.h"

extern const struct kontor_plugin *kontor_plugin_entry(void);

#define PAGE_SIZE 3

static const struct kontor_currency sgd = {"SGD", 2, 1}, jpy = {"JPY", 0, 1};
static const struct kontor_region region = {
	.code = "SG", .home = "here", .home_here = true, .currencies_len = 2, .currencies = {&sgd, &jpy}};
static kontor_host *host;
static struct kontor_error err;

/* ---- calling ---- */

static const struct kontor_method *method_named(const char *name)
{
	const struct kontor_plugin *plugin = kontor_plugin_entry();
	for (size_t i = 0; i < plugin->methods_len; i++)
		if (!strcmp(plugin->methods[i].name, name))
			return &plugin->methods[i];
	fail_msg("no method %s", name);
	return NULL;
}

/* Ends and frees args. *ret_reply (NULL is fine) is the caller's. Each call has a key of its own. */
static int call(const char *name, kontor_writer *args, kontor_body **ret_reply)
{
	char key[33];
	struct kontor_request_options options = {
		.host = host,
		.service = "payout",
		.method = method_named(name),
		.user = {.name = "unit", .roles = KONTOR_ROLE_UNIT, .verified = true},
		.key = kontor_random_key(key),
		.deadline_ms = kontor_monotonic_ms() + 30000,
		.db = conn,
	};
	kontor_request *request = NULL;
	const void *reply;
	size_t reply_size;
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	kontor_write_end(args);
	assert_int_equal(kontor_writer_finish(args, &options.body, &options.body_size, &err), 0);
	int code = kontor_request_begin(&request, &options, &err);
	if (!code)
		code = kontor_request_run(request, &reply, &reply_size, &err);
	if (!code && ret_reply)
		assert_int_equal(kontor_body_parse(reply, reply_size, ret_reply, &err), 0);
	kontor_request_free(request);
	kontor_writer_free(args);
	return code;
}

static kontor_writer *arguments(void)
{
	kontor_writer *args = kontor_writer_new();
	kontor_write_map(args);
	return args;
}

/* Adds the page of payable after *after; the number of its rows. */
static uint32_t payable(uint64_t safefile_id, uint64_t *after, kontor_body **ret_page)
{
	kontor_writer *args = arguments();
	kontor_put_uint(args, "run_id", 900);
	kontor_put_uint(args, "safefile_id", safefile_id);
	kontor_put_uint(args, "limit", PAGE_SIZE);
	if (*after)
		kontor_put_uint(args, "after", *after);
	if (call("payable", args, ret_page))
		fail_msg("%s", err.message);
	*after = kontor_get_uint(kontor_body_map(*ret_page), "next", 0);
	return kontor_get(kontor_body_map(*ret_page), "rows")->via.array.size;
}

static int batch(uint64_t safefile_id, const uint64_t *payouts, size_t len, uint64_t *ret_batched)
{
	kontor_body *reply = NULL;
	kontor_writer *args = arguments();
	kontor_put_uint(args, "run_id", 900);
	kontor_put_uint(args, "safefile_id", safefile_id);
	kontor_put_array(args, "payouts");
	for (size_t i = 0; i < len; i++)
		kontor_write_uint(args, payouts[i]);
	kontor_write_end(args);
	int code = call("batch", args, &reply);
	if (!code)
		*ret_batched = kontor_get_uint(kontor_body_map(reply), "batched", 0);
	kontor_body_free(reply);
	return code;
}

static uint64_t unbatch(uint64_t safefile_id, uint64_t limit, bool *ret_more)
{
	kontor_body *reply = NULL;
	kontor_writer *args = arguments();
	kontor_put_uint(args, "safefile_id", safefile_id);
	kontor_put_uint(args, "limit", limit);
	if (call("unbatch", args, &reply))
		fail_msg("%s", err.message);
	uint64_t unbatched = kontor_get_uint(kontor_body_map(reply), "unbatched", 0);
	*ret_more = kontor_get_bool(kontor_body_map(reply), "more", false);
	kontor_body_free(reply);
	return unbatched;
}

/* ---- a balanced run: payouts 1 .. 9 of shops 1 .. 9, all SGD and all payable but 7 (no payee), 8 (held), 9 (carried)
 * -- */

static int begin(void **state)
{
	(void)state;
	empty_tables();
	sql("INSERT INTO run (run_id, region, window_no, kind, state, job_id, user, payouts, created_ms, "
	    "unique_window) "
	    "VALUES (900, 'SG', 202645, 'auto', 'balanced', 1, 'alice', 9, 0, 'SG202645')");
	sql("INSERT INTO payout (payout_id, run_id, region, window_no, shop_user_id, currency, items, gross_minor, "
	    "fees_minor, carry_in_minor, net_minor, carry_out_minor, reserve_minor, state, reason) "
	    "SELECT seq, 900, 'SG', 202645, seq, 'SGD', 1, seq * 100, 0, 0, seq * 100, 0, 0, 'ready', '' "
	    "FROM seq_1_to_9");
	sql("UPDATE payout SET state = 'held', reason = 'hold' WHERE payout_id = 8");
	sql("UPDATE payout SET state = 'carried', net_minor = 0, carry_out_minor = 900 WHERE payout_id = 9");
	sql("INSERT INTO payee (region, shop_user_id, currency, version, state, name, country, iban, upload_id, "
	    "created_ms) "
	    "SELECT 'SG', seq, 'SGD', 1, 'in_force', 'Ann', 'SG', 'DE89370400440532013000', 1, 0 FROM seq_1_to_9 "
	    "WHERE seq <> 7");
	return 0;
}

/* ---- tests ---- */

static void test_payable_pages_hold_every_ready_payout_once(void **state)
{
	(void)state;
	uint64_t after = 0, expected = 1;
	do {
		kontor_body *page = NULL;
		uint32_t rows = payable(70, &after, &page);
		const msgpack_object *list = kontor_get(kontor_body_map(page), "rows");
		for (uint32_t i = 0; i < rows; i++, expected++) {
			const msgpack_object *row = &list->via.array.ptr[i];
			char e2e_id[END_TO_END_LENGTH + 1], wanted[END_TO_END_LENGTH + 1];
			assert_int_equal(kontor_get_uint(row, "payout_id", 0), expected);
			assert_int_equal(kontor_get_int(row, "amount_minor", 0), expected * 100);
			assert_int_equal(kontor_get_uint(row, "attempt", 0), 1);
			assert_string_equal(kontor_get_string(row, "e2e_id", e2e_id, sizeof(e2e_id)),
					    end_to_end_format("SG", 202645, expected, 1, wanted));
			assert_int_equal(kontor_get(row, "payee") != NULL, expected != 7);
		}
		kontor_body_free(page);
	} while (after);
	assert_int_equal(expected, 8);
}

static void test_a_batch_makes_the_attempts_that_payable_announced(void **state)
{
	(void)state;
	uint64_t batched = 0, after = 0;
	assert_int_equal(batch(70, (const uint64_t[]){3, 1, 2, 2}, 4, &batched), 0);
	assert_int_equal(batched, 3);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout p JOIN payout_attempt a USING (payout_id, attempt) "
				 "WHERE p.state = 'batched' AND a.state = 'batched' AND a.safefile_id = 70 "
				 "AND a.amount_minor = p.net_minor AND p.attempt = 1"),
			 3);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout_event WHERE to_state = 'batched' AND seq = 1"), 3);
	kontor_body *page = NULL;
	payable(70, &after, &page);
	const msgpack_object *row = &kontor_get(kontor_body_map(page), "rows")->via.array.ptr[0];
	assert_int_equal(kontor_get_uint(row, "payout_id", 0), 1);
	assert_int_equal(kontor_get_uint(row, "attempt", 0), 1);
	kontor_body_free(page);
	page = NULL;
	after = 0;
	payable(71, &after, &page); /* another file does not see them */
	row = &kontor_get(kontor_body_map(page), "rows")->via.array.ptr[0];
	assert_int_equal(kontor_get_uint(row, "payout_id", 0), 4);
	kontor_body_free(page);
}

static void test_a_repeated_batch_changes_nothing(void **state)
{
	(void)state;
	uint64_t batched = 0;
	assert_int_equal(batch(70, (const uint64_t[]){1, 2}, 2, &batched), 0);
	assert_int_equal(batch(70, (const uint64_t[]){1, 2, 3}, 3, &batched), 0);
	assert_int_equal(batched, 3);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout_attempt"), 3);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout_event"), 3);
}

static void test_a_payout_is_in_one_file_at_most(void **state)
{
	(void)state;
	uint64_t batched = 0;
	assert_int_equal(batch(70, (const uint64_t[]){2}, 1, &batched), 0);
	assert_int_equal(batch(71, (const uint64_t[]){1, 2, 3}, 3, &batched), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "another safefile"));
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout_attempt"), 1); /* none of the three moved */
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout WHERE state = 'batched'"), 1);
}

static void test_only_ready_payouts_with_a_payee_are_batched(void **state)
{
	(void)state;
	uint64_t batched = 0;
	assert_int_equal(batch(70, (const uint64_t[]){8}, 1, &batched), KONTOR_E_CONFLICT);
	assert_int_equal(batch(70, (const uint64_t[]){9}, 1, &batched), KONTOR_E_CONFLICT);
	assert_int_equal(batch(70, (const uint64_t[]){1, 12345}, 2, &batched), KONTOR_E_NOT_FOUND);
	assert_int_equal(batch(70, (const uint64_t[]){7}, 1, &batched), KONTOR_E_BUSY);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout_attempt"), 0);
}

static void test_a_payee_that_waits_for_approval_is_not_paid(void **state)
{
	(void)state;
	uint64_t batched = 0, after = 0;
	sql("INSERT INTO payee (region, shop_user_id, currency, version, state, name, country, iban, upload_id, "
	    "created_ms) "
	    "VALUES ('SG', 1, 'SGD', 2, 'waiting', 'Eve', 'SG', 'GB29NWBK60161331926819', 2, 0)");
	kontor_body *page = NULL;
	payable(70, &after, &page);
	const msgpack_object *row = &kontor_get(kontor_body_map(page), "rows")->via.array.ptr[0];
	assert_int_equal(kontor_get_uint(row, "payout_id", 0), 1);
	assert_null(kontor_get(row, "payee"));
	kontor_body_free(page);
	assert_int_equal(batch(70, (const uint64_t[]){1}, 1, &batched), KONTOR_E_BUSY);
}

static void test_a_cancelled_file_gives_its_payouts_back_and_their_attempts_stay_used(void **state)
{
	(void)state;
	uint64_t batched = 0, after = 0;
	bool more = false;
	assert_int_equal(batch(70, (const uint64_t[]){1, 2, 3}, 3, &batched), 0);
	assert_int_equal(unbatch(70, 2, &more), 2);
	assert_true(more);
	assert_int_equal(unbatch(70, 2, &more), 1);
	assert_false(more);
	assert_int_equal(unbatch(70, 2, &more), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout WHERE state = 'ready' AND payout_id <= 3"), 3);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payout_attempt WHERE state = 'cancelled'"), 3);
	kontor_body *page = NULL;
	payable(71, &after, &page);
	const msgpack_object *row = &kontor_get(kontor_body_map(page), "rows")->via.array.ptr[0];
	assert_int_equal(kontor_get_uint(row, "attempt", 0), 2);
	kontor_body_free(page);
	assert_int_equal(batch(71, (const uint64_t[]){1}, 1, &batched), 0);
	assert_int_equal(sql_int("SELECT COUNT(DISTINCT e2e_id) FROM payout_attempt WHERE payout_id = 1"), 2);
	assert_int_equal(sql_int("SELECT MAX(seq) FROM payout_event WHERE payout_id = 1"), 3);
}

static void test_a_run_that_is_not_balanced_is_not_seen(void **state)
{
	(void)state;
	static const char *const states[] = {"planning", "running", "failed_control"};
	for (size_t i = 0; i < 3; i++) {
		uint64_t batched = 0;
		char update[80];
		snprintf(update, sizeof(update), "UPDATE run SET state = '%s'", states[i]);
		sql(update);
		kontor_writer *args = arguments();
		kontor_put_uint(args, "run", 900);
		assert_int_equal(call("list", args, NULL), KONTOR_E_CONFLICT);
		args = arguments();
		kontor_put_uint(args, "payout_id", 1);
		assert_int_equal(call("get", args, NULL), KONTOR_E_CONFLICT);
		args = arguments();
		kontor_put_uint(args, "run_id", 900);
		assert_int_equal(call("run_for_file", args, NULL), KONTOR_E_CONFLICT);
		assert_int_equal(batch(70, (const uint64_t[]){1}, 1, &batched), KONTOR_E_CONFLICT);
	}
}

static void test_lists_name_the_reason_why_a_shop_is_not_paid(void **state)
{
	(void)state;
	uint64_t after = 0, seen = 0;
	do {
		kontor_body *page = NULL;
		kontor_writer *args = arguments();
		kontor_put_string(args, "region", "SG");
		kontor_put_string(args, "window", "2026-W45");
		kontor_put_int(args, "limit", 2);
		if (after)
			kontor_put_uint(args, "after", after);
		assert_int_equal(call("list", args, &page), 0);
		const msgpack_object *rows = kontor_get(kontor_body_map(page), "rows");
		for (uint32_t i = 0; i < rows->via.array.size; i++) {
			char reason[32];
			uint64_t id = kontor_get_uint(&rows->via.array.ptr[i], "payout_id", 0);
			kontor_get_string(&rows->via.array.ptr[i], "reason", reason, sizeof(reason));
			assert_int_equal(id, ++seen);
			assert_string_equal(reason, id == 7 ? "no_payee" : id == 8 ? "hold" : "");
		}
		after = kontor_get_uint(kontor_body_map(page), "next", 0);
		kontor_body_free(page);
	} while (after);
	assert_int_equal(seen, 9);
	kontor_writer *args = arguments();
	kontor_put_uint(args, "run", 900);
	kontor_put_string(args, "region", "SG");
	assert_int_equal(call("list", args, NULL), KONTOR_E_BAD_REQUEST);
	args = arguments();
	kontor_put_uint(args, "run", 900);
	kontor_put_string(args, "state", "payed");
	assert_int_equal(call("list", args, NULL), KONTOR_E_BAD_REQUEST);
}

static int open_all(void **state)
{
	open_tables(state);
	for (size_t i = 0; i < kontor_sdk_schema_len; i++)
		sql(kontor_sdk_schema[i].sql);
	struct kontor_host_options options = {.db = db, .unit = "test", .regions = &region, .regions_len = 1};
	host = kontor_host_new(&options);
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
		TEST(test_payable_pages_hold_every_ready_payout_once),
		TEST(test_a_batch_makes_the_attempts_that_payable_announced),
		TEST(test_a_repeated_batch_changes_nothing),
		TEST(test_a_payout_is_in_one_file_at_most),
		TEST(test_only_ready_payouts_with_a_payee_are_batched),
		TEST(test_a_payee_that_waits_for_approval_is_not_paid),
		TEST(test_a_cancelled_file_gives_its_payouts_back_and_their_attempts_stay_used),
		TEST(test_a_run_that_is_not_balanced_is_not_seen),
		TEST(test_lists_name_the_reason_why_a_shop_is_not_paid),
	};
	return cmocka_run_group_tests(tests, open_all, close_all);
}
