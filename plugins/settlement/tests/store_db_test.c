/* SPDX-License-Identifier: Apache-2.0
 *
 * Storing items on a real database: fresh, repeated, shuffled, contradicting, held by another upload, late, in a dry
 * run, undone; and settlement.add_items with its verdicts.
 */
#include "settlement_fixture.h"

#define MONDAY_W45 "2026-11-01T16:00:00Z" /* 2026-11-02 00:00 in Singapore */
#define IN_W45 "2026-11-03T10:00:00Z"

static int clean(void **state)
{
	(void)state;
	sql_run("DELETE FROM billing_item");
	sql_run("DELETE FROM item_batch");
	sql_run("DELETE FROM window_writer");
	sql_run("DELETE FROM `window`");
	writer_thread_end();
	return 0;
}

/* Every second row brings an id. */
static struct batch *thousand_rows(uint64_t upload_id, bool backwards)
{
	struct batch *batch = batch_new(upload_id);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned n = backwards ? 999 - i : i;
		char order[16];
		snprintf(order, sizeof(order), "O-%u", n);
		batch_add(batch, 1 + n % 7, order, "12.50", IN_W45, n % 2 ? 5000 + n : 0);
	}
	return batch;
}

static void test_a_fresh_batch_is_stored_and_counted(void **state)
{
	(void)state;
	struct batch *batch = thousand_rows(11, false);
	check(batch_apply(batch));
	assert_int_equal(batch_count(batch, KONTOR_VERDICT_OK), 1000);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item WHERE window_no = 202645 AND upload_id = 11"),
			 1000);
	assert_int_equal(sql_int("SELECT COUNT(DISTINCT billing_item_id) FROM billing_item"), 1000);
	assert_int_equal(
		sql_int("SELECT items FROM item_batch WHERE window_no = 202645 AND source = 11 AND accepted = 0"),
		1000);
	assert_int_equal(sql_int("SELECT CAST(SUM(amount_minor) AS SIGNED) FROM billing_item"), 1250000);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM `window` WHERE state = 'open'"), 1);
	assert_int_equal(batch->rows[0].amount_minor, 1250);
	assert_string_equal(batch->rows[0].currency, "SGD");
	batch_free(batch);
}

/* More of them than a thread remembers; each is committed before the items, which begin again after it. */
static void test_a_batch_makes_every_window_that_it_needs_and_counts_each_item_once(void **state)
{
	(void)state;
	enum { WEEKS = 40 };
	int64_t ms;
	struct batch *batch = batch_new(11);
	assert_int_equal(kontor_time_parse(kontor_text_of("2026-01-07T10:00:00Z"), &ms), 0);
	for (unsigned n = 0; n < 3 * WEEKS; n++) {
		char order[16], at[KONTOR_TIME_SIZE];
		snprintf(order, sizeof(order), "O-%u", n);
		batch_add(batch, 1, order, "12.50", kontor_time_format(ms + (int64_t)(n % WEEKS) * 7 * 86400000, at),
			  0);
	}
	check(batch_apply(batch));
	assert_int_equal(batch_count(batch, KONTOR_VERDICT_OK), 3 * WEEKS);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM `window` WHERE state = 'open'"), WEEKS);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item"), 3 * WEEKS);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM item_batch WHERE items = 3"), WEEKS);
	assert_int_equal(sql_int("SELECT MAX(n) FROM window_writer WHERE writer > 0"), 3 * WEEKS);
	batch_free(batch);
}

static void test_the_same_rows_shuffled_in_another_upload_add_nothing_and_name_the_first_id(void **state)
{
	(void)state;
	struct batch *first = thousand_rows(11, false), *second = thousand_rows(12, true);
	check(batch_apply(first));
	batch_accept(first);
	check(batch_apply(second));
	assert_int_equal(batch_count(second, KONTOR_VERDICT_ALREADY_EXISTS), 1000);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item"), 1000);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM item_batch WHERE source = 12"), 0);
	char wanted[64];
	snprintf(wanted, sizeof(wanted), "is billing item %" PRId64 " ",
		 sql_int("SELECT billing_item_id FROM billing_item WHERE order_id = 'O-998'"));
	assert_non_null(strstr(second->rows[1].reason, wanted));
	assert_non_null(strstr(second->rows[1].reason, "upload 11 line 1000"));
	batch_free(first);
	batch_free(second);
}

static void test_one_repeated_row_does_not_keep_the_others_out(void **state)
{
	(void)state;
	struct batch *first = batch_new(11), *second = thousand_rows(12, false);
	batch_add(first, 1 + 500 % 7, "O-500", "12.50", IN_W45, 0);
	batch_add(first, 1 + 501 % 7, "O-501", "12.50", IN_W45, 5501);
	check(batch_apply(first));
	batch_accept(first);
	check(batch_apply(second));
	assert_int_equal(batch_count(second, KONTOR_VERDICT_OK), 998);
	assert_int_equal(second->rows[500].verdict, KONTOR_VERDICT_ALREADY_EXISTS);
	assert_int_equal(second->rows[501].verdict, KONTOR_VERDICT_ALREADY_EXISTS);
	assert_int_equal(sql_int("SELECT items FROM item_batch WHERE source = 12"), 998);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item"), 1000);
	batch_free(first);
	batch_free(second);
}

static void test_an_id_with_other_facts_is_a_conflict_and_another_shops_id_is_not(void **state)
{
	(void)state;
	struct batch *first = batch_new(11), *second = batch_new(12);
	batch_add(first, 1, "C-1", "10.00", IN_W45, 77);
	check(batch_apply(first));
	batch_accept(first);
	batch_add(second, 1, "C-1", "11.00", IN_W45, 77);
	batch_add(second, 2, "C-1", "11.00", IN_W45, 77);
	check(batch_apply(second));
	assert_int_equal(second->rows[0].verdict, KONTOR_VERDICT_CONFLICT);
	assert_int_equal(second->rows[0].column, ITEM_AMOUNT + 1);
	assert_non_null(strstr(second->rows[0].reason, "10.00 SGD"));
	assert_non_null(strstr(second->rows[0].reason, "11.00 SGD"));
	assert_int_equal(second->rows[1].verdict, KONTOR_VERDICT_OK);
	assert_int_equal(sql_int("SELECT amount_minor FROM billing_item WHERE shop_user_id = 1"), 1000);
	batch_free(first);
	batch_free(second);
}

static void test_an_issued_id_that_comes_back_with_its_facts_already_exists(void **state)
{
	(void)state;
	struct batch *first = batch_new(11), *second = batch_new(12);
	batch_add(first, 1, "I-1", "10.00", IN_W45, 0);
	check(batch_apply(first));
	batch_accept(first);
	batch_add(second, 1, "I-1", "10.00", IN_W45, (uint64_t)sql_int("SELECT billing_item_id FROM billing_item"));
	check(batch_apply(second));
	assert_int_equal(second->rows[0].verdict, KONTOR_VERDICT_ALREADY_EXISTS);
	batch_free(first);
	batch_free(second);
}

static void test_an_issued_id_that_the_shop_has_already_is_issued_again(void **state)
{
	(void)state;
	struct batch *first = batch_new(11), *second = batch_new(12);
	batch_add(first, 1, "I-1", "10.00", IN_W45, ids_next); /* the id that the next grant begins with */
	check(batch_apply(first));
	batch_accept(first);
	batch_add(second, 1, "I-2", "10.00", IN_W45, 0);
	check(batch_apply(second));
	assert_int_equal(second->rows[0].verdict, KONTOR_VERDICT_OK);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item"), 2);
	batch_free(first);
	batch_free(second);
}

/* If the other upload is cancelled, "already exists" would have been wrong. */
static void test_a_fact_in_an_unaccepted_upload_waits_for_it(void **state)
{
	(void)state;
	struct batch *first = batch_new(11), *younger = batch_new(12), *older = batch_new(10);
	batch_add(first, 1, "W-1", "10.00", IN_W45, 0);
	check(batch_apply(first));
	batch_add(younger, 1, "W-1", "10.00", IN_W45, 0);
	batch_add(younger, 1, "W-2", "10.00", IN_W45, 0);
	batch_add(older, 1, "W-1", "10.00", IN_W45, 0);
	assert_int_equal(batch_apply(younger), KONTOR_E_BUSY);
	assert_non_null(strstr(err.message, "upload 11"));
	assert_int_equal(batch_apply(older), KONTOR_E_BUSY);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item"), 1);
	younger->upload.dry_run = true;
	check(batch_apply(younger));
	assert_non_null(strstr(younger->rows[0].reason, "not accepted yet"));
	younger->upload.dry_run = false;
	batch_undo(first);
	check(batch_apply(younger));
	assert_int_equal(batch_count(younger, KONTOR_VERDICT_OK), 2);
	batch_free(first);
	batch_free(younger);
	batch_free(older);
}

static void test_a_dry_run_says_the_same_and_stores_nothing(void **state)
{
	(void)state;
	struct batch *first = batch_new(11), *dry = batch_new(12);
	batch_add(dry, 1, "D-1", "10.00", IN_W45, 0);
	batch_add(dry, 1, "D-2", "10.00", IN_W45, 0);
	batch_add(dry, 1, "D-3", "10.00", "2025-05-05T00:00:00Z", 0);
	dry->upload.dry_run = true;
	check(batch_apply(dry));
	assert_int_equal(batch_count(dry, KONTOR_VERDICT_OK), 2);
	assert_int_equal(batch_count(dry, KONTOR_VERDICT_LATE), 1);
	assert_int_equal(sql_int("SELECT (SELECT COUNT(*) FROM billing_item) + (SELECT COUNT(*) FROM item_batch) + "
				 "(SELECT COUNT(*) FROM window_writer) + (SELECT COUNT(*) FROM `window`)"),
			 0);
	batch_add(first, 1, "D-2", "10.00", IN_W45, 0);
	check(batch_apply(first));
	batch_accept(first);
	check(batch_apply(dry));
	assert_int_equal(dry->rows[1].verdict, KONTOR_VERDICT_ALREADY_EXISTS);
	assert_int_equal(dry->rows[0].verdict, KONTOR_VERDICT_OK);
	batch_free(first);
	batch_free(dry);
}

static void test_undo_removes_the_upload_and_nothing_else(void **state)
{
	(void)state;
	struct batch *kept = batch_new(11), *cancelled = thousand_rows(12, false);
	for (unsigned i = 0; i < 300; i++)
		batch_add(kept, 1 + i % 9, "K", "1.00", IN_W45, 100000 + i);
	check(batch_apply(kept));
	batch_add(cancelled, 3, "late", "1.00", "2025-01-01T00:00:00Z", 0);
	check(batch_apply(cancelled));
	assert_int_equal(sql_int("SELECT COUNT(*) FROM item_batch WHERE source = 12"), 2);
	batch_undo(cancelled); /* pages of 100 rows */
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item WHERE upload_id = 12"), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item WHERE upload_id = 11"), 300);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM item_batch WHERE source = 12"), 0);
	batch_undo(cancelled);
	batch_accept(kept);
	batch_undo(kept); /* an accepted upload is never undone */
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item WHERE upload_id = 11"), 300);
	batch_free(kept);
	batch_free(cancelled);
}

static void test_the_window_is_that_of_the_instant_or_the_oldest_open_one(void **state)
{
	(void)state;
	struct batch *batch = batch_new(11);
	sql_run("INSERT INTO window_writer (region, writer, epoch, open_from) VALUES ('SG', 0, 5, 202644)");
	char future[KONTOR_TIME_SIZE], soon[KONTOR_TIME_SIZE];
	kontor_time_format(kontor_now_ms() + ITEM_FUTURE_LIMIT_MS + 60000, future);
	kontor_time_format(kontor_now_ms() + ITEM_FUTURE_LIMIT_MS - 60000, soon);
	struct kontor_row *before = batch_add(batch, 1, "A", "1", "2026-11-01T15:59:59.999Z", 1);
	struct kontor_row *begin = batch_add(batch, 1, "B", "1", MONDAY_W45, 2);
	struct kontor_row *closed = batch_add(batch, 1, "C", "1", "2026-10-25T15:59:59Z", 3);
	struct kontor_row *old = batch_add(batch, 1, "D", "1", "1999-01-01T00:00:00Z", 4);
	struct kontor_row *far = batch_add(batch, 1, "E", "1", future, 5);
	struct kontor_row *near = batch_add(batch, 1, "F", "1", soon, 6);
	check(batch_apply(batch));
	assert_int_equal(before->verdict, KONTOR_VERDICT_OK);
	assert_int_equal(begin->verdict, KONTOR_VERDICT_OK);
	assert_int_equal(closed->verdict, KONTOR_VERDICT_LATE);
	assert_int_equal(old->verdict, KONTOR_VERDICT_LATE);
	assert_int_equal(far->verdict, KONTOR_VERDICT_BAD_ROW);
	assert_int_equal(far->column, ITEM_OCCURRED + 1);
	assert_non_null(strstr(far->reason, "24 hours ahead of the database's clock"));
	assert_int_equal(near->verdict, KONTOR_VERDICT_OK);
	assert_int_equal(sql_int("SELECT window_no FROM billing_item WHERE billing_item_id = 1"), 202644);
	assert_int_equal(sql_int("SELECT window_no FROM billing_item WHERE billing_item_id = 2"), 202645);
	assert_int_equal(sql_int("SELECT window_no FROM billing_item WHERE billing_item_id = 3 AND late = 1"), 202644);
	assert_int_equal(sql_int("SELECT window_no FROM billing_item WHERE billing_item_id = 4 AND late = 1"), 202644);
	assert_int_equal(sql_int("SELECT late FROM item_batch WHERE window_no = 202644"), 2);
	assert_int_equal(sql_int("SELECT items FROM item_batch WHERE window_no = 202644"), 3);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM `window` WHERE window_no < 202644"), 0);
	batch_free(batch);
}

/* As if the time zone data had been updated after the window's row was made. */
static void test_stored_bounds_decide_and_neighbours_fit_to_them(void **state)
{
	(void)state;
	int64_t monday;
	assert_int_equal(kontor_time_parse(KONTOR_TEXT(MONDAY_W45), &monday), KONTOR_TIME_OK);
	char sql[200];
	snprintf(
		sql, sizeof(sql),
		"INSERT INTO `window` (region, window_no, state, from_ms, to_ms) VALUES ('SG', 202644, 'open', %" PRId64
		", %" PRId64 ")",
		monday - INT64_C(604800000), monday + 3600000);
	sql_run(sql);
	struct batch *batch = batch_new(11);
	batch_add(batch, 1, "A", "1", "2026-11-01T16:30:00Z", 1);
	batch_add(batch, 1, "B", "1", "2026-11-01T17:00:00Z", 2);
	check(batch_apply(batch));
	assert_int_equal(sql_int("SELECT window_no FROM billing_item WHERE billing_item_id = 1"), 202644);
	assert_int_equal(sql_int("SELECT window_no FROM billing_item WHERE billing_item_id = 2"), 202645);
	assert_int_equal(sql_int("SELECT from_ms FROM `window` WHERE window_no = 202645"), monday + 3600000);
	batch_free(batch);
}

/* ---- settlement.add_items ---- */

static void put_item(kontor_writer *w, const char *order, int64_t minor, uint64_t id)
{
	kontor_write_map(w);
	kontor_put_uint(w, "shop_user_id", 5);
	kontor_put_string(w, "order_id", order);
	kontor_put_string(w, "item_type", "fee");
	kontor_put_int(w, "amount_minor", minor);
	kontor_put_string(w, "currency", "SGD");
	kontor_put_string(w, "occurred_at", IN_W45);
	if (id)
		kontor_put_uint(w, "billing_item_id", id);
	kontor_write_end(w);
}

static const msgpack_object *answered(const kontor_body *body, uint32_t index)
{
	const msgpack_object *items = kontor_get(kontor_body_map(body), "items");
	assert_non_null(items);
	assert_true(index < items->via.array.size);
	return &items->via.array.ptr[index];
}

static void assert_item(const kontor_body *body, uint32_t index, const char *verdict, const char *column,
			const char *reason)
{
	const msgpack_object *item = answered(body, index);
	char text[300];
	assert_string_equal(kontor_get_string(item, "verdict", text, sizeof(text)), verdict);
	assert_string_equal(kontor_get_string(item, "column", text, sizeof(text)), column);
	if (!strstr(kontor_get_string(item, "reason", text, sizeof(text)), reason))
		fail_msg("item %u: \"%s\" does not say \"%s\"", index, text, reason);
}

static void test_services_get_a_verdict_for_each_item_in_order(void **state)
{
	(void)state;
	kontor_body *body;
	kontor_writer *w = arguments();
	kontor_put_array(w, "items");
	put_item(w, "S-1", 100, 0);
	put_item(w, "S-1", 100, 0);
	put_item(w, "S 2", 100, 0);
	put_item(w, "S-3", 100, 900);
	put_item(w, "S-3", 200, 900);
	put_item(w, "S-4", KONTOR_AMOUNT_LIMIT, 0);
	kontor_write_int(w, 7);
	kontor_write_map(w);
	kontor_put_string(w, "shop_user_ids", "5");
	kontor_write_end(w);
	kontor_write_map(w);
	kontor_put_string(w, "shop_user_id", "5");
	kontor_put_string(w, "order_id", "S-5");
	kontor_put_string(w, "item_type", "tax");
	kontor_put_int(w, "amount_minor", -5);
	kontor_put_string(w, "currency", "SGD");
	kontor_put_int(w, "occurred_ms", INT64_C(1793669400000));
	kontor_write_end(w);
	kontor_write_map(w);
	kontor_put_uint(w, "shop_user_id", 5);
	kontor_put_uint(w, "order_id", 5);
	kontor_write_end(w);
	kontor_write_end(w);
	check(call("add_items", w, &body, &err));
	assert_item(body, 0, "ok", "", "");
	assert_item(body, 1, "duplicate_in_file", "", "item 1");
	assert_item(body, 2, "bad_row", "order_id", "S 2");
	assert_item(body, 3, "conflict", "billing_item_id", "items 4 and 5");
	assert_item(body, 4, "conflict", "billing_item_id", "items 4 and 5");
	assert_item(body, 5, "bad_row", "amount_minor", "10^16");
	assert_item(body, 6, "bad_row", "", "map");
	assert_item(body, 7, "bad_row", "", "shop_user_id");
	assert_item(body, 8, "ok", "", "");
	assert_item(body, 9, "bad_row", "order_id", "string");
	char window[KONTOR_WINDOW_SIZE];
	assert_string_equal(kontor_get_string(answered(body, 0), "window", window, sizeof(window)), "2026-W45");
	uint64_t id = kontor_get_uint(answered(body, 0), "billing_item_id", 0);
	assert_true(id > 0);
	kontor_body_free(body);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item WHERE upload_id = 0"), 2);
	assert_int_equal(sql_int("SELECT items FROM item_batch WHERE accepted = 1 AND upload_id = 0"), 2);

	w = arguments();
	kontor_put_array(w, "items");
	put_item(w, "S-1", 100, 0);
	put_item(w, "S-6", 100, 0);
	kontor_write_end(w);
	check(call("add_items", w, &body, &err));
	assert_item(body, 0, "already_exists", "", "is billing item");
	assert_true(kontor_get_uint(answered(body, 0), "billing_item_id", 0) == id);
	assert_item(body, 1, "ok", "", "");
	kontor_body_free(body);
}

/* ---- settlement.find, settlement.windows ---- */

static size_t found(const char *key, const char *value, uint64_t number, int64_t limit, char *cursor, size_t size)
{
	kontor_body *body;
	kontor_writer *w = arguments();
	if (value)
		kontor_put_string(w, key, value);
	else
		kontor_put_uint(w, key, number);
	kontor_put_int(w, "limit", limit);
	if (cursor && *cursor)
		kontor_put_string(w, "after", cursor);
	check(call("find", w, &body, &err));
	const msgpack_object *rows = kontor_get(kontor_body_map(body), "rows");
	size_t count = rows->via.array.size;
	if (cursor)
		kontor_get_string(kontor_body_map(body), "next", cursor, size);
	kontor_body_free(body);
	return count;
}

static void test_find_shows_only_items_that_count(void **state)
{
	(void)state;
	struct batch *batch = thousand_rows(11, false);
	batch_add(batch, 3, "O-0", "1.00", "2026-10-20T00:00:00Z", 0);
	check(batch_apply(batch));
	assert_int_equal(found("shop", NULL, 3, 1000, NULL, 0), 0);
	batch_accept(batch);
	assert_int_equal(found("shop", NULL, 3, 1000, NULL, 0), 143 + 1);
	assert_int_equal(found("order", "O-0", 0, 10, NULL, 0), 2);
	assert_int_equal(found("item", NULL, 5001, 10, NULL, 0), 1);
	assert_int_equal(found("item", NULL, 4999, 10, NULL, 0), 0);
	size_t total = 0, pages = 0;
	char cursor[64] = "";
	do {
		total += found("shop", NULL, 3, 10, cursor, sizeof(cursor));
		pages++;
	} while (*cursor);
	assert_int_equal(total, 144);
	assert_true(pages >= 15 && pages <= 16);
	batch_free(batch);
}

static void test_windows_are_listed_with_what_counts(void **state)
{
	(void)state;
	struct batch *accepted = thousand_rows(11, false), *open = batch_new(12);
	check(batch_apply(accepted));
	batch_accept(accepted);
	batch_add(open, 1, "X", "1.00", IN_W45, 0);
	batch_add(open, 1, "Y", "1.00", "2026-11-10T00:00:00Z", 0);
	check(batch_apply(open));
	kontor_body *body;
	check(call("windows", arguments(), &body, &err));
	const msgpack_object *rows = kontor_get(kontor_body_map(body), "rows");
	char text[KONTOR_TIME_SIZE];
	assert_int_equal(rows->via.array.size, 2);
	const msgpack_object *row = &rows->via.array.ptr[0];
	assert_string_equal(kontor_get_string(row, "window", text, sizeof(text)), "2026-W45");
	assert_string_equal(kontor_get_string(row, "from", text, sizeof(text)), MONDAY_W45);
	assert_string_equal(kontor_get_string(row, "state", text, sizeof(text)), "open");
	assert_int_equal(kontor_get_int(row, "items", -1), 1000);
	assert_int_equal(kontor_get_int(row, "uploads_open", -1), 1);
	assert_int_equal(kontor_get_int(&rows->via.array.ptr[1], "items", -1), 0);
	kontor_body_free(body);
	batch_free(accepted);
	batch_free(open);
}

int main(void)
{
#define ON_A_CLEAN_DATABASE(test) cmocka_unit_test_setup(test, clean)
	const struct CMUnitTest tests[] = {
		ON_A_CLEAN_DATABASE(test_a_fresh_batch_is_stored_and_counted),
		ON_A_CLEAN_DATABASE(test_a_batch_makes_every_window_that_it_needs_and_counts_each_item_once),
		ON_A_CLEAN_DATABASE(test_the_same_rows_shuffled_in_another_upload_add_nothing_and_name_the_first_id),
		ON_A_CLEAN_DATABASE(test_one_repeated_row_does_not_keep_the_others_out),
		ON_A_CLEAN_DATABASE(test_an_id_with_other_facts_is_a_conflict_and_another_shops_id_is_not),
		ON_A_CLEAN_DATABASE(test_an_issued_id_that_comes_back_with_its_facts_already_exists),
		ON_A_CLEAN_DATABASE(test_an_issued_id_that_the_shop_has_already_is_issued_again),
		ON_A_CLEAN_DATABASE(test_a_fact_in_an_unaccepted_upload_waits_for_it),
		ON_A_CLEAN_DATABASE(test_a_dry_run_says_the_same_and_stores_nothing),
		ON_A_CLEAN_DATABASE(test_undo_removes_the_upload_and_nothing_else),
		ON_A_CLEAN_DATABASE(test_the_window_is_that_of_the_instant_or_the_oldest_open_one),
		ON_A_CLEAN_DATABASE(test_stored_bounds_decide_and_neighbours_fit_to_them),
		ON_A_CLEAN_DATABASE(test_services_get_a_verdict_for_each_item_in_order),
		ON_A_CLEAN_DATABASE(test_find_shows_only_items_that_count),
		ON_A_CLEAN_DATABASE(test_windows_are_listed_with_what_counts),
	};
	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
