/* SPDX-License-Identifier: Apache-2.0
 *
 * How many database sessions the steps of a lane may hold, and that each comes back, however it ended.
 */
#include "job_fixture.h"

#define WAIT_MS 5000 /* as in session_quota.c */

static struct kontor_session_quota *sessions;

/* Beside the one of each thread. */
static void share_sessions(unsigned shared)
{
	kontor_session_quota_free(sessions);
	sessions = kontor_session_quota_new(LANE, shared);
	assert_non_null(sessions);
}

static int begin(void **state)
{
	int rc = setup(state);
	share_sessions(1);
	script.chunks = 1;
	return rc;
}

static int end(void **state)
{
	sessions = kontor_session_quota_free(sessions);
	return teardown(state);
}

static unsigned most_held(void)
{
	unsigned held = 0, most = 0;
	kontor_session_quota_read(sessions, &held, &most);
	assert_int_equal(held, 0); /* no step runs any more */
	return most;
}

static kontor_job_runner *runner_with_quota(void)
{
	return new_runner_of(&(struct kontor_job_runner_options){
		.owner = "u@m", .instance = 1, .lease_ms = 600000, .sessions = sessions});
}

/* Runs one job of one chunk, by this function of the chunk, to its end; the most sessions that were held at once. */
static unsigned run_chunk(int (*chunk)(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e))
{
	script.chunk = chunk;
	submit(1, NULL);
	kontor_job_runner *runner = runner_with_quota();
	run_dry(runner, 30);
	kontor_job_runner_free(runner);
	return most_held();
}

/* The same of a chunk that takes a second session, and is done at once. */
static void run_chunk_of_two(int (*chunk)(struct script *s, kontor_job *job, kontor_chunk *chunk,
					  struct kontor_error *e))
{
	assert_int_equal(run_chunk(chunk), 2);
	assert_string_equal(info_of(1).state, "done");
	assert_int_equal(script.chunk_runs, 1);
}

/* ---- several threads ---- */

static atomic_int longest_wait_ms;

static int take_a_second_session(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	kontor_conn *second = NULL;
	int64_t before = kontor_monotonic_ms();
	int rc = kontor_db_acquire(db, &second, e);
	if (rc)
		return rc;
	int waited_ms = (int)(kontor_monotonic_ms() - before), held = ++s->flag;
	if (waited_ms > longest_wait_ms)
		longest_wait_ms = waited_ms;
	if (held > s->phase)
		s->phase = held;
	sleep_us(3000);
	s->flag--;
	kontor_db_release(second);
	return plain_chunk(s, job, chunk, e);
}

static void test_the_threads_of_a_lane_hold_no_more_sessions_than_it_may_have(void **state)
{
	(void)state;
	enum { THREADS = 4, SHARED = 2 };
	share_sessions(SHARED);
	script.chunks = 60;
	script.chunk = take_a_second_session;
	longest_wait_ms = 0;
	submit(1, NULL);
	kontor_job_runner *runners[THREADS];
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		runners[i] = runner_with_quota();
		pthread_create(&threads[i], NULL, step_until_finished, runners[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		kontor_job_runner_free(runners[i]);
	}
	assert_string_equal(info_of(1).state, "done");
	assert_int_equal(script.chunk_runs, 60); /* who had to wait for a session did so, and none was put back */
	assert_in_range(script.phase, 1, SHARED);
	assert_in_range(longest_wait_ms, 0, WAIT_MS - 1); /* woken when one came back, not by the time */
	assert_in_range(most_held(), THREADS, THREADS + SHARED);
}

/* ---- one thread ---- */

/* Here it needs a second session to look on, which it must not wait for. */
static int look_in_transaction(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	(void)tx;
	(void)e;
	int64_t before = kontor_monotonic_ms();
	assert_false(kontor_job_stopping(arg));
	assert_in_range(kontor_monotonic_ms() - before, 0, WAIT_MS - 1);
	return 0;
}

static int hold_all_sessions(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	kontor_conn *second = NULL, *third = NULL;
	struct kontor_error refusal = KONTOR_ERROR_INIT;
	ok(kontor_db_acquire(db, &second, &err));
	ok(kontor_db_transaction(kontor_job_db(job), look_in_transaction, job, &err));
	assert_int_equal(kontor_db_acquire(db, &third, &refusal), KONTOR_E_BUSY);
	assert_non_null(strstr(refusal.message, "lane " LANE));
	assert_null(third);
	kontor_db_release(second);
	ok(kontor_db_acquire(db, &second, &err));
	kontor_db_release(second);
	return plain_chunk(s, job, chunk, e);
}

static void test_who_finds_all_sessions_held_is_busy_after_a_while(void **state)
{
	(void)state;
	run_chunk_of_two(hold_all_sessions);
}

static int cancel_and_look(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	(void)s;
	(void)chunk;
	(void)e;
	ok(kontor_db_transaction(conn, tx_cancel, &(uint64_t){kontor_job_id(job)}, &err));
	for (int looks = 0; looks < 6000 && !kontor_job_stopping(job); looks++)
		sleep_us(5000);
	assert_true(kontor_job_stopping(job));
	return KONTOR_JOB_STOPPED;
}

/* Between statements a step looks on its own session, so a lane needs no more of them than it has threads. */
static void test_a_cancel_is_noticed_where_a_thread_has_one_session(void **state)
{
	(void)state;
	share_sessions(0);
	assert_int_equal(run_chunk(cancel_and_look), 1);
	assert_string_equal(info_of(1).state, "cancelled");
}

static int lose_sessions(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	for (int i = 0; i < 3; i++) {
		kontor_conn *second = NULL;
		struct kontor_error ignored = KONTOR_ERROR_INIT;
		ok(kontor_db_acquire(db, &second, &err));
		kontor_db_exec(second, "KILL CONNECTION CONNECTION_ID()", KONTOR_NO_PARAMS, NULL, &ignored);
		kontor_db_release(second);
	}
	return plain_chunk(s, job, chunk, e);
}

static void test_a_session_that_is_lost_counts_no_more(void **state)
{
	(void)state;
	run_chunk_of_two(lose_sessions);
}

static int connect_in_vain(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	kontor_conn *second = NULL;
	struct kontor_error ignored = KONTOR_ERROR_INIT;
	unlink(door);
	for (int i = 0; i < 3; i++)
		assert_int_equal(kontor_db_acquire(db, &second, &ignored), KONTOR_E_UNAVAILABLE);
	open_door();
	ok(kontor_db_acquire(db, &second, &err));
	kontor_db_release(second);
	return plain_chunk(s, job, chunk, e);
}

static void test_a_session_that_could_not_be_opened_counts_not(void **state)
{
	(void)state;
	kontor_db *main_db = go_through_a_door();
	run_chunk_of_two(connect_in_vain);
	unlink(door);
	kontor_db_close(db);
	db = main_db;
}

#define sessions_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sessions_test(test_the_threads_of_a_lane_hold_no_more_sessions_than_it_may_have),
		sessions_test(test_who_finds_all_sessions_held_is_busy_after_a_while),
		sessions_test(test_a_cancel_is_noticed_where_a_thread_has_one_session),
		sessions_test(test_a_session_that_is_lost_counts_no_more),
		sessions_test(test_a_session_that_could_not_be_opened_counts_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
