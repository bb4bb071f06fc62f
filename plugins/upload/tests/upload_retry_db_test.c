/* SPDX-License-Identifier: Apache-2.0
 *
 * A dead upload is tried again from the bytes that were kept; whoever still works on its first life changes nothing.
 */
#include <zstd.h>

#include "fixture.h"

#define DAY INT64_C(86400000)

static struct answer send_rows(unsigned flags)
{
	size_t size;
	char *text = mixed_file(&size);
	struct answer sent = send_bytes(text, size, 100000, flags);
	free(text);
	return sent;
}

static struct answer send_packed_rows(void)
{
	size_t size, bound;
	char *text = mixed_file(&size);
	bound = ZSTD_compressBound(size);
	char *packed = malloc(bound);
	assert_non_null(packed);
	struct answer sent = send_bytes(packed, ZSTD_compress(packed, bound, text, size, 1), 5000, 0);
	free(packed);
	free(text);
	return sent;
}

/* ---- dying and trying again -------------------------------------------------------------------------------------- */

static int tx_wake(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_wake(tx, *(uint64_t *)arg, e);
}

static int tx_retry(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_retry(tx, *(uint64_t *)arg, e);
}

/* Until the job has ended in that state; woken, so that nobody waits for back-offs. */
static void run_until(uint64_t job_id, const char *state)
{
	struct kontor_job_info info = {0};
	for (int i = 0; i < 200 && !info.finished_ms; i++) {
		run_jobs();
		ok(kontor_db_transaction(conn, tx_wake, &job_id, &err));
		ok(kontor_job_get(conn, job_id, &info, &err));
	}
	if (strcmp(info.state, state) != 0)
		fail_msg("the job is %s (%s), not %s", info.state, info.error, state);
}

static void fail_from_now_on(void)
{
	test_kind.failure = KONTOR_E_STORAGE;
	test_kind.failures = UINT32_MAX;
}

static void fail_at_third_apply(void)
{
	if (test_kind.applied < 3)
		test_kind.interrupt = fail_at_third_apply;
	else
		fail_from_now_on();
}

static void assert_nothing_but_bytes(uint64_t upload_id)
{
	assert_state(upload_id, "failed");
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_total"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_reject"), 0);
	assert_true(query_int("SELECT COUNT(*) FROM upload_piece") > 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload WHERE error LIKE '%then: kontor jobs retry %'"), 1);
}

static void assert_accepted_whole(uint64_t upload_id)
{
	assert_state(upload_id, "accepted");
	assert_int_equal(verdict_rows(upload_id, "ok"), MIXED_GOOD);
	assert_int_equal(verdict_rows(upload_id, "bad_row"), MIXED_BAD);
	assert_int_equal(verdict_rows(upload_id, "duplicate_in_file"), MIXED_REPEATED);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item WHERE accepted = 1"), MIXED_GOOD);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), MIXED_GOOD);
	assert_int_equal(query_int("SELECT SUM(row_count) FROM upload_total"), MIXED_ROWS);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_reject"), MIXED_BAD + MIXED_REPEATED);
	assert_int_equal(query_int("SELECT done FROM job"), MIXED_ROWS);
}

static void die_twice_and_live(struct answer sent)
{
	for (int life = 0; life < 2; life++) {
		test_kind.failures = test_kind.applied = 0;
		test_kind.interrupt = fail_at_third_apply;
		run_until(sent.job_id, "dead");
		assert_true(test_kind.applied > 3);
		assert_nothing_but_bytes(sent.upload_id);
		ok(kontor_db_transaction(conn, tx_retry, &sent.job_id, &err));
		assert_state(sent.upload_id, "checking");
	}
	test_kind.failures = 0;
	run_to_the_end(sent.job_id);
	assert_accepted_whole(sent.upload_id);
	assert_int_equal(kontor_db_transaction(conn, tx_retry, &sent.job_id, &err), KONTOR_E_CONFLICT);
}

static void test_a_dead_upload_is_tried_again_from_its_bytes(void **state)
{
	(void)state;
	die_twice_and_live(send_rows(0));
}

static void test_a_dead_packed_upload_is_tried_again_from_its_bytes(void **state)
{
	(void)state;
	die_twice_and_live(send_packed_rows());
}

static void test_a_dead_dry_run_is_tried_again(void **state)
{
	(void)state;
	struct answer sent = send_rows(DRY_RUN);
	test_kind.interrupt = fail_at_third_apply;
	run_until(sent.job_id, "dead");
	assert_nothing_but_bytes(sent.upload_id);
	ok(kontor_db_transaction(conn, tx_retry, &sent.job_id, &err));
	test_kind.failures = 0;
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "dry_run");
	assert_int_equal(verdict_rows(sent.upload_id, "ok"), MIXED_GOOD);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
}

/* ---- those who still work on the first life ---------------------------------------------------------------------- */

static uint64_t living_job;

/* While the undo's runner stands still: another one takes it back, and the upload lives again. */
static void live_beside_the_undo(void)
{
	execute("UPDATE job SET lease_until_ms = 1");
	test_kind.failures = 0;
	run_until(living_job, "dead");
	ok(kontor_db_transaction(conn, tx_retry, &living_job, &err));
	run_until(living_job, "done");
}

static void test_an_undo_that_stood_still_takes_nothing_from_the_second_life(void **state)
{
	(void)state;
	struct answer sent = send_rows(0);
	living_job = sent.job_id;
	test_kind.interrupt = fail_at_third_apply;
	test_kind.undoing = live_beside_the_undo;
	run_until(sent.job_id, "done");
	assert_null(test_kind.undoing);
	assert_accepted_whole(sent.upload_id);
	assert_true(query_int("SELECT COUNT(*) FROM upload_piece") > 0);
}

/* While a chunk's runner stands still: others fail at the chunk until the job is dead, and the upload lives again. */
static void live_beside_the_chunk(void)
{
	execute("UPDATE job_chunk SET lease_until_ms = 1 WHERE state = 'running'");
	fail_from_now_on();
	run_until(living_job, "dead");
	ok(kontor_db_transaction(conn, tx_retry, &living_job, &err));
	test_kind.failures = 0;
	run_until(living_job, "done");
}

static void test_a_chunk_that_stood_still_adds_nothing_to_the_second_life(void **state)
{
	(void)state;
	struct answer sent = send_rows(0);
	living_job = sent.job_id;
	test_kind.interrupt = live_beside_the_chunk;
	run_until(sent.job_id, "done");
	assert_null(test_kind.interrupt);
	assert_accepted_whole(sent.upload_id);
}

/* ---- approval ---------------------------------------------------------------------------------------------------- */

static int tx_approve(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	const struct kontor_user bob = {.name = "bob", .roles = KONTOR_ROLE_APPROVER};
	return kontor_approval_decide(tx, *(uint64_t *)arg, &bob, true, e);
}

static void approve(uint64_t upload_id)
{
	uint64_t approval_id = 0;
	run_jobs();
	assert_state(upload_id, "waiting_approval");
	ok(kontor_approval_find(conn, "upload", upload_id, &approval_id, &err));
	ok(kontor_db_transaction(conn, tx_approve, &approval_id, &err));
}

static void test_what_was_approved_before_is_asked_for_again(void **state)
{
	(void)state;
	struct answer sent = send_rows(0);
	test_kind.approval = true;
	test_kind.refusals = UINT32_MAX;
	approve(sent.upload_id);
	run_until(sent.job_id, "dead");
	assert_nothing_but_bytes(sent.upload_id);
	assert_int_equal(query_int("SELECT COUNT(*) FROM approval WHERE state <> 'void'"), 0);
	ok(kontor_db_transaction(conn, tx_retry, &sent.job_id, &err));
	test_kind.refusals = 0;
	approve(sent.upload_id);
	run_until(sent.job_id, "done");
	assert_accepted_whole(sent.upload_id);
}

/* ---- how long ---------------------------------------------------------------------------------------------------- */

static struct answer die(void)
{
	struct answer sent = send_rows(0);
	test_kind.interrupt = fail_from_now_on;
	run_until(sent.job_id, "dead");
	test_kind.failures = 0;
	plugin_self.upload_keep_days = 7;
	plugin_self.upload_abandon_days = 3;
	return sent;
}

static void end_days_ago(unsigned days)
{
	ok(kontor_db_exec(conn, "UPDATE upload SET ended_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - ?",
			  KONTOR_PARAMS(P_INT(days * DAY)), NULL, &err));
}

static void test_once_its_bytes_are_deleted_a_retry_is_refused_at_once(void **state)
{
	(void)state;
	struct answer sent = die();
	end_days_ago(6);
	ok(retention_turn(&plugin_self, conn, NULL, &err));
	assert_nothing_but_bytes(sent.upload_id);
	end_days_ago(7);
	ok(retention_turn(&plugin_self, conn, NULL, &err));
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 0);
	assert_int_equal(kontor_db_transaction(conn, tx_retry, &sent.job_id, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "upload the file again"));
	assert_state(sent.upload_id, "failed");
	assert_int_equal(query_int("SELECT COUNT(*) FROM job WHERE state = 'dead'"), 1);
}

static pthread_t turn;

static int retry_beside_a_turn(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	int rc = kontor_job_retry(tx, *(uint64_t *)arg, e);
	turn = begin_turn_beside(tx);
	return rc;
}

static void test_bytes_are_not_deleted_under_an_upload_that_is_just_tried_again(void **state)
{
	(void)state;
	struct answer sent = die();
	end_days_ago(7);
	ok(kontor_db_transaction(conn, retry_beside_a_turn, &sent.job_id, &err));
	end_turn(turn);
	run_until(sent.job_id, "done");
	assert_accepted_whole(sent.upload_id);
	assert_true(query_int("SELECT COUNT(*) FROM upload_piece") > 0);
	assert_int_equal(query_int("SELECT bytes_kept FROM upload"), 1);
}

/* ---- jobs of the plugin itself ------------------------------------------------------------------------------------
 */

static void test_a_failed_report_of_rejects_is_tried_again(void **state)
{
	(void)state;
	struct kontor_job_info info;
	kontor_writer *args = arguments();
	kontor_put_string(args, "region", "SG");
	kontor_put_string(args, "window", "2026-W45");
	uint64_t job_id = answer_of(call("report_rejects", args)).job_id;
	execute("UPDATE job SET state = 'failed', stage = 'undo', finished_ms = 1");
	ok(kontor_db_transaction(conn, tx_retry, &job_id, &err));
	ok(kontor_job_get(conn, job_id, &info, &err));
	assert_string_equal(info.state, "queued");
}

/* ---- uploads that wait for each other ---------------------------------------------------------------------------- */

#define SHARED_ROWS 25000

/* The same rows, from the first or from the last on. */
static struct answer send_shared(bool backwards)
{
	const size_t capacity = SHARED_ROWS * 16;
	char *text = malloc(capacity);
	assert_non_null(text);
	size_t size = (size_t)snprintf(text, capacity, "id,amount\n");
	for (int i = 1; i <= SHARED_ROWS; i++)
		size += (size_t)snprintf(text + size, capacity - size, "%d,3\n", backwards ? SHARED_ROWS + 1 - i : i);
	struct answer sent = send_bytes(text, size, 100000, 0);
	free(text);
	return sent;
}

/* The older one has stored a batch; meanwhile the younger one comes as far as it can. */
static void run_the_younger_one(void)
{
	if (test_kind.applied < 2)
		test_kind.interrupt = run_the_younger_one;
	else
		run_jobs();
}

static void wake_and_run(uint64_t job_id)
{
	ok(kontor_db_transaction(conn, tx_wake, &job_id, &err));
	run_jobs();
}

static void assert_waits(uint64_t job_id, uint64_t upload_id)
{
	char name[32];
	struct kontor_job_info info;
	ok(kontor_job_get(conn, job_id, &info, &err));
	snprintf(name, sizeof(name), "of upload %llu,", (unsigned long long)upload_id);
	if (strcmp(info.state, "waiting") != 0 || !strstr(info.error, name) || !strstr(info.error, "goes on by itself"))
		fail_msg("the job is %s: %s", info.state, info.error);
}

static void begin_circle(struct answer *older, struct answer *younger)
{
	*older = send_shared(false);
	*younger = send_shared(true);
	test_kind.waits = true;
	test_kind.interrupt = run_the_younger_one;
	run_jobs();
	assert_waits(older->job_id, younger->upload_id);
	run_until(younger->job_id, "dead");
}

static void test_of_two_that_wait_for_each_other_the_younger_gives_way_at_once(void **state)
{
	(void)state;
	struct answer older, younger;
	begin_circle(&older, &younger);
	assert_state(younger.upload_id, "failed");
	assert_int_equal(
		query_int("SELECT COUNT(*) FROM upload WHERE error LIKE '%gave way%then: kontor jobs retry %'"), 1);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job WHERE error LIKE '%gave way%' AND attempts = 0"), 1);
	run_until(older.job_id, "done");
	assert_int_equal(verdict_rows(older.upload_id, "ok"), SHARED_ROWS);
	ok(kontor_db_transaction(conn, tx_retry, &younger.job_id, &err));
	run_until(younger.job_id, "done");
	assert_int_equal(verdict_rows(younger.upload_id, "already_exists"), SHARED_ROWS);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item WHERE accepted = 1"), SHARED_ROWS);
}

/* What the older one waited for is gone with the younger one's first life. */
static void test_one_that_gave_way_and_is_retried_too_early_waits(void **state)
{
	(void)state;
	struct answer older, younger;
	begin_circle(&older, &younger);
	ok(kontor_db_exec(conn, "UPDATE job_chunk SET state = 'queued', run_at_ms = ? WHERE job_id = ?",
			  KONTOR_PARAMS(P_INT(kontor_now_ms() + DAY), P_UINT(older.job_id)), NULL, &err));
	ok(kontor_db_transaction(conn, tx_retry, &younger.job_id, &err));
	for (int i = 0; i < 3; i++)
		wake_and_run(younger.job_id);
	assert_waits(younger.job_id, older.upload_id);
}

static void test_the_older_one_waits_as_long_as_the_younger_one_takes(void **state)
{
	(void)state;
	struct answer older = send_shared(false);
	ok(kontor_db_exec(conn, "UPDATE job SET run_at_ms = ?", KONTOR_PARAMS(P_INT(kontor_now_ms() + DAY)), NULL,
			  &err));
	struct answer younger = send_shared(true);
	test_kind.waits = test_kind.approval = true;
	run_jobs();
	assert_state(younger.upload_id, "waiting_approval");
	for (int i = 0; i < 12; i++) /* oftener than a failure is tried again */
		wake_and_run(older.job_id);
	assert_waits(older.job_id, younger.upload_id);
	test_kind.approval = false;
	run_until(younger.job_id, "done");
	run_until(older.job_id, "done");
	assert_int_equal(verdict_rows(older.upload_id, "already_exists"), SHARED_ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_dead_upload_is_tried_again_from_its_bytes, reset),
		cmocka_unit_test_setup(test_a_dead_packed_upload_is_tried_again_from_its_bytes, reset),
		cmocka_unit_test_setup(test_a_dead_dry_run_is_tried_again, reset),
		cmocka_unit_test_setup(test_an_undo_that_stood_still_takes_nothing_from_the_second_life, reset),
		cmocka_unit_test_setup(test_a_chunk_that_stood_still_adds_nothing_to_the_second_life, reset),
		cmocka_unit_test_setup(test_what_was_approved_before_is_asked_for_again, reset),
		cmocka_unit_test_setup(test_once_its_bytes_are_deleted_a_retry_is_refused_at_once, reset),
		cmocka_unit_test_setup(test_bytes_are_not_deleted_under_an_upload_that_is_just_tried_again, reset),
		cmocka_unit_test_setup(test_a_failed_report_of_rejects_is_tried_again, reset),
		cmocka_unit_test_setup(test_of_two_that_wait_for_each_other_the_younger_gives_way_at_once, reset),
		cmocka_unit_test_setup(test_one_that_gave_way_and_is_retried_too_early_waits, reset),
		cmocka_unit_test_setup(test_the_older_one_waits_as_long_as_the_younger_one_takes, reset),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
