/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls over a real ipc socket to a small peer that answers, is busy, stays silent, dies or is restarted.
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

#define LATE_MS 15000 /* of calls that have 20 s: long before their deadline, on a slow machine too */

static char endpoint[64];
static void *context;
static kontor_client *client;
static struct kontor_error err;

/* ---- the peer ------------------------------------------------------------------------------------------------- */

static struct peer {
	pthread_t thread;
	atomic_bool stop, deaf; /* deaf: reads and answers nothing */
	atomic_int requests, pings;
	atomic_uint late_ms; /* the next frame is answered so late */
	uint64_t instance, connection;
	int busy_left;             /* requests still to be answered BUSY */
	int silent_left;           /* requests still to be swallowed */
	bool restart_on_request;   /* gets a new instance with the next request and forgets it */
	bool reconnect_on_request; /* the same with a new connection */
	char last_key[KONTOR_KEY_SIZE], last_caller[64];
} peer;

static void peer_send(void *router, const void *identity, size_t identity_size,
		      const struct kontor_frame_header *header, kontor_writer *body)
{
	kontor_writer *w = kontor_writer_new();
	const void *data;
	size_t size;
	kontor_frame_write(w, header);
	zmq_send(router, identity, identity_size, ZMQ_SNDMORE);
	if (kontor_writer_finish(w, &data, &size, NULL) == 0)
		zmq_send(router, data, size, ZMQ_SNDMORE);
	if (kontor_writer_finish(body, &data, &size, NULL) == 0)
		zmq_send(router, data, size, 0);
	kontor_writer_free(w);
}

static void peer_answer(void *router, const void *identity, size_t identity_size, struct kontor_frame_header in)
{
	struct kontor_frame_header out = {.version = 1, .kind = KONTOR_FRAME_REPLY, .id = in.id};
	kontor_writer *body = kontor_writer_new();
	kontor_write_map(body);
	if (in.kind == KONTOR_FRAME_PING) {
		out.kind = KONTOR_FRAME_PONG;
		kontor_put_uint(body, "instance", peer.instance);
		kontor_put_uint(body, "connection", peer.connection);
	} else if (peer.busy_left > 0) {
		peer.busy_left--;
		out.kind = KONTOR_FRAME_ERROR;
		kontor_put_int(body, "code", KONTOR_E_BUSY);
		kontor_put_string(body, "message", "the queue is full");
		kontor_put_uint(body, "retry_after_ms", 150);
	} else if (strcmp(in.method, "test.refuse") == 0) {
		out.kind = KONTOR_FRAME_ERROR;
		kontor_put_int(body, "code", KONTOR_E_NOT_FOUND);
		kontor_put_string(body, "message", "there is no such thing");
	} else
		kontor_put_uint(body, "left_ms", in.left_ms);
	kontor_write_end(body);
	peer_send(router, identity, identity_size, &out, body);
	if (in.kind == KONTOR_FRAME_REQUEST) { /* a late answer to a call of long ago follows each answer */
		out.id = 999999;
		peer_send(router, identity, identity_size, &out, body);
	}
	kontor_writer_free(body);
}

static void peer_take(void *router)
{
	char identity[256], frame[1024];
	struct kontor_frame_header in;
	int identity_size = zmq_recv(router, identity, sizeof(identity), 0);
	int size = zmq_recv(router, frame, sizeof(frame), 0);
	int rc = kontor_frame_parse(frame, (size_t)size, &in, NULL);
	zmq_recv(router, frame, sizeof(frame), 0);
	if (rc || peer.deaf || in.kind == KONTOR_FRAME_CANCEL)
		return;
	peer.pings += in.kind == KONTOR_FRAME_PING;
	usleep(atomic_exchange(&peer.late_ms, 0) * 1000);
	if (in.kind == KONTOR_FRAME_REQUEST) {
		peer.requests++;
		snprintf(peer.last_key, sizeof(peer.last_key), "%s", in.key);
		snprintf(peer.last_caller, sizeof(peer.last_caller), "%s", in.caller);
		if (peer.restart_on_request) {
			peer.restart_on_request = false;
			peer.instance++;
			return;
		}
		if (peer.reconnect_on_request) {
			peer.reconnect_on_request = false;
			peer.connection++;
			return;
		}
		if (peer.silent_left > 0) {
			peer.silent_left--;
			return;
		}
	}
	peer_answer(router, identity, (size_t)identity_size, in);
}

static void *peer_run(void *arg)
{
	void *router = arg;
	while (!peer.stop) {
		zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};
		if (zmq_poll(&item, 1, 10) > 0)
			peer_take(router);
	}
	zmq_close(router);
	return NULL;
}

static void peer_begin(void)
{
	void *router = zmq_socket(context, ZMQ_ROUTER);
	int linger = 0;
	zmq_setsockopt(router, ZMQ_LINGER, &linger, sizeof(linger));
	memset(&peer, 0, sizeof(peer));
	peer.instance = 1;
	assert_int_equal(zmq_bind(router, endpoint), 0);
	assert_int_equal(pthread_create(&peer.thread, NULL, peer_run, router), 0);
}

static void peer_end(void)
{
	peer.stop = true;
	pthread_join(peer.thread, NULL);
}

/* Each test has its own client: one that talked to the last test's peer a moment ago would rightly find it restarted.
 */
static int client_begin(void **state)
{
	(void)state;
	struct kontor_client_options options = {.endpoint = endpoint};
	return kontor_client_new(&options, &client, &err);
}

static int client_end(void **state)
{
	(void)state;
	client = kontor_client_free(client);
	return 0;
}

static int both_begin(void **state)
{
	peer_begin();
	return client_begin(state);
}

static int both_end(void **state)
{
	client_end(state);
	peer_end();
	return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static int call(const char *method, uint32_t timeout_ms, const char *key)
{
	struct kontor_call_options options = {.timeout_ms = timeout_ms, .key = key};
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	int rc = kontor_call(client, method, NULL, &options, NULL, &err);
	assert_int_equal(rc, err.code);
	return rc;
}

static void test_an_answer_arrives_with_key_caller_and_time_left(void **state)
{
	(void)state;
	kontor_body *reply = NULL;
	struct kontor_call_options options = {.timeout_ms = 5000, .key = "k1", .caller = "alice"};
	assert_int_equal(kontor_call(client, "test.echo", NULL, &options, &reply, &err), 0);
	uint64_t left_ms = kontor_get_uint(kontor_body_map(reply), "left_ms", 0);
	assert_in_range(left_ms, 1, 5000);
	assert_string_equal(peer.last_key, "k1");
	assert_string_equal(peer.last_caller, "alice");
	kontor_body_free(reply);
	for (int i = 0; i < 1000; i++) /* each is followed by a late answer, which must not be taken for the next */
		assert_int_equal(call("test.echo", 5000, NULL), 0);
}

static void test_an_error_answer_is_the_calls_error(void **state)
{
	(void)state;
	assert_int_equal(call("test.refuse", 1000, NULL), KONTOR_E_NOT_FOUND);
	assert_string_equal(err.message, "there is no such thing");
	assert_int_equal(peer.requests, 1);
	assert_int_equal(call("nodot", 1000, NULL), KONTOR_E_BAD_REQUEST);
}

static void test_busy_is_retried_after_the_advised_time(void **state)
{
	(void)state;
	peer.busy_left = 3;
	int64_t start_ms = kontor_monotonic_ms();
	assert_int_equal(call("test.echo", 5000, NULL), 0);
	assert_int_equal(peer.requests, 4);
	assert_true(kontor_monotonic_ms() - start_ms >= 450);
	peer.busy_left = 1000000;
	assert_int_equal(call("test.echo", 300, NULL), KONTOR_E_BUSY);
}

static void test_nobody_there_is_told_quickly(void **state)
{
	(void)state;
	int64_t start_ms = kontor_monotonic_ms();
	assert_int_equal(call("test.echo", 1600, NULL), KONTOR_E_UNAVAILABLE);
	assert_in_range(kontor_monotonic_ms() - start_ms, 1000, LATE_MS);
	assert_non_null(strstr(err.message, "no kontord answers at ipc://"));
}

static void test_a_unit_that_comes_up_late_is_reached(void **state)
{
	(void)state;
	assert_int_equal(call("test.echo", 200, NULL), KONTOR_E_UNAVAILABLE);
	peer_begin();
	assert_int_equal(call("test.echo", 5000, NULL), 0);
	peer_end();
}

static void test_silence_is_an_unknown_outcome(void **state)
{
	(void)state;
	peer.silent_left = 1;
	assert_int_equal(call("test.echo", 300, NULL), KONTOR_E_UNKNOWN_OUTCOME);
	assert_int_equal(peer.requests, 1);
}

static void test_a_restart_is_an_unknown_outcome_long_before_the_deadline(void **state)
{
	(void)state;
	assert_int_equal(call("test.echo", 5000, NULL), 0);
	peer.restart_on_request = true;
	int64_t start_ms = kontor_monotonic_ms();
	assert_int_equal(call("test.echo", 20000, NULL), KONTOR_E_UNKNOWN_OUTCOME);
	assert_in_range(kontor_monotonic_ms() - start_ms, 500, LATE_MS);
	assert_int_equal(peer.requests, 2);
	assert_int_equal(call("test.echo", 5000, NULL), 0);
}

/* As when this thread did not run while the connection was lost: nothing else shows that. */
static void test_a_connection_made_again_is_an_unknown_outcome_long_before_the_deadline(void **state)
{
	(void)state;
	assert_int_equal(call("test.echo", 5000, NULL), 0);
	peer.reconnect_on_request = true;
	int64_t start_ms = kontor_monotonic_ms();
	assert_int_equal(call("test.echo", 20000, NULL), KONTOR_E_UNKNOWN_OUTCOME);
	assert_in_range(kontor_monotonic_ms() - start_ms, 500, LATE_MS);
	assert_non_null(strstr(err.message, "the connection was lost and made again"));
	assert_int_equal(peer.requests, 2);
	assert_int_equal(call("test.echo", 5000, NULL), 0);
}

static void test_an_unknown_outcome_is_retried_only_with_a_key(void **state)
{
	(void)state;
	assert_int_equal(call("test.echo", 5000, NULL), 0);
	peer.restart_on_request = true;
	assert_int_equal(call("test.echo", 20000, "a-key"), 0);
	assert_int_equal(peer.requests, 3);
	assert_string_equal(peer.last_key, "a-key");
}

static void test_a_peer_that_hangs_is_noticed(void **state)
{
	(void)state;
	assert_int_equal(call("test.echo", 5000, NULL), 0);
	peer.deaf = true;
	int64_t start_ms = kontor_monotonic_ms();
	assert_int_equal(call("test.echo", 20000, NULL), KONTOR_E_UNKNOWN_OUTCOME);
	assert_in_range(kontor_monotonic_ms() - start_ms, 3000, LATE_MS);
}

/* Once a try may have been done, a later "nobody there" must not read as "nothing was done". */
static void test_unknown_stays_unknown(void **state)
{
	(void)state;
	assert_int_equal(call("test.echo", 5000, NULL), 0);
	peer.deaf = true;
	assert_int_equal(call("test.echo", 6500, "a-key"), KONTOR_E_UNKNOWN_OUTCOME);
}

/* What was answered long ago, by a unit that may have gone since, is read now. */
static void test_an_answer_that_took_long_is_no_news_of_the_peer(void **state)
{
	(void)state;
	int pings = 0, tries = 0;
	do { /* it may have been a PONG that was late, on a machine that stands still now and then */
		assert_true(tries++ < 10);
		assert_int_equal(call("test.echo", 5000, NULL), 0);
		peer.late_ms = 300;
		assert_int_equal(call("test.echo", 5000, NULL), 0);
		pings = peer.pings;
		assert_int_equal(call("test.echo", 5000, NULL), 0);
	} while (peer.pings == pings);
}

static void test_a_pong_that_took_long_is_asked_for_once_more(void **state)
{
	(void)state;
	int pings = 0, tries = 0;
	assert_int_equal(call("test.echo", 5000, NULL), 0);
	do { /* a machine that stood still takes the time for that of the way */
		assert_true(tries++ < 10);
		usleep(100000);
		pings = peer.pings;
		peer.late_ms = 300;
		assert_int_equal(call("test.echo", 5000, NULL), 0);
	} while (peer.pings < pings + 2);
}

static void *many_calls(void *arg)
{
	(void)arg;
	struct kontor_error local;
	intptr_t failed = 0;
	for (int i = 0; i < 500; i++)
		failed += kontor_call(client, "test.echo", NULL, NULL, NULL, &local) != 0;
	return (void *)failed;
}

static void test_threads_have_their_own_sockets(void **state)
{
	(void)state;
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, many_calls, NULL);
	for (int i = 0; i < 8; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(peer.requests, 4000);
}

static void test_routes_say_where_a_service_is(void **state)
{
	(void)state;
	kontor_client *other = NULL;
	const struct kontor_client_options options = {0};
	const struct kontor_call_options quick = {.timeout_ms = 1000};
	const struct kontor_endpoint here = {endpoint, NULL}, nowhere = {"ipc:///tmp/kontor-client-test.nobody", NULL};
	const struct kontor_route first[] = {{"test", true, NULL, &here, 1},
					     {"off", false, "datacenter ams1", &here, 1}};
	const struct kontor_route second[] = {{"test", true, NULL, &nowhere, 1}, {"off", true, NULL, &here, 1}};
	assert_int_equal(kontor_client_new(&options, &other, &err), 0);
	assert_int_equal(kontor_client_set_routes(other, first, 2, &err), 0);
	assert_int_equal(kontor_call(other, "test.echo", NULL, &quick, NULL, &err), 0);
	assert_int_equal(kontor_call(other, "else.echo", NULL, &quick, NULL, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "no endpoint is configured"));
	assert_int_equal(kontor_call(other, "off.echo", NULL, &quick, NULL, &err), KONTOR_E_DISABLED);
	assert_string_equal(err.message, "off.echo: its service is switched off in datacenter ams1");
	assert_int_equal(kontor_client_set_routes(other, second, 2, &err), 0);
	assert_int_equal(kontor_call(other, "off.echo", NULL, &quick, NULL, &err), 0);
	assert_int_equal(kontor_call(other, "test.echo", NULL, &quick, NULL, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, nowhere.endpoint));
	kontor_client_free(other);
}

int main(void)
{
#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, both_begin, both_end)
#define ALONE(test) cmocka_unit_test_setup_teardown(test, client_begin, client_end)
	const struct CMUnitTest tests[] = {
		WITH_PEER(test_an_answer_arrives_with_key_caller_and_time_left),
		WITH_PEER(test_an_error_answer_is_the_calls_error),
		WITH_PEER(test_busy_is_retried_after_the_advised_time),
		ALONE(test_nobody_there_is_told_quickly),
		ALONE(test_a_unit_that_comes_up_late_is_reached),
		WITH_PEER(test_silence_is_an_unknown_outcome),
		WITH_PEER(test_a_restart_is_an_unknown_outcome_long_before_the_deadline),
		WITH_PEER(test_a_connection_made_again_is_an_unknown_outcome_long_before_the_deadline),
		WITH_PEER(test_an_unknown_outcome_is_retried_only_with_a_key),
		WITH_PEER(test_a_peer_that_hangs_is_noticed),
		WITH_PEER(test_unknown_stays_unknown),
		WITH_PEER(test_an_answer_that_took_long_is_no_news_of_the_peer),
		WITH_PEER(test_a_pong_that_took_long_is_asked_for_once_more),
		WITH_PEER(test_threads_have_their_own_sockets),
		WITH_PEER(test_routes_say_where_a_service_is),
	};
	snprintf(endpoint, sizeof(endpoint), "ipc:///tmp/kontor-client-test.%d", (int)getpid());
	context = zmq_ctx_new();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	zmq_ctx_term(context);
	unlink(endpoint + strlen("ipc://"));
	return failed;
}
