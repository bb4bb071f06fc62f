/* SPDX-License-Identifier: Apache-2.0
 *
 * What a row of a payees file may hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bank_account.h"
#include "payee_row.h"

static const struct kontor_currency sgd = {"SGD", 2, 1}, jpy = {"JPY", 0, 1};
static const struct kontor_region region = {.code = "SG", .currencies_len = 2, .currencies = {&sgd, &jpy}};

struct row_case {
	const char *fields[PAYEE_COLUMNS]; /* NULL: the column is not in the file */
	int bad;                           /* column that is blamed, -1 = the row is good */
};

#define IBAN "DE89370400440532013000"
static const struct row_case rows[] = {
	{{"7", "Ann Lee", "SG", "SGD", IBAN, "", "", "", "", ""}, -1},
	{{"7", "Ann Lee", "SG", "SGD", IBAN}, -1},
	{{"7", "Ann Lee", "SG", "SGD", "", "0012-34", "7171", "DBSSSGSGXXX", "Singapore", "Ann"}, -1},
	{{"7", "สมชาย ใจดี", "TH", "JPY", NULL, "12", "A", "DBSSSGSG", NULL, "Somchai"}, -1},
	{{"9223372036854775807", "王小明", "TW", "SGD", IBAN}, -1},
	{{"0", "Ann", "SG", "SGD", IBAN}, PAYEE_SHOP},
	{{"007", "Ann", "SG", "SGD", IBAN}, PAYEE_SHOP},
	{{"+7", "Ann", "SG", "SGD", IBAN}, PAYEE_SHOP},
	{{"", "Ann", "SG", "SGD", IBAN}, PAYEE_SHOP},
	{{"9223372036854775808", "Ann", "SG", "SGD", IBAN}, PAYEE_SHOP},
	{{"7", "", "SG", "SGD", IBAN}, PAYEE_NAME},
	{{"7", "   ", "SG", "SGD", IBAN}, PAYEE_NAME},
	{{"7", "\xC2\xA0\xE3\x80\x80", "SG", "SGD", IBAN}, PAYEE_NAME},
	{{"7", "Ann\nLee", "SG", "SGD", IBAN}, PAYEE_NAME},
	{{"7", "Ann\tLee", "SG", "SGD", IBAN}, PAYEE_NAME},
	{{"7", "Ann\x7F", "SG", "SGD", IBAN}, PAYEE_NAME},
	{{"7", "Ann\xC2\x85", "SG", "SGD", IBAN}, PAYEE_NAME},
	{{"7", "Ann", "sg", "SGD", IBAN}, PAYEE_COUNTRY},
	{{"7", "Ann", "SGP", "SGD", IBAN}, PAYEE_COUNTRY},
	{{"7", "Ann", "", "SGD", IBAN}, PAYEE_COUNTRY},
	{{"7", "Ann", "SG", "USD", IBAN}, PAYEE_CURRENCY},
	{{"7", "Ann", "SG", "sgd", IBAN}, PAYEE_CURRENCY},
	{{"7", "Ann", "SG", "", IBAN}, PAYEE_CURRENCY},
	{{"7", "Ann", "SG", "SGD", ""}, PAYEE_IBAN},
	{{"7", "Ann", "SG", "SGD", "DE88370400440532013000"}, PAYEE_IBAN},
	{{"7", "Ann", "SG", "SGD", "DE8937040044053201300"}, PAYEE_IBAN},
	{{"7", "Ann", "SG", "SGD", "DE89 3704 0044 0532 0130 00"}, PAYEE_IBAN},
	{{"7", "Ann", "SG", "SGD", "de89370400440532013000"}, PAYEE_IBAN},
	{{"7", "Ann", "SG", "SGD", IBAN, "12", "7171"}, PAYEE_IBAN},
	{{"7", "Ann", "SG", "SGD", IBAN, "", "7171"}, PAYEE_IBAN},
	{{"7", "Ann", "SG", "SGD", "", "12", ""}, PAYEE_BANK_CODE},
	{{"7", "Ann", "SG", "SGD", "", "", "7171"}, PAYEE_ACCOUNT},
	{{"7", "Ann", "SG", "SGD", "", "12 34", "7171"}, PAYEE_ACCOUNT},
	{{"7", "Ann", "SG", "SGD", "", "12", "71/71"}, PAYEE_BANK_CODE},
	{{"7", "Ann", "SG", "SGD", "", "12345678901234567890123456789012345", "7171"}, PAYEE_ACCOUNT},
	{{"7", "Ann", "SG", "SGD", IBAN, "", "", "COBADEF"}, PAYEE_BIC},
	{{"7", "Ann", "SG", "SGD", IBAN, "", "", "COBADEFFXX"}, PAYEE_BIC},
	{{"7", "Ann", "SG", "SGD", IBAN, "", "", "C0BADEFF"}, PAYEE_BIC},
	{{"7", "Ann", "SG", "SGD", IBAN, "", "", "", "123456789012345678901234567890123456"}, PAYEE_TOWN},
	{{"7", "Ann", "SG", "SGD", IBAN, "", "", "", "", "\x01"}, PAYEE_NAME_LATIN},
};

static int identify(const struct row_case *c, struct kontor_row *row, kontor_arena *arena,
		    struct kontor_identity *identity, struct kontor_error *err)
{
	struct kontor_upload upload = {.upload_id = 1, .kind = "payees", .region = &region, .user = "alice"};
	*row = (struct kontor_row){.line = 2};
	for (size_t i = 0; i < PAYEE_COLUMNS; i++) {
		row->fields[i] = kontor_text_of(c->fields[i]);
		upload.has_column[i] = c->fields[i] != NULL;
	}
	return payee_identify(NULL, &upload, row, arena, identity, err);
}

static void test_each_bad_field_is_named(void **state)
{
	(void)state;
	kontor_arena *arena = kontor_arena_new(0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kontor_row row;
		struct kontor_identity identity;
		struct kontor_error err = KONTOR_ERROR_INIT;
		int code = identify(&rows[i], &row, arena, &identity, &err);
		print_message("row %zu: %s\n", i, row.reason);
		assert_int_equal(code, 0);
		assert_int_equal(row.verdict, rows[i].bad < 0 ? KONTOR_VERDICT_OK : KONTOR_VERDICT_BAD_ROW);
		if (rows[i].bad >= 0) {
			assert_int_equal(row.column, rows[i].bad + 1);
			assert_string_not_equal(row.reason, "");
		}
	}
	kontor_arena_free(arena);
}

static void test_names_are_counted_in_characters(void **state)
{
	(void)state;
	kontor_arena *arena = kontor_arena_new(0);
	char name[3 * 141 + 1] = "";
	for (int i = 0; i < 140; i++)
		memcpy(name + 3 * i, "王", 3);
	struct row_case c = {{"7", name, "TW", "SGD", IBAN}, -1};
	struct kontor_row row;
	struct kontor_identity identity;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(identify(&c, &row, arena, &identity, &err), 0);
	assert_int_equal(row.verdict, KONTOR_VERDICT_OK);
	memcpy(name + (size_t)3 * 140, "王", 3);
	assert_int_equal(identify(&c, &row, arena, &identity, &err), 0);
	assert_int_equal(row.verdict, KONTOR_VERDICT_BAD_ROW);
	kontor_arena_free(arena);
}

static void test_shop_and_currency_are_the_identity(void **state)
{
	(void)state;
	kontor_arena *arena = kontor_arena_new(0);
	struct row_case a = {{"7", "Ann", "SG", "SGD", IBAN}, -1}, b = {{"7", "Bob", "DE", "SGD", IBAN}, -1};
	struct row_case other_shop = {{"8", "Ann", "SG", "SGD", IBAN}, -1};
	struct row_case other_currency = {{"7", "Ann", "SG", "JPY", IBAN}, -1};
	struct kontor_row row;
	struct kontor_identity of_a, of_b, of_shop, of_currency;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(identify(&a, &row, arena, &of_a, &err), 0);
	assert_int_equal(identify(&b, &row, arena, &of_b, &err), 0);
	assert_int_equal(identify(&other_shop, &row, arena, &of_shop, &err), 0);
	assert_int_equal(identify(&other_currency, &row, arena, &of_currency, &err), 0);
	assert_memory_equal(of_a.key, of_b.key, sizeof(of_a.key));
	assert_memory_not_equal(of_a.key, of_shop.key, sizeof(of_a.key));
	assert_memory_not_equal(of_a.key, of_currency.key, sizeof(of_a.key));
	kontor_arena_free(arena);
}

static void test_all_that_is_paid_to_is_in_the_facts(void **state)
{
	(void)state;
	static const struct row_case a = {{"7", "Ann", "SG", "SGD", "", "12", "71", "COBADEFF", "Bonn", "An"}, -1};
	kontor_arena *arena = kontor_arena_new(0);
	struct kontor_row row;
	struct kontor_identity of_a, of_other;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(identify(&a, &row, arena, &of_a, &err), 0);
	assert_int_equal(identify(&a, &row, arena, &of_other, &err), 0);
	assert_memory_equal(of_a.facts, of_other.facts, sizeof(of_a.facts));
	for (int i = PAYEE_NAME; i < PAYEE_COLUMNS; i++) {
		static const char *const others[PAYEE_COLUMNS] = {NULL, "Bob", "DE",       NULL,     NULL,
								  "13", "72",  "COBADEFG", "Berlin", "Bo"};
		struct row_case b = a;
		if (!others[i])
			continue;
		b.fields[i] = others[i];
		assert_int_equal(identify(&b, &row, arena, &of_other, &err), 0);
		assert_int_equal(row.verdict, KONTOR_VERDICT_OK);
		assert_memory_equal(of_a.key, of_other.key, sizeof(of_a.key));
		assert_memory_not_equal(of_a.facts, of_other.facts, sizeof(of_a.facts));
	}
	kontor_arena_free(arena);
}

static void test_a_header_without_any_account_refuses_the_file(void **state)
{
	(void)state;
	kontor_arena *arena = kontor_arena_new(0);
	struct row_case c = {{"7", "Ann", "SG", "SGD", NULL, "12", NULL}, -1};
	struct kontor_row row;
	struct kontor_identity identity;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(identify(&c, &row, arena, &identity, &err), KONTOR_E_BAD_REQUEST);
	assert_non_null(strstr(err.message, "bank_code"));
	kontor_arena_free(arena);
}

/* Examples of the SWIFT IBAN registry. */
static void test_ibans_of_the_registry_are_valid(void **state)
{
	(void)state;
	static const char *const examples[] = {
		"AD1200012030200359100100",        "AE070331234567890123456",  "BE68539007547034",
		"BR1800360305000010009795493C1",   "CH9300762011623852957",    "DE89370400440532013000",
		"FR1420041010050500013M02606",     "GB29NWBK60161331926819",   "KW81CBKU0000000000001234560101",
		"MT84MALT011000012345MTLCAST001S", "NL91ABNA0417164300",       "NO9386011117947",
		"PL61109010140000071219812874",    "SA0380000000608010167519",
	};
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		assert_int_equal(iban_check(kontor_text_of(examples[i])), IBAN_OK);
	assert_int_equal(iban_check(KONTOR_TEXT("DE8937040044053201300")), IBAN_LENGTH);
	assert_int_equal(iban_check(KONTOR_TEXT("DE98370400440532013000")), IBAN_CHECK);
	assert_int_equal(iban_check(KONTOR_TEXT("D189370400440532013000")), IBAN_STRUCTURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_bad_field_is_named),
		cmocka_unit_test(test_names_are_counted_in_characters),
		cmocka_unit_test(test_shop_and_currency_are_the_identity),
		cmocka_unit_test(test_all_that_is_paid_to_is_in_the_facts),
		cmocka_unit_test(test_a_header_without_any_account_refuses_the_file),
		cmocka_unit_test(test_ibans_of_the_registry_are_valid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
