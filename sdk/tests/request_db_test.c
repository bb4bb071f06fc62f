/* SPDX-License-Identifier: Apache-2.0
 *
 * A method that changes something runs once per key, whatever is lost, repeated or done at the same time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "kontor/host.h"
#include "kontor/time.h"
#include "request.h"
#include "test_database.h"

static kontor_db *db;
static kontor_host *host;
static struct kontor_error err;
static atomic_int handler_runs;

enum behaviour { WORK, WORK_SLOWLY, FAIL_AFTER_EFFECT, DENY, LOSE_SESSION_ONCE };

struct counting {
	enum behaviour behaviour;
	atomic_int sessions_to_lose;
};

/* Adds 1 to a counter and answers its new value. */
static int add_one(void *self, kontor_request *request)
{
	struct counting *counting = self;
	struct kontor_error *e = kontor_request_error(request);
	kontor_conn *tx = kontor_request_db(request);
	int64_t value = 0;
	handler_runs++;
	int rc = kontor_db_exec(tx, "UPDATE counter SET n = n + 1", KONTOR_NO_PARAMS, NULL, e);
	if (rc == 0)
		rc = kontor_db_query_int(tx, "SELECT n FROM counter", KONTOR_NO_PARAMS, &value, e);
	if (rc == 0 && counting->behaviour == WORK_SLOWLY)
		usleep(150000);
	if (rc == 0 && counting->behaviour == LOSE_SESSION_ONCE && counting->sessions_to_lose-- > 0) {
		struct kontor_error lost;
		kontor_db_exec(tx, "KILL CONNECTION_ID()", KONTOR_NO_PARAMS, NULL, &lost);
		rc = kontor_db_query_int(tx, "SELECT n FROM counter", KONTOR_NO_PARAMS, &value, e);
	}
	if (rc)
		return rc;
	if (counting->behaviour == FAIL_AFTER_EFFECT)
		return kontor_request_fail(request, KONTOR_E_CONFLICT, "the window is open");
	if (counting->behaviour == DENY)
		return kontor_request_fail(request, KONTOR_E_DENIED, "not by the uploader");
	kontor_put_int(kontor_reply(request), "value", value);
	return 0;
}

static const struct kontor_arg args[] = {{.name = "x", .type = KONTOR_ARG_INT}};
static const struct kontor_method method = {.name = "add",
					    .flags = KONTOR_METHOD_CHANGES,
					    .role = KONTOR_ROLE_OPERATOR,
					    .args = args,
					    .args_len = 1,
					    .handle = add_one};

/* One request on a session of its own; the answered value, or the error's code. */
static int64_t add(const char *user, const char *key, int x, struct counting *counting)
{
	struct kontor_request_options options = {.host = host, .service = "test", .method = &method, .self = counting};
	kontor_request *request = NULL;
	kontor_body *reply = NULL;
	struct kontor_error e = KONTOR_ERROR_INIT;
	const void *data = NULL;
	size_t size = 0;
	kontor_writer *body = kontor_writer_new();
	kontor_write_map(body);
	kontor_put_int(body, "x", x);
	kontor_write_end(body);
	kontor_writer_finish(body, &options.body, &options.body_size, &e);
	snprintf(options.user.name, sizeof(options.user.name), "%s", user);
	options.user.roles = KONTOR_ROLE_OPERATOR;
	options.user.verified = strcmp(user, "unverified") != 0;
	options.key = key;
	int64_t value = kontor_db_acquire(db, &options.db, &e);
	if (value == 0)
		value = kontor_request_begin(&request, &options, &e);
	if (value == 0)
		value = kontor_request_run(request, &data, &size, &e);
	if (value == 0 && kontor_body_parse(data, size, &reply, &e) == 0)
		value = kontor_get_int(kontor_body_map(reply), "value", -999);
	kontor_body_free(reply);
	kontor_request_free(request);
	kontor_db_release(options.db);
	kontor_writer_free(body);
	return value;
}

static int64_t query(const char *sql)
{
	kontor_conn *conn = NULL;
	int64_t value = -1;
	if (kontor_db_acquire(db, &conn, &err) || kontor_db_query_int(conn, sql, KONTOR_NO_PARAMS, &value, &err))
		fail_msg("%s: %s", sql, err.message);
	kontor_db_release(conn);
	return value;
}

static int reset(void **state)
{
	static const char *const statements[] = {"DELETE FROM idempotency", "DELETE FROM audit",
						 "UPDATE counter SET n = 0"};
	kontor_conn *conn = NULL;
	(void)state;
	handler_runs = 0;
	int rc = kontor_db_acquire(db, &conn, &err);
	for (size_t i = 0; rc == 0 && i < 3; i++)
		rc = kontor_db_exec(conn, statements[i], KONTOR_NO_PARAMS, NULL, &err);
	kontor_db_release(conn);
	return rc;
}

static void test_the_same_key_and_body_give_the_first_result(void **state)
{
	(void)state;
	struct counting counting = {.behaviour = WORK};
	assert_int_equal(add("alice", "k1", 1, &counting), 1);
	assert_int_equal(add("alice", "k1", 1, &counting), 1); /* the reply was lost: the caller asks again */
	assert_int_equal(add("alice", "k1", 1, &counting), 1);
	assert_int_equal(handler_runs, 1);
	assert_int_equal(query("SELECT n FROM counter"), 1);
	assert_int_equal(query("SELECT COUNT(*) FROM audit WHERE user = 'alice' AND method = 'test.add' AND "
			       "outcome = 'done' AND LENGTH(digest) = 32"),
			 1);
}

static void test_another_body_with_the_same_key_is_a_conflict(void **state)
{
	(void)state;
	struct counting counting = {.behaviour = WORK};
	assert_int_equal(add("alice", "k1", 1, &counting), 1);
	assert_int_equal(add("alice", "k1", 2, &counting), KONTOR_E_CONFLICT);
	assert_int_equal(query("SELECT n FROM counter"), 1);
}

static void test_keys_are_scoped_to_the_user(void **state)
{
	(void)state;
	struct counting counting = {.behaviour = WORK};
	assert_int_equal(add("alice", "k1", 1, &counting), 1);
	assert_int_equal(add("bob", "k1", 1, &counting), 2);
	assert_int_equal(add("alice", "K1", 1, &counting), 3); /* compared byte by byte */
}

static void test_a_failure_leaves_neither_effect_nor_key(void **state)
{
	(void)state;
	struct counting counting = {.behaviour = FAIL_AFTER_EFFECT};
	assert_int_equal(add("alice", "k1", 1, &counting), KONTOR_E_CONFLICT);
	assert_int_equal(query("SELECT n FROM counter"), 0);
	assert_int_equal(query("SELECT COUNT(*) FROM idempotency"), 0);
	assert_int_equal(query("SELECT COUNT(*) FROM audit"), 0);
	counting.behaviour = WORK;
	assert_int_equal(add("alice", "k1", 1, &counting), 1);
}

static void test_refusals_and_unverified_users_are_marked_in_the_audit(void **state)
{
	(void)state;
	struct counting counting = {.behaviour = DENY};
	assert_int_equal(add("alice", "k1", 1, &counting), KONTOR_E_DENIED);
	assert_int_equal(query("SELECT n FROM counter"), 0);
	assert_int_equal(query("SELECT COUNT(*) FROM audit WHERE outcome = 'denied'"), 1);
	counting.behaviour = WORK;
	assert_int_equal(add("unverified", "k1", 1, &counting), 1);
	assert_int_equal(query("SELECT COUNT(*) FROM audit WHERE outcome = 'done (unverified user)'"), 1);
}

static void test_a_session_lost_in_the_handler_is_run_again_once(void **state)
{
	(void)state;
	struct counting counting = {.behaviour = LOSE_SESSION_ONCE, .sessions_to_lose = 1};
	assert_int_equal(add("alice", "k1", 1, &counting), 1);
	assert_int_equal(handler_runs, 2);
	assert_int_equal(query("SELECT n FROM counter"), 1);
	assert_int_equal(add("alice", "k1", 1, &counting), 1);
	assert_int_equal(handler_runs, 2);
}

struct twin {
	pthread_t thread;
	struct counting *counting;
	char key[16];
	int64_t value;
};

static void *run_twin(void *arg)
{
	struct twin *twin = arg;
	twin->value = add("alice", twin->key, 7, twin->counting);
	return NULL;
}

static void test_concurrent_twins_run_once_and_both_get_the_result(void **state)
{
	(void)state;
	struct counting counting = {.behaviour = WORK_SLOWLY};
	struct twin twins[4];
	for (int i = 0; i < 4; i++) {
		twins[i] = (struct twin){.counting = &counting, .key = "twin"};
		pthread_create(&twins[i].thread, NULL, run_twin, &twins[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(twins[i].thread, NULL);
		assert_int_equal(twins[i].value, 1);
	}
	assert_int_equal(handler_runs, 1);
	assert_int_equal(query("SELECT n FROM counter"), 1);
}

static void test_a_twin_takes_over_when_the_first_fails(void **state)
{
	(void)state;
	struct counting failing = {.behaviour = FAIL_AFTER_EFFECT}, working = {.behaviour = WORK_SLOWLY};
	struct twin first = {.counting = &failing, .key = "twin"}, second = {.counting = &working, .key = "twin"};
	pthread_create(&first.thread, NULL, run_twin, &first);
	pthread_create(&second.thread, NULL, run_twin, &second);
	pthread_join(first.thread, NULL);
	pthread_join(second.thread, NULL);
	assert_int_equal(second.value, 1);
	assert_true(first.value == KONTOR_E_CONFLICT || first.value == 1);
	assert_int_equal(query("SELECT n FROM counter"), 1);
}

static void test_old_keys_are_forgotten(void **state)
{
	(void)state;
	struct counting counting = {.behaviour = WORK};
	kontor_conn *conn = NULL;
	uint64_t deleted = 0;
	assert_int_equal(add("alice", "k1", 1, &counting), 1);
	assert_int_equal(add("alice", "k2", 1, &counting), 2);
	assert_int_equal(kontor_db_acquire(db, &conn, &err), 0);
	assert_int_equal(kontor_db_exec(conn, "UPDATE idempotency SET created_ms = ? WHERE idem_key = 'k1'",
					KONTOR_PARAMS(P_INT(kontor_now_ms() - INT64_C(31) * 24 * 3600 * 1000)), NULL,
					&err),
			 0);
	assert_int_equal(kontor_idempotency_expire(conn, &deleted, &err), 0);
	kontor_db_release(conn);
	assert_int_equal(deleted, 1);
	assert_int_equal(add("alice", "k1", 1, &counting), 3);
	assert_int_equal(add("alice", "k2", 1, &counting), 2);
}

static int make_tables(void)
{
	kontor_conn *conn = NULL;
	int rc = kontor_db_acquire(db, &conn, &err);
	if (rc == 0)
		rc = kontor_schema_migrate(conn, kontor_sdk_schema, kontor_sdk_schema_len, &err);
	if (rc == 0)
		rc = kontor_db_exec(conn, "CREATE TABLE counter (one INT PRIMARY KEY, n BIGINT)", KONTOR_NO_PARAMS,
				    NULL, &err);
	if (rc == 0)
		rc = kontor_db_exec(conn, "INSERT INTO counter VALUES (1, 0)", KONTOR_NO_PARAMS, NULL, &err);
	kontor_db_release(conn);
	if (rc)
		fprintf(stderr, "%s\n", err.message);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_the_same_key_and_body_give_the_first_result, reset),
		cmocka_unit_test_setup(test_another_body_with_the_same_key_is_a_conflict, reset),
		cmocka_unit_test_setup(test_keys_are_scoped_to_the_user, reset),
		cmocka_unit_test_setup(test_a_failure_leaves_neither_effect_nor_key, reset),
		cmocka_unit_test_setup(test_refusals_and_unverified_users_are_marked_in_the_audit, reset),
		cmocka_unit_test_setup(test_a_session_lost_in_the_handler_is_run_again_once, reset),
		cmocka_unit_test_setup(test_concurrent_twins_run_once_and_both_get_the_result, reset),
		cmocka_unit_test_setup(test_a_twin_takes_over_when_the_first_fails, reset),
		cmocka_unit_test_setup(test_old_keys_are_forgotten, reset),
	};
	db = test_database_open();
	struct kontor_host_options options = {.unit = "test", .db = db};
	host = kontor_host_new(&options);
	int failed = make_tables();
	if (!failed)
		failed = cmocka_run_group_tests(tests, NULL, NULL);
	kontor_host_free(host);
	test_database_close(db);
	return failed;
}
