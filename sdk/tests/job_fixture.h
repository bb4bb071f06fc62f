/* SPDX-License-Identifier: Apache-2.0
 *
 * A job kind whose effect can be counted: each chunk adds rows to `effect`, which has no key that would hide a double.
 */
#ifndef JOB_FIXTURE_H
#define JOB_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "job_runner.h"
#include "kontor/time.h"
#include "test_database.h"

#define LANE "test"

static kontor_db *db;
static kontor_conn *conn;
static kontor_host *host;
static struct kontor_error err;

/* What the kind's functions do; tests replace single ones. */
struct script {
	int (*plan)(struct script *script, kontor_job *job, struct kontor_error *err);
	int (*chunk)(struct script *script, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err);
	int (*finish)(struct script *script, kontor_job *job, struct kontor_error *err);
	int (*undo)(struct script *script, kontor_job *job, struct kontor_error *err);
	unsigned chunks, pause_us;
	atomic_int plans, chunk_runs, finishes, undos;
	atomic_int flag, phase;
};

static void sleep_us(unsigned us)
{
	nanosleep(&(struct timespec){us / 1000000, (long)(us % 1000000) * 1000}, NULL);
}

/* ---- the plain behaviour ---- */

struct step_arg {
	struct script *script;
	kontor_job *job;
	kontor_chunk *chunk;
	unsigned part;
	uint64_t total;
	struct kontor_text result;
};

static int tx_plan(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct step_arg *a = arg;
	int rc = 0;
	for (uint32_t i = 0; !rc && i < a->script->chunks; i++)
		rc = kontor_job_add_chunk(tx, a->job, i, "\x81\xa1n\x07", 4, e);
	return rc ? rc : kontor_job_planned(tx, a->job, a->script->chunks * 2ul, e);
}

static int plain_plan(struct script *script, kontor_job *job, struct kontor_error *e)
{
	struct step_arg arg = {.script = script, .job = job};
	return kontor_db_transaction(kontor_job_db(job), tx_plan, &arg, e);
}

static int add_effect(kontor_conn *tx, const struct step_arg *a, struct kontor_error *e)
{
	return kontor_db_exec(
		tx, "INSERT INTO effect(job_id, chunk_no, part) VALUES (?, ?, ?)",
		KONTOR_PARAMS(P_UINT(kontor_job_id(a->job)), P_UINT(kontor_chunk_no(a->chunk)), P_UINT(a->part)), NULL,
		e);
}

static int tx_first_half(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct step_arg *a = arg;
	a->part = 1;
	int rc = add_effect(tx, a, e);
	return rc ? rc : kontor_chunk_checkpoint(tx, a->chunk, "\x81\xa1p\x01", 4, 1, e);
}

static int tx_second_half(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct step_arg *a = arg;
	a->part = 2;
	int rc = add_effect(tx, a, e);
	return rc ? rc : kontor_chunk_done(tx, a->chunk, "\x81\xa1r\x05", 4, 1, e);
}

static int plain_chunk(struct script *script, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	struct step_arg arg = {.script = script, .job = job, .chunk = chunk};
	if (kontor_get_int(kontor_chunk_input(chunk), "n", 0) != 7)
		return kontor_fail(e, KONTOR_E_BAD_REQUEST, "the chunk's input is not what plan gave it");
	if (kontor_get_int(kontor_chunk_checkpoint_of(chunk), "p", 0) != 1) {
		int rc = kontor_db_transaction(kontor_job_db(job), tx_first_half, &arg, e);
		if (rc)
			return rc;
	}
	sleep_us(script->pause_us);
	if (kontor_job_stopping(job))
		return KONTOR_JOB_STOPPED;
	return kontor_db_transaction(kontor_job_db(job), tx_second_half, &arg, e);
}

static int sum_result(void *arg, uint32_t chunk_no, const msgpack_object *result, struct kontor_error *e)
{
	struct step_arg *a = arg;
	(void)e;
	assert_int_equal(chunk_no, a->part);
	a->part++;
	a->total += kontor_get_uint(result, "r", 0);
	return 0;
}

static int tx_finish(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct step_arg *a = arg;
	a->part = 0;
	a->total = 0;
	int rc = kontor_job_each_result(tx, a->job, sum_result, a, e);
	if (!rc)
		rc = kontor_db_exec(tx, "INSERT INTO finished(job_id, total) VALUES (?, ?)",
				    KONTOR_PARAMS(P_UINT(kontor_job_id(a->job)), P_UINT(a->total)), NULL, e);
	return rc ? rc : kontor_job_done(tx, a->job, "\x81\xa2ok\xc3", 5, e);
}

static int plain_finish(struct script *script, kontor_job *job, struct kontor_error *e)
{
	struct step_arg arg = {.script = script, .job = job};
	return kontor_db_transaction(kontor_job_db(job), tx_finish, &arg, e);
}

static int tx_undo(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct step_arg *a = arg;
	return kontor_db_exec(tx, "DELETE FROM effect WHERE job_id = ?", KONTOR_PARAMS(P_UINT(kontor_job_id(a->job))),
			      NULL, e);
}

static int plain_undo(struct script *script, kontor_job *job, struct kontor_error *e)
{
	struct step_arg arg = {.script = script, .job = job};
	return kontor_db_transaction(kontor_job_db(job), tx_undo, &arg, e);
}

/* ---- the kind ---- */

static int kind_plan(void *self, kontor_job *job, struct kontor_error *e)
{
	struct script *script = self;
	script->plans++;
	return script->plan(script, job, e);
}

static int kind_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *e)
{
	struct script *script = self;
	script->chunk_runs++;
	return script->chunk(script, job, chunk, e);
}

static int kind_finish(void *self, kontor_job *job, struct kontor_error *e)
{
	struct script *script = self;
	script->finishes++;
	return script->finish(script, job, e);
}

static int kind_undo(void *self, kontor_job *job, struct kontor_error *e)
{
	struct script *script = self;
	script->undos++;
	return script->undo(script, job, e);
}

static struct script script;
static const struct kontor_job_registration KINDS[] = {
	{.kind = {.name = "other.kind", .lane = LANE, .plan = kind_plan, .finish = kind_finish},
	 .self = &script,
	 .plugin = "test"},
	{.kind = {.name = "test.sum",
		  .lane = LANE,
		  .plan = kind_plan,
		  .chunk = kind_chunk,
		  .finish = kind_finish,
		  .undo = kind_undo,
		  .max_attempts = 3},
	 .self = &script,
	 .plugin = "test"},
};

static void reset_script(void)
{
	memset(&script, 0, sizeof(script));
	script.plan = plain_plan;
	script.chunk = plain_chunk;
	script.finish = plain_finish;
	script.undo = plain_undo;
	script.chunks = 4;
}

/* ---- running ---- */

static kontor_job_runner *new_runner_of(struct kontor_job_runner_options *options)
{
	options->host = host;
	options->lane = LANE;
	options->kinds = KINDS;
	options->kinds_len = sizeof(KINDS) / sizeof(KINDS[0]);
	kontor_job_runner *runner = NULL;
	ok(kontor_job_runner_new(options, &runner, &err));
	return runner;
}

__attribute__((unused)) static kontor_job_runner *new_runner(const char *owner, uint64_t instance, uint32_t lease_ms)
{
	return new_runner_of(
		&(struct kontor_job_runner_options){.owner = owner, .instance = instance, .lease_ms = lease_ms});
}

static int tx_submit(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_submit(tx, arg, e);
}

static void submit_as(const char *user, uint64_t job_id, const char *unique_key)
{
	struct kontor_job_new job = {.job_id = job_id,
				     .kind = "test.sum",
				     .lane = LANE,
				     .region = "SG",
				     .user = user,
				     .unique_key = unique_key,
				     .params = "\x81\xa1x\x09",
				     .params_size = 4};
	ok(kontor_db_transaction(conn, tx_submit, &job, &err));
}

__attribute__((unused)) static void submit(uint64_t job_id, const char *unique_key)
{
	submit_as("ada", job_id, unique_key);
}

static struct kontor_job_info info_of(uint64_t job_id)
{
	struct kontor_job_info info;
	ok(kontor_job_get(conn, job_id, &info, &err));
	return info;
}

/* Steps until there is nothing to do for idle_ms; however slow the machine, the last step begins after these. */
static void run_dry(kontor_job_runner *runner, unsigned idle_ms)
{
	int64_t quiet_since = kontor_monotonic_ms();
	for (bool last = false;;) {
		int rc = kontor_job_runner_step(runner, &err);
		if (rc < 0)
			fail_msg("step: %d %s", rc, err.message);
		if (rc == 1)
			quiet_since = kontor_monotonic_ms();
		else if (last)
			return;
		else
			sleep_us(2000);
		last = kontor_monotonic_ms() - quiet_since > idle_ms;
	}
}

/* A thread's: steps of the runner, which is its argument, until the kind's finish has run; returns how many it made. */
__attribute__((unused)) static void *step_until_finished(void *arg)
{
	kontor_job_runner *runner = arg;
	struct kontor_error e = KONTOR_ERROR_INIT;
	intptr_t steps = 0;
	int64_t deadline = kontor_monotonic_ms() + 120000;
	while (!script.finishes && kontor_monotonic_ms() < deadline) {
		int rc = kontor_job_runner_step(runner, &e);
		if (rc < 0)
			return (void *)(intptr_t)rc;
		steps += rc;
		if (!rc)
			kontor_job_lane_wait(LANE, 5);
	}
	return (void *)steps;
}

__attribute__((unused)) static int64_t query_int(const char *sql)
{
	int64_t value = -1;
	ok(kontor_db_query_int(conn, sql, KONTOR_NO_PARAMS, &value, &err));
	return value;
}

static void exec(const char *sql)
{
	ok(kontor_db_exec(conn, sql, KONTOR_NO_PARAMS, NULL, &err));
}

__attribute__((unused)) static int tx_cancel(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_cancel(tx, *(uint64_t *)arg, e);
}

__attribute__((unused)) static int tx_retry(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_retry(tx, *(uint64_t *)arg, e);
}

#define retry(job_id) kontor_db_transaction(conn, tx_retry, &(uint64_t){job_id}, &err)
/* ---- set-up ---- */

static void open_host(void)
{
	static const struct kontor_host_options nothing;
	struct kontor_host_options options = nothing;
	options.db = db;
	options.unit = "test";
	host = kontor_host_new(&options);
	assert_non_null(host);
}

/* ---- a database that can be away ---- */

__attribute__((unused)) static char door[64]; /* a symbolic link to the server's socket: without it nobody gets in */

__attribute__((unused)) static void open_door(void)
{
	const char *socket = getenv("KONTOR_TEST_SOCKET");
	assert_int_equal(socket ? symlink(socket, door) : -1, 0);
}

/* From now on `db`, and the host's database, is a pool that connects through the door. Returns the pool that it was,
 * which has to be `db` again at the end. */
__attribute__((unused)) static kontor_db *go_through_a_door(void)
{
	kontor_db *before = db;
	snprintf(door, sizeof(door), "/tmp/kontor-test-door-%d", (int)getpid());
	open_door();
	struct kontor_db_options options = {.socket = door, .user = "root", .database = test_database_name};
	ok(kontor_db_open(&options, &db, &err));
	host = kontor_host_free(host);
	open_host();
	return before;
}

static int setup(void **state)
{
	(void)state;
	reset_script();
	db = test_database_open();
	ok(kontor_db_acquire(db, &conn, &err));
	ok(kontor_schema_migrate(conn, kontor_sdk_schema, kontor_sdk_schema_len, &err));
	exec("CREATE TABLE effect(id BIGINT AUTO_INCREMENT PRIMARY KEY, job_id BIGINT, chunk_no INT, part INT)");
	exec("CREATE TABLE finished(id BIGINT AUTO_INCREMENT PRIMARY KEY, job_id BIGINT, total BIGINT)");
	open_host();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kontor_db_release(conn);
	conn = NULL;
	host = kontor_host_free(host);
	db = test_database_close(db);
	return 0;
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
