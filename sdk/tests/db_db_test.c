/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "test_database.h"

static kontor_db *db;
static kontor_conn *conn;
static struct kontor_error err;

#define ok(call)                                                                                                       \
	do {                                                                                                           \
		int ok_rc = (call);                                                                                    \
		if (ok_rc)                                                                                             \
			fail_msg("%s: %d %s", #call, ok_rc, err.message);                                              \
	} while (0)

static int64_t query_int(kontor_conn *c, const char *sql)
{
	int64_t value = -1;
	ok(kontor_db_query_int(c, sql, KONTOR_NO_PARAMS, &value, &err));
	return value;
}

static void exec(kontor_conn *c, const char *sql)
{
	ok(kontor_db_exec(c, sql, KONTOR_NO_PARAMS, NULL, &err));
}

/* Ends another session on the server, as a restart of the server or a broken network would. */
static void kill_session(kontor_conn *victim)
{
	int64_t id = query_int(victim, "SELECT CONNECTION_ID()");
	MYSQL *admin = test_database_admin();
	char sql[64];
	snprintf(sql, sizeof(sql), "KILL CONNECTION %lld", (long long)id);
	assert_int_equal(mysql_query(admin, sql), 0);
	mysql_close(admin);
	nanosleep(&(struct timespec){0, 20000000}, NULL);
}

static int group_setup(void **state)
{
	(void)state;
	db = test_database_open();
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	db = test_database_close(db);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	ok(kontor_db_acquire(db, &conn, &err));
	exec(conn, "CREATE OR REPLACE TABLE t(id BIGINT UNSIGNED PRIMARY KEY, amount BIGINT, name VARCHAR(100), data "
		   "LONGBLOB)");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kontor_db_release(conn);
	conn = NULL;
	return 0;
}

static const char SQL_INSERT[] = "INSERT INTO t(id, amount, name, data) VALUES (?, ?, ?, ?)";

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

/* ---- transactions ---- */

struct attempt {
	int runs, fail_until, fail_code;
	bool kill;
};

static int insert_and_perhaps_fail(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct attempt *attempt = arg;
	attempt->runs++;
	int rc = kontor_db_exec(tx, SQL_INSERT, KONTOR_PARAMS(P_UINT(1), P_INT(1), P_NULL, P_NULL), NULL, e);
	if (rc)
		return rc;
	if (attempt->kill && attempt->runs == 1)
		kill_session(tx);
	rc = kontor_db_exec(tx, "UPDATE t SET amount = amount + 1 WHERE id = 1", KONTOR_NO_PARAMS, NULL, e);
	return rc ? rc : attempt->fail_code;
}

static void test_a_failing_function_rolls_back(void **state)
{
	(void)state;
	struct attempt attempt = {.fail_code = KONTOR_E_CONFLICT};
	assert_int_equal(kontor_db_transaction(conn, insert_and_perhaps_fail, &attempt, &err), KONTOR_E_CONFLICT);
	assert_int_equal(attempt.runs, 1);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t"), 0);
	assert_false(kontor_db_in_transaction(conn));
}

static void test_a_session_lost_before_commit_runs_the_function_again(void **state)
{
	(void)state;
	struct attempt attempt = {.kill = true};
	ok(kontor_db_transaction(conn, insert_and_perhaps_fail, &attempt, &err));
	assert_int_equal(attempt.runs, 2);
	assert_int_equal(query_int(conn, "SELECT amount FROM t"), 2);
}

static int kill_before_commit(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	int rc = insert_and_perhaps_fail(tx, arg, e);
	if (!rc)
		kill_session(tx);
	return rc;
}

static void test_a_session_lost_during_commit_is_an_unknown_outcome(void **state)
{
	(void)state;
	struct attempt attempt = {0};
	assert_int_equal(kontor_db_transaction(conn, kill_before_commit, &attempt, &err), KONTOR_E_UNKNOWN_OUTCOME);
	assert_int_equal(attempt.runs, 1);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t"), 0); /* on a new session */
}

static int swallow_errors(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct attempt *attempt = arg;
	attempt->runs++;
	/* Half of the transaction, a lock wait that times out, and a function that does not care. */
	int rc = kontor_db_exec(tx, SQL_INSERT, KONTOR_PARAMS(P_UINT(1), P_INT(1), P_NULL, P_NULL), NULL, e);
	if (rc)
		return rc;
	kontor_db_exec(tx, "UPDATE t SET amount = 7 WHERE id = 9", KONTOR_NO_PARAMS, NULL, e);
	return 0;
}

static int lock_row_9(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct attempt *attempt = arg;
	int rc = kontor_db_exec(tx, "UPDATE t SET amount = 9 WHERE id = 9", KONTOR_NO_PARAMS, NULL, e);
	if (rc)
		return rc;
	exec(conn, "SET innodb_lock_wait_timeout = 0");
	int inner = kontor_db_transaction(conn, swallow_errors, attempt, e);
	attempt->fail_code = inner;
	return 0;
}

static void test_a_lock_wait_timeout_never_commits_half_a_transaction(void **state)
{
	(void)state;
	exec(conn, "INSERT INTO t(id) VALUES (9)");
	kontor_conn *holder = NULL;
	ok(kontor_db_acquire(db, &holder, &err));
	struct attempt attempt = {0};
	ok(kontor_db_transaction(holder, lock_row_9, &attempt, &err));
	assert_int_equal(attempt.runs, 10);
	assert_int_equal(attempt.fail_code, KONTOR_E_STORAGE);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t WHERE id = 1"), 0);
	exec(conn, "SET innodb_lock_wait_timeout = 20");
	kontor_db_release(holder);
}

struct crossing {
	int64_t first, second;
	int runs, rc;
	pthread_barrier_t *barrier;
	struct kontor_error err;
};

static int update_two_rows(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct crossing *crossing = arg;
	static const char sql[] = "UPDATE t SET amount = amount + 1 WHERE id = ?";
	int rc = kontor_db_exec(tx, sql, KONTOR_PARAMS(P_INT(crossing->first)), NULL, e);
	if (rc)
		return rc;
	if (crossing->runs++ == 0)
		pthread_barrier_wait(crossing->barrier); /* both hold their first row: one of them must lose */
	return kontor_db_exec(tx, sql, KONTOR_PARAMS(P_INT(crossing->second)), NULL, e);
}

static void *cross(void *arg)
{
	struct crossing *crossing = arg;
	crossing->rc = kontor_db_transact(db, update_two_rows, crossing, &crossing->err);
	return NULL;
}

static void test_a_deadlock_runs_the_loser_again(void **state)
{
	(void)state;
	exec(conn, "INSERT INTO t(id, amount) VALUES (1, 0), (2, 0)");
	for (int round = 0; round < 5; round++) {
		pthread_barrier_t barrier;
		pthread_barrier_init(&barrier, NULL, 2);
		struct crossing a = {.first = 1, .second = 2, .barrier = &barrier},
				b = {.first = 2, .second = 1, .barrier = &barrier};
		pthread_t threads[2];
		pthread_create(&threads[0], NULL, cross, &a);
		pthread_create(&threads[1], NULL, cross, &b);
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
		pthread_barrier_destroy(&barrier);
		assert_int_equal(a.rc, 0);
		assert_int_equal(b.rc, 0);
		assert_int_equal(a.runs + b.runs, 3);
	}
	assert_int_equal(query_int(conn, "SELECT SUM(amount) FROM t"), 20);
}

/* ---- stepping aside ---- */

struct aside {
	int rows_wanted, runs, asides;
	bool swallow;
};

static int insert_aside(kontor_conn *session, void *arg, struct kontor_error *e)
{
	struct aside *aside = *(struct aside *const *)arg;
	assert_false(kontor_db_in_transaction(session));
	aside->asides++;
	return kontor_db_exec(session, "INSERT INTO t(id) SELECT 100 + COUNT(*) FROM t", KONTOR_NO_PARAMS, NULL, e);
}

/* Needs rows_wanted rows that are committed already; its own must not stand twice. */
static int need_rows(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct aside *aside = arg;
	int64_t rows = 0;
	aside->runs++;
	int rc = kontor_db_query_int(tx, "SELECT COUNT(*) FROM t", KONTOR_NO_PARAMS, &rows, e);
	if (!rc)
		rc = kontor_db_exec(tx, "INSERT INTO t(id) VALUES (7)", KONTOR_NO_PARAMS, NULL, e);
	if (rc || rows >= aside->rows_wanted)
		return rc;
	rc = kontor_db_step_aside(tx, insert_aside, &aside, sizeof(aside), e);
	return aside->swallow ? 0 : rc;
}

static void test_a_function_steps_aside_and_runs_again_on_the_same_session(void **state)
{
	(void)state;
	int64_t sessions = query_int(conn, "SELECT COUNT(*) FROM information_schema.processlist");
	struct aside aside = {.rows_wanted = 20}; /* more often than a transaction that the server rolled back */
	ok(kontor_db_transaction(conn, need_rows, &aside, &err));
	assert_int_equal(aside.runs, 21);
	assert_int_equal(aside.asides, 20);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t WHERE id = 7"), 1);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t"), 21);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM information_schema.processlist"), sessions);
}

static void test_who_steps_aside_never_commits_what_it_did_before(void **state)
{
	(void)state;
	struct aside aside = {.rows_wanted = 1, .swallow = true};
	ok(kontor_db_transaction(conn, need_rows, &aside, &err));
	assert_int_equal(aside.runs, 2);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t"), 2);
}

static int fail_aside(kontor_conn *session, void *arg, struct kontor_error *e)
{
	(void)session;
	(void)arg;
	return kontor_fail(e, KONTOR_E_CONFLICT, "no");
}

static int ask_for_failure(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	int *runs = arg;
	(*runs)++;
	return kontor_db_step_aside(tx, fail_aside, "", 1, e);
}

static int do_nothing_aside(kontor_conn *session, void *arg, struct kontor_error *e)
{
	(void)session;
	(void)arg;
	(void)e;
	return 0;
}

static int ask_for_ever(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	int *runs = arg;
	(*runs)++;
	return kontor_db_step_aside(tx, do_nothing_aside, "", 1, e);
}

static void test_stepping_aside_ends_with_a_failure_and_never_goes_on_for_ever(void **state)
{
	(void)state;
	int runs = 0;
	assert_int_equal(kontor_db_transaction(conn, ask_for_failure, &runs, &err), KONTOR_E_CONFLICT);
	assert_string_equal(err.message, "no");
	assert_int_equal(runs, 1);
	assert_int_equal(kontor_db_transaction(conn, ask_for_ever, &runs, &err), KONTOR_E_BUSY);
	assert_int_equal(runs, 1001);
	assert_int_equal(kontor_db_step_aside(conn, fail_aside, "", 1, &err), KONTOR_E_INTERNAL); /* no transaction */
}

static int nest(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_db_transaction(tx, insert_and_perhaps_fail, arg, e);
}

static int leave_a_stream_open(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_db_query(tx, KONTOR_READ_STREAM, "SELECT seq FROM seq_1_to_10", KONTOR_NO_PARAMS, arg, e);
}

static void test_misuse_is_refused(void **state)
{
	(void)state;
	struct attempt attempt = {0};
	assert_int_equal(kontor_db_transaction(conn, nest, &attempt, &err), KONTOR_E_INTERNAL);
	kontor_rows *rows = NULL;
	assert_int_equal(kontor_db_transaction(conn, leave_a_stream_open, &rows, &err), KONTOR_E_INTERNAL);
	kontor_rows_close(rows);
	assert_int_equal(query_int(conn, "SELECT 1"), 1);
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

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		test(test_a_failing_function_rolls_back),
		test(test_a_session_lost_before_commit_runs_the_function_again),
		test(test_a_session_lost_during_commit_is_an_unknown_outcome),
		test(test_a_lock_wait_timeout_never_commits_half_a_transaction),
		test(test_a_deadlock_runs_the_loser_again),
		test(test_a_function_steps_aside_and_runs_again_on_the_same_session),
		test(test_who_steps_aside_never_commits_what_it_did_before),
		test(test_stepping_aside_ends_with_a_failure_and_never_goes_on_for_ever),
		test(test_misuse_is_refused),
		test(test_the_pool_replaces_sessions_that_the_server_closed),
		test(test_the_stream_of_a_released_session_ends_in_an_error),
		test(test_a_missing_server_is_unavailable_and_a_far_one_needs_tls),
	};
	return cmocka_run_group_tests_name("database", tests, group_setup, group_teardown);
}
