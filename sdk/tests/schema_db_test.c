/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test_database.h"

static kontor_db *db;
static kontor_conn *conn;
static struct kontor_error err;

static const struct kontor_schema_step SHOP[] = {
	{"shop/001-a#1", "CREATE TABLE IF NOT EXISTS a(id INT PRIMARY KEY)"},
	{"shop/001-a#2", "CREATE TABLE IF NOT EXISTS b(id INT PRIMARY KEY)"},
	{"shop/002-c#1", "ALTER TABLE a ADD COLUMN IF NOT EXISTS name VARCHAR(10)"},
};
#define SHOP_LEN 3

static int setup(void **state)
{
	(void)state;
	db = test_database_open();
	ok(kontor_db_acquire(db, &conn, &err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kontor_db_release(conn);
	db = test_database_close(db);
	return 0;
}

static int64_t count(const char *sql)
{
	int64_t value = -1;
	ok(kontor_db_query_int(conn, sql, KONTOR_NO_PARAMS, &value, &err));
	return value;
}

static void test_an_empty_database_is_refused_with_what_to_run(void **state)
{
	(void)state;
	assert_int_equal(kontor_schema_check(conn, "shop", SHOP, SHOP_LEN, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "kontor db migrate"));
	assert_non_null(strstr(err.message, "shop/002-c#1"));
}

static void test_migrating_twice_is_the_same_as_once(void **state)
{
	(void)state;
	ok(kontor_schema_migrate(conn, kontor_sdk_schema, kontor_sdk_schema_len, &err));
	ok(kontor_schema_migrate(conn, SHOP, SHOP_LEN, &err));
	ok(kontor_schema_check(conn, "shop", SHOP, SHOP_LEN, &err));
	ok(kontor_schema_check(conn, "kontor", kontor_sdk_schema, kontor_sdk_schema_len, &err));
	ok(kontor_schema_migrate(conn, SHOP, SHOP_LEN, &err));
	assert_int_equal(count("SELECT COUNT(*) FROM schema_step WHERE owner = 'shop' AND state = 'done'"), SHOP_LEN);
	for (size_t i = 0; i < kontor_sdk_schema_len; i++) /* each may run twice */
		ok(kontor_db_exec(conn, kontor_sdk_schema[i].sql, KONTOR_NO_PARAMS, NULL, &err));
}

static void test_older_and_newer_databases_are_told_apart(void **state)
{
	(void)state;
	ok(kontor_schema_migrate(conn, SHOP, 2, &err));
	assert_int_equal(kontor_schema_check(conn, "shop", SHOP, 3, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "older"));
	assert_non_null(strstr(err.message, "shop/001-a#2"));
	assert_non_null(strstr(err.message, "shop/002-c#1"));
	ok(kontor_schema_migrate(conn, SHOP, 3, &err));
	assert_int_equal(kontor_schema_check(conn, "shop", SHOP, 2, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "newer"));
}

static void test_an_edited_step_is_refused(void **state)
{
	(void)state;
	ok(kontor_schema_migrate(conn, SHOP, SHOP_LEN, &err));
	const struct kontor_schema_step edited[] = {
		SHOP[0], {SHOP[1].name, "CREATE TABLE IF NOT EXISTS b(id BIGINT PRIMARY KEY)"}};
	assert_int_equal(kontor_schema_migrate(conn, edited, 2, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "shop/001-a#2"));
	assert_int_equal(kontor_schema_check(conn, "shop", edited, 2, &err), KONTOR_E_UNAVAILABLE);
}

static void test_a_failing_step_names_itself_and_can_be_tried_again(void **state)
{
	(void)state;
	static const struct kontor_schema_step late[] = {{"late/001-x#1", "ALTER TABLE not_there ADD COLUMN x INT"}};
	assert_int_equal(kontor_schema_migrate(conn, late, 1, &err), KONTOR_E_STORAGE);
	assert_non_null(strstr(err.message, "late/001-x#1"));
	ok(kontor_db_exec(conn, "CREATE TABLE not_there(id INT PRIMARY KEY)", KONTOR_NO_PARAMS, NULL, &err));
	ok(kontor_schema_migrate(conn, late, 1, &err));
	ok(kontor_schema_check(conn, "late", late, 1, &err));
}

static void test_the_claim_of_a_dead_migration_is_taken_over(void **state)
{
	(void)state;
	ok(kontor_schema_migrate(conn, SHOP, 1, &err));
	ok(kontor_db_exec(
		conn,
		"INSERT INTO schema_step(name, owner, step_no, sql_sha256, state, claimed_by, claimed_ms) VALUES "
		"('shop/001-a#2', 'shop', 2, REPEAT('x', 32), 'claimed', 'dead', 1)",
		KONTOR_NO_PARAMS, NULL, &err));
	assert_int_equal(kontor_schema_check(conn, "shop", SHOP, 2, &err), KONTOR_E_UNAVAILABLE);
	ok(kontor_schema_migrate(conn, SHOP, 2, &err));
	assert_int_equal(count("SELECT COUNT(*) FROM b"), 0);
}

static void *migrate(void *arg)
{
	kontor_conn *session = NULL;
	struct kontor_error *e = arg;
	if (kontor_db_acquire(db, &session, e) == 0)
		kontor_schema_migrate(session, SHOP, SHOP_LEN, e);
	kontor_db_release(session);
	return NULL;
}

static void test_several_migrations_at_once_agree(void **state)
{
	(void)state;
	enum { THREADS = 6 };
	pthread_t threads[THREADS];
	struct kontor_error errors[THREADS] = {KONTOR_ERROR_INIT};
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, migrate, &errors[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (errors[i].code)
			assert_int_equal(errors[i].code,
					 KONTOR_E_CONFLICT); /* a lost race that was waited for leaves its message */
	}
	ok(kontor_schema_check(conn, "shop", SHOP, SHOP_LEN, &err));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_an_empty_database_is_refused_with_what_to_run),
		test(test_migrating_twice_is_the_same_as_once),
		test(test_older_and_newer_databases_are_told_apart),
		test(test_an_edited_step_is_refused),
		test(test_a_failing_step_names_itself_and_can_be_tried_again),
		test(test_the_claim_of_a_dead_migration_is_taken_over),
		test(test_several_migrations_at_once_agree),
	};
	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
