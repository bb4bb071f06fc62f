/* SPDX-License-Identifier: Apache-2.0
 *
 * Versions of payees: what is in force, what waits, and what an upload that fails leaves behind.
 */
#include "payout_tables.h"

#include "payee_row.h"
#include "payees.h"

static const struct kontor_currency sgd = {"SGD", 2, 1}, jpy = {"JPY", 0, 1};
static const struct kontor_region region = {.code = "SG", .currencies_len = 2, .currencies = {&sgd, &jpy}};

#define IBAN_A "DE89370400440532013000"
#define IBAN_B "GB29NWBK60161331926819"
#define ROWS_LIMIT 300

static kontor_arena *arena;

/* One upload of a few rows, on its way through the upload job. */
struct file {
	struct kontor_upload upload;
	struct kontor_row rows[ROWS_LIMIT];
	size_t len;
	int result; /* of the step */
};

static struct file *new_file(uint64_t upload_id, bool dry_run)
{
	struct file *file = kontor_arena_alloc(arena, sizeof(*file));
	file->upload = (struct kontor_upload){
		.upload_id = upload_id, .kind = "payees", .region = &region, .user = "alice", .dry_run = dry_run};
	file->upload.has_column[PAYEE_IBAN] = true;
	return file;
}

static void add_row(struct file *file, const char *shop, const char *name, const char *currency, const char *iban)
{
	struct kontor_row *row = &file->rows[file->len++];
	struct kontor_identity identity;
	struct kontor_error err = KONTOR_ERROR_INIT;
	row->line = file->len + 1;
	row->fields[PAYEE_SHOP] = kontor_text_of(shop);
	row->fields[PAYEE_NAME] = kontor_text_of(name);
	row->fields[PAYEE_COUNTRY] = KONTOR_TEXT("SG");
	row->fields[PAYEE_CURRENCY] = kontor_text_of(currency);
	row->fields[PAYEE_IBAN] = kontor_text_of(iban);
	assert_int_equal(payees_kind.identify(NULL, &file->upload, row, arena, &identity, &err), 0);
	assert_int_equal(row->verdict, KONTOR_VERDICT_OK);
}

static int apply_in(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct file *file = arg;
	for (size_t i = 0; i < file->len; i++)
		file->rows[i].verdict = KONTOR_VERDICT_OK;
	return payees_kind.apply(NULL, tx, &file->upload, file->rows, file->len, err);
}

static int accept_in(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct file *file = arg;
	return payees_kind.accept(NULL, tx, &file->upload, err);
}

static void apply(struct file *file)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_db_transaction(conn, apply_in, file, &err))
		fail_msg("%s", err.message);
}

static int accept_upload(struct file *file, struct kontor_error *err)
{
	return kontor_db_transaction(conn, accept_in, file, err);
}

static void undo(struct file *file)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(payees_kind.undo(NULL, conn, &file->upload, &err), 0);
}

static bool must_be_approved(const struct file *file)
{
	uint64_t counts[KONTOR_VERDICT_COUNT] = {0};
	for (size_t i = 0; i < file->len; i++)
		counts[file->rows[i].verdict]++;
	return payees_kind.needs_approval(NULL, &file->upload, counts);
}

static struct file *upload_one(uint64_t upload_id, const char *name, const char *iban)
{
	struct file *file = new_file(upload_id, false);
	add_row(file, "7", name, "SGD", iban);
	apply(file);
	return file;
}

static int begin(void **state)
{
	(void)state;
	empty_tables();
	arena = kontor_arena_new(0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena = kontor_arena_free(arena);
	return 0;
}

#define IN_FORCE_OF_7 "SELECT COUNT(*) FROM payee WHERE shop_user_id = 7 AND state = 'in_force' AND "

static void test_a_first_version_is_in_force_when_its_upload_is_accepted(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct file *file = upload_one(1, "Ann", IBAN_A);
	assert_int_equal(file->rows[0].verdict, KONTOR_VERDICT_OK);
	assert_false(must_be_approved(file));
	assert_int_equal(sql_int(IN_FORCE_OF_7 "1"), 0);
	assert_int_equal(accept_upload(file, &err), 0);
	assert_int_equal(sql_int(IN_FORCE_OF_7 "version = 1 AND name = 'Ann' AND iban = '" IBAN_A "'"), 1);
}

static void test_the_same_again_is_unchanged_and_stores_nothing(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(accept_upload(upload_one(1, "Ann", IBAN_A), &err), 0);
	struct file *file = upload_one(2, "Ann", IBAN_A);
	assert_int_equal(file->rows[0].verdict, KONTOR_VERDICT_UNCHANGED);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payee"), 1);
}

static void test_a_change_waits_and_replaces_the_old_version_when_approved(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(accept_upload(upload_one(1, "Ann", IBAN_A), &err), 0);
	struct file *change = upload_one(2, "Ann", IBAN_B);
	assert_int_equal(change->rows[0].verdict, KONTOR_VERDICT_NEEDS_APPROVAL);
	assert_true(must_be_approved(change));
	assert_int_equal(sql_int(IN_FORCE_OF_7 "version = 1"), 1);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payee WHERE version = 2 AND state = 'waiting'"), 1);
	assert_int_equal(accept_upload(change, &err), 0);
	assert_int_equal(sql_int(IN_FORCE_OF_7 "version = 2 AND iban = '" IBAN_B "'"), 1);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payee WHERE version = 1 AND state = 'superseded'"), 1);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payee"), 2);
}

static void test_a_change_that_waits_already_needs_an_approval_of_its_own(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(accept_upload(upload_one(1, "Ann", IBAN_A), &err), 0);
	struct file *refused = upload_one(2, "Ann", IBAN_B), *again = upload_one(3, "Ann", IBAN_B);
	assert_int_equal(again->rows[0].verdict, KONTOR_VERDICT_NEEDS_APPROVAL);
	assert_true(must_be_approved(again));
	assert_int_equal(upload_one(4, "Ann", IBAN_A)->rows[0].verdict, KONTOR_VERDICT_UNCHANGED);
	undo(refused);
	assert_int_equal(accept_upload(again, &err), 0);
	assert_int_equal(sql_int(IN_FORCE_OF_7 "version = 3 AND iban = '" IBAN_B "'"), 1);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payee"), 2);
}

static void test_a_changed_name_waits_too(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(accept_upload(upload_one(1, "Ann", IBAN_A), &err), 0);
	assert_int_equal(upload_one(2, "Bob", IBAN_A)->rows[0].verdict, KONTOR_VERDICT_NEEDS_APPROVAL);
}

static void test_a_cancelled_upload_leaves_no_version(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(accept_upload(upload_one(1, "Ann", IBAN_A), &err), 0);
	struct file *change = upload_one(2, "Ann", IBAN_B);
	struct file *first = new_file(3, false);
	add_row(first, "8", "Cay", "SGD", IBAN_A);
	apply(first);
	undo(change);
	undo(first);
	undo(first);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payee"), 1);
	assert_int_equal(sql_int(IN_FORCE_OF_7 "version = 1"), 1);
}

static void test_undo_does_not_touch_what_is_in_force(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct file *file = upload_one(1, "Ann", IBAN_A);
	assert_int_equal(accept_upload(file, &err), 0);
	undo(file);
	assert_int_equal(sql_int(IN_FORCE_OF_7 "1"), 1);
}

static void test_a_dry_run_judges_and_stores_nothing(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(accept_upload(upload_one(1, "Ann", IBAN_A), &err), 0);
	struct file *file = new_file(2, true);
	add_row(file, "7", "Ann", "SGD", IBAN_B);
	add_row(file, "7", "Ann", "JPY", IBAN_B);
	apply(file);
	assert_int_equal(file->rows[0].verdict, KONTOR_VERDICT_NEEDS_APPROVAL);
	assert_int_equal(file->rows[1].verdict, KONTOR_VERDICT_OK);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payee"), 1);
}

static void test_of_two_first_versions_the_second_to_be_accepted_is_refused(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct file *one = upload_one(1, "Ann", IBAN_A), *two = upload_one(2, "Eve", IBAN_B);
	assert_int_equal(two->rows[0].verdict, KONTOR_VERDICT_OK);
	assert_int_equal(accept_upload(one, &err), 0);
	assert_int_equal(accept_upload(two, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "shop 7"));
	undo(two);
	assert_int_equal(sql_int(IN_FORCE_OF_7 "name = 'Ann'"), 1);
}

static void test_many_shops_and_currencies_are_told_apart(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct file *first = new_file(1, false), *second = new_file(2, false);
	char shops[140][16];
	for (int i = 0; i < 140; i++) { /* more than two lists of shops, in no order */
		snprintf(shops[i], sizeof(shops[i]), "%d", 1000 + i * 37 % 140);
		add_row(first, shops[i], "Ann", "SGD", IBAN_A);
		if (i % 2)
			add_row(first, shops[i], "Ann", "JPY", IBAN_B);
	}
	apply(first);
	assert_int_equal(accept_upload(first, &err), 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM payee WHERE state = 'in_force'"), 210);
	for (int i = 0; i < 140; i++) {
		add_row(second, shops[i], "Ann", "SGD", i == 77 ? IBAN_B : IBAN_A);
		add_row(second, shops[i], "Ann", "JPY", IBAN_B);
	}
	apply(second);
	for (int i = 0; i < 140; i++) {
		assert_int_equal(second->rows[2 * i].verdict,
				 i == 77 ? KONTOR_VERDICT_NEEDS_APPROVAL : KONTOR_VERDICT_UNCHANGED);
		assert_int_equal(second->rows[2 * i + 1].verdict, i % 2 ? KONTOR_VERDICT_UNCHANGED : KONTOR_VERDICT_OK);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_a_first_version_is_in_force_when_its_upload_is_accepted),
		TEST(test_the_same_again_is_unchanged_and_stores_nothing),
		TEST(test_a_change_waits_and_replaces_the_old_version_when_approved),
		TEST(test_a_change_that_waits_already_needs_an_approval_of_its_own),
		TEST(test_a_changed_name_waits_too),
		TEST(test_a_cancelled_upload_leaves_no_version),
		TEST(test_undo_does_not_touch_what_is_in_force),
		TEST(test_a_dry_run_judges_and_stores_nothing),
		TEST(test_of_two_first_versions_the_second_to_be_accepted_is_refused),
		TEST(test_many_shops_and_currencies_are_told_apart),
	};
	return cmocka_run_group_tests(tests, open_tables, close_tables);
}
