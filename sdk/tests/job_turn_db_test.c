/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose turn it is in a lane: users one after the other, a user's jobs in their order, a job's chunks by number.
 */
#include "job_fixture.h"

#define SEQUENCE_LIMIT 4096

/* What ran, in order: "job.chunk" of each chunk's run. */
static char sequence[SEQUENCE_LIMIT];

static int note_chunk(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	size_t length = strlen(sequence);
	snprintf(sequence + length, sizeof(sequence) - length, "%s%d.%u", length ? " " : "", (int)kontor_job_id(job),
		 kontor_chunk_no(chunk));
	return plain_chunk(s, job, chunk, e);
}

static void steps(kontor_job_runner *runner, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (kontor_job_runner_step(runner, &err) != 1)
			fail_msg("step %u found nothing to do: %s", i, err.message);
}

static int begin(void **state)
{
	int rc = setup(state);
	sequence[0] = '\0';
	script.chunk = note_chunk;
	return rc;
}

static void test_a_small_job_of_another_user_runs_within_two_steps_of_a_big_one(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	script.chunks = 500;
	submit_as("ada", 1, NULL);
	steps(runner, 10); /* the plan and nine chunks */
	script.chunks = 1;
	submit_as("bob", 2, NULL);
	for (int step = 1; step <= 3; step++) { /* plan, chunk, finish: each within two steps */
		uint64_t epochs = (uint64_t)query_int("SELECT epoch FROM job WHERE job_id = 2");
		int64_t done = query_int("SELECT COUNT(*) FROM job_chunk WHERE job_id = 2 AND state = 'done'");
		steps(runner, 2);
		assert_true((uint64_t)query_int("SELECT epoch FROM job WHERE job_id = 2") > epochs ||
			    query_int("SELECT COUNT(*) FROM job_chunk WHERE job_id = 2 AND state = 'done'") > done);
	}
	assert_string_equal(info_of(2).state, "done");
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk WHERE job_id = 1 AND state = 'done'"), 12);
	kontor_job_runner_free(runner);
}

static void test_three_users_are_served_in_turn_one_of_them_without_a_name(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	script.chunks = 4;
	submit_as("bob", 1, NULL);
	submit_as("ada", 2, NULL);
	submit_as("", 3, NULL);
	run_dry(runner, 30);
	/* Each round serves each once; where it begins depends on who was served before this test. */
	const char *rounds[4] = {strstr(sequence, ".0"), strstr(sequence, ".1"), strstr(sequence, ".2"),
				 strstr(sequence, ".3")};
	for (int i = 0; i < 4; i++) {
		int jobs = 0;
		for (int k = 0; k < 3; k++)
			jobs |= 1 << (rounds[i][4 * k - 1] - '0');
		assert_int_equal(jobs, 1 << 1 | 1 << 2 | 1 << 3);
	}
	assert_int_equal(query_int("SELECT COUNT(*) FROM finished"), 3);
	kontor_job_runner_free(runner);
}

static void test_the_jobs_of_one_user_run_in_their_order(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	script.chunks = 2;
	for (uint64_t id = 1; id <= 3; id++)
		submit_as("ada", id, NULL);
	exec("UPDATE job SET created_ms = created_ms - 60000 WHERE job_id = 3"); /* ids of several units come in any
										    order */
	run_dry(runner, 30);
	assert_string_equal(sequence, "3.0 3.1 1.0 1.1 2.0 2.1");
	kontor_job_runner_free(runner);
}

static void test_a_chunk_that_had_to_wait_comes_behind_the_others(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	script.chunks = 4;
	submit_as("ada", 1, NULL);
	steps(runner, 1);                                                 /* the plan */
	exec("UPDATE job_chunk SET run_at_ms = 1000 WHERE chunk_no = 1"); /* its time has come long ago */
	run_dry(runner, 30);
	assert_string_equal(sequence, "1.0 1.2 1.3 1.1");
	kontor_job_runner_free(runner);
}

static int wait_in_chunk_0(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (kontor_job_id(job) == 1 && kontor_chunk_no(chunk) == 0)
		return kontor_job_wait(job, 60000, "waits for the bank");
	return note_chunk(s, job, chunk, e);
}

static void test_a_job_that_waits_holds_up_neither_its_user_nor_others(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	script.chunks = 2;
	script.chunk = wait_in_chunk_0;
	submit_as("ada", 1, NULL);
	submit_as("ada", 2, NULL);
	submit_as("bob", 3, NULL);
	run_dry(runner, 50);
	assert_int_equal(info_of(1).finished_ms, 0);
	assert_int_equal(info_of(1).done, 2);
	assert_string_equal(info_of(2).state, "done");
	assert_string_equal(info_of(3).state, "done");
	kontor_job_runner_free(runner);
}

#define turn_test(name) cmocka_unit_test_setup_teardown(name, begin, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		turn_test(test_a_small_job_of_another_user_runs_within_two_steps_of_a_big_one),
		turn_test(test_three_users_are_served_in_turn_one_of_them_without_a_name),
		turn_test(test_the_jobs_of_one_user_run_in_their_order),
		turn_test(test_a_chunk_that_had_to_wait_comes_behind_the_others),
		turn_test(test_a_job_that_waits_holds_up_neither_its_user_nor_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
