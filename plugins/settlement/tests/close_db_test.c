/* SPDX-License-Identifier: Apache-2.0
 *
 * Closing windows on a real database: what is refused, what is frozen, and that the fence holds while others write,
 * wait, or are killed.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "job_runner.h"
#include "settlement_fixture.h"

#define LEASE_MS 400

static int clean(void **state)
{
	(void)state;
	static const char *const tables[] = {"billing_item", "item_batch", "window_writer", "`window`",
					     "window_total", "job",        "job_chunk"};
	char sql[64];
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		snprintf(sql, sizeof(sql), "DELETE FROM %s", tables[i]);
		sql_run(sql);
	}
	writer_thread_end();
	return 0;
}

/* ---- jobs ---- */

static kontor_job_runner *runner_new(kontor_host *runner_host)
{
	static struct kontor_job_registration kinds[1];
	kinds[0] = (struct kontor_job_registration){close_job_kind[0], &self, "settlement"};
	struct kontor_job_runner_options options = {.host = runner_host,
						    .lane = KONTOR_LANE_SETTLE,
						    .kinds = kinds,
						    .kinds_len = 1,
						    .owner = "test",
						    .instance = (uint64_t)getpid(),
						    .lease_ms = LEASE_MS};
	kontor_job_runner *runner = NULL;
	check(kontor_job_runner_new(&options, &runner, &err));
	return runner;
}

static struct kontor_job_info job_info(uint64_t job_id)
{
	struct kontor_job_info info;
	kontor_conn *conn;
	check(kontor_db_acquire(db, &conn, &err));
	check(kontor_job_get(conn, job_id, &info, &err));
	kontor_db_release(conn);
	return info;
}

static bool job_ended(const struct kontor_job_info *info)
{
	return strcmp(info->state, "queued") && strcmp(info->state, "running") && strcmp(info->state, "waiting");
}

/* Runs the lane until the job has this state (NULL: has ended), at most 20 s. */
static struct kontor_job_info run_until(uint64_t job_id, const char *state)
{
	kontor_job_runner *runner = runner_new(host);
	int64_t until = kontor_monotonic_ms() + 20000;
	struct kontor_job_info info = job_info(job_id);
	while (state ? strcmp(info.state, state) != 0 : !job_ended(&info)) {
		if (kontor_monotonic_ms() > until)
			fail_msg("job is still %s: %s", info.state, info.error);
		int rc = kontor_job_runner_step(runner, &err);
		if (rc < 0)
			check(rc);
		if (rc == 0)
			usleep(5000);
		info = job_info(job_id);
	}
	kontor_job_runner_free(runner);
	return info;
}

/* ---- calls ---- */

enum { EARLY = 1, WAIT = 2 };

static int ask_close(const char *window, unsigned flags, kontor_body **ret_body)
{
	kontor_writer *w = arguments();
	if (window)
		kontor_put_string(w, "window", window);
	if (flags & EARLY)
		kontor_put_bool(w, "early", true);
	if (flags & WAIT)
		kontor_put_bool(w, "wait", true);
	return call("close", w, ret_body, &err);
}

static uint64_t start_close(const char *window, unsigned flags)
{
	kontor_body *body;
	check(ask_close(window, flags, &body));
	uint64_t job_id = kontor_get_uint(kontor_body_map(body), "job_id", 0);
	assert_true(job_id != 0);
	kontor_body_free(body);
	return job_id;
}

static void close_window(const char *window)
{
	struct kontor_job_info info = run_until(start_close(window, 0), NULL);
	if (strcmp(info.state, "done") != 0)
		fail_msg("close of %s: %s: %s", window, info.state, info.error);
}

static void assert_refused(const char *window, unsigned flags, int code, const char *message)
{
	kontor_body *body = NULL;
	int rc = ask_close(window, flags, &body);
	kontor_body_free(body);
	if (rc != code || !strstr(err.message, message))
		fail_msg("close of %s: %d %s", window, rc, err.message);
}

static int settle(const char *method, const char *window, uint64_t run_id)
{
	kontor_body *body = NULL;
	kontor_writer *w = arguments();
	kontor_put_string(w, "window", window);
	kontor_put_uint(w, "run_id", run_id);
	int rc = call(method, w, &body, &err);
	kontor_body_free(body);
	return rc;
}

static void settle_window(const char *window, uint64_t run_id)
{
	check(settle("settle_begin", window, run_id));
	check(settle("settle_end", window, run_id));
}

static int add_item(const char *order, const char *at, char *ret_window, char *ret_verdict)
{
	kontor_body *body;
	kontor_writer *w = arguments();
	kontor_put_array(w, "items");
	kontor_write_map(w);
	kontor_put_uint(w, "shop_user_id", 5);
	kontor_put_string(w, "order_id", order);
	kontor_put_string(w, "item_type", "order");
	kontor_put_int(w, "amount_minor", 100);
	kontor_put_string(w, "currency", "SGD");
	kontor_put_string(w, "occurred_at", at);
	kontor_write_end(w);
	kontor_write_end(w);
	int rc = call("add_items", w, &body, &err);
	if (rc)
		return rc;
	const msgpack_object *items = kontor_get(kontor_body_map(body), "items");
	kontor_get_string(&items->via.array.ptr[0], "window", ret_window, KONTOR_WINDOW_SIZE);
	kontor_get_string(&items->via.array.ptr[0], "verdict", ret_verdict, 32);
	kontor_body_free(body);
	return 0;
}

static void assert_added(const char *order, const char *at, const char *window, const char *verdict)
{
	char in[KONTOR_WINDOW_SIZE], as[32];
	check(add_item(order, at, in, as));
	assert_string_equal(in, window);
	assert_string_equal(as, verdict);
}

#define IN_W44 "2026-10-28T00:00:00Z"
#define IN_W45 "2026-11-03T10:00:00Z"

/* ---- tests ---- */

static void test_a_close_freezes_the_totals_and_takes_empty_older_windows_along(void **state)
{
	(void)state;
	struct batch *batch = batch_new(11);
	batch_add(batch, 1, "A", "12.50", IN_W45, 0);
	batch_add(batch, 2, "B", "-2.00", IN_W45, 0);
	check(batch_apply(batch));
	batch_accept(batch);
	batch_free(batch);
	close_window("2026-W45");
	assert_int_equal(sql_int("SELECT items FROM `window` WHERE window_no = 202645 AND state = 'closed'"), 2);
	assert_int_equal(sql_int("SELECT amount_minor FROM window_total WHERE window_no = 202645 AND currency = 'SGD'"),
			 1050);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM `window` WHERE state = 'closed' AND items = 0"), 44);
	assert_int_equal(sql_int("SELECT MIN(window_no) FROM `window`"), 202601);

	kontor_body *body;
	char text[16];
	check(ask_close("2026-W45", 0, &body)); /* again: says so */
	const msgpack_object *map = kontor_body_map(body);
	assert_null(kontor_get(map, "job_id"));
	assert_string_equal(kontor_get_string(map, "state", text, sizeof(text)), "closed");
	assert_int_equal(kontor_get_int(map, "items", -1), 2);
	assert_int_equal(kontor_get_int(kontor_get(map, "items_minor"), "SGD", -1), 1050);
	kontor_body_free(body);
	assert_added("C", IN_W45, "2026-W46", "late");
	writer_thread_end(); /* a writer that registers after the close */
	assert_added("D", IN_W44, "2026-W46", "late");
	assert_added("E", "2026-11-12T00:00:00Z", "2026-W46", "ok");
}

static void test_windows_close_in_order(void **state)
{
	(void)state;
	assert_added("A", IN_W44, "2026-W44", "ok");
	assert_added("B", IN_W45, "2026-W45", "ok");
	assert_refused("2026-W45", 0, KONTOR_E_CONFLICT, "2026-W44 of SG is older and holds unsettled items");
	close_window("2026-W44");
	assert_refused("2026-W45", 0, KONTOR_E_CONFLICT, "2026-W44 of SG is older and closed but not settled");
	settle_window("2026-W44", 7);
	close_window("2026-W45");
}

static void test_a_window_is_not_closed_before_its_end_unless_early(void **state)
{
	(void)state;
	char now[KONTOR_WINDOW_SIZE], next[KONTOR_WINDOW_SIZE];
	uint32_t window = kontor_zone_window(test_region.zone, kontor_now_ms());
	kontor_window_format(window, now);
	kontor_window_format(kontor_window_next(window), next);
	assert_refused(now, 0, KONTOR_E_CONFLICT, "--early");
	assert_refused(next, EARLY, KONTOR_E_CONFLICT, "has begun");
	assert_refused("2025-W50", 0, KONTOR_E_CONFLICT, "before the first window of SG, 2026-W01");
	struct kontor_job_info info = run_until(start_close(now, EARLY), NULL);
	assert_string_equal(info.state, "done");
	assert_refused(NULL, 0, KONTOR_E_CONFLICT, "no open window of SG has ended");
}

static void test_without_a_window_the_oldest_ended_one_with_items_is_closed(void **state)
{
	(void)state;
	assert_added("A", IN_W45, "2026-W45", "ok");
	assert_added("B", IN_W44, "2026-W44", "ok");
	close_window(NULL);
	assert_int_equal(sql_int("SELECT items FROM `window` WHERE window_no = 202644 AND state = 'closed'"), 1);
	assert_int_equal(sql_int("SELECT open_from FROM window_writer WHERE writer = 0"), 202645);
}

static void test_an_unaccepted_upload_is_named_and_can_be_waited_for(void **state)
{
	(void)state;
	struct batch *batch = batch_new(1234567);
	batch_add(batch, 1, "A", "12.50", IN_W45, 0);
	check(batch_apply(batch));
	assert_refused("2026-W45", 0, KONTOR_E_BUSY, "upload 1234567");
	assert_int_equal(err.retry_after_ms, 60000);
	uint64_t job_id = start_close("2026-W45", WAIT);
	struct kontor_job_info info = run_until(job_id, "waiting");
	assert_non_null(strstr(info.error, "upload 1234567"));
	assert_added("B", IN_W45, "2026-W45", "ok"); /* it is still open */
	assert_true(start_close("2026-W45", 0) == job_id);
	batch_accept(batch);
	assert_string_equal(run_until(job_id, NULL).state, "done");
	assert_int_equal(sql_int("SELECT items FROM `window` WHERE window_no = 202645"), 2);
	batch_free(batch);
}

static void test_a_cancelled_close_opens_the_window_again(void **state)
{
	(void)state;
	struct batch *batch = batch_new(11);
	batch_add(batch, 1, "A", "12.50", IN_W45, 0);
	check(batch_apply(batch));
	uint64_t job_id = start_close("2026-W45", WAIT);
	run_until(job_id, "waiting");
	kontor_conn *conn;
	check(kontor_db_acquire(db, &conn, &err));
	check(kontor_job_cancel(conn, job_id, &err));
	kontor_db_release(conn);
	assert_string_equal(run_until(job_id, NULL).state, "cancelled");
	assert_int_equal(sql_int("SELECT COUNT(*) FROM `window` WHERE state <> 'open'"), 0);
	assert_added("B", IN_W45, "2026-W45", "ok");
	batch_free(batch);
}

/* ---- the fence, with a transaction that is open on another session ---- */

static struct slow_insert {
	struct batch *batch;
	atomic_bool inserted, may_commit;
} slow;

static int insert_slowly(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	int rc = batch_apply_tx(tx, arg, e);
	if (rc)
		return rc; /* it begins again once its writer is registered */
	slow.inserted = true;
	while (!slow.may_commit)
		usleep(1000);
	return rc;
}

static void *run_slow_insert(void *arg)
{
	check(kontor_db_transact(db, insert_slowly, arg, &err));
	writer_thread_end();
	item_thread_end();
	return NULL;
}

struct lane {
	uint64_t job_id;
	const char *until;
};

static void *run_lane(void *arg)
{
	const struct lane *lane = arg;
	run_until(lane->job_id, lane->until);
	return NULL;
}

/* An upload's batch that began before the close and commits after it began. */
static struct kontor_job_info close_over_a_running_insert(struct batch *batch, unsigned flags, const char *until)
{
	pthread_t insert, runner;
	struct lane lane = {0, until};
	slow.inserted = slow.may_commit = false;
	pthread_create(&insert, NULL, run_slow_insert, batch);
	while (!slow.inserted)
		usleep(1000);
	lane.job_id = start_close("2026-W45", flags);
	pthread_create(&runner, NULL, run_lane, &lane);
	for (int i = 0; i < 500 && sql_int("SELECT COUNT(*) FROM `window` WHERE state = 'closing'") == 0; i++)
		usleep(1000);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM `window` WHERE window_no = 202645 AND state = 'closing'"), 1);
	usleep(100000);
	assert_false(sql_int("SELECT COUNT(*) FROM `window` WHERE window_no = 202645 AND state = 'closed'"));
	slow.may_commit = true;
	pthread_join(insert, NULL);
	pthread_join(runner, NULL);
	return job_info(lane.job_id);
}

static void test_a_close_waits_for_running_inserts_and_refuses_what_they_left_unaccepted(void **state)
{
	(void)state;
	struct batch *batch = batch_new(11);
	batch_add(batch, 1, "A", "12.50", IN_W45, 900);
	struct kontor_job_info info = close_over_a_running_insert(batch, 0, NULL);
	assert_string_equal(info.state, "failed");
	assert_int_equal(info.error_code, KONTOR_E_BUSY);
	assert_non_null(strstr(info.error, "upload 11"));
	assert_int_equal(sql_int("SELECT window_no FROM billing_item"), 202645);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM `window` WHERE state <> 'open'"), 0);
	assert_added("B", IN_W45, "2026-W45", "ok"); /* open again, for this thread's writer too */
	batch_accept(batch);
	close_window("2026-W45");
	assert_int_equal(sql_int("SELECT items FROM `window` WHERE window_no = 202645"), 2);
	batch_free(batch);
}

static void test_a_waiting_close_keeps_the_window_open_for_the_upload_that_slipped_in(void **state)
{
	(void)state;
	struct batch *batch = batch_new(11);
	batch_add(batch, 1, "A", "12.50", IN_W45, 900);
	struct kontor_job_info info = close_over_a_running_insert(batch, WAIT, "waiting");
	assert_non_null(strstr(info.error, "upload 11"));
	assert_int_equal(sql_int("SELECT COUNT(*) FROM `window` WHERE state <> 'open'"), 0);
	batch->len = 0; /* its next batch, not late */
	batch_add(batch, 1, "B", "12.50", IN_W45, 901);
	check(batch_apply(batch));
	assert_int_equal(batch_count(batch, KONTOR_VERDICT_OK), 1);
	batch_accept(batch);
	assert_string_equal(run_until(info.job_id, NULL).state, "done");
	assert_int_equal(sql_int("SELECT items FROM `window` WHERE window_no = 202645 AND state = 'closed'"), 2);
	batch_free(batch);
}

static void test_a_close_counts_what_a_service_committed_while_it_began(void **state)
{
	(void)state;
	struct batch *batch = batch_new(0); /* source 0: counts at once, as through settlement.add_items */
	batch_add(batch, 1, "A", "12.50", IN_W45, 900);
	struct kontor_job_info info = close_over_a_running_insert(batch, 0, NULL);
	assert_string_equal(info.state, "done");
	assert_int_equal(sql_int("SELECT items FROM `window` WHERE window_no = 202645"), 1);
	assert_int_equal(sql_int("SELECT amount_minor FROM window_total WHERE window_no = 202645"), 1250);
	batch_free(batch);
}

/* ---- many writers while windows close ---- */

#define WRITER_THREADS 12
static atomic_bool writers_stop;
static atomic_int writers_failed, items_added;

static void *write_items(void *arg)
{
	static const char *const instants[] = {IN_W44, IN_W45, "2026-11-10T00:00:00Z"};
	char order[32], window[KONTOR_WINDOW_SIZE], verdict[32];
	for (unsigned n = 0; !writers_stop; n++) {
		snprintf(order, sizeof(order), "W-%u-%u", (unsigned)(uintptr_t)arg, n);
		int rc = add_item(order, instants[n % 3], window, verdict);
		if (rc || (strcmp(verdict, "ok") && strcmp(verdict, "late"))) {
			fprintf(stderr, "%s: %s %s\n", order, verdict, err.message);
			writers_failed++;
		}
		items_added++;
	}
	writer_thread_end();
	item_thread_end();
	return NULL;
}

static void test_every_item_is_in_exactly_one_window_and_in_its_frozen_totals(void **state)
{
	(void)state;
	pthread_t threads[WRITER_THREADS];
	writers_stop = false;
	for (uintptr_t i = 0; i < WRITER_THREADS; i++)
		pthread_create(&threads[i], NULL, write_items, (void *)i);
	static const char *const windows[] = {"2026-W44", "2026-W45", "2026-W46"};
	for (unsigned i = 0; i < 3; i++) {
		usleep(300000);
		close_window(windows[i]);
		settle_window(windows[i], i + 1);
	}
	usleep(100000);
	writers_stop = true;
	for (size_t i = 0; i < WRITER_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(writers_failed, 0);
	assert_int_equal(sql_int("SELECT COUNT(*) FROM billing_item"), items_added);
	assert_int_equal(sql_int("SELECT COUNT(DISTINCT order_id) FROM billing_item"), items_added);
	assert_int_equal(
		sql_int("SELECT COUNT(*) FROM `window` w WHERE state = 'settled' AND items <> (SELECT COUNT(*) "
			"FROM billing_item i WHERE i.region = w.region AND i.window_no = w.window_no)"),
		0);
	assert_int_equal(
		sql_int("SELECT COUNT(*) FROM window_total t WHERE amount_minor <> (SELECT SUM(amount_minor) FROM "
			"billing_item i WHERE i.region = t.region AND i.window_no = t.window_no)"),
		0);
	assert_true(sql_int("SELECT items FROM `window` WHERE window_no = 202645 AND state = 'settled'") > 10);
	assert_true(sql_int("SELECT COUNT(*) FROM billing_item WHERE late = 1") > 10);
}

/* ---- kill -9 ---- */

static void run_until_killed(void)
{
	struct kontor_db_options options = {
		.socket = getenv("KONTOR_TEST_SOCKET"), .user = "root", .database = test_database_name};
	kontor_db *own = NULL;
	check(kontor_db_open(&options, &own, &err));
	self.host = test_host_new(own, NULL);
	kontor_job_runner *runner = runner_new(self.host);
	for (;;)
		if (kontor_job_runner_step(runner, &err) == 0)
			usleep(500);
}

static void test_a_close_killed_at_any_moment_ends_with_the_same_totals(void **state)
{
	(void)state;
	unsigned killed_while_closing = 0;
	uint32_t window = 202601;
	for (unsigned i = 0; i < 40; i++, window = kontor_window_next(window)) {
		char name[KONTOR_WINDOW_SIZE], at[KONTOR_TIME_SIZE], order[16], sql[128];
		int64_t from, to;
		kontor_window_format(window, name);
		kontor_zone_window_bounds(test_region.zone, window, &from, &to);
		snprintf(order, sizeof(order), "K-%u", i);
		assert_added(order, kontor_time_format(from + 1000, at), name, "ok");
		uint64_t job_id = start_close(name, 0);
		pid_t child = fork();
		if (child == 0)
			run_until_killed();
		usleep(4000 + i * 700);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM `window` WHERE window_no = %u AND state = 'closing'",
			 (unsigned)window);
		killed_while_closing += sql_int(sql) == 1;
		struct kontor_job_info info = run_until(job_id, NULL);
		assert_string_equal(info.state, "done");
		snprintf(sql, sizeof(sql), "SELECT items FROM window_total WHERE window_no = %u AND amount_minor = 100",
			 (unsigned)window);
		assert_int_equal(sql_int(sql), 1);
		settle_window(name, i + 1);
	}
	assert_int_equal(sql_int("SELECT COUNT(*) FROM window_total"), 40);
	print_message("           killed between fence and totals: %u of 40\n", killed_while_closing);
}

/* ---- settling ---- */

static void test_a_window_is_settled_by_one_run(void **state)
{
	(void)state;
	assert_added("A", IN_W44, "2026-W44", "ok");
	assert_int_equal(settle("settle_begin", "2026-W44", 7), KONTOR_E_CONFLICT);
	assert_int_equal(settle("settle_begin", "2026-W50", 7), KONTOR_E_CONFLICT);
	close_window("2026-W44");
	assert_int_equal(settle("settle_end", "2026-W44", 7), KONTOR_E_CONFLICT);
	check(settle("settle_begin", "2026-W44", 7));
	check(settle("settle_begin", "2026-W44", 7));
	assert_int_equal(settle("settle_begin", "2026-W44", 8), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "run 7"));
	assert_int_equal(settle("settle_end", "2026-W44", 8), KONTOR_E_CONFLICT);
	check(settle("settle_end", "2026-W44", 7));
	check(settle("settle_end", "2026-W44", 7));
	check(settle("settle_begin", "2026-W44", 7));
	assert_int_equal(sql_int("SELECT COUNT(*) FROM `window` WHERE window_no = 202644 AND state = 'settled'"), 1);

	kontor_body *body;
	char text[16];
	kontor_writer *w = arguments();
	kontor_put_string(w, "window", "2026-W44");
	check(call("window_get", w, &body, &err));
	const msgpack_object *map = kontor_body_map(body), *totals = kontor_get(map, "totals");
	assert_string_equal(kontor_get_string(map, "state", text, sizeof(text)), "settled");
	assert_int_equal(kontor_get_int(map, "run_id", -1), 7);
	assert_int_equal(kontor_get_int(map, "items", -1), 1);
	assert_int_equal(kontor_get_int(&totals->via.array.ptr[0], "amount_minor", -1), 100);
	kontor_body_free(body);
}

static void test_an_older_window_must_be_settled_first(void **state)
{
	(void)state;
	assert_added("A", IN_W44, "2026-W44", "ok");
	close_window("2026-W44");
	sql_run("INSERT INTO `window` (region, window_no, state, from_ms, to_ms) VALUES ('SG', 202645, 'closed', 0, "
		"1)");
	assert_int_equal(settle("settle_begin", "2026-W45", 7), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "--window 2026-W44"));
	check(settle("settle_begin", "2026-W43", 6)); /* empty windows settle too, and block nobody */
}

static void test_a_close_of_another_window_is_not_taken_for_this_one(void **state)
{
	(void)state;
	uint64_t job_id = start_close("2026-W03", 0);
	assert_refused("2026-W05", 0, KONTOR_E_BUSY, "window 2026-W03 of SG is being closed by job");
	assert_true(start_close("2026-W03", 0) == job_id);
	assert_true(start_close(NULL, 0) == job_id);
	run_until(job_id, NULL);
	close_window("2026-W05");
}

int main(void)
{
#define ON_A_CLEAN_DATABASE(test) cmocka_unit_test_setup(test, clean)
	const struct CMUnitTest tests[] = {
		ON_A_CLEAN_DATABASE(test_a_close_freezes_the_totals_and_takes_empty_older_windows_along),
		ON_A_CLEAN_DATABASE(test_windows_close_in_order),
		ON_A_CLEAN_DATABASE(test_a_close_of_another_window_is_not_taken_for_this_one),
		ON_A_CLEAN_DATABASE(test_a_window_is_not_closed_before_its_end_unless_early),
		ON_A_CLEAN_DATABASE(test_without_a_window_the_oldest_ended_one_with_items_is_closed),
		ON_A_CLEAN_DATABASE(test_an_unaccepted_upload_is_named_and_can_be_waited_for),
		ON_A_CLEAN_DATABASE(test_a_cancelled_close_opens_the_window_again),
		ON_A_CLEAN_DATABASE(test_a_close_waits_for_running_inserts_and_refuses_what_they_left_unaccepted),
		ON_A_CLEAN_DATABASE(test_a_waiting_close_keeps_the_window_open_for_the_upload_that_slipped_in),
		ON_A_CLEAN_DATABASE(test_a_close_counts_what_a_service_committed_while_it_began),
		ON_A_CLEAN_DATABASE(test_every_item_is_in_exactly_one_window_and_in_its_frozen_totals),
		ON_A_CLEAN_DATABASE(test_a_close_killed_at_any_moment_ends_with_the_same_totals),
		ON_A_CLEAN_DATABASE(test_a_window_is_settled_by_one_run),
		ON_A_CLEAN_DATABASE(test_an_older_window_must_be_settled_first),
	};
	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
