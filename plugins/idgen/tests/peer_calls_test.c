/* SPDX-License-Identifier: Apache-2.0
 *
 * Exchanges over real ipc sockets with small peers that answer, refuse, stay silent or are not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>
#include <zmq.h>

#include "kontor/client.h"
#include "kontor/time.h"
#include "peer_calls.h"

#define OURS "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"
#define OFTEN_MS 20
#define WAIT_MS 20000 /* for what happens within milliseconds, or never */

enum behaviour { ANSWERS, SILENT, REFUSES, TALKS_NONSENSE };

/* A unit at an endpoint of its own. */
struct unit {
	char endpoint[PEER_ENDPOINT_SIZE];
	pthread_t thread;
	bool runs;
	atomic_bool stop;
	atomic_int behaviour, requests, delay_ms; /* between what it says and that it is sent */
	pthread_mutex_t lock;
	struct peer_report says, heard; /* guarded by lock */
};

static struct unit north, south, nobody;
static void *context;
static struct peers *book;
static struct peer_calls *calls;
static struct kontor_error err;

/* ---- units that answer ------------------------------------------------------------------------------------------ */

static void send_body(void *router, const char *identity, int identity_size, struct kontor_frame_header *header,
		      kontor_writer *body)
{
	kontor_writer *w = kontor_writer_new();
	const void *data;
	size_t size;
	header->version = 1;
	kontor_frame_write(w, header);
	zmq_send(router, identity, (size_t)identity_size, ZMQ_SNDMORE);
	if (kontor_writer_finish(w, &data, &size, NULL) == 0)
		zmq_send(router, data, size, ZMQ_SNDMORE);
	if (kontor_writer_finish(body, &data, &size, NULL) == 0)
		zmq_send(router, data, size, 0);
	kontor_writer_free(w);
}

/* The reply to a report. */
static void answer_report(struct unit *unit, const void *data, size_t size, struct kontor_frame_header *out,
			  kontor_writer *body)
{
	kontor_body *args = NULL;
	unit->requests++;
	pthread_mutex_lock(&unit->lock);
	if (kontor_body_parse(data, size, &args, NULL) == 0)
		peer_report_read(kontor_body_map(args), &unit->heard, NULL);
	kontor_body_free(args);
	out->kind = unit->behaviour == REFUSES ? KONTOR_FRAME_ERROR : KONTOR_FRAME_REPLY;
	if (unit->behaviour == REFUSES) {
		kontor_put_int(body, "code", KONTOR_E_DENIED);
		kontor_put_string(body, "message", "uid 5 is no user here");
	} else if (unit->behaviour == ANSWERS)
		peer_report_put(&unit->says, body);
	pthread_mutex_unlock(&unit->lock);
}

static void unit_take(struct unit *unit, void *router)
{
	static _Thread_local char identity[256], head[1024], data[65536];
	struct kontor_frame_header in, out = {.kind = KONTOR_FRAME_PONG};
	int identity_size = zmq_recv(router, identity, sizeof(identity), 0);
	int head_size = zmq_recv(router, head, sizeof(head), 0);
	int size = zmq_recv(router, data, sizeof(data), 0);
	if (kontor_frame_parse(head, (size_t)head_size, &in, NULL) || in.kind == KONTOR_FRAME_CANCEL)
		return;
	kontor_writer *body = kontor_writer_new();
	out.id = in.id;
	kontor_write_map(body);
	if (in.kind == KONTOR_FRAME_REQUEST && strcmp(in.method, "idgen.peer") == 0)
		answer_report(unit, data, (size_t)size, &out, body);
	kontor_write_end(body);
	if (in.kind == KONTOR_FRAME_REQUEST)
		usleep((useconds_t)unit->delay_ms * 1000);
	if (in.kind != KONTOR_FRAME_REQUEST || unit->behaviour != SILENT)
		send_body(router, identity, identity_size, &out, body);
	kontor_writer_free(body);
}

static void *unit_run(void *arg)
{
	struct unit *unit = arg;
	void *router = zmq_socket(context, ZMQ_ROUTER);
	zmq_setsockopt(router, ZMQ_LINGER, &(int){0}, sizeof(int));
	int rc = zmq_bind(router, unit->endpoint);
	while (rc == 0 && !unit->stop) {
		zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};
		if (zmq_poll(&item, 1, 10) > 0)
			unit_take(unit, router);
	}
	zmq_close(router);
	return NULL;
}

static void unit_init(struct unit *unit, const char *name)
{
	memset(unit, 0, sizeof(*unit));
	snprintf(unit->endpoint, sizeof(unit->endpoint), "ipc:///tmp/kontor-peer-test.%d.%s", (int)getpid(), name);
	snprintf(unit->says.unit, sizeof(unit->says.unit), "all@%s", name);
	unit->says.datacenter = 4;
	unit->says.process = 4;
	snprintf(unit->says.cluster_uuid, sizeof(unit->says.cluster_uuid), "%s", OTHER);
	pthread_mutex_init(&unit->lock, NULL);
}

static void unit_start(struct unit *unit)
{
	unit->runs = true;
	assert_int_equal(pthread_create(&unit->thread, NULL, unit_run, unit), 0);
}

static void unit_end(struct unit *unit)
{
	unit->stop = true;
	if (unit->runs)
		pthread_join(unit->thread, NULL);
	pthread_mutex_destroy(&unit->lock);
	unlink(unit->endpoint + strlen("ipc://"));
}

static void unit_says(struct unit *unit, unsigned datacenter, int64_t clock_offset_ms, uint64_t hwm)
{
	pthread_mutex_lock(&unit->lock);
	unit->says.datacenter = datacenter;
	unit->says.wall_ms = kontor_now_ms() + clock_offset_ms;
	unit->says.marks_len = 1;
	unit->says.marks[0] = (struct peer_mark){.key = "std63/7", .epoch = 2, .hwm = hwm, .held = true};
	pthread_mutex_unlock(&unit->lock);
}

/* ---- the unit under test ---------------------------------------------------------------------------------------- */

static void own_report(void *arg, struct peer_report *ret)
{
	(void)arg;
	ret->datacenter = 3;
	ret->wall_ms = kontor_now_ms();
	snprintf(ret->unit, sizeof(ret->unit), "all@here");
	snprintf(ret->cluster_uuid, sizeof(ret->cluster_uuid), "%s", OURS);
	ret->marks_len = 1;
	ret->marks[0] = (struct peer_mark){.key = "std63/1", .epoch = 1, .hwm = 11, .held = true};
}

static int all_begin(void **state)
{
	(void)state;
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	unit_init(&north, "north");
	unit_init(&south, "south");
	unit_init(&nobody, "nobody");
	book = peers_new(3);
	calls = NULL;
	return book ? 0 : -1;
}

static int all_end(void **state)
{
	(void)state;
	calls = peer_calls_stop(calls);
	unit_end(&north);
	unit_end(&south);
	unit_end(&nobody);
	book = peers_free(book);
	return 0;
}

static void start_calls(uint32_t every_ms, const char *const *endpoints, size_t len)
{
	struct peer_calls_options options = {.book = book,
					     .caller = "all",
					     .endpoints = endpoints,
					     .endpoints_len = len,
					     .every_ms = every_ms,
					     .report = own_report};
	int code = peer_calls_start(&options, &calls, &err);
	if (code)
		fail_msg("%s", err.message);
}
#define START_CALLS(every_ms, ...)                                                                                     \
	start_calls(every_ms, (const char *const[]){__VA_ARGS__},                                                      \
		    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* What the status shows as the problem of the peer at the endpoint. */
static void read_problem(const char *endpoint, char *ret, size_t size)
{
	kontor_writer *w = kontor_writer_new();
	kontor_body *body = NULL;
	const void *data;
	size_t data_size;
	char name[PEER_ENDPOINT_SIZE];
	kontor_write_map(w);
	peers_put(book, OURS, kontor_monotonic_ms(), w);
	kontor_write_end(w);
	assert_int_equal(kontor_writer_finish(w, &data, &data_size, &err), 0);
	assert_int_equal(kontor_body_parse(data, data_size, &body, &err), 0);
	const msgpack_object *list = kontor_get(kontor_body_map(body), "peers");
	snprintf(ret, size, "(unknown)");
	for (uint32_t i = 0; i < list->via.array.size; i++)
		if (strcmp(kontor_get_string(&list->via.array.ptr[i], "endpoint", name, sizeof(name)), endpoint) == 0)
			kontor_get_string(&list->via.array.ptr[i], "problem", ret, size);
	kontor_body_free(body);
	kontor_writer_free(w);
}

static void wait_for_problem(const char *endpoint, const char *words)
{
	char problem[256];
	int64_t until_ms = kontor_monotonic_ms() + WAIT_MS;
	for (;;) {
		read_problem(endpoint, problem, sizeof(problem));
		if (words[0] ? strstr(problem, words) != NULL : problem[0] == '\0')
			return;
		if (kontor_monotonic_ms() > until_ms)
			fail_msg("the problem of %s is \"%s\", not \"%s\"", endpoint, problem, words);
		usleep(2000);
	}
}

static void wait_for_requests(struct unit *unit, int requests)
{
	int64_t until_ms = kontor_monotonic_ms() + WAIT_MS;
	while (unit->requests < requests) {
		if (kontor_monotonic_ms() > until_ms)
			fail_msg("%s was asked %d times only", unit->endpoint, (int)unit->requests);
		usleep(2000);
	}
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void test_reports_go_both_ways(void **state)
{
	(void)state;
	struct peer_calls_round round;
	int64_t offset_ms = 0;
	bool held;
	unit_start(&north);
	unit_says(&north, 3, 3600000, 5000);
	START_CALLS(OFTEN_MS, north.endpoint);
	peer_calls_once(calls, &round);
	assert_int_equal(round.asked, 1);
	assert_int_equal(round.answered, 1);
	assert_string_equal(round.silent, "");
	assert_int_equal(peers_hwm(book, OTHER, "std63/7", kontor_monotonic_ms(), NULL, &held), 5000);
	assert_true(held);
	assert_int_equal(peers_clock_offset(book, kontor_monotonic_ms(), &offset_ms), 1);
	assert_in_range(offset_ms, 3600000 - WAIT_MS, 3600000);
	pthread_mutex_lock(&north.lock);
	assert_string_equal(north.heard.unit, "all@here");
	assert_string_equal(north.heard.cluster_uuid, OURS);
	assert_int_equal(north.heard.process, peers_process(book));
	assert_int_equal(north.heard.marks[0].hwm, 11);
	pthread_mutex_unlock(&north.lock);
	wait_for_requests(&north, 5); /* without being told */
}

static void test_a_conflict_comes_and_goes(void **state)
{
	(void)state;
	struct peer_calls_round round;
	unit_start(&north);
	unit_says(&north, 3, 0, 1);
	START_CALLS(OFTEN_MS, north.endpoint);
	peer_calls_once(calls, &round);
	assert_int_equal(peers_conflict(book, OURS, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, north.endpoint));
	unit_says(&north, 4, 0, 1);
	peer_calls_once(calls, &round);
	assert_int_equal(peers_conflict(book, OURS, &err), 0);
}

static void test_the_dead_and_the_silent_delay_nobody(void **state)
{
	(void)state;
	unit_start(&north);
	unit_start(&south);
	south.behaviour = SILENT;
	START_CALLS(OFTEN_MS, nobody.endpoint, south.endpoint, north.endpoint);
	wait_for_requests(&south, 1);
	int before = north.requests, silent_before = south.requests;
	wait_for_requests(&south, silent_before + 1); /* a whole timeout later */
	assert_true(north.requests - before > 2 * (south.requests - silent_before));
	wait_for_problem(nobody.endpoint, "no kontord answers at");
	wait_for_problem(south.endpoint, "no answer came in time");
	wait_for_problem(north.endpoint, "");
}

static void test_a_refusal_is_remembered_until_it_ends(void **state)
{
	(void)state;
	unit_start(&north);
	north.behaviour = REFUSES;
	START_CALLS(OFTEN_MS, north.endpoint);
	wait_for_problem(north.endpoint, "uid 5 is no user here");
	north.behaviour = TALKS_NONSENSE;
	wait_for_problem(north.endpoint, "has no usable \"datacenter\"");
	north.behaviour = ANSWERS;
	wait_for_problem(north.endpoint, "");
}

static void test_a_round_names_the_first_that_is_silent(void **state)
{
	(void)state;
	struct peer_calls_round round;
	unit_start(&north);
	unit_start(&south);
	south.behaviour = REFUSES;
	START_CALLS(60000, north.endpoint, south.endpoint, nobody.endpoint);
	peer_calls_once(calls, &round);
	assert_int_equal(round.asked, 3);
	assert_int_equal(round.answered, 1);
	assert_string_equal(round.silent, south.endpoint);
	assert_string_equal(round.problem, "uid 5 is no user here");
	south.behaviour = ANSWERS;
	peer_calls_once(calls, &round);
	assert_int_equal(round.answered, 2);
	assert_string_equal(round.silent, nobody.endpoint);
	assert_non_null(strstr(round.problem, "no kontord answers"));
	unit_start(&nobody);
	wait_for_problem(north.endpoint, "");
	for (int attempt = 0; round.answered < 3 && attempt < 10; attempt++) /* its socket may not be there at once */
		peer_calls_once(calls, &round);
	assert_int_equal(round.answered, 3);
	assert_string_equal(round.problem, "");
}

/* The answer of an exchange that was under way already may be older than the question. */
static void test_a_round_has_answers_of_its_own(void **state)
{
	(void)state;
	struct peer_calls_round round;
	unit_start(&north);
	north.delay_ms = 10;
	START_CALLS(1, north.endpoint); /* so one is under way nearly always */
	for (uint64_t hwm = 1; hwm <= 30; hwm++) {
		usleep(5000); /* into the middle of it */
		unit_says(&north, 3, 0, hwm);
		peer_calls_once(calls, &round);
		assert_int_equal(round.answered, 1);
		assert_int_equal(peers_hwm(book, OTHER, "std63/7", 0, NULL, NULL), hwm);
	}
}

/* Who is silent while the round is asked for need not be waited for twice. */
static void test_a_round_takes_the_silence_that_is_under_way(void **state)
{
	(void)state;
	struct peer_calls_round round;
	unit_start(&north);
	north.behaviour = SILENT;
	int64_t start_ms = kontor_monotonic_ms();
	START_CALLS(60000, north.endpoint);
	wait_for_requests(&north, 1);
	bool under_way = kontor_monotonic_ms() - start_ms < PEER_CALLS_TIMEOUT_MS / 2;
	peer_calls_once(calls, &round);
	assert_int_equal(round.answered, 0);
	assert_string_equal(round.silent, north.endpoint);
	assert_in_range(north.requests, 1, under_way ? 1 : 2);
}

static void *ask_rounds(void *arg)
{
	uintptr_t *failed = arg;
	struct peer_calls_round round;
	for (int i = 0; i < 20; i++) {
		peer_calls_once(calls, &round);
		*failed += round.answered != 2;
	}
	return NULL;
}

static void test_several_may_ask_for_rounds(void **state)
{
	(void)state;
	pthread_t threads[4];
	uintptr_t failed[4] = {0};
	unit_start(&north);
	unit_start(&south);
	START_CALLS(OFTEN_MS, north.endpoint, south.endpoint);
	for (int attempt = 0; attempt < 10 && !(north.requests && south.requests); attempt++)
		peer_calls_once(calls, &(struct peer_calls_round){0});
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_rounds, &failed[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(failed[i], 0);
	}
}

/* Were it to wait for the silent one, each time would take its second. */
static void test_the_end_waits_for_nobody(void **state)
{
	(void)state;
	unit_start(&north);
	north.behaviour = SILENT;
	int64_t start_ms = kontor_monotonic_ms();
	for (int i = 0; i < 10; i++) {
		int before = north.requests;
		START_CALLS(OFTEN_MS, north.endpoint, nobody.endpoint);
		wait_for_requests(&north, before + 1);
		calls = peer_calls_stop(calls);
	}
	assert_true(kontor_monotonic_ms() - start_ms < 10 * PEER_CALLS_TIMEOUT_MS - 1000);
	char problem[256];
	read_problem(north.endpoint, problem, sizeof(problem));
	assert_string_equal(problem, "(unknown)"); /* it was not given its second */
}

static void test_bad_lists_of_peers_are_refused(void **state)
{
	(void)state;
	const char *endpoints[PEER_CALLS_LIMIT + 1];
	char longest[PEER_ENDPOINT_SIZE + 1];
	struct peer_calls_options options = {.book = book, .endpoints = endpoints, .report = own_report};
	for (size_t i = 0; i <= PEER_CALLS_LIMIT; i++)
		endpoints[i] = nobody.endpoint;
	options.endpoints_len = PEER_CALLS_LIMIT + 1;
	assert_int_equal(peer_calls_start(&options, &calls, &err), KONTOR_E_BAD_REQUEST);
	memset(longest, 'x', sizeof(longest));
	longest[PEER_ENDPOINT_SIZE] = '\0';
	endpoints[1] = longest;
	options.endpoints_len = 2;
	assert_int_equal(peer_calls_start(&options, &calls, &err), KONTOR_E_BAD_REQUEST);
	endpoints[1] = "";
	assert_int_equal(peer_calls_start(&options, &calls, &err), KONTOR_E_BAD_REQUEST);
	assert_null(calls);
	endpoints[0] = "what is this";
	options.endpoints_len = 1;
	assert_int_equal(peer_calls_start(&options, &calls, &err), 0);
	wait_for_problem("what is this", "an endpoint looks like");
}

static void test_no_peers_are_fine(void **state)
{
	(void)state;
	struct peer_calls_round round = {.asked = 9};
	struct peer_calls_options options = {.book = book, .report = own_report};
	assert_int_equal(peer_calls_start(&options, &calls, &err), 0);
	peer_calls_once(calls, &round);
	assert_int_equal(round.asked, 0);
	assert_string_equal(round.silent, "");
}

int main(void)
{
#define WITH_UNITS(test) cmocka_unit_test_setup_teardown(test, all_begin, all_end)
	const struct CMUnitTest tests[] = {
		WITH_UNITS(test_reports_go_both_ways),
		WITH_UNITS(test_a_conflict_comes_and_goes),
		WITH_UNITS(test_the_dead_and_the_silent_delay_nobody),
		WITH_UNITS(test_a_refusal_is_remembered_until_it_ends),
		WITH_UNITS(test_a_round_names_the_first_that_is_silent),
		WITH_UNITS(test_a_round_has_answers_of_its_own),
		WITH_UNITS(test_a_round_takes_the_silence_that_is_under_way),
		WITH_UNITS(test_several_may_ask_for_rounds),
		WITH_UNITS(test_the_end_waits_for_nobody),
		WITH_UNITS(test_bad_lists_of_peers_are_refused),
		WITH_UNITS(test_no_peers_are_fine),
	};
	context = zmq_ctx_new();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	zmq_ctx_term(context);
	return failed;
}
