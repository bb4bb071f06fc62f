/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules for a billing item's fields, its identity, and the comparison of two items. No database.
 */
#include "test_region.h"

#include "items.h"

static kontor_host *host;
static kontor_arena *arena;
static struct kontor_error err;

static const char *const good[ITEM_COLUMNS] = {
	"880000000001", "A-1_b", "order", "12.50", "SGD", "2026-11-03T09:30:00+08:00", "42", "thanks, สมชาย"};

/* The database's clock of these tests: long after the good item's time. */
static const int64_t now_ms = INT64_C(1800000000000);

static struct item read_with(int column, const char *value)
{
	struct item item = {0};
	struct item_fields fields = {.now_ms = now_ms};
	for (int i = 0; i < ITEM_COLUMNS; i++)
		fields.text[i] = kontor_text_of(i == column ? value : good[i]);
	assert_int_equal(item_read(&item, &test_region, &fields, arena, &err), 0);
	return item;
}

static void test_a_good_row_is_read(void **state)
{
	(void)state;
	struct item item = read_with(-1, NULL);
	assert_int_equal(item.verdict, KONTOR_VERDICT_OK);
	assert_true(item.shop_user_id == 880000000001 && item.billing_item_id == 42 && item.has_id);
	assert_string_equal(item.order_id, "A-1_b");
	assert_int_equal(item.type, 1);
	assert_int_equal(item.amount_minor, 1250);
	assert_string_equal(item.currency, "SGD");
	assert_int_equal(item.occurred_ms, INT64_C(1793669400000));
	assert_true(kontor_text_is(item.note, "thanks, สมชาย"));
	assert_false(read_with(ITEM_ID, "").has_id);
	assert_false(read_with(ITEM_ID, NULL).has_id);
	assert_null(read_with(ITEM_NOTE, "").note.data);
	assert_int_equal(read_with(ITEM_NOTE, "two\nlines").verdict, KONTOR_VERDICT_OK);
	assert_int_equal(read_with(ITEM_SHOP, "9223372036854775807").shop_user_id, INT64_MAX);
	assert_int_equal(read_with(ITEM_AMOUNT, "0").verdict, KONTOR_VERDICT_OK);
	assert_int_equal(read_with(ITEM_AMOUNT, "-0.01").amount_minor, -1);
	assert_int_equal(read_with(ITEM_AMOUNT, "99999999999999.99").amount_minor, KONTOR_AMOUNT_LIMIT - 1);
}

static void test_every_kind_of_bad_value_names_its_column_the_rule_and_the_value(void **state)
{
	(void)state;
	static const struct {
		enum item_column column;
		const char *value, *reason;
	} cases[] = {
		{ITEM_SHOP, NULL, "shop_user_id is missing"},
		{ITEM_SHOP, "", "shop_user_id is empty"},
		{ITEM_SHOP, "0", "not \"0\""},
		{ITEM_SHOP, "007", "leading zeros, not \"007\""},
		{ITEM_SHOP, "+5", "not \"+5\""},
		{ITEM_SHOP, "-5", "not \"-5\""},
		{ITEM_SHOP, " 5", "not \" 5\""},
		{ITEM_SHOP, "5.0", "not \"5.0\""},
		{ITEM_SHOP, "100000000000000000000000", "1 to 2^63-1"},
		{ITEM_SHOP, "9223372036854775808", "1 to 2^63-1"},
		{ITEM_SHOP, "１２", "not \"１２\""},
		{ITEM_ORDER, "", "order_id is empty"},
		{ITEM_ORDER, "a b", "not \"a b\""},
		{ITEM_ORDER, "a/b", "not \"a/b\""},
		{ITEM_ORDER, "a\nb", "not \"a\\x0ab\""},
		{ITEM_ORDER, "é", "A-Z a-z 0-9 _ -"},
		{ITEM_ORDER, "123456789012345678901234567890123", "1 to 32"},
		{ITEM_TYPE, "", "item_type is empty"},
		{ITEM_TYPE, "sale", "one of order, refund, adjustment, fee, tax, voucher, not \"sale\""},
		{ITEM_TYPE, "Order", "not \"Order\""},
		{ITEM_TYPE, "orders", "not \"orders\""},
		{ITEM_CURRENCY, "", "currency is empty"},
		{ITEM_CURRENCY, "XYZ", "SG accepts (SGD MYR JPY KWD TWD), not \"XYZ\""},
		{ITEM_CURRENCY, "VND", "not \"VND\""},
		{ITEM_CURRENCY, "sgd", "not \"sgd\""},
		{ITEM_AMOUNT, "", "amount is empty"},
		{ITEM_AMOUNT, "-0", "-0"},
		{ITEM_AMOUNT, "-0.00", "zero"},
		{ITEM_AMOUNT, "1e5", "not \"1e5\""},
		{ITEM_AMOUNT, "+5", "not \"+5\""},
		{ITEM_AMOUNT, "007", "not \"007\""},
		{ITEM_AMOUNT, ".5", "not \".5\""},
		{ITEM_AMOUNT, "1.", "not \"1.\""},
		{ITEM_AMOUNT, "1,000.00", "not \"1,000.00\""},
		{ITEM_AMOUNT, "１２", "not \"１２\""},
		{ITEM_AMOUNT, "12.505", "decimal"},
		{ITEM_AMOUNT, "100000000000000000000000", "10"},
		{ITEM_OCCURRED, "", "occurred_at is empty"},
		{ITEM_OCCURRED, "2026-11-03T09:30:00", "offset"},
		{ITEM_OCCURRED, "2026-02-30T09:30:00Z", "2026-02-30T09:30:00Z"},
		{ITEM_OCCURRED, "2026-11-03T24:00:00Z", "2026-11-03T24:00:00Z"},
		{ITEM_OCCURRED, "2026-11-03T23:59:60Z", "2026-11-03T23:59:60Z"},
		{ITEM_OCCURRED, "2026-11-03 09:30:00Z", "2026-11-03 09:30:00Z"},
		{ITEM_OCCURRED, "yesterday", "yesterday"},
		{ITEM_ID, "0", "not \"0\""},
		{ITEM_ID, "9223372036854775808", "2^63-1"},
		{ITEM_ID, "x1", "not \"x1\""},
		{ITEM_NOTE, "bell\a", "control"},
		{ITEM_NOTE, "\x1b[31mred", "not \"\\x1b[31mred\""},
		{ITEM_NOTE, "\xff\xfe", "UTF-8"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct item item = read_with((int)cases[i].column, cases[i].value);
		if (item.verdict != KONTOR_VERDICT_BAD_ROW || item.column != (int)cases[i].column ||
		    !strstr(item.reason, cases[i].reason))
			fail_msg("%s=\"%s\": verdict %s, column %d, reason %s", item_columns[cases[i].column].name,
				 cases[i].value ? cases[i].value : "(absent)", kontor_verdict_name(item.verdict),
				 item.column, item.reason);
	}
	char note[ITEM_NOTE_LIMIT + 2];
	memset(note, 'n', sizeof(note) - 1);
	note[sizeof(note) - 1] = '\0';
	assert_int_equal(read_with(ITEM_NOTE, note).verdict, KONTOR_VERDICT_BAD_ROW);
	assert_int_equal(read_with(ITEM_NOTE, note + 1).verdict, KONTOR_VERDICT_OK);
}

static void test_decimals_follow_the_currency(void **state)
{
	(void)state;
	struct item_fields fields = {.now_ms = now_ms};
	static const struct {
		const char *currency, *amount;
		int64_t minor; /* -1: refused */
	} cases[] = {{"JPY", "500", 500}, {"JPY", "500.0", -1}, {"KWD", "1.234", 1234}, {"SGD", "1.234", -1}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct item item = {0};
		for (int c = 0; c < ITEM_COLUMNS; c++)
			fields.text[c] = kontor_text_of(good[c]);
		fields.text[ITEM_CURRENCY] = kontor_text_of(cases[i].currency);
		fields.text[ITEM_AMOUNT] = kontor_text_of(cases[i].amount);
		assert_int_equal(item_read(&item, &test_region, &fields, arena, &err), 0);
		if (cases[i].minor < 0)
			assert_int_equal(item.column, ITEM_AMOUNT);
		else
			assert_int_equal(item.amount_minor, cases[i].minor);
	}
}

static void test_a_long_value_is_shown_short_and_not_cut_inside_a_character(void **state)
{
	(void)state;
	char value[301] = "";
	for (size_t i = 0; i < 300; i += 3)
		memcpy(value + i, "ส", 3);
	struct item item = read_with(ITEM_SHOP, value);
	assert_true(kontor_text_utf8(kontor_text_of(item.reason)));
	assert_non_null(strstr(item.reason, "ส...\""));
}

static void assert_hex(const uint8_t *key, const char *expected)
{
	char hex[2 * KONTOR_IDENTITY_SIZE + 1];
	assert_string_equal(kontor_hex(key, KONTOR_IDENTITY_SIZE, hex), expected);
}

/* The expected values come from Python: sha256(b"".join(bytes([len(p)]) + p for p in parts))[:16] */
static void test_the_fact_key_is_the_documented_hash(void **state)
{
	(void)state;
	struct item item = read_with(ITEM_ORDER, "A-1");
	assert_hex(item.identity.key, "683e05fa40ca5336ff483096c8bee365");
	assert_hex(item.identity.facts, "f960187eb3a2eb8ece2eb40dac77fca7");
	struct item_fields fields = {.now_ms = now_ms};
	for (int c = 0; c < ITEM_ID; c++)
		fields.text[c] = kontor_text_of(c == ITEM_ORDER ? "A-1" : good[c]);
	assert_int_equal(item_read(&item, &test_region, &fields, arena, &err), 0);
	assert_hex(item.identity.key, "f960187eb3a2eb8ece2eb40dac77fca7");
}

static bool same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, KONTOR_IDENTITY_SIZE) == 0;
}

static void test_with_an_id_the_identity_is_shop_and_id_and_the_note_is_no_fact(void **state)
{
	(void)state;
	struct item first = read_with(-1, NULL);
	static const struct {
		enum item_column column;
		const char *value;
		bool same_key, same_facts;
	} cases[] = {
		{ITEM_SHOP, "880000000002", false, false},
		{ITEM_ID, "43", false, true},
		{ITEM_ORDER, "A-2", true, false},
		{ITEM_TYPE, "refund", true, false},
		{ITEM_AMOUNT, "12.51", true, false},
		{ITEM_CURRENCY, "MYR", true, false},
		{ITEM_OCCURRED, "2026-11-03T09:30:00.001+08:00", true, false},
		{ITEM_OCCURRED, "2026-11-03T01:30:00Z", true, true},
		{ITEM_AMOUNT, "12.5", true, true},
		{ITEM_NOTE, "another", true, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct item other = read_with((int)cases[i].column, cases[i].value);
		assert_int_equal(same(first.identity.key, other.identity.key), cases[i].same_key);
		assert_int_equal(same(first.identity.facts, other.identity.facts), cases[i].same_facts);
	}
}

static void test_the_same_fact_exists_and_other_facts_conflict(void **state)
{
	(void)state;
	struct item item = read_with(-1, NULL);
	struct stored_item stored = {.window = 202645,
				     .shop_user_id = item.shop_user_id,
				     .billing_item_id = 77,
				     .order_id = "A-1_b",
				     .type = 1,
				     .amount_minor = 1250,
				     .currency = "SGD",
				     .occurred_ms = item.occurred_ms,
				     .upload_id = 5,
				     .line = 9,
				     .accepted = false};
	item_compare(&item, &stored, host);
	assert_int_equal(item.verdict, KONTOR_VERDICT_ALREADY_EXISTS);
	assert_string_equal(item.reason, "is billing item 77 (from upload 5 line 9, which is not accepted yet)");
	assert_int_equal(item.billing_item_id, 77);

	item_reset(&item);
	stored.amount_minor = 1000;
	item_compare(&item, &stored, host);
	assert_int_equal(item.verdict, KONTOR_VERDICT_CONFLICT);
	assert_int_equal(item.column, ITEM_AMOUNT);
	assert_non_null(strstr(item.reason, "10.00 SGD"));
	assert_non_null(strstr(item.reason, "12.50 SGD"));

	item_reset(&item);
	stored.amount_minor = 1250;
	stored.occurred_ms++;
	item_compare(&item, &stored, host);
	assert_int_equal(item.column, ITEM_OCCURRED);
	assert_non_null(strstr(item.reason, "2026-11-03T01:30:00.001Z"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_row_is_read),
		cmocka_unit_test(test_every_kind_of_bad_value_names_its_column_the_rule_and_the_value),
		cmocka_unit_test(test_decimals_follow_the_currency),
		cmocka_unit_test(test_a_long_value_is_shown_short_and_not_cut_inside_a_character),
		cmocka_unit_test(test_the_fact_key_is_the_documented_hash),
		cmocka_unit_test(test_with_an_id_the_identity_is_shop_and_id_and_the_note_is_no_fact),
		cmocka_unit_test(test_the_same_fact_exists_and_other_facts_conflict),
	};
	host = test_host_new(NULL, NULL);
	arena = kontor_arena_new(0);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	item_thread_end();
	kontor_arena_free(arena);
	kontor_host_free(host);
	return failed;
}
