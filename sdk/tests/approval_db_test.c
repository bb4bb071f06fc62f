/* SPDX-License-Identifier: Apache-2.0
 *
 * People approve exactly what they were shown, each once, and never their own work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/approval.h"
#include "test_database.h"

static kontor_db *db;
static kontor_conn *conn;
static struct kontor_error err;
static const uint8_t shown[KONTOR_DIGEST_SIZE] = {1}, changed[KONTOR_DIGEST_SIZE] = {2};
static uint64_t next_subject = 100;

static struct kontor_user user_of(const char *name, unsigned roles)
{
	struct kontor_user user = {.roles = roles, .verified = true};
	snprintf(user.name, sizeof(user.name), "%s", name);
	return user;
}

static int request_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_approval_request(tx, arg, e);
}

static void request(uint64_t approval_id, uint64_t subject_id, const uint8_t *digest, unsigned needed)
{
	struct kontor_approval_new new = {.approval_id = approval_id,
					  .subject_kind = "safefile",
					  .subject_id = subject_id,
					  .digest = digest,
					  .summary = "20,000 payments, SGD 1,234,567.89",
					  .needed = needed,
					  .excluded = "alice"};
	if (kontor_db_transaction(conn, request_tx, &new, &err))
		fail_msg("%s", err.message);
}

struct decision {
	uint64_t approval_id;
	struct kontor_user user;
	bool give;
};

static int decide_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct decision *d = arg;
	return kontor_approval_decide(tx, d->approval_id, &d->user, d->give, e);
}

static int decide(uint64_t approval_id, const char *name, bool give)
{
	struct decision d = {approval_id, user_of(name, KONTOR_ROLE_APPROVER), give};
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	return kontor_db_transaction(conn, decide_tx, &d, &err);
}

static enum kontor_approval_state state_of(uint64_t subject_id, const uint8_t *digest)
{
	enum kontor_approval_state state = KONTOR_APPROVAL_NONE;
	if (kontor_approval_state(conn, "safefile", subject_id, digest, &state, &err))
		fail_msg("%s", err.message);
	return state;
}

static void assert_denied(int rc, const char *words)
{
	assert_int_equal(rc, KONTOR_E_DENIED);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void test_two_different_users_approve(void **state)
{
	(void)state;
	uint64_t subject = next_subject++;
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_NONE);
	request(1, subject, shown, 2);
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_PENDING);
	assert_int_equal(decide(1, "bob", true), 0);
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_PENDING);
	assert_denied(decide(1, "bob", true), "bob has decided already (give); it needs 2 different users");
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_PENDING);
	assert_int_equal(decide(1, "carol", true), 0);
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_GIVEN);
	assert_denied(decide(1, "dave", false), "is decided already: it was given");
}

static void test_the_maker_may_not_approve(void **state)
{
	(void)state;
	uint64_t subject = next_subject++;
	request(2, subject, shown, 1);
	assert_denied(decide(2, "alice", true), "alice made this safefile; another user must decide");
	assert_denied(decide(2, "alice", false), "alice made this safefile");
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_PENDING);
}

static void test_only_people_with_the_role_approve(void **state)
{
	(void)state;
	uint64_t subject = next_subject++;
	struct decision d = {3, user_of("bob", KONTOR_ROLE_OPERATOR), true};
	request(3, subject, shown, 1);
	assert_denied(kontor_db_transaction(conn, decide_tx, &d, &err), "bob is no approver");
	d.user = user_of("all", KONTOR_ROLE_UNIT);
	assert_denied(kontor_db_transaction(conn, decide_tx, &d, &err), "all is no approver");
	d.user = user_of("", 0);
	assert_denied(kontor_db_transaction(conn, decide_tx, &d, &err), "the caller is no approver");
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_PENDING);
}

static void test_a_change_voids_what_was_approved(void **state)
{
	(void)state;
	uint64_t subject = next_subject++;
	request(4, subject, shown, 2);
	assert_int_equal(decide(4, "bob", true), 0);
	request(5, subject, changed, 2);
	assert_denied(decide(4, "carol", true), "is void: what was shown has changed");
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_NONE);
	assert_int_equal(state_of(subject, changed), KONTOR_APPROVAL_PENDING);
	assert_int_equal(decide(5, "carol", true), 0);
	assert_int_equal(state_of(subject, changed), KONTOR_APPROVAL_PENDING); /* bob's vote was for something else */
	assert_int_equal(decide(5, "bob", true), 0);
	assert_int_equal(state_of(subject, changed), KONTOR_APPROVAL_GIVEN);
	request(6, subject, shown, 2); /* and back: the old votes do not come alive again */
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_PENDING);
	assert_int_equal(state_of(subject, changed), KONTOR_APPROVAL_NONE);
}

static void test_repeating_a_request_keeps_its_votes(void **state)
{
	(void)state;
	uint64_t subject = next_subject++, found = 0;
	request(7, subject, shown, 2);
	assert_int_equal(decide(7, "bob", true), 0);
	request(8, subject, shown, 2);
	assert_int_equal(kontor_approval_find(conn, "safefile", subject, &found, &err), 0);
	assert_int_equal(found, 7);
	assert_int_equal(decide(7, "carol", true), 0);
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_GIVEN);
	assert_int_equal(kontor_approval_find(conn, "safefile", subject, &found, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "is decided already: it was given"));
	assert_int_equal(kontor_approval_find(conn, "safefile", 999999, &found, &err), KONTOR_E_NOT_FOUND);
}

static void test_one_refusal_decides(void **state)
{
	(void)state;
	uint64_t subject = next_subject++;
	request(9, subject, shown, 2);
	assert_int_equal(decide(9, "bob", true), 0);
	assert_int_equal(decide(9, "carol", false), 0);
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_REFUSED);
	assert_denied(decide(9, "dave", true), "is decided already: it was refused");
}

static void test_an_approval_shows_who_voted_and_how(void **state)
{
	(void)state;
	uint64_t subject = next_subject++;
	struct decision d = {10, user_of("bob", KONTOR_ROLE_APPROVER), true};
	request(10, subject, shown, 2);
	d.user.verified = false;
	assert_int_equal(kontor_db_transaction(conn, decide_tx, &d, &err), 0);
	kontor_writer *w = kontor_writer_new();
	const void *data = NULL;
	size_t size = 0;
	kontor_body *body = NULL;
	kontor_write_map(w);
	assert_int_equal(kontor_approval_put(conn, 10, w, &err), 0);
	kontor_write_end(w);
	assert_int_equal(kontor_writer_finish(w, &data, &size, &err), 0);
	assert_int_equal(kontor_body_parse(data, size, &body, &err), 0);
	const msgpack_object *map = kontor_body_map(body), *votes = kontor_get(map, "votes");
	assert_int_equal(kontor_get_uint(map, "subject_id", 0), subject);
	assert_int_equal(kontor_get_uint(map, "given", 0), 1);
	assert_int_equal(kontor_get_text(map, "digest").size, 64);
	assert_int_equal(votes->via.array.size, 1);
	assert_true(kontor_text_is(kontor_get_text(&votes->via.array.ptr[0], "user"), "bob"));
	assert_false(kontor_get_bool(&votes->via.array.ptr[0], "verified", true));
	kontor_body_free(body);
	kontor_writer_reset(w);
	kontor_write_map(w);
	assert_int_equal(kontor_approval_put(conn, 999999, w, &err), KONTOR_E_NOT_FOUND);
	kontor_writer_free(w);
}

static int void_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_approval_void(tx, "safefile", *(uint64_t *)arg, e);
}

static void test_nobody_decides_about_what_was_taken_back(void **state)
{
	(void)state;
	uint64_t subject = next_subject++, other = next_subject++, found;
	request(70, subject, shown, 2);
	request(71, other, shown, 2);
	assert_int_equal(decide(70, "bob", true), 0);
	for (int time = 0; time < 2; time++)
		assert_int_equal(kontor_db_transaction(conn, void_tx, &subject, &err), 0);
	assert_int_equal(decide(70, "carol", true), KONTOR_E_DENIED);
	assert_non_null(strstr(err.message, "taken back"));
	assert_int_equal(state_of(subject, shown), KONTOR_APPROVAL_NONE);
	assert_int_equal(kontor_approval_find(conn, "safefile", subject, &found, &err), KONTOR_E_NOT_FOUND);
	assert_int_equal(state_of(other, shown), KONTOR_APPROVAL_PENDING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_different_users_approve),
		cmocka_unit_test(test_the_maker_may_not_approve),
		cmocka_unit_test(test_only_people_with_the_role_approve),
		cmocka_unit_test(test_a_change_voids_what_was_approved),
		cmocka_unit_test(test_repeating_a_request_keeps_its_votes),
		cmocka_unit_test(test_one_refusal_decides),
		cmocka_unit_test(test_nobody_decides_about_what_was_taken_back),
		cmocka_unit_test(test_an_approval_shows_who_voted_and_how),
	};
	db = test_database_open();
	int failed = kontor_db_acquire(db, &conn, &err);
	if (!failed)
		failed = kontor_schema_migrate(conn, kontor_sdk_schema, kontor_sdk_schema_len, &err);
	if (failed)
		fprintf(stderr, "%s\n", err.message);
	else
		failed = cmocka_run_group_tests(tests, NULL, NULL);
	kontor_db_release(conn);
	test_database_close(db);
	return failed;
}
