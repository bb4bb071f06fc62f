/* SPDX-License-Identifier: Apache-2.0
 *
 * kill -9 of the process that works on an upload, at any moment: nothing lost, nothing twice.
 */
#include <signal.h>
#include <sys/wait.h>

#include "fixture.h"

#define KILLS 25
#define LONGEST_MS 600

/* A process that works on the lane with a pool of its own, as a unit does. Never returns. */
static void work_until_killed(uint64_t instance)
{
	struct kontor_db_options db_options = {
		.socket = getenv("KONTOR_TEST_SOCKET"), .user = "root", .database = test_database_name};
	kontor_db *own_db = NULL;
	if (kontor_db_open(&db_options, &own_db, &err))
		_exit(1);
	struct kontor_upload_context context = {.self = &test_kind, .kind = &item_kind};
	struct kontor_job_registration registration = {
		.kind = kontor_upload_job_kind("upload.billing-items"), .self = &context, .plugin = "test"};
	registration.kind.lane = KONTOR_LANE_INTERACTIVE; /* the file is a small one */
	struct kontor_job_runner_options options = {.host = new_host(NULL, own_db),
						    .lane = KONTOR_LANE_INTERACTIVE,
						    .kinds = &registration,
						    .kinds_len = 1,
						    .owner = "test@here",
						    .instance = instance,
						    .lease_ms = 15000};
	kontor_job_runner *runner = NULL;
	if (kontor_job_runner_new(&options, &runner, &err))
		_exit(1);
	for (;;) {
		if (kontor_job_runner_step(runner, &err) <= 0)
			kontor_job_lane_wait(KONTOR_LANE_INTERACTIVE, 20);
	}
}

static bool has_ended(uint64_t job_id)
{
	struct kontor_job_info info;
	ok(kontor_job_get(conn, job_id, &info, &err));
	return info.finished_ms != 0;
}

/* Runs the job in processes that are killed after a random time, then once in peace. */
static void run_with_kills(uint64_t job_id)
{
	for (uint64_t instance = 1; instance <= KILLS && !has_ended(job_id); instance++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			work_until_killed(instance);
		usleep((useconds_t)(random() % (LONGEST_MS * 1000)));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		ok(kontor_job_leases_reclaim(conn, "test@here", instance + 1, &err));
	}
	run_to_the_end(job_id);
}

static void test_a_killed_import_ends_as_an_undisturbed_one(void **state)
{
	(void)state;
	size_t size;
	char *text = mixed_file(&size);
	struct answer sent = send_bytes(text, size, PIECE_LIMIT, 0);
	run_with_kills(sent.job_id);
	assert_state(sent.upload_id, "accepted");
	assert_int_equal(verdict_rows(sent.upload_id, "bad_row"), MIXED_BAD);
	assert_int_equal(verdict_rows(sent.upload_id, "duplicate_in_file"), MIXED_REPEATED);
	assert_int_equal(verdict_rows(sent.upload_id, "ok"), MIXED_GOOD);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item WHERE accepted = 1"), MIXED_GOOD);
	assert_int_equal(query_int("SELECT SUM(row_count) FROM upload_total"), MIXED_ROWS);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_reject"), MIXED_BAD + MIXED_REPEATED);
	free(text);
}

static int cancel_job_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_cancel(tx, *(uint64_t *)arg, e);
}

static void test_a_cancel_that_is_killed_still_leaves_no_row(void **state)
{
	(void)state;
	size_t size;
	char *text = mixed_file(&size);
	struct answer sent = send_bytes(text, size, PIECE_LIMIT, 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		work_until_killed(KILLS + 1);
	for (int i = 0; i < 200 && query_int("SELECT COUNT(*) FROM upload_total") == 0; i++)
		usleep(10000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ok(kontor_job_leases_reclaim(conn, "test@here", 0, &err));
	ok(kontor_db_transaction(conn, cancel_job_tx, &sent.job_id, &err));
	run_with_kills(sent.job_id);
	assert_state(sent.upload_id, "cancelled");
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_reject"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_total"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_killed_import_ends_as_an_undisturbed_one, reset),
		cmocka_unit_test_setup(test_a_cancel_that_is_killed_still_leaves_no_row, reset),
	};
#ifdef __SANITIZE_THREAD__
	/* After fork() it takes the child's threads for the parent's. integration/upload_kill has such kills, too. */
	print_message("not with the race checker\n");
	return 0;
#endif
	return cmocka_run_group_tests(tests, start, stop);
}
