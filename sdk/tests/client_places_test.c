/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to a service with several endpoints, over real ipc sockets to small units that answer, refuse, fall silent, go
 * and come back.
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

#define UNITS 3
#define LIMIT_MS 30000 /* for what must happen */

static struct unit {
	char endpoint[64];
	void *context;
	pthread_t thread;
	bool up;
	atomic_bool stop, bound;
	atomic_int refuse; /* code that requests are answered with; 0: none */
	atomic_uint advised_ms;
	atomic_int swallow;   /* requests that are still to be swallowed */
	atomic_bool draining; /* as its PONG says */
	atomic_uint queued;
	atomic_uint delay_ms;
	atomic_uint requests, pings;
	atomic_uint_fast64_t instance;
	char last_key[KONTOR_KEY_SIZE];
} units[UNITS];

static kontor_client *client;
static struct kontor_error err;
static uint32_t patience_ms; /* of the next calls; 0: until their timeout */

/* ---- a unit ------------------------------------------------------------------------------------------------------ */

static void send_writer(void *router, kontor_writer *w, int more)
{
	const void *data = NULL;
	size_t size = 0;
	if (kontor_writer_finish(w, &data, &size, NULL))
		abort();
	zmq_send(router, data, size, more);
	kontor_writer_free(w);
}

static void answer(const struct unit *unit, void *router, const struct kontor_frame_header *in)
{
	struct kontor_frame_header out = {.version = 1, .kind = KONTOR_FRAME_REPLY, .id = in->id};
	kontor_writer *header = kontor_writer_new(), *body = kontor_writer_new();
	kontor_write_map(body);
	if (in->kind == KONTOR_FRAME_PING) {
		out.kind = KONTOR_FRAME_PONG;
		kontor_put_uint(body, "instance", unit->instance);
		kontor_put_string(body, "state", unit->draining ? "draining" : "ready");
		kontor_put_uint(body, "queued", unit->queued);
		kontor_put_uint(body, "capacity", 100);
	} else if (unit->refuse) {
		out.kind = KONTOR_FRAME_ERROR;
		kontor_put_int(body, "code", unit->refuse);
		kontor_put_string(body, "message", "the unit was told to refuse");
		kontor_put_uint(body, "retry_after_ms", unit->advised_ms);
	} else {
		kontor_put_uint(body, "unit", (uint64_t)(unit - units));
	}
	kontor_write_end(body);
	kontor_frame_write(header, &out);
	send_writer(router, header, ZMQ_SNDMORE);
	send_writer(router, body, 0);
}

static void take(struct unit *unit, void *router)
{
	char identity[256], frame[1024];
	struct kontor_frame_header in;
	int identity_size = zmq_recv(router, identity, sizeof(identity), 0);
	int size = zmq_recv(router, frame, sizeof(frame), 0);
	if (kontor_frame_parse(frame, (size_t)size, &in, NULL))
		abort();
	zmq_recv(router, frame, sizeof(frame), 0);
	if (in.kind == KONTOR_FRAME_CANCEL)
		return;
	if (in.kind == KONTOR_FRAME_PING) {
		unit->pings++;
	} else {
		unit->requests++;
		snprintf(unit->last_key, sizeof(unit->last_key), "%s", in.key);
		if (unit->delay_ms)
			usleep(unit->delay_ms * 1000);
		if (unit->swallow > 0) {
			unit->swallow--;
			return;
		}
	}
	zmq_send(router, identity, (size_t)identity_size, ZMQ_SNDMORE);
	answer(unit, router, &in);
}

static void *peer_run(void *arg)
{
	struct unit *unit = arg;
	void *router = zmq_socket(unit->context, ZMQ_ROUTER);
	int linger = 0;
	zmq_setsockopt(router, ZMQ_LINGER, &linger, sizeof(linger));
	if (zmq_bind(router, unit->endpoint)) {
		fprintf(stderr, "bind %s: %s\n", unit->endpoint, zmq_strerror(zmq_errno()));
		abort();
	}
	unit->bound = true;
	while (!unit->stop) {
		zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};
		if (zmq_poll(&item, 1, 5) > 0)
			take(unit, router);
	}
	zmq_close(router);
	return NULL;
}

static void start(int which)
{
	struct unit *unit = &units[which];
	static uint64_t instances;
	unit->stop = unit->bound = false;
	unit->instance = ++instances;
	unit->context = zmq_ctx_new();
	unit->up = true;
	assert_int_equal(pthread_create(&unit->thread, NULL, peer_run, unit), 0);
	while (!unit->bound)
		usleep(1000);
}

/* Gone in the middle of whatever it did, as by SIGKILL. */
static void stop(int which)
{
	struct unit *unit = &units[which];
	if (!unit->up)
		return;
	unit->stop = true;
	pthread_join(unit->thread, NULL);
	zmq_ctx_term(unit->context);
	unlink(unit->endpoint + strlen("ipc://"));
	unit->up = false;
}

static void set_routes(int first, int len)
{
	struct kontor_endpoint endpoints[UNITS];
	for (int i = 0; i < len; i++)
		endpoints[i] = (struct kontor_endpoint){units[first + i].endpoint, NULL};
	const struct kontor_route route = {"test", true, NULL, endpoints, (size_t)len};
	assert_int_equal(kontor_client_set_routes(client, &route, 1, &err), 0);
}

static int begin(void **state)
{
	const struct kontor_client_options options = {0};
	(void)state;
	patience_ms = 0;
	for (int i = 0; i < UNITS; i++) {
		memset(&units[i], 0, sizeof(units[i]));
		snprintf(units[i].endpoint, sizeof(units[i].endpoint), "ipc:///tmp/kontor-places-test.%d.%d",
			 (int)getpid(), i);
	}
	return kontor_client_new(&options, &client, &err);
}

static int end(void **state)
{
	(void)state;
	client = kontor_client_free(client);
	for (int i = 0; i < UNITS; i++)
		stop(i);
	return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* The number of the unit that answered, or the error's code. */
static int call(uint32_t timeout_ms, const char *key)
{
	const struct kontor_call_options options = {.timeout_ms = timeout_ms, .patience_ms = patience_ms, .key = key};
	kontor_body *reply = NULL;
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	int rc = kontor_call(client, "test.echo", NULL, &options, &reply, &err);
	assert_int_equal(rc, err.code);
	if (!rc)
		rc = (int)kontor_get_uint(kontor_body_map(reply), "unit", 99);
	kontor_body_free(reply);
	return rc;
}

static void start_two(void)
{
	start(0);
	start(1);
	set_routes(0, 2);
	int64_t start_ms = kontor_monotonic_ms();
	for (int i = 0; i < 40 || !units[0].requests || !units[1].requests; i++) { /* both are known */
		assert_in_range(call(5000, NULL), 0, 1);
		assert_true(kontor_monotonic_ms() - start_ms < LIMIT_MS);
	}
	units[0].requests = units[1].requests = 0;
}

static void test_the_less_busy_of_two_gets_most_calls(void **state)
{
	(void)state;
	start(0);
	start(1);
	units[0].queued = 90;
	units[1].queued = 5;
	set_routes(0, 2);
	for (int i = 0; i < 200; i++)
		assert_in_range(call(5000, NULL), 0, 1);
	assert_true(units[1].requests > 150);
	assert_true(units[1].requests + units[0].requests == 200);
}

static void test_a_load_that_changes_is_learned_while_calls_go_on(void **state)
{
	(void)state;
	start_two();
	units[0].queued = 80;
	int64_t start_ms = kontor_monotonic_ms();
	do {
		assert_true(kontor_monotonic_ms() - start_ms < LIMIT_MS);
		units[0].requests = units[1].requests = 0;
		for (int i = 0; i < 100; i++)
			call(5000, NULL);
	} while (units[1].requests < 100);
}

/* A call is sent behind the PING whose PONG tells of the restart: whoever answers the one has the other. */
static void test_a_restart_before_a_call_does_not_end_it(void **state)
{
	(void)state;
	start_two();
	int64_t start_ms = kontor_monotonic_ms();
	unsigned pings = units[0].pings + units[1].pings;
	while (units[0].pings + units[1].pings < pings + 4 && kontor_monotonic_ms() - start_ms < LIMIT_MS) {
		units[0].instance += 2;
		units[1].instance += 2;
		assert_in_range(call(5000, NULL), 0, 1);
	}
	assert_true(units[0].pings + units[1].pings >= pings + 4);
}

static void test_the_nearest_comes_first(void **state)
{
	(void)state;
	start(0);
	char near[64];
	void *context = zmq_ctx_new();
	const struct kontor_client_options options = {.zmq_context = context};
	kontor_client_free(client);
	assert_int_equal(kontor_client_new(&options, &client, &err), 0);
	stop(1);
	snprintf(near, sizeof(near), "inproc://near");
	snprintf(units[1].endpoint, sizeof(units[1].endpoint), "%s", near);
	units[1].context = context;
	units[1].up = true;
	assert_int_equal(pthread_create(&units[1].thread, NULL, peer_run, &units[1]), 0);
	set_routes(0, 2);
	for (int i = 0; i < 50; i++)
		assert_int_equal(call(5000, NULL), 1);
	units[1].refuse = KONTOR_E_BUSY;
	assert_int_equal(call(5000, NULL), 0);
	units[1].stop = true;
	pthread_join(units[1].thread, NULL);
	units[1].up = false;
	client = kontor_client_free(client);
	zmq_ctx_term(context);
}

static void test_a_refusal_goes_elsewhere_without_a_wait(void **state)
{
	(void)state;
	static const int codes[] = {KONTOR_E_BUSY, KONTOR_E_DRAINING, KONTOR_E_UNAVAILABLE};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		start_two();
		units[0].refuse = codes[i];
		units[0].advised_ms = 30000;
		for (int n = 0; n < 50; n++)
			assert_int_equal(call(5000, NULL), 1); /* in time, so nobody waited for the advised time */
		assert_int_equal(units[0].requests, 1);        /* and it was left alone afterwards */
		end(NULL);
		begin(NULL);
	}
}

static void test_everybody_busy_is_tried_again_after_the_advised_time(void **state)
{
	(void)state;
	start_two();
	units[0].refuse = units[1].refuse = KONTOR_E_BUSY;
	units[0].advised_ms = units[1].advised_ms = 200;
	patience_ms = 100;
	assert_int_equal(call(20000, NULL), KONTOR_E_BUSY);
	assert_int_equal(units[0].requests + units[1].requests, 2);
	patience_ms = 700;
	assert_int_equal(call(20000, NULL), KONTOR_E_BUSY);
	assert_in_range(units[0].requests + units[1].requests, 4, 10);
}

static void test_a_unit_that_drains_is_left_before_it_refuses(void **state)
{
	(void)state;
	start_two();
	units[0].draining = true;
	units[0].refuse = KONTOR_E_DRAINING;
	usleep(100000);
	for (int i = 0; i < 50; i++)
		assert_int_equal(call(5000, NULL), 1);
	assert_int_equal(units[0].requests, 0);
}

static void test_a_unit_that_is_gone_costs_a_call_nothing(void **state)
{
	(void)state;
	start_two();
	stop(0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(call(5000, "a-key"), 1);
	/* From here its circuit is open: 1,000 calls take a fraction of the time that one vain connect would. */
	int64_t start_ms = kontor_monotonic_ms();
	for (int i = 0; i < 1000; i++)
		assert_int_equal(call(5000, "a-key"), 1);
	assert_true(kontor_monotonic_ms() - start_ms < 1000 * 100);
}

static void test_a_unit_that_comes_back_gets_calls_again(void **state)
{
	(void)state;
	start_two();
	stop(0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(call(5000, "a-key"), 1);
	units[0].requests = 0;
	start(0);
	int64_t start_ms = kontor_monotonic_ms();
	while (units[0].requests == 0 && kontor_monotonic_ms() - start_ms < LIMIT_MS) {
		assert_in_range(call(5000, "a-key"), 0, 1);
		usleep(2000);
	}
	assert_true(units[0].requests > 0);
}

static void test_nobody_there_names_each_endpoint(void **state)
{
	(void)state;
	set_routes(0, 3);
	assert_int_equal(call(4000, NULL), KONTOR_E_UNAVAILABLE);
	for (int i = 0; i < UNITS; i++)
		assert_non_null(strstr(err.message, units[i].endpoint));
	start(2);
	assert_int_equal(call(20000, NULL), 2);
}

struct caller {
	pthread_t thread;
	const char *key;
	int result;
	struct kontor_error err;
};

static void *call_once(void *arg)
{
	struct caller *caller = arg;
	const struct kontor_call_options options = {.timeout_ms = 20000, .key = caller->key};
	caller->err = (struct kontor_error)KONTOR_ERROR_INIT;
	caller->result = kontor_call(client, "test.echo", NULL, &options, NULL, &caller->err);
	return NULL;
}

static void test_calls_in_flight_end_when_their_unit_is_lost(void **state)
{
	(void)state;
	struct caller callers[8] = {{.key = NULL}};
	start(0);
	set_routes(0, 1);
	assert_int_equal(call(5000, NULL), 0);
	units[0].swallow = 8;
	units[0].requests = 0;
	for (int i = 0; i < 8; i++)
		pthread_create(&callers[i].thread, NULL, call_once, &callers[i]);
	for (int waited = 0; units[0].requests < 8 && waited < LIMIT_MS; waited++)
		usleep(1000);
	assert_int_equal(units[0].requests, 8);
	stop(0);
	for (int i = 0; i < 8; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].result, KONTOR_E_UNKNOWN_OUTCOME);
		/* not by three PINGs that are missed, or the deadline */
		assert_non_null(strstr(callers[i].err.message, "the connection was lost"));
	}
}

static void test_a_lost_call_with_a_key_is_done_elsewhere(void **state)
{
	(void)state;
	struct caller caller = {.key = "a-key"};
	start(0);
	start(1);
	set_routes(0, 1);
	assert_int_equal(call(5000, NULL), 0);
	set_routes(0, 2);
	units[0].swallow = units[1].swallow = 1;
	units[0].requests = 0;
	pthread_create(&caller.thread, NULL, call_once, &caller);
	while (units[0].requests + units[1].requests == 0)
		usleep(1000);
	int first = units[0].requests ? 0 : 1;
	units[1 - first].swallow = 0;
	stop(first);
	pthread_join(caller.thread, NULL);
	assert_int_equal(caller.result, 0);
	assert_int_equal(units[1 - first].requests, 1);
	assert_string_equal(units[1 - first].last_key, "a-key");
}

static void test_a_call_that_waits_follows_a_new_directory(void **state)
{
	(void)state;
	struct caller caller = {.key = NULL};
	start(1);
	set_routes(0, 1);
	pthread_create(&caller.thread, NULL, call_once, &caller);
	usleep(50000);
	set_routes(1, 1);
	pthread_join(caller.thread, NULL);
	assert_int_equal(caller.result, 0);
	assert_int_equal(units[1].requests, 1);
}

static void test_an_unknown_outcome_stays_with_its_cluster(void **state)
{
	(void)state;
	struct caller caller = {.key = "a-key"};
	start(0);
	start(1);
	set_routes(0, 1);
	assert_int_equal(call(5000, NULL), 0);
	units[0].swallow = 1;
	units[0].requests = 0;
	pthread_create(&caller.thread, NULL, call_once, &caller);
	while (units[0].requests == 0)
		usleep(1000);
	set_routes(1, 1); /* of another database, perhaps */
	stop(0);
	usleep(200000);
	start(0);
	pthread_join(caller.thread, NULL);
	assert_int_equal(caller.result, 0);
	assert_int_equal(units[0].requests, 2);
	assert_int_equal(units[1].requests, 0);
}

/* ---- retries ----------------------------------------------------------------------------------------------------- */

static void test_retries_that_are_used_up_say_so(void **state)
{
	(void)state;
	start(0);
	set_routes(0, 1);
	assert_int_equal(call(5000, NULL), 0);
	units[0].refuse = KONTOR_E_BUSY;
	units[0].advised_ms = 1;
	unsigned calls = 0;
	patience_ms = 60;
	do {
		assert_int_equal(call(20000, NULL), KONTOR_E_BUSY);
		calls++;
	} while (calls < 1000 && !strstr(err.message, "more than a tenth"));
	assert_true(calls < 1000);
	assert_non_null(strstr(err.message, "the unit was told to refuse"));
	unsigned before = units[0].requests;
	for (int i = 0; i < 20; i++)
		assert_int_equal(call(20000, NULL), KONTOR_E_BUSY);
	assert_true(units[0].requests - before < 60); /* they would be hundreds */
	units[0].refuse = 0;
	assert_int_equal(call(5000, NULL), 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_the_less_busy_of_two_gets_most_calls),
		TEST(test_a_load_that_changes_is_learned_while_calls_go_on),
		TEST(test_a_restart_before_a_call_does_not_end_it),
		TEST(test_the_nearest_comes_first),
		TEST(test_a_refusal_goes_elsewhere_without_a_wait),
		TEST(test_everybody_busy_is_tried_again_after_the_advised_time),
		TEST(test_a_unit_that_drains_is_left_before_it_refuses),
		TEST(test_a_unit_that_is_gone_costs_a_call_nothing),
		TEST(test_a_unit_that_comes_back_gets_calls_again),
		TEST(test_nobody_there_names_each_endpoint),
		TEST(test_calls_in_flight_end_when_their_unit_is_lost),
		TEST(test_a_lost_call_with_a_key_is_done_elsewhere),
		TEST(test_a_call_that_waits_follows_a_new_directory),
		TEST(test_an_unknown_outcome_stays_with_its_cluster),
		TEST(test_retries_that_are_used_up_say_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
