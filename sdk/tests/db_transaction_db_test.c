/* SPDX-License-Identifier: Apache-2.0
 *
 * A transaction is a function that may run again.
 */
#include <pthread.h>

#include "db_fixture.h"

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
	int64_t session; /* the server's number of the one that it runs on; 0: none yet */
};

static void note_session(struct aside *aside, kontor_conn *session)
{
	int64_t number = query_int(session, "SELECT CONNECTION_ID()");
	if (!aside->session)
		aside->session = number;
	assert_int_equal(number, aside->session);
}

static int insert_aside(kontor_conn *session, void *arg, struct kontor_error *e)
{
	struct aside *aside = *(struct aside *const *)arg;
	assert_false(kontor_db_in_transaction(session));
	note_session(aside, session);
	aside->asides++;
	return kontor_db_exec(session, "INSERT INTO t(id) SELECT 100 + COUNT(*) FROM t", KONTOR_NO_PARAMS, NULL, e);
}

/* Needs rows_wanted rows that are committed already; its own must not stand twice. */
static int need_rows(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct aside *aside = arg;
	int64_t rows = 0;
	aside->runs++;
	note_session(aside, tx);
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
	struct aside aside = {.rows_wanted = 20}; /* more often than a transaction that the server rolled back */
	ok(kontor_db_transaction(conn, need_rows, &aside, &err));
	assert_int_equal(aside.runs, 21);
	assert_int_equal(aside.asides, 20);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t WHERE id = 7"), 1);
	assert_int_equal(query_int(conn, "SELECT COUNT(*) FROM t"), 21);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_a_failing_function_rolls_back),
		test(test_a_session_lost_before_commit_runs_the_function_again),
		test(test_a_session_lost_during_commit_is_an_unknown_outcome),
		test(test_a_lock_wait_timeout_never_commits_half_a_transaction),
		test(test_a_deadlock_runs_the_loser_again),
		test(test_a_function_steps_aside_and_runs_again_on_the_same_session),
		test(test_who_steps_aside_never_commits_what_it_did_before),
		test(test_stepping_aside_ends_with_a_failure_and_never_goes_on_for_ever),
		test(test_misuse_is_refused),
	};
	return cmocka_run_group_tests_name("transactions", tests, group_setup, group_teardown);
}
