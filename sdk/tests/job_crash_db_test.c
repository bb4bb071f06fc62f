/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold when runners die, stand still or lose their database session at any moment: nothing lost, nothing
 * twice.
 */
#include <dlfcn.h>
#include <mysql.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "job_fixture.h"

/* Called in any thread, so it only gives up; what the test then finds is not what it expects. */
static void wait_for(const atomic_int *value, int at_least)
{
	int64_t deadline = kontor_monotonic_ms() + 60000;
	while (atomic_load(value) < at_least && kontor_monotonic_ms() < deadline)
		sleep_us(1000);
}

static void assert_whole(uint64_t job_id, unsigned chunks)
{
	struct kontor_job_info info = info_of(job_id);
	if (strcmp(info.state, "done") != 0)
		fail_msg("job %d is %s: %s", (int)job_id, info.state, info.error);
	assert_int_equal(info.done, 2 * chunks);
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 2 * chunks);
	assert_int_equal(query_int("SELECT COUNT(DISTINCT chunk_no, part) FROM effect"), 2 * chunks);
	assert_int_equal(query_int("SELECT COUNT(*) FROM finished"), 1);
	assert_int_equal(query_int("SELECT total FROM finished"), 5 * chunks);
}

static void forget_effects(void)
{
	exec("DELETE FROM effect");
	exec("DELETE FROM finished");
}

/* As if the time of every lease were over. */
static void end_leases(void)
{
	exec("UPDATE job_chunk SET lease_until_ms = 1 WHERE state = 'running'");
}

static void *step_forever(void *arg)
{
	kontor_job_runner *runner = arg;
	struct kontor_error e = KONTOR_ERROR_INIT;
	for (;;)
		if (kontor_job_runner_step(runner, &e) != 1)
			kontor_job_lane_wait(LANE, 20);
	return NULL;
}

/* ---- a process that is killed ---- */

/* A process as kontord is one: takes back the leases of its earlier instance, two lane threads, one that renews. */
static void live_until_killed(uint64_t instance, uint32_t lease_ms, bool reclaim)
{
	struct kontor_db_options options = {
		.socket = getenv("KONTOR_TEST_SOCKET"), .user = "root", .database = test_database_name};
	if (kontor_db_open(&options, &db, &err) || kontor_db_acquire(db, &conn, &err))
		_exit(1);
	open_host();
	if (reclaim && kontor_job_leases_reclaim(conn, "u@m", instance, &err))
		_exit(2);
	pthread_t thread;
	for (int i = 0; i < 2; i++)
		pthread_create(&thread, NULL, step_forever, new_runner("u@m", instance, lease_ms));
	for (;;) {
		sleep_us(lease_ms * 1000 / 3);
		kontor_job_leases_renew(conn, &err);
	}
}

/* Kills a process at random moments until the job has ended; returns how often. On a slow machine, too, a step must end
 * one day, before its lease is over and before LOSS_LIMIT processes died in it: each lives longer, and its leases too.
 */
static int kill_until_ended(uint64_t job_id, bool reclaim)
{
	static uint64_t instance = 100;
	static unsigned seed = 4711;
	for (int kills = 0;; kills++) {
		unsigned patience = 1u << (kills < 48 ? kills / 8 : 6);
		pid_t child = fork();
		if (child == 0)
			live_until_killed(++instance, reclaim ? 15000 : 30 * patience, reclaim);
		assert_true(child > 0);
		instance++;
		sleep_us((10000 + (unsigned)rand_r(&seed) % 60000) * patience);
		kill(child, SIGKILL);
		int status = 0;
		waitpid(child, &status, 0);
		if (!WIFSIGNALED(status))
			fail_msg("the process ended by itself: %d", WEXITSTATUS(status));
		if (info_of(job_id).finished_ms)
			return kills;
		assert_true(kills < 1000);
	}
}

static void test_processes_killed_at_random_lose_and_double_nothing(void **state)
{
	(void)state;
	int kills = 0;
	script.chunks = 150;
	script.pause_us = 3000;
	for (uint64_t job_id = 1; kills < 40; job_id++) {
		bool reclaim = job_id % 2; /* else the leases run out by themselves */
		forget_effects();
		submit(job_id, NULL);
		kills += kill_until_ended(job_id, reclaim);
		assert_whole(job_id, script.chunks);
	}
}

/* ---- sessions that the server ends ---- */

static atomic_bool killing;

static void *kill_sessions(void *arg)
{
	MYSQL *admin = test_database_admin();
	unsigned seed = 7;
	int *kills = arg;
	while (killing) {
		char sql[200];
		snprintf(sql, sizeof(sql),
			 "SELECT id FROM information_schema.processlist WHERE db = '%s' ORDER BY RAND() LIMIT 1",
			 test_database_name);
		/* Longer each time, as above. */
		sleep_us(2000 + (unsigned)rand_r(&seed) % (8000 + 100 * (unsigned)*kills));
		MYSQL_RES *rows = mysql_query(admin, sql) ? NULL : mysql_store_result(admin);
		MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
		if (row) {
			snprintf(sql, sizeof(sql), "KILL CONNECTION %s", row[0]);
			*kills += !mysql_query(admin, sql);
		}
		mysql_free_result(rows);
	}
	mysql_close(admin);
	return NULL;
}

static atomic_bool stepping;

static void *step_while_asked(void *arg)
{
	struct kontor_error e = KONTOR_ERROR_INIT;
	while (stepping)
		if (kontor_job_runner_step(arg, &e) != 1)
			kontor_job_lane_wait(LANE, 10);
	return NULL;
}

static bool ended(uint64_t job_id)
{
	struct kontor_job_info info;
	return !kontor_job_get(conn, job_id, &info, &err) && info.finished_ms;
}

static void test_sessions_killed_at_random_lose_and_double_nothing(void **state)
{
	(void)state;
	enum { THREADS = 3 };
	int kills = 0;
	pthread_t killer, threads[THREADS];
	kontor_job_runner *runners[THREADS];
	script.chunks = 400;
	script.pause_us = 500;
	submit(1, NULL);
	stepping = killing = true;
	for (int i = 0; i < THREADS; i++) {
		runners[i] = new_runner("u@m", 1, 2000);
		pthread_create(&threads[i], NULL, step_while_asked, runners[i]);
	}
	pthread_create(&killer, NULL, kill_sessions, &kills);
	int64_t deadline = kontor_monotonic_ms() + 240000;
	while (!ended(1) && kontor_monotonic_ms() < deadline)
		sleep_us(10000);
	killing = stepping = false;
	pthread_join(killer, NULL);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		kontor_job_runner_free(runners[i]);
	}
	kontor_db_release(conn);
	ok(kontor_db_acquire(db, &conn, &err));
	assert_whole(1, script.chunks);
	assert_true(kills > 30);
}

/* ---- a database that goes away in the middle of a step ---- */

static int lose_the_database(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (s->flag++ > 0)
		return plain_chunk(s, job, chunk, e);
	unlink(door);
	return kontor_db_exec(kontor_job_db(job), "KILL CONNECTION CONNECTION_ID()", KONTOR_NO_PARAMS, NULL, e);
}

static void test_an_ending_that_could_not_be_written_is_written_when_the_database_is_back(void **state)
{
	(void)state;
	kontor_db *main_db = go_through_a_door();
	script.chunk = lose_the_database;
	kontor_job_runner *runner = new_runner("u@m", 1, 15000);
	submit(1, NULL);
	assert_int_equal(kontor_job_runner_step(runner, &err), 1); /* plan */
	assert_int_equal(kontor_job_runner_step(runner, &err), KONTOR_E_UNAVAILABLE);
	assert_int_equal(kontor_job_runner_step(runner, &err), KONTOR_E_UNAVAILABLE);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk WHERE state = 'running'"), 1);
	open_door();
	assert_int_equal(kontor_job_runner_step(runner, &err), 1);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk WHERE state = 'running'"), 0);
	run_dry(runner, 30);
	exec("UPDATE job_chunk SET run_at_ms = 0"); /* need not wait out the back-off */
	run_dry(runner, 30);
	assert_whole(1, 4);
	unlink(door);
	kontor_job_runner_free(runner);
	kontor_db_close(db);
	db = main_db;
}

/* ---- a claim whose answer is lost ---- */

static atomic_int answers_left = -1; /* statements until one is carried out, but its answer does not arrive */

/* Stands before the library's own: the statement reaches the server, then the line is cut. */
__attribute__((visibility("default"))) int STDCALL mysql_stmt_execute(MYSQL_STMT *stmt)
{
	int (*execute)(MYSQL_STMT *) = (int (*)(MYSQL_STMT *))dlsym(RTLD_NEXT, "mysql_stmt_execute");
	int rc = execute(stmt);
	if (atomic_load(&answers_left) < 0 || atomic_fetch_sub(&answers_left, 1) > 0)
		return rc;
	shutdown(mysql_get_socket(stmt->mysql), SHUT_RDWR);
	return execute(stmt);
}

static void test_a_claim_whose_answer_was_lost_idles_nobody(void **state)
{
	(void)state;
	kontor_job_runner *runner = new_runner("u@m", 1, 60000);
	submit(7, NULL); /* from now on ada was served last, and a claim begins with the search behind her, then with
			    her */
	run_dry(runner, 30);
	forget_effects();
	exec("DELETE FROM job_chunk");
	exec("DELETE FROM job");
	submit(1, NULL);
	for (int stage = 0; stage < 2; stage++) { /* the claim of the plan, then of a chunk */
		atomic_store(&answers_left, stage ? 3 : 2);
		assert_int_equal(kontor_job_runner_step(runner, &err), KONTOR_E_UNAVAILABLE);
		assert_int_equal(query_int(stage ? "SELECT COUNT(*) FROM job_chunk WHERE owner <> ''"
						 : "SELECT COUNT(*) FROM job WHERE owner <> ''"),
				 1);
		assert_int_equal(kontor_job_runner_step(runner, &err), 1);
		assert_int_equal(query_int("SELECT losses FROM job"), 0);
	}
	run_dry(runner, 30);
	assert_whole(1, 4);
	kontor_job_runner_free(runner);
}

/* ---- a runner that stands still ---- */

static int tx_effect_alone(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct step_arg *a = arg;
	a->part = 9;
	return add_effect(tx, a, e);
}

static atomic_int trespasses; /* commits by a runner that had lost its step */

static void must_not_commit(kontor_job *job, kontor_tx_function fn, struct step_arg *arg)
{
	struct kontor_error ignored = KONTOR_ERROR_INIT;
	trespasses += kontor_db_transaction(kontor_job_db(job), fn, arg, &ignored) != KONTOR_E_UNAVAILABLE;
}

/* Nor by statements outside of a transaction. */
static void must_not_change(kontor_job *job)
{
	struct kontor_error e = KONTOR_ERROR_INIT;
	kontor_conn *own = kontor_job_db(job);
	trespasses += !kontor_db_exec(own, "INSERT INTO effect(job_id) VALUES (1)", KONTOR_NO_PARAMS, NULL, &e);
	kontor_bulk *bulk = kontor_bulk_new("u");
	trespasses += kontor_bulk_add(bulk, KONTOR_PARAMS(P_UINT(1)), &e) != 0;
	trespasses += !kontor_bulk_exec(own, "INSERT INTO effect(job_id) VALUES (?)", bulk, NULL, &e);
	kontor_bulk_free(bulk);
}

/* The first run of chunk 0 waits until `phase` 2; then it tries everything that it may not do any more. */
static int stand_still(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (kontor_chunk_no(chunk) != 0 || s->flag++ > 0)
		return plain_chunk(s, job, chunk, e);
	s->phase = 1;
	wait_for(&s->phase, 2);
	struct step_arg arg = {.script = s, .job = job, .chunk = chunk};
	must_not_commit(job, tx_effect_alone, &arg);
	must_not_commit(job, tx_first_half, &arg);
	must_not_change(job);
	trespasses += !kontor_job_stopping(job);
	return kontor_db_transaction(kontor_job_db(job), tx_second_half, &arg, e);
}

static void *one_step(void *arg)
{
	struct kontor_error e = KONTOR_ERROR_INIT;
	return (void *)(intptr_t)kontor_job_runner_step(arg, &e);
}

/* A runner in the middle of a chunk, in a thread of its own, and another one. */
struct pair {
	kontor_job_runner *first, *other;
	pthread_t thread;
};

/* Of job 1; the chunk says by `phase` 1 that it has begun. The leases are longer than any test. */
static struct pair begin_chunk(int (*chunk)(struct script *s, kontor_job *job, kontor_chunk *chunk,
					    struct kontor_error *e),
			       void *(*steps)(void *runner))
{
	struct pair pair = {.first = new_runner("a@m", 1, 600000), .other = new_runner("b@m", 2, 600000)};
	script.chunk = chunk;
	trespasses = 0;
	submit(1, NULL);
	assert_int_equal(kontor_job_runner_step(pair.other, &err), 1); /* plan */
	pthread_create(&pair.thread, NULL, steps, pair.first);
	wait_for(&script.phase, 1);
	return pair;
}

static void free_pair(struct pair *pair)
{
	kontor_job_runner_free(pair->first);
	kontor_job_runner_free(pair->other);
}

static void test_a_runner_whose_lease_was_taken_over_cannot_commit(void **state)
{
	(void)state;
	struct pair pair = begin_chunk(stand_still, one_step);
	run_dry(pair.other, 30);
	end_leases();
	run_dry(pair.other, 30);
	assert_whole(1, 4);
	script.phase = 2;
	pthread_join(pair.thread, NULL);
	run_dry(pair.other, 30);
	assert_int_equal(trespasses, 0);
	assert_whole(1, 4);
	free_pair(&pair);
}

static int cancel_in_chunk_1(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (kontor_chunk_no(chunk) == 1) {
		int rc = kontor_db_transact(db, tx_cancel, &(uint64_t){kontor_job_id(job)}, e);
		if (rc)
			return rc;
	}
	return stand_still(s, job, chunk, e);
}

static void test_a_runner_that_stood_still_cannot_commit_after_the_undo(void **state)
{
	(void)state;
	struct pair pair = begin_chunk(cancel_in_chunk_1, one_step);
	assert_int_equal(kontor_job_runner_step(pair.other, &err), 1); /* chunk 1: the cancel */
	assert_int_equal(kontor_job_runner_step(pair.other, &err), 0); /* no undo while somebody works on a chunk */
	end_leases();
	run_dry(pair.other, 30);
	assert_string_equal(info_of(1).state, "cancelled");
	script.phase = 2;
	pthread_join(pair.thread, NULL);
	assert_int_equal(trespasses, 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 0);
	free_pair(&pair);
}

/* The successor of a retried job is in the middle of the same chunk when the old runner comes back. */
static int pause_as_successor(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	if (kontor_chunk_no(chunk) != 0 || s->undos == 0)
		return kontor_chunk_no(chunk) == 3 && s->undos == 0 ? kontor_fail(e, KONTOR_E_CONFLICT, "fails the job")
								    : stand_still(s, job, chunk, e);
	s->phase = 2;
	wait_for(&s->phase, 3);
	return plain_chunk(s, job, chunk, e);
}

static void *two_steps(void *arg)
{
	one_step(arg);
	script.phase = 3;
	return NULL;
}

static void test_a_runner_from_before_a_retry_cannot_commit(void **state)
{
	(void)state;
	struct pair pair = begin_chunk(pause_as_successor, two_steps);
	run_dry(pair.other, 30);
	end_leases();
	run_dry(pair.other, 30);
	assert_string_equal(info_of(1).state, "failed");
	assert_int_equal(query_int("SELECT COUNT(*) FROM effect"), 0);
	ok(retry(1));
	run_dry(pair.other, 30);
	pthread_join(pair.thread, NULL);
	assert_int_equal(trespasses, 0);
	assert_whole(1, 4);
	free_pair(&pair);
}

/* ---- leases ---- */

static int long_chunk(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	s->phase = 1;
	wait_for(&s->phase, 2);
	return plain_chunk(s, job, chunk, e);
}

static void test_a_renewed_lease_is_not_taken_over(void **state)
{
	(void)state;
	script.chunks = 1;
	struct pair pair = begin_chunk(long_chunk, one_step);
	for (int i = 0; i < 10; i++) {
		end_leases();
		ok(kontor_job_leases_renew(conn, &err));
		assert_int_equal(kontor_job_runner_step(pair.other, &err), 0);
	}
	script.phase = 2;
	pthread_join(pair.thread, NULL);
	run_dry(pair.other, 30);
	assert_int_equal(script.chunk_runs, 1);
	assert_whole(1, 1);
	free_pair(&pair);
}

/* A step holds its row from the checkpoint to the commit. */
static int tx_hold_row(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct step_arg *a = arg;
	int rc = tx_first_half(tx, arg, e);
	a->script->phase = 1;
	wait_for(&a->script->phase, 2);
	return rc ? rc : tx_second_half(tx, arg, e);
}

static int hold_row(struct script *s, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	struct step_arg arg = {.script = s, .job = job, .chunk = chunk};
	return kontor_db_transaction(kontor_job_db(job), tx_hold_row, &arg, e);
}

static void test_renewing_never_waits_for_a_step_and_a_held_row_is_not_taken(void **state)
{
	(void)state;
	script.chunks = 1;
	script.chunk = hold_row;
	kontor_job_runner *holder = new_runner("a@m", 1, 50), *other = new_runner("b@m", 2, 600000);
	submit(1, NULL);
	assert_int_equal(kontor_job_runner_step(holder, &err), 1); /* plan */
	pthread_t thread;
	pthread_create(&thread, NULL, one_step, holder);
	wait_for(&script.phase, 1);
	sleep_us(100000); /* the lease has run out, but its transaction goes on */
	int64_t before = kontor_monotonic_ms();
	ok(kontor_job_leases_renew(conn, &err));
	assert_int_equal(kontor_job_runner_step(other, &err), 0);
	assert_in_range(kontor_monotonic_ms() - before, 0, 20000); /* the row is held for a minute */
	script.phase = 2;
	pthread_join(thread, NULL);
	run_dry(other, 30);
	assert_int_equal(script.chunk_runs, 1);
	assert_whole(1, 1);
	kontor_job_runner_free(holder);
	kontor_job_runner_free(other);
}

static void test_reclaiming_takes_only_earlier_instances_of_the_same_owner(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 3; id++)
		submit(id, NULL);
	exec("UPDATE job SET state = 'running', instance = job_id, owner = IF(job_id = 3, 'b@m', 'a@m'), "
	     "lease_until_ms = "
	     "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + 60000");
	ok(kontor_job_leases_reclaim(conn, "a@m", 2, &err));
	assert_int_equal(query_int("SELECT GROUP_CONCAT(job_id) FROM job WHERE lease_until_ms = 0"), 1);
	exec("UPDATE job SET stage = 'chunks', owner = '', lease_until_ms = 0");
	exec("INSERT INTO job_chunk(job_id, chunk_no, state, owner, instance, lease_until_ms) VALUES (1, 0, 'running', "
	     "'a@m', 1, 9), "
	     "(1, 1, 'running', 'a@m', 2, 9), (1, 2, 'running', 'b@m', 1, 9), (1, 3, 'done', 'a@m', 1, 9)");
	ok(kontor_job_leases_reclaim(conn, "a@m", 2, &err));
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk WHERE lease_until_ms = 0 AND chunk_no = 0"), 1);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk WHERE lease_until_ms = 9"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_processes_killed_at_random_lose_and_double_nothing),
		test(test_sessions_killed_at_random_lose_and_double_nothing),
		test(test_a_claim_whose_answer_was_lost_idles_nobody),
		test(test_an_ending_that_could_not_be_written_is_written_when_the_database_is_back),
		test(test_a_runner_whose_lease_was_taken_over_cannot_commit),
		test(test_a_runner_that_stood_still_cannot_commit_after_the_undo),
		test(test_a_runner_from_before_a_retry_cannot_commit),
		test(test_a_renewed_lease_is_not_taken_over),
		test(test_renewing_never_waits_for_a_step_and_a_held_row_is_not_taken),
		test(test_reclaiming_takes_only_earlier_instances_of_the_same_owner),
	};
	return cmocka_run_group_tests_name("jobs under fire", tests, NULL, NULL);
}
