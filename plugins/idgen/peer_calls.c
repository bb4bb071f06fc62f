/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread for each endpoint: exchange, wait, again.
 */
#include "peer_calls.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

#include "kontor/client.h"
#include "kontor/log.h"
#include "kontor/time.h"

#define ONE_ATTEMPT_MS 1 /* patience of a call: it is never repeated inside, the next exchange is the repetition */

struct caller {
	struct peer_calls *calls;
	char endpoint[PEER_ENDPOINT_SIZE];
	kontor_client *client;
	pthread_t thread;
	bool has_thread;
	char complaint[32]; /* what was logged last, "" when all was well; only this thread */

	/* guarded by calls->lock */
	uint64_t rounds_done; /* the last round that an exchange ended for */
	bool answered;
	char problem[256];
};

struct peer_calls {
	struct peers *book;
	void (*report)(void *arg, struct peer_report *ret);
	void *arg;
	uint32_t every_ms;
	void *zmq;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* a round was asked for, an exchange ended, or all shall end */
	uint64_t round;      /* how many were asked for */
	bool stopping;
	size_t callers_len;
	struct caller callers[PEER_CALLS_LIMIT];
};

/* An answer that took longer (this process was stopped meanwhile) tells nothing of the clock. */
#define CLOCK_EXCHANGE_MS (2 * (int64_t)PEER_CALLS_TIMEOUT_MS)

/* ---- one exchange ----------------------------------------------------------------------------------------------- */

/* The answer's clock is compared with the middle of the exchange. */
static int note_answer(struct caller *caller, const kontor_body *reply, int64_t sent_ms, struct kontor_error *err)
{
	struct peer_report report;
	int code = peer_report_read(kontor_body_map(reply), &report, err);
	if (code)
		return code;
	int64_t now_ms = kontor_monotonic_ms(), took_ms = now_ms - sent_ms;
	int64_t own_wall_ms = took_ms > CLOCK_EXCHANGE_MS ? PEERS_NO_CLOCK : kontor_now_ms() - took_ms / 2;
	return peers_note(caller->calls->book, caller->endpoint, &report, own_wall_ms, now_ms, err);
}

static int exchange(struct caller *caller, struct kontor_error *err)
{
	struct kontor_call_options options = {.timeout_ms = PEER_CALLS_TIMEOUT_MS, .patience_ms = ONE_ATTEMPT_MS};
	struct peer_report own;
	kontor_body *reply = NULL;
	kontor_writer *args = kontor_writer_new();
	if (!args)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a report");
	memset(&own, 0, sizeof(own));
	caller->calls->report(caller->calls->arg, &own);
	own.process = peers_process(caller->calls->book);
	kontor_write_map(args);
	peer_report_put(&own, args);
	kontor_write_end(args);
	int64_t sent_ms = kontor_monotonic_ms();
	int code = kontor_call(caller->client, "idgen.peer", args, &options, &reply, err);
	if (!code)
		code = note_answer(caller, reply, sent_ms, err);
	kontor_body_free(reply);
	kontor_writer_free(args);
	return code;
}

/* Said once, until it changes. Messages tell times and the like, so the code decides. */
static void complain(struct caller *caller, int code, const struct kontor_error *err)
{
	const char *name = code ? kontor_code_name(code) : "";
	if (strcmp(caller->complaint, name) == 0)
		return;
	if (code)
		kontor_log(KONTOR_LOG_WARNING, "an id peer cannot be asked", "endpoint=%s code=%s error=%s",
			   KONTOR_QUOTED(caller->endpoint), name, KONTOR_QUOTED(err->message));
	else
		kontor_log(KONTOR_LOG_INFO, "an id peer answers again", "endpoint=%s", KONTOR_QUOTED(caller->endpoint));
	snprintf(caller->complaint, sizeof(caller->complaint), "%s", name);
}

/* ---- the threads ------------------------------------------------------------------------------------------------ */

static struct timespec later(uint32_t ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return until;
}

static bool is_stopping(struct peer_calls *calls)
{
	pthread_mutex_lock(&calls->lock);
	bool stopping = calls->stopping;
	pthread_mutex_unlock(&calls->lock);
	return stopping;
}

/* An answer counts for the rounds that were asked for before the exchange began; a failure for those that were asked
 * for meanwhile too, because its peer had its second. */
static void exchange_ended(struct caller *caller, uint64_t begun_in_round, int code, const struct kontor_error *err)
{
	struct peer_calls *calls = caller->calls;
	pthread_mutex_lock(&calls->lock);
	caller->rounds_done = code ? calls->round : begun_in_round;
	caller->answered = code == 0;
	snprintf(caller->problem, sizeof(caller->problem), "%.*s", (int)sizeof(caller->problem) - 1,
		 code ? err->message : "");
	pthread_cond_broadcast(&calls->wake);
	pthread_mutex_unlock(&calls->lock);
}

/* Until `next`, or a round is asked for, or all shall end. */
static void wait_for_next(struct caller *caller, const struct timespec *next)
{
	struct peer_calls *calls = caller->calls;
	pthread_mutex_lock(&calls->lock);
	while (!calls->stopping && caller->rounds_done == calls->round &&
	       pthread_cond_timedwait(&calls->wake, &calls->lock, next) == 0)
		;
	pthread_mutex_unlock(&calls->lock);
}

static uint64_t current_round(struct peer_calls *calls)
{
	pthread_mutex_lock(&calls->lock);
	uint64_t round = calls->round;
	pthread_mutex_unlock(&calls->lock);
	return round;
}

static void *caller_run(void *arg)
{
	struct caller *caller = arg;
	struct peer_calls *calls = caller->calls;
	kontor_log_plugin("idgen");
	while (!is_stopping(calls)) {
		struct timespec next = later(calls->every_ms);
		struct kontor_error err = KONTOR_ERROR_INIT;
		uint64_t round = current_round(calls);
		int code = exchange(caller, &err);
		if (is_stopping(calls)) /* which ended the exchange: no problem of the peer's */
			break;
		if (code)
			peers_note_problem(calls->book, caller->endpoint, err.message);
		complain(caller, code, &err);
		exchange_ended(caller, round, code, &err);
		wait_for_next(caller, &next);
	}
	return NULL;
}

static bool is_tcp(const char *endpoint)
{
	return strncmp(endpoint, "tcp://", 6) == 0;
}

/* The public key of the peer at that place of the list; NULL: none is needed, or it was not told. */
static const char *server_key(const struct peer_calls_options *options, size_t index)
{
	const char *const *keys = options->server_keys;
	if (!is_tcp(options->endpoints[index]) || !keys || !keys[0])
		return NULL;
	for (size_t i = 0; i < index && keys[1]; i++)
		keys += is_tcp(options->endpoints[i]);
	return keys[0];
}

static int start_caller(struct peer_calls *calls, const struct peer_calls_options *peers, size_t index,
			struct kontor_error *err)
{
	const char *endpoint = peers->endpoints[index];
	struct caller *caller = &calls->callers[calls->callers_len];
	struct kontor_client_options options = {.zmq_context = calls->zmq,
						.endpoint = endpoint,
						.server_key = server_key(peers, index),
						.key_file = is_tcp(endpoint) ? peers->key_file : NULL,
						.caller = peers->caller};
	if (!endpoint[0] || strlen(endpoint) >= sizeof(caller->endpoint))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "peers: \"%.60s\" is no endpoint of 1 to %zu bytes, like ipc:///run/kontor/ids.sock",
				   endpoint, sizeof(caller->endpoint) - 1);
	snprintf(caller->endpoint, sizeof(caller->endpoint), "%s", endpoint);
	caller->calls = calls;
	int code = kontor_client_new(&options, &caller->client, err);
	if (code)
		return code;
	calls->callers_len++;
	int failure = pthread_create(&caller->thread, NULL, caller_run, caller);
	if (failure)
		return kontor_fail(err, KONTOR_E_INTERNAL, "no thread for the peer at %s: %s", endpoint,
				   strerror(failure));
	caller->has_thread = true;
	return 0;
}

static struct peer_calls *new_calls(const struct peer_calls_options *options)
{
	struct peer_calls *calls = calloc(1, sizeof(*calls));
	void *zmq = zmq_ctx_new();
	pthread_condattr_t monotonic;
	if (!calls || !zmq) {
		free(calls);
		if (zmq)
			zmq_ctx_term(zmq);
		return NULL;
	}
	zmq_ctx_set(zmq, ZMQ_BLOCKY, 0);
	calls->zmq = zmq;
	calls->book = options->book;
	calls->report = options->report;
	calls->arg = options->arg;
	calls->every_ms = options->every_ms ? options->every_ms : PEER_CALLS_EVERY_MS;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&calls->lock, NULL);
	pthread_cond_init(&calls->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return calls;
}

int peer_calls_start(const struct peer_calls_options *options, struct peer_calls **ret_calls, struct kontor_error *err)
{
	if (options->endpoints_len > PEER_CALLS_LIMIT)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "peers: %zu endpoints are configured, %d are possible",
				   options->endpoints_len, PEER_CALLS_LIMIT);
	struct peer_calls *calls = new_calls(options);
	int code = calls ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "peers: out of memory");
	for (size_t i = 0; !code && i < options->endpoints_len; i++)
		code = start_caller(calls, options, i, err);
	if (code)
		peer_calls_stop(calls);
	else
		*ret_calls = calls;
	return code;
}

struct peer_calls *peer_calls_stop(struct peer_calls *calls)
{
	if (!calls)
		return NULL;
	pthread_mutex_lock(&calls->lock);
	calls->stopping = true;
	pthread_cond_broadcast(&calls->wake);
	pthread_mutex_unlock(&calls->lock);
	zmq_ctx_shutdown(calls->zmq); /* whoever waits for an answer gets an error instead */
	for (size_t i = 0; i < calls->callers_len; i++) {
		if (calls->callers[i].has_thread)
			pthread_join(calls->callers[i].thread, NULL);
		kontor_client_free(calls->callers[i].client);
	}
	zmq_ctx_term(calls->zmq);
	pthread_cond_destroy(&calls->wake);
	pthread_mutex_destroy(&calls->lock);
	free(calls);
	return NULL;
}

/* ---- all at once ------------------------------------------------------------------------------------------------ */

void peer_calls_once(struct peer_calls *calls, struct peer_calls_round *ret)
{
	struct timespec until = later(2 * PEER_CALLS_TIMEOUT_MS); /* each exchange ends by itself long before */
	memset(ret, 0, sizeof(*ret));
	ret->asked = calls->callers_len;
	pthread_mutex_lock(&calls->lock);
	uint64_t round = ++calls->round;
	pthread_cond_broadcast(&calls->wake);
	for (size_t i = 0; i < calls->callers_len; i++) {
		struct caller *caller = &calls->callers[i];
		bool in_time = true;
		while (caller->rounds_done < round && in_time)
			in_time = pthread_cond_timedwait(&calls->wake, &calls->lock, &until) == 0;
		bool answered = caller->rounds_done >= round && caller->answered;
		ret->answered += answered;
		if (answered || ret->silent[0])
			continue;
		memcpy(ret->silent, caller->endpoint, sizeof(ret->silent));
		snprintf(ret->problem, sizeof(ret->problem), "%s",
			 caller->rounds_done >= round ? caller->problem : "it did not answer in time");
	}
	pthread_mutex_unlock(&calls->lock);
}
