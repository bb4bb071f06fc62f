/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements, bulks and the pool of sessions.
 */
#include "db_fixture.h"

static void test_values_come_back_as_they_went_in(void **state)
{
	(void)state;
	ok(kontor_db_exec(
		conn, SQL_INSERT,
		KONTOR_PARAMS(P_UINT(INT64_MAX), P_INT(INT64_MIN), P_STRING("ร้าน ' \\ ;"), P_BYTES("\0\1\xff", 3)),
		NULL, &err));
	ok(kontor_db_exec(conn, SQL_INSERT, KONTOR_PARAMS(P_UINT(1), P_NULL, P_STRING(NULL), P_BYTES("", 0)), NULL,
			  &err));
	kontor_rows *rows = NULL;
	ok(kontor_db_query(conn, KONTOR_READ_ALL, "SELECT id, amount, name, data FROM t ORDER BY id DESC",
			   KONTOR_NO_PARAMS, &rows, &err));
	assert_int_equal(kontor_rows_next(rows, &err), 1);
	assert_true(kontor_rows_uint(rows, 0) == INT64_MAX);
	assert_true(kontor_rows_int(rows, 1) == INT64_MIN);
	assert_string_equal(kontor_rows_string(rows, 1), "-9223372036854775808");
	assert_string_equal(kontor_rows_string(rows, 2), "ร้าน ' \\ ;");
	assert_int_equal(kontor_rows_text(rows, 3).size, 3);
	assert_memory_equal(kontor_rows_text(rows, 3).data, "\0\1\xff", 3);
	assert_int_equal(kontor_rows_next(rows, &err), 1);
	assert_true(kontor_rows_null(rows, 1));
	assert_int_equal(kontor_rows_int(rows, 1), 0);
	assert_true(kontor_rows_null(rows, 2));
	assert_string_equal(kontor_rows_string(rows, 2), "");
	assert_false(kontor_rows_null(rows, 3));
	assert_int_equal(kontor_rows_text(rows, 3).size, 0);
	assert_int_equal(kontor_rows_next(rows, &err), 0);
	kontor_rows_close(rows);
}

static void test_a_sum_reads_as_an_integer_and_an_overflow_is_an_error(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 2; id++)
		ok(kontor_db_exec(conn, SQL_INSERT, KONTOR_PARAMS(P_UINT(id), P_INT(INT64_MAX - 1), P_NULL, P_NULL),
				  NULL, &err));
	assert_true(query_int(conn, "SELECT SUM(amount) FROM t WHERE id = 1") == INT64_MAX - 1);
	int64_t value = 7;
	assert_int_equal(kontor_db_query_int(conn, "SELECT SUM(amount) FROM t", KONTOR_NO_PARAMS, &value, &err),
			 KONTOR_E_STORAGE);
	assert_int_equal(value, 7);
	assert_int_equal(kontor_db_query_int(conn, "SELECT id FROM t WHERE id = 3", KONTOR_NO_PARAMS, &value, &err),
			 KONTOR_E_NOT_FOUND);
}

static void test_blobs_of_a_mebibyte_pass_in_rows_of_changing_size(void **state)
{
	(void)state;
	enum { SIZE = 1 << 20 };
	char *data = malloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)(i * 31 >> 3);
	const size_t sizes[] = {0, 10, SIZE, 3, 255, 256, 257, SIZE - 1};
	for (unsigned i = 0; i < 8; i++)
		ok(kontor_db_exec(conn, SQL_INSERT, KONTOR_PARAMS(P_UINT(i), P_NULL, P_NULL, P_BYTES(data, sizes[i])),
				  NULL, &err));
	for (enum kontor_read how = KONTOR_READ_ALL; how <= KONTOR_READ_STREAM; how++) {
		kontor_rows *rows = NULL;
		ok(kontor_db_query(conn, how, "SELECT data FROM t ORDER BY id", KONTOR_NO_PARAMS, &rows, &err));
		for (unsigned i = 0; i < 8; i++) {
			assert_int_equal(kontor_rows_next(rows, &err), 1);
			struct kontor_text text = kontor_rows_text(rows, 0);
			assert_int_equal(text.size, sizes[i]);
			assert_memory_equal(text.data, data, sizes[i]);
			assert_int_equal(text.data[text.size], '\0');
		}
		assert_int_equal(kontor_rows_next(rows, &err), 0);
		kontor_rows_close(rows);
	}
	free(data);
}

static void test_a_stream_refuses_other_statements_until_it_is_closed(void **state)
{
	(void)state;
	kontor_rows *rows = NULL;
	ok(kontor_db_query(conn, KONTOR_READ_STREAM, "SELECT seq FROM seq_1_to_100000", KONTOR_NO_PARAMS, &rows, &err));
	int64_t sum = 0;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(kontor_rows_next(rows, &err), 1);
		sum += kontor_rows_int(rows, 0);
	}
	assert_int_equal(sum, 500500);
	assert_int_equal(kontor_db_exec(conn, "DELETE FROM t", KONTOR_NO_PARAMS, NULL, &err), KONTOR_E_INTERNAL);
	kontor_rows_close(rows);
	exec(conn, "DELETE FROM t");
}

static void test_a_buffered_result_can_be_read_while_others_run(void **state)
{
	(void)state;
	kontor_rows *outer = NULL;
	static const char sql[] = "SELECT seq FROM seq_1_to_300";
	ok(kontor_db_query(conn, KONTOR_READ_ALL, sql, KONTOR_NO_PARAMS, &outer, &err));
	unsigned count = 0;
	while (kontor_rows_next(outer, &err) == 1) {
		kontor_rows *inner = NULL;
		ok(kontor_db_query(conn, KONTOR_READ_ALL, sql, KONTOR_NO_PARAMS, &inner, &err));
		inner = kontor_rows_close(inner);
		if (count == 100)
			kill_session(conn);
		count++;
		if (count == 101) { /* the session is gone: the first statement tells, the next one connects */
			assert_int_equal(kontor_db_exec(conn, "DELETE FROM t", KONTOR_NO_PARAMS, NULL, &err),
					 KONTOR_E_UNAVAILABLE);
			exec(conn, "DELETE FROM t");
		}
	}
	assert_int_equal(count, 300);
	kontor_rows_close(outer);
}

static void test_more_statements_than_a_session_keeps(void **state)
{
	(void)state;
	for (int i = 0; i < 600; i++) {
		char sql[64];
		snprintf(sql, sizeof(sql), "SELECT %d", i);
		assert_int_equal(query_int(conn, sql), i);
	}
	assert_true(query_int(conn,
			      "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = "
			      "'COM_STMT_CLOSE'") > 300);
}

static void test_an_update_to_the_same_value_counts_as_a_row(void **state)
{
	(void)state;
	ok(kontor_db_exec(conn, SQL_INSERT, KONTOR_PARAMS(P_UINT(1), P_INT(5), P_NULL, P_NULL), NULL, &err));
	uint64_t affected = 0;
	ok(kontor_db_exec(conn, "UPDATE t SET amount = ? WHERE id = ?", KONTOR_PARAMS(P_INT(5), P_UINT(1)), &affected,
			  &err));
	assert_int_equal(affected, 1);
	ok(kontor_db_exec(conn, "UPDATE t SET amount = ? WHERE id = ?", KONTOR_PARAMS(P_INT(5), P_UINT(2)), &affected,
			  &err));
	assert_int_equal(affected, 0);
}

static void test_errors_name_the_key_but_never_the_values(void **state)
{
	(void)state;
	exec(conn, "CREATE OR REPLACE TABLE account(iban VARCHAR(40) PRIMARY KEY, n INT)");
	static const char sql[] = "INSERT INTO account(iban, n) VALUES (?, ?)";
	ok(kontor_db_exec(conn, sql, KONTOR_PARAMS(P_STRING("DE89370400440532013000"), P_INT(1)), NULL, &err));
	assert_int_equal(
		kontor_db_exec(conn, sql, KONTOR_PARAMS(P_STRING("DE89370400440532013000"), P_INT(1)), NULL, &err),
		KONTOR_E_CONFLICT);
	assert_int_equal(kontor_db_errno(conn), 1062);
	assert_non_null(strstr(err.message, "PRIMARY"));
	assert_null(strstr(err.message, "DE8937"));
	assert_int_equal(
		kontor_db_exec(conn, sql, KONTOR_PARAMS(P_STRING("x"), P_STRING("DE8937 no number")), NULL, &err),
		KONTOR_E_STORAGE);
	assert_null(strstr(err.message, "DE8937"));
	assert_int_equal(kontor_db_exec(conn, "SELECT nothing FROM nowhere", KONTOR_NO_PARAMS, NULL, &err),
			 KONTOR_E_STORAGE);
	assert_int_equal(kontor_db_errno(conn), 1146);
	assert_int_equal(kontor_db_exec(conn, sql, KONTOR_PARAMS(P_STRING("x")), NULL, &err), KONTOR_E_INTERNAL);
	exec(conn, "DELETE FROM account");
	assert_int_equal(kontor_db_errno(conn), 0);
}

static void test_a_full_disk_is_waited_for(void **state)
{
	(void)state;
	/* A table in memory gets the same error. */
	exec(conn, "SET max_heap_table_size = 16384");
	exec(conn, "CREATE OR REPLACE TABLE full_one (a CHAR(250)) ENGINE = MEMORY");
	exec(conn, "SET max_heap_table_size = DEFAULT");
	int rc = 0;
	for (int i = 0; i < 10000 && !rc; i++)
		rc = kontor_db_exec(conn, "INSERT INTO full_one VALUES ('x')", KONTOR_NO_PARAMS, NULL, &err);
	assert_int_equal(rc, KONTOR_E_UNAVAILABLE); /* ER_RECORD_FILE_FULL */
	assert_non_null(strstr(err.message, "its disk is full"));
	exec(conn, "DROP TABLE full_one");
	rc = kontor_db_exec(conn, "BEGIN NOT ATOMIC SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021; END",
			    KONTOR_NO_PARAMS, NULL, &err);
	assert_int_equal(rc, KONTOR_E_UNAVAILABLE); /* ER_DISK_FULL, which cannot be made here but by saying so */
}

/* As the server says it to whoever may not change a read-only one; the user of the tests always may. */
static void test_a_read_only_server_is_waited_for(void **state)
{
	(void)state;
	int rc = kontor_db_exec(conn,
				"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = 'The MariaDB server is "
				"running with the --read-only option so it cannot execute this statement'",
				KONTOR_NO_PARAMS, NULL, &err);
	assert_int_equal(rc, KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "takes no changes now"));
}

static void test_a_session_is_strict_in_utc_and_read_committed(void **state)
{
	(void)state;
	assert_int_equal(
		query_int(conn,
			  "SELECT @@tx_isolation = 'READ-COMMITTED' AND @@time_zone = '+00:00' AND @@autocommit = 1 "
			  "AND @@sql_mode LIKE '%STRICT_ALL_TABLES%' AND @@character_set_client = 'utf8mb4' AND "
			  "@@unique_checks = 1"),
		1);
	assert_int_equal(kontor_db_exec(conn, SQL_INSERT, KONTOR_PARAMS(P_UINT(1), P_STRING("12abc"), P_NULL, P_NULL),
					NULL, &err),
			 KONTOR_E_STORAGE);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t"), 0);
}

/* ---- bulk ---- */

static kontor_bulk *bulk_of(unsigned rows, unsigned double_at)
{
	kontor_bulk *bulk = kontor_bulk_new("uisb");
	assert_non_null(bulk);
	for (unsigned i = 0; i < rows; i++) {
		char name[32];
		snprintf(name, sizeof(name), "name %u", i);
		uint64_t id = double_at && i == double_at ? 1 : i + 1;
		ok(kontor_bulk_add(bulk,
				   KONTOR_PARAMS(P_UINT(id), i % 3 ? P_INT(-(int64_t)i) : P_NULL,
						 i % 5 ? P_STRING(name) : P_NULL, P_BYTES(name, i % 7)),
				   &err));
	}
	return bulk;
}

static void test_a_bulk_insert_stores_every_row_and_null(void **state)
{
	(void)state;
	uint64_t affected = 0;
	kontor_bulk *bulk = bulk_of(20000, 0);
	ok(kontor_bulk_exec(conn, SQL_INSERT, bulk, &affected, &err));
	assert_int_equal(affected, 20000);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t"), 20000);
	assert_int_equal(
		query_int(conn,
			  "SELECT COUNT(*) FROM t WHERE ((id - 1) % 3 = 0) = (amount IS NULL) AND ((id - 1) % 5 = 0) = "
			  "(name IS NULL) AND (name IS NULL OR name = CONCAT('name ', id - 1)) AND (amount IS NULL OR "
			  "amount = 1 - CAST(id AS SIGNED)) AND LENGTH(data) = (id - 1) % 7"),
		20000);
	/* the same text for one row, then as an array again */
	ok(kontor_db_exec(conn, SQL_INSERT, KONTOR_PARAMS(P_UINT(90001), P_NULL, P_STRING("one"), P_NULL), &affected,
			  &err));
	assert_int_equal(affected, 1);
	kontor_bulk_clear(bulk);
	assert_int_equal(kontor_bulk_rows(bulk), 0);
	ok(kontor_bulk_exec(conn, SQL_INSERT, bulk, &affected, &err));
	assert_int_equal(affected, 0);
	ok(kontor_bulk_add(bulk, KONTOR_PARAMS(P_UINT(90002), P_INT(1), P_NULL, P_NULL), &err));
	ok(kontor_bulk_exec(conn, SQL_INSERT, bulk, &affected, &err));
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t"), 20002);
	assert_int_equal(kontor_bulk_add(bulk, KONTOR_PARAMS(P_INT(1), P_INT(1), P_NULL, P_NULL), &err),
			 KONTOR_E_INTERNAL);
	assert_int_equal(kontor_bulk_add(bulk, KONTOR_PARAMS(P_UINT(1), P_INT(1), P_NULL), &err), KONTOR_E_INTERNAL);
	kontor_bulk_free(bulk);
}

static void test_a_bulk_insert_with_a_double_key_stores_nothing(void **state)
{
	(void)state;
	kontor_bulk *bulk = bulk_of(10000, 9990);
	assert_int_equal(kontor_bulk_exec(conn, SQL_INSERT, bulk, NULL, &err), KONTOR_E_CONFLICT);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t"), 0);
	kontor_bulk_free(bulk);
}

static void test_a_bulk_carries_big_blobs(void **state)
{
	(void)state;
	enum { SIZE = 1 << 20 };
	char *data = calloc(1, SIZE);
	kontor_bulk *bulk = kontor_bulk_new("ub");
	for (unsigned i = 0; i < 4; i++)
		ok(kontor_bulk_add(bulk, KONTOR_PARAMS(P_UINT(i), P_BYTES(data, SIZE - i)), &err));
	ok(kontor_bulk_exec(conn, "INSERT INTO t(id, data) VALUES (?, ?)", bulk, NULL, &err));
	assert_int_equal(query_int(conn, "SELECT SUM(LENGTH(data)) FROM t"), 4 * SIZE - 6);
	kontor_bulk_free(bulk);
	free(data);
}

/* ---- the pool ---- */

static void test_the_pool_replaces_sessions_that_the_server_closed(void **state)
{
	(void)state;
	kontor_conn *victim = NULL;
	ok(kontor_db_acquire(db, &victim, &err));
	int64_t before = query_int(victim, "SELECT CONNECTION_ID()");
	kontor_conn *borrowed = victim;
	kontor_db_release(victim);
	kill_session(borrowed); /* idle in the pool, which this test may look into because it is alone */
	ok(kontor_db_acquire(db, &victim, &err));
	assert_true(query_int(victim, "SELECT CONNECTION_ID()") != before);
	kontor_db_release(victim);
}

static void test_the_stream_of_a_released_session_ends_in_an_error(void **state)
{
	(void)state;
	kontor_conn *careless = NULL;
	ok(kontor_db_acquire(db, &careless, &err));
	kontor_rows *rows = NULL;
	ok(kontor_db_query(careless, KONTOR_READ_STREAM, "SELECT seq FROM seq_1_to_10", KONTOR_NO_PARAMS, &rows, &err));
	kontor_db_release(careless);
	assert_int_equal(kontor_rows_next(rows, &err), KONTOR_E_UNAVAILABLE);
	kontor_rows_close(rows);
}

static void test_a_missing_server_is_unavailable_and_a_far_one_needs_tls(void **state)
{
	(void)state;
	kontor_db *other = NULL;
	kontor_conn *none = NULL;
	struct kontor_db_options options = {.socket = "/nonexistent/socket", .user = "root", .database = "x"};
	ok(kontor_db_open(&options, &other, &err));
	assert_int_equal(kontor_db_acquire(other, &none, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "/nonexistent/socket"));
	kontor_db_close(other);
	options = (struct kontor_db_options){.host = "db.example.com", .user = "root", .database = "x"};
	assert_int_equal(kontor_db_open(&options, &other, &err), KONTOR_E_BAD_REQUEST);
	assert_non_null(strstr(err.message, "tls_ca"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_values_come_back_as_they_went_in),
		test(test_a_sum_reads_as_an_integer_and_an_overflow_is_an_error),
		test(test_blobs_of_a_mebibyte_pass_in_rows_of_changing_size),
		test(test_a_stream_refuses_other_statements_until_it_is_closed),
		test(test_a_buffered_result_can_be_read_while_others_run),
		test(test_more_statements_than_a_session_keeps),
		test(test_an_update_to_the_same_value_counts_as_a_row),
		test(test_errors_name_the_key_but_never_the_values),
		test(test_a_full_disk_is_waited_for),
		test(test_a_read_only_server_is_waited_for),
		test(test_a_session_is_strict_in_utc_and_read_committed),
		test(test_a_bulk_insert_stores_every_row_and_null),
		test(test_a_bulk_insert_with_a_double_key_stores_nothing),
		test(test_a_bulk_carries_big_blobs),
		test(test_the_pool_replaces_sessions_that_the_server_closed),
		test(test_the_stream_of_a_released_session_ends_in_an_error),
		test(test_a_missing_server_is_unavailable_and_a_far_one_needs_tls),
	};
	return cmocka_run_group_tests_name("database", tests, group_setup, group_teardown);
}
