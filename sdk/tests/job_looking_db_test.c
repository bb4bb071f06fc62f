/* SPDX-License-Identifier: Apache-2.0
 *
 * What people see of jobs: lists, speed, and how long they are kept.
 */
#include "job_fixture.h"

#define cancel(job_id) kontor_db_transaction(conn, tx_cancel, &(uint64_t){job_id}, &err)

static int count_info(void *arg, const struct kontor_job_info *info, struct kontor_error *e)
{
	(void)e;
	uint64_t *sum = arg;
	*sum = *sum * 100 + info->job_id;
	return 0;
}

static void test_jobs_are_listed_newest_first(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 5; id++)
		submit(id, NULL);
	ok(cancel(3));
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	run_dry(runner, 30);
	uint64_t listed = 0;
	ok(kontor_job_list(conn, NULL, NULL, 0, 3, count_info, &listed, &err));
	assert_int_equal(listed, 50403);
	listed = 0;
	ok(kontor_job_list(conn, "done", "test.sum", 5, 10, count_info, &listed, &err));
	assert_int_equal(listed, 40201);
	listed = 0;
	ok(kontor_job_list(conn, NULL, "other.kind", 0, 10, count_info, &listed, &err));
	assert_int_equal(listed, 0);
	kontor_job_runner_free(runner);
}

static void test_jobs_are_found_by_lane_user_state_and_whether_they_have_ended(void **state)
{
	(void)state;
	submit_as("ada", 1, NULL);
	submit_as("bob", 2, NULL);
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	run_dry(runner, 30);
	submit_as("ada", 3, NULL);
	submit_as("bob", 4, NULL);
	exec("UPDATE job SET lane = 'other' WHERE job_id = 4");
	const struct {
		struct kontor_job_filter filter;
		uint64_t found;
	} searches[] = {
		{{.limit = 9}, 4030201},
		{{.limit = 2, .before = 4}, 302},
		{{.limit = 9, .which = JOBS_OPEN}, 403},
		{{.limit = 9, .which = JOBS_ENDED}, 201},
		{{.limit = 9, .user = "ada"}, 301},
		{{.limit = 9, .which = JOBS_OPEN, .lane = LANE}, 3},
		{{.limit = 9, .state = "done", .user = "bob"}, 2},
		{{.limit = 9, .state = "done", .which = JOBS_OPEN}, 0},
		{{.limit = 9,
		  .state = "queued",
		  .kind = "test.sum",
		  .lane = "other",
		  .user = "bob",
		  .which = JOBS_OPEN},
		 4},
	};
	for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++) {
		uint64_t found = 0;
		ok(kontor_job_search(conn, &searches[i].filter, count_info, &found, &err));
		assert_int_equal(found, searches[i].found);
	}
	assert_int_equal(info_of(1).done, 8); /* of one that has ended, without its chunks too */
	exec("DELETE FROM job_chunk");
	assert_int_equal(info_of(1).done, 8);
	kontor_job_runner_free(runner);
}

static void test_the_speed_is_that_of_the_last_half_minute_whatever_was_before(void **state)
{
	(void)state;
	uint64_t speed = 99;
	submit(1, NULL);
	ok(kontor_job_speed(conn, 1, &speed, &err));
	assert_int_equal(speed, 0);
	/* An hour ago a fast chunk and a retry that waited; now ten chunks of 100 in the last ten seconds, and one that
	 * took a minute for 600: half of it lies in the half minute. */
	exec("INSERT INTO job_chunk(job_id, chunk_no, state, done, begun_done, begun_ms, moved_ms) SELECT 1, seq, "
	     "'done', "
	     "IF(seq = 0, 50000, 100), 0, n.now - IF(seq = 0, 3600000, 1000 * (11 - seq)), "
	     "n.now - IF(seq = 0, 3599000, 1000 * (10 - seq)) "
	     "FROM seq_0_to_10, (SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now) n");
	ok(kontor_job_speed(conn, 1, &speed, &err));
	assert_in_range(speed, 20, 100); /* 100 a second, less for what the statements took */
	exec("INSERT INTO job_chunk(job_id, chunk_no, state, done, begun_done, begun_ms, moved_ms) SELECT 1, 20, "
	     "'running', "
	     "700, 100, n.now - 60000, n.now FROM (SELECT MAX(moved_ms) AS now FROM job_chunk) n");
	ok(kontor_job_speed(conn, 1, &speed, &err));
	assert_in_range(speed, 20, 43); /* 1300 in half a minute */
	exec("UPDATE job_chunk SET begun_ms = begun_ms - 7200000, moved_ms = moved_ms - 7200000");
	ok(kontor_job_speed(conn, 1, &speed, &err));
	assert_int_equal(speed, 0); /* it has not moved for two hours */
}

static void test_history_is_kept_for_its_time_and_goes_as_a_whole(void **state)
{
	(void)state;
	const int64_t day_ms = 86400000;
	uint64_t jobs = 99;
	script.chunks = 4;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	for (uint64_t id = 1; id <= 3; id++)
		submit(id, NULL);
	run_dry(runner, 30);
	exec("INSERT INTO job_output (job_id, chunk_no, piece, plain_bytes, data) SELECT j.job_id, 0, seq, 1, 'x' FROM "
	     "job j, "
	     "seq_0_to_139");
	exec("INSERT INTO job_chunk (job_id, chunk_no, state) SELECT 1, seq, 'done' FROM seq_10_to_2510");
	exec("UPDATE job SET finished_ms = finished_ms - job_id * 86400000 WHERE job_id < 3"); /* one day, two days,
												  today */
	submit(4, NULL);
	exec("UPDATE job SET created_ms = 1 WHERE job_id = 4"); /* old, but it has not ended */
	ok(kontor_jobs_expire(conn, 3 * day_ms, INT64_MAX, &jobs, &err));
	assert_int_equal(jobs, 0);
	ok(kontor_jobs_expire(conn, day_ms / 2, kontor_monotonic_ms(), &jobs, &err)); /* no time */
	assert_int_equal(query_int("SELECT COUNT(*) FROM job"), 4);
	ok(kontor_job_outputs_expire(conn, day_ms + day_ms / 2, INT64_MAX, &jobs, &err));
	assert_int_equal(jobs, 1);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_output WHERE job_id <> 2"), 280);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_output"), 280);
	ok(kontor_jobs_expire(conn, day_ms / 2, INT64_MAX, &jobs, &err));
	assert_int_equal(jobs, 2);
	assert_int_equal(query_int("SELECT SUM(job_id) FROM job"), 7);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk WHERE job_id NOT IN (SELECT job_id FROM job)"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_output WHERE job_id <> 3"), 0);
	ok(kontor_jobs_expire(conn, day_ms / 2, INT64_MAX, &jobs, &err)); /* again: nothing */
	assert_int_equal(jobs, 0);
	assert_int_equal(info_of(3).done, 8);
	kontor_job_runner_free(runner);
}

static void *expire_all(void *arg)
{
	struct kontor_error e = KONTOR_ERROR_INIT;
	kontor_conn *own = NULL;
	(void)arg;
	uint64_t jobs = 0;
	int rc = kontor_db_acquire(db, &own, &e);
	if (!rc)
		rc = kontor_jobs_expire(own, 1000, INT64_MAX, &jobs, &e);
	kontor_db_release(own);
	return (void *)(intptr_t)rc;
}

static int tx_retry_beside_expiry(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	(void)e;
	exec("UPDATE job SET finished_ms = 0, stage = 'plan', state = 'queued'");
	assert_int_equal(pthread_create(arg, NULL, expire_all, NULL), 0);
	assert_true(test_database_wait_for_a_waiter(tx));
	return 0;
}

static void test_a_job_that_begins_again_while_it_is_looked_at_stays(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	pthread_t thread;
	void *rc = NULL;
	submit(1, NULL);
	run_dry(runner, 30);
	exec("UPDATE job SET finished_ms = finished_ms - 86400000");
	ok(kontor_db_transaction(conn, tx_retry_beside_expiry, &thread, &err));
	pthread_join(thread, &rc);
	assert_int_equal((intptr_t)rc, 0);
	assert_string_equal(info_of(1).state, "queued");
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk"), script.chunks);
	kontor_job_runner_free(runner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_jobs_are_listed_newest_first),
		test(test_jobs_are_found_by_lane_user_state_and_whether_they_have_ended),
		test(test_the_speed_is_that_of_the_last_half_minute_whatever_was_before),
		test(test_history_is_kept_for_its_time_and_goes_as_a_whole),
		test(test_a_job_that_begins_again_while_it_is_looked_at_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
