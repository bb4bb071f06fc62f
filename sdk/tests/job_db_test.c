/* SPDX-License-Identifier: Apache-2.0 */
#include "job_fixture.h"

static int tx_wake(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_wake(tx, *(uint64_t *)arg, e);
}

#define cancel(job_id) kontor_db_transaction(conn, tx_cancel, &(uint64_t){job_id}, &err)
#define wake(job_id) kontor_db_transaction(conn, tx_wake, &(uint64_t){job_id}, &err)

static void assert_state(uint64_t job_id, const char *state)
{
	struct kontor_job_info info = info_of(job_id);
	if (strcmp(info.state, state) != 0)
		fail_msg("job is %s (%d %s), not %s", info.state, info.error_code, info.error, state);
}

static void test_a_job_runs_from_plan_to_finish(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(5, NULL);
	struct kontor_job_info info = info_of(5);
	assert_string_equal(info.state, "queued");
	assert_int_equal(info.started_ms, 0);
	run_dry(runner, 30);
	info = info_of(5);
	assert_string_equal(info.state, "done");
	assert_string_equal(info.kind, "test.sum");
	assert_string_equal(info.region, "SG");
	assert_string_equal(info.user, "ada");
	assert_int_equal(info.done, 8);
	assert_int_equal(info.total, 8);
	assert_true(info.started_ms >= info.created_ms && info.finished_ms >= info.started_ms);
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 8);
	assert_int_equal(query_int("SELECT total FROM finished"), 20);
	kontor_body *result = NULL;
	ok(kontor_job_result(conn, 5, &result, &err));
	assert_true(kontor_get_bool(kontor_body_map(result), "ok", false));
	kontor_body_free(result);
	assert_int_equal(script.undos, 0);
	assert_int_equal(kontor_job_get(conn, 6, &info, &err), KONTOR_E_NOT_FOUND);
	kontor_job_runner_free(runner);
}

static void test_a_job_without_chunks_goes_straight_to_finish(void **state)
{
	(void)state;
	script.chunks = 0;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	run_dry(runner, 30);
	assert_state(1, "done");
	assert_int_equal(query_int("SELECT COUNT(*) FROM finished"), 1);
	kontor_job_runner_free(runner);
}

static void test_several_threads_share_the_chunks_of_one_job(void **state)
{
	(void)state;
	enum { THREADS = 4 };
	script.chunks = 200;
	script.pause_us = 500;
	submit(1, NULL);
	kontor_job_runner *runners[THREADS];
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		runners[i] = new_runner("u@m", 1, 15000);
		pthread_create(&threads[i], NULL, step_until_finished, runners[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		void *steps = NULL;
		pthread_join(threads[i], &steps);
		assert_in_range((intptr_t)steps, 1, 200); /* each had its share */
		kontor_job_runner_free(runners[i]);
	}
	assert_state(1, "done");
	assert_int_equal(script.chunk_runs, 200);
	assert_int_equal(script.finishes, 1);
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 400);
	assert_int_equal(query_int("SELECT COUNT(*) FROM finished WHERE total = 1000"), 1);
}

static void test_older_jobs_go_first_and_foreign_kinds_are_left_alone(void **state)
{
	(void)state;
	submit(10, NULL);
	exec("UPDATE job SET kind = 'foreign.kind' WHERE job_id = 10");
	for (uint64_t id = 11; id <= 13; id++)
		submit(id, NULL);
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	run_dry(runner, 30);
	assert_state(10, "queued");
	assert_int_equal(query_int("SELECT GROUP_CONCAT(job_id ORDER BY id SEPARATOR '') = '111213' FROM finished"), 1);
	kontor_job_runner_free(runner);
}

static void test_a_unique_key_is_free_again_when_its_job_has_ended(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, "close:SG");
	uint64_t job_id = 0;
	ok(kontor_job_by_key(conn, "close:SG", &job_id, &err));
	assert_int_equal(job_id, 1);
	struct kontor_job_new second = {.job_id = 2, .kind = "test.sum", .lane = LANE, .unique_key = "close:SG"};
	assert_int_equal(kontor_db_transaction(conn, tx_submit, &second, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "close:SG"));
	run_dry(runner, 30);
	assert_int_equal(kontor_job_by_key(conn, "close:SG", &job_id, &err), KONTOR_E_NOT_FOUND);
	submit(3, "close:SG");
	run_dry(runner, 30);
	assert_state(3, "done");
	kontor_job_runner_free(runner);
}

static int fail_in_chunk_2(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (kontor_chunk_no(chunk) == 2 && !s->flag)
		return kontor_fail(e, KONTOR_E_CONFLICT, "shop 7 has two accounts");
	return plain_chunk(s, job, chunk, e);
}

static int remember_undo_reason(struct script *s, kontor_job *job, struct kontor_error *e)
{
	if (!strcmp(kontor_job_undo_reason(job), "shop 7 has two accounts"))
		s->phase = kontor_job_undo_code(job);
	return plain_undo(s, job, e);
}

static void test_a_final_failure_is_undone_and_can_be_retried(void **state)
{
	(void)state;
	script.chunk = fail_in_chunk_2;
	script.undo = remember_undo_reason;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, "run:SG");
	run_dry(runner, 30);
	struct kontor_job_info info = info_of(1);
	assert_string_equal(info.state, "failed");
	assert_string_equal(info.error, "shop 7 has two accounts");
	assert_int_equal(info.error_code, KONTOR_E_CONFLICT);
	assert_int_equal(script.phase, KONTOR_E_CONFLICT);
	assert_int_equal(script.undos, 1);
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 0);
	assert_int_equal(cancel(1), KONTOR_E_CONFLICT);

	submit(2, "run:SG"); /* the key was free; now the first one cannot come back */
	assert_int_equal(retry(1), KONTOR_E_CONFLICT);
	ok(cancel(2));
	run_dry(runner, 30);
	assert_int_equal(retry(2), KONTOR_E_CONFLICT); /* cancelled jobs stay so */

	script.flag = 1;
	ok(retry(1));
	assert_state(1, "queued");
	run_dry(runner, 30);
	assert_state(1, "done");
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect WHERE job_id = 1"), 8);
	assert_int_equal(query_int("SELECT COUNT(*) FROM finished WHERE job_id = 1 AND total = 20"), 1);
	assert_int_equal(retry(1), KONTOR_E_CONFLICT);
	kontor_job_runner_free(runner);
}

static int fail_by_will(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	(void)s;
	(void)chunk;
	return kontor_job_fail(job, e, KONTOR_E_STORAGE, "control totals differ: %d", 7);
}

static void test_a_step_may_fail_the_job_with_any_code(void **state)
{
	(void)state;
	script.chunk = fail_by_will;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	run_dry(runner, 30);
	struct kontor_job_info info = info_of(1);
	assert_string_equal(info.state, "failed");
	assert_int_equal(info.error_code, KONTOR_E_STORAGE);
	assert_string_equal(info.error, "control totals differ: 7");
	assert_int_equal(script.chunk_runs, 1);
	kontor_job_runner_free(runner);
}

/* Fails after its checkpoint in the same transaction: no progress was committed. */
static int tx_checkpoint_then_fail(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	int rc = tx_first_half(tx, arg, e);
	return rc ? rc : kontor_fail(e, KONTOR_E_STORAGE, "the disk is \xff full");
}

static int fail_always(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	struct step_arg arg = {.script = s, .job = job, .chunk = chunk};
	return kontor_db_transaction(kontor_job_db(job), tx_checkpoint_then_fail, &arg, e);
}

static void test_retries_used_up_make_a_dead_job(void **state)
{
	(void)state;
	script.chunks = 1;
	script.chunk = fail_always;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	run_dry(runner, 900); /* two back-offs: at most 0.2 and 0.4 s */
	struct kontor_job_info info = info_of(1);
	assert_string_equal(info.state, "dead");
	assert_int_equal(script.chunk_runs, 3);
	assert_int_equal(script.undos, 1);
	/* Even bytes that are no UTF-8 end up readable. */
	assert_string_equal(info.error,
			    "chunk 0 failed 3 times in a row, at last with: the disk is ? full; mend that, then: "
			    "kontor jobs retry 1");
	script.chunk = plain_chunk;
	ok(retry(1));
	run_dry(runner, 30);
	assert_state(1, "done");
	kontor_job_runner_free(runner);
}

static void assert_waits_with(const char *reason)
{
	struct kontor_job_info info = info_of(1);
	assert_string_equal(info.state, "waiting");
	assert_non_null(strstr(info.error, reason));
	ok(wake(1));
}

/* Three tries would be enough; but whoever has to mend it needs time to see it. */
static void test_a_step_that_has_not_failed_for_long_is_tried_again(void **state)
{
	(void)state;
	script.chunks = 1;
	script.chunk = fail_always;
	kontor_job_runner *runner = new_runner_of(&(struct kontor_job_runner_options){
		.owner = "u@m", .instance = 1, .lease_ms = 15000, .patience_ms = 600000});
	submit(1, NULL);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk WHERE attempts > 0"), i > 0);
		while (kontor_job_runner_step(runner, &err) == 1)
			;
		assert_waits_with("the disk is");
	}
	exec("UPDATE job_chunk SET failing_since_ms = failing_since_ms - 300000");
	run_dry(runner, 0);
	assert_waits_with("the disk is");
	exec("UPDATE job_chunk SET failing_since_ms = failing_since_ms - 300000");
	run_dry(runner, 0);
	assert_state(1, "dead");
	kontor_job_runner_free(runner);
}

static int wait_once(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (s->flag++ == 0)
		return kontor_job_wait(job, 60000, "waits for the bank");
	return plain_chunk(s, job, chunk, e);
}

/* Each try fails behind its first half, which is committed by the fourth. */
static int fail_behind_progress(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	struct step_arg arg = {.script = s, .job = job, .chunk = chunk};
	if (s->flag++ == 3)
		ok(kontor_db_transaction(kontor_job_db(job), tx_first_half, &arg, e));
	return kontor_fail(e, KONTOR_E_STORAGE, "on purpose");
}

static void test_progress_and_waiting_begin_the_count_of_failures_anew(void **state)
{
	(void)state;
	script.chunks = 1;
	script.chunk = fail_behind_progress;
	kontor_job_runner *runner = new_runner_of(&(struct kontor_job_runner_options){
		.owner = "u@m", .instance = 1, .lease_ms = 15000, .patience_ms = 600000});
	submit(1, NULL);
	assert_int_equal(kontor_job_runner_step(runner, &err), 1); /* plan */
	for (int i = 0; i < 6; i++) {
		assert_int_equal(kontor_job_runner_step(runner, &err), 1);
		assert_waits_with("on purpose");
		if (script.flag < 4) /* an hour passes until the progress, none after it */
			exec("UPDATE job_chunk SET failing_since_ms = failing_since_ms - 3600000, attempts = 1");
	}
	script.chunk = wait_once;
	script.flag = 0;
	run_dry(runner, 0);
	assert_waits_with("waits for the bank");
	assert_int_equal(query_int("SELECT attempts FROM job_chunk"), 0);
	run_dry(runner, 30);
	assert_state(1, "done");
	kontor_job_runner_free(runner);
}

static int away_twice(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (s->flag++ < 10)
		return kontor_fail(e, KONTOR_E_UNAVAILABLE, "idgen does not answer");
	return plain_chunk(s, job, chunk, e);
}

static void test_something_that_is_away_never_kills_a_job(void **state)
{
	(void)state;
	script.chunks = 1;
	script.chunk = away_twice;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	for (int i = 0; i < 10; i++) {
		run_dry(runner, 20);
		struct kontor_job_info info = info_of(1);
		if (!strcmp(info.state, "done"))
			break;
		assert_string_equal(info.state, "waiting");
		assert_string_equal(info.error, "idgen does not answer");
		ok(wake(1));
	}
	run_dry(runner, 20);
	assert_state(1, "done");
	assert_int_equal(script.chunk_runs, 11);
	kontor_job_runner_free(runner);
}

static int wait_for_approval(struct script *s, kontor_job *job, struct kontor_error *e)
{
	if (s->flag == 2)
		ok(wake(kontor_job_id(
			job))); /* the decision comes after the look, but before the step has gone to sleep */
	if (s->flag++ < 3)
		return kontor_job_wait(job, 60000, "waits for %d approvals", 2);
	return plain_finish(s, job, e);
}

static void test_a_waiting_job_says_why_and_looks_again_when_woken(void **state)
{
	(void)state;
	script.finish = wait_for_approval;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	for (int looks = 1; looks <= 2; looks++) {
		run_dry(runner, 60);
		struct kontor_job_info info = info_of(1);
		assert_string_equal(info.state, "waiting");
		assert_string_equal(info.error, "waits for 2 approvals");
		assert_true(info.run_at_ms > kontor_now_ms() + 30000);
		assert_int_equal(script.finishes, looks);
		ok(wake(1));
	}
	run_dry(runner, 60); /* the third look is overtaken by its wake: it must not sleep for a minute */
	assert_int_equal(script.finishes, 4);
	assert_state(1, "done");
	kontor_job_runner_free(runner);
}

static int wait_in_chunk(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (kontor_chunk_no(chunk) == 1 && !s->flag)
		return kontor_job_wait(job, 60000, "waits for the bank");
	return plain_chunk(s, job, chunk, e);
}

static void test_a_waiting_chunk_lets_the_others_run(void **state)
{
	(void)state;
	script.chunk = wait_in_chunk;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	run_dry(runner, 60);
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 6);
	assert_int_equal(info_of(1).done, 6);
	script.flag = 1;
	ok(wake(1));
	run_dry(runner, 60);
	assert_state(1, "done");
	kontor_job_runner_free(runner);
}

static int cancel_in_chunk_2(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (kontor_chunk_no(chunk) == 2) {
		assert_false(kontor_job_stopping(job));
		ok(cancel(kontor_job_id(job)));
		assert_true(info_of(kontor_job_id(job)).cancelling);
		for (int looks = 0; looks < 6000 && !kontor_job_stopping(job); looks++)
			sleep_us(5000);
		assert_true(kontor_job_stopping(job));
		return KONTOR_JOB_STOPPED;
	}
	return plain_chunk(s, job, chunk, e);
}

static void test_a_cancel_half_way_is_undone(void **state)
{
	(void)state;
	script.chunk = cancel_in_chunk_2;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, "key");
	run_dry(runner, 60);
	struct kontor_job_info info = info_of(1);
	assert_string_equal(info.state, "cancelled");
	assert_int_equal(info.error_code, 0);
	assert_string_equal(info.error, "");
	assert_false(info.cancelling);
	assert_int_equal(script.undos, 1);
	assert_int_equal(script.finishes, 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 0);
	assert_int_equal(cancel(1), KONTOR_E_CONFLICT);
	submit(2, "key");
	ok(cancel(2)); /* before it ever ran: its undo runs all the same, for what the submitter did */
	run_dry(runner, 60);
	assert_state(2, "cancelled");
	assert_int_equal(script.undos, 2);
	assert_int_equal(cancel(77), KONTOR_E_NOT_FOUND);
	kontor_job_runner_free(runner);
}

static int cancel_then_finish(struct script *s, kontor_job *job, struct kontor_error *e)
{
	ok(cancel(kontor_job_id(job)));
	return plain_finish(s, job, e);
}

static void test_a_cancel_before_the_commit_of_finish_wins(void **state)
{
	(void)state;
	script.finish = cancel_then_finish;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	run_dry(runner, 60);
	assert_state(1, "cancelled");
	assert_int_equal(query_int("SELECT COUNT(*) FROM finished"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 0);
	kontor_job_runner_free(runner);
}

static int stop_because_of_drain(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	(void)s;
	(void)chunk;
	(void)e;
	kontor_host_set_draining(host);
	return kontor_job_stopping(job) ? KONTOR_JOB_STOPPED : KONTOR_E_INTERNAL;
}

static void test_a_drain_gives_the_step_back_at_once(void **state)
{
	(void)state;
	script.chunk = stop_because_of_drain;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	run_dry(runner, 30);
	assert_int_equal(script.chunk_runs, 1);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk WHERE state = 'queued' AND lease_until_ms = 0 AND "
				   "attempts = 0 AND "
				   "losses = 0 AND owner = ''"),
			 4);
	kontor_job_runner_free(runner);
	host = kontor_host_free(host); /* the next process */
	open_host();
	script.chunk = plain_chunk;
	runner = new_runner("u@m", 2, 15000);
	run_dry(runner, 30);
	assert_state(1, "done");
	kontor_job_runner_free(runner);
}

static int forget_to_conclude(struct script *s, kontor_job *job, struct kontor_error *e)
{
	(void)s;
	(void)job;
	(void)e;
	return 0;
}

static int leave_a_stream_open(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	static kontor_rows *forgotten;
	(void)s;
	(void)chunk;
	int rc = kontor_db_query(kontor_job_db(job), KONTOR_READ_STREAM, "SELECT seq FROM seq_1_to_100",
				 KONTOR_NO_PARAMS, &forgotten, e);
	return rc ? rc : kontor_fail(e, KONTOR_E_BAD_REQUEST, "left in a hurry");
}

static void test_faulty_kinds_fail_their_job_with_their_name(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	script.finish = forget_to_conclude;
	submit(1, NULL);
	run_dry(runner, 30);
	struct kontor_job_info info = info_of(1);
	assert_string_equal(info.state, "failed");
	assert_int_equal(info.error_code, KONTOR_E_INTERNAL);
	assert_non_null(strstr(info.error, "test.sum"));
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 0);
#ifndef KONTOR_SANITIZED /* the kind leaks its result */
	reset_script();
	script.chunk = leave_a_stream_open;
	submit(2, NULL);
	run_dry(runner, 30);
	assert_state(2, "failed");
#else
	(void)leave_a_stream_open;
#endif
	kontor_job_runner_free(runner);
}

static int fail_undo_twice(struct script *s, kontor_job *job, struct kontor_error *e)
{
	return s->undos < 6 ? kontor_fail(e, KONTOR_E_BAD_REQUEST, "not yet") : plain_undo(s, job, e);
}

static void test_an_undo_is_tried_until_it_succeeds(void **state)
{
	(void)state;
	script.chunk = fail_in_chunk_2;
	script.undo = fail_undo_twice;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	for (int i = 0; i < 6; i++) {
		run_dry(runner, 20);
		ok(wake(1));
	}
	run_dry(runner, 20);
	struct kontor_job_info info = info_of(1);
	assert_string_equal(info.state, "failed");
	assert_string_equal(info.error, "shop 7 has two accounts"); /* what failed first, not what the undo met */
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 0);
	kontor_job_runner_free(runner);
}

static void test_a_step_that_kills_its_process_again_and_again_ends_dead(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 2, 15000);
	submit(1, NULL);
	exec("UPDATE job SET owner = 'u@m', instance = 1, losses = 50");
	run_dry(runner, 30);
	struct kontor_job_info info = info_of(1);
	assert_string_equal(info.state, "dead");
	assert_non_null(strstr(info.error, "plan failed 51 times in a row, at last with: the process"));
	ok(retry(1));
	run_dry(runner, 30);
	assert_state(1, "done");
	assert_int_equal(script.plans, 1);
	kontor_job_runner_free(runner);
}

static void *wake_soon(void *arg)
{
	(void)arg;
	sleep_us(50000);
	kontor_job_lane_wake(LANE);
	return NULL;
}

static void test_a_sleeping_lane_wakes_when_told(void **state)
{
	(void)state;
	kontor_job_lane_wait(LANE, 0); /* takes note of what was committed since the last look */
	int64_t before = kontor_monotonic_ms();
	kontor_job_lane_wait(LANE, 60);
	assert_in_range(kontor_monotonic_ms() - before, 59, 400);
	pthread_t thread;
	pthread_create(&thread, NULL, wake_soon, NULL);
	before = kontor_monotonic_ms();
	kontor_job_lane_wait(LANE, 20000);
	assert_in_range(kontor_monotonic_ms() - before, 40, 5000);
	pthread_join(thread, NULL);
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	assert_int_equal(kontor_job_runner_step(runner, &err), 0); /* a look that finds nothing */
	submit(1, NULL);
	before = kontor_monotonic_ms();
	kontor_job_lane_wait(LANE, 20000); /* does not sleep through what was committed since */
	assert_in_range(kontor_monotonic_ms() - before, 0, 5000);
	kontor_job_runner_free(runner);
}

static atomic_int announced;

static void note_announcement(void *arg, const char *lane)
{
	assert_ptr_equal(arg, &announced);
	announced += lane ? !strcmp(lane, LANE) : 100;
}

static int tx_submit_and_fail(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	int rc = kontor_job_submit(tx, arg, e);
	assert_int_equal(announced, 0); /* nobody is told before the commit */
	return rc ? rc : kontor_fail(e, KONTOR_E_CONFLICT, "no");
}

static void test_new_work_is_announced_after_its_commit(void **state)
{
	(void)state;
	announced = 0;
	kontor_job_lane_announce(note_announcement, &announced);
	struct kontor_job_new job = {.job_id = 1, .kind = "test.sum", .lane = LANE};
	assert_int_equal(kontor_db_transaction(conn, tx_submit_and_fail, &job, &err), KONTOR_E_CONFLICT);
	assert_int_equal(announced, 0);
	submit(1, NULL);
	assert_int_equal(announced, 1);
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	assert_int_equal(kontor_job_runner_step(runner, &err), 1);
	assert_int_equal(announced, 2); /* its plan has made chunks */
	run_dry(runner, 30);
	assert_int_equal(announced, 2);
	submit(2, NULL);
	ok(wake(2)); /* in whatever lane it is */
	assert_int_equal(announced, 103);
	ok(cancel(2));
	assert_int_equal(announced, 104);
	kontor_job_lane_announce(NULL, NULL);
	kontor_job_runner_free(runner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_a_job_runs_from_plan_to_finish),
		test(test_a_job_without_chunks_goes_straight_to_finish),
		test(test_several_threads_share_the_chunks_of_one_job),
		test(test_older_jobs_go_first_and_foreign_kinds_are_left_alone),
		test(test_a_unique_key_is_free_again_when_its_job_has_ended),
		test(test_a_final_failure_is_undone_and_can_be_retried),
		test(test_a_step_may_fail_the_job_with_any_code),
		test(test_retries_used_up_make_a_dead_job),
		test(test_a_step_that_has_not_failed_for_long_is_tried_again),
		test(test_progress_and_waiting_begin_the_count_of_failures_anew),
		test(test_something_that_is_away_never_kills_a_job),
		test(test_a_waiting_job_says_why_and_looks_again_when_woken),
		test(test_a_waiting_chunk_lets_the_others_run),
		test(test_a_cancel_half_way_is_undone),
		test(test_a_cancel_before_the_commit_of_finish_wins),
		test(test_a_drain_gives_the_step_back_at_once),
		test(test_faulty_kinds_fail_their_job_with_their_name),
		test(test_an_undo_is_tried_until_it_succeeds),
		test(test_a_step_that_kills_its_process_again_and_again_ends_dead),
		test(test_a_sleeping_lane_wakes_when_told),
		test(test_new_work_is_announced_after_its_commit),
	};
	return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
