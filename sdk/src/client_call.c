/* SPDX-License-Identifier: Apache-2.0
 *
 * A call: one endpoint after the other while nothing was done, then again after a while.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client_state.h"
#include "kontor/text.h"
#include "kontor/time.h"
#include "message_shape.h"

#define DEFAULT_TIMEOUT_MS 30000
#define BACKOFF_MS 50
#define BACKOFF_LIMIT_MS 2000
/* For how long others come first after a refusal that gives no time itself. A restart takes about as long. */
#define AVOID_MS 1000

struct call {
	kontor_client *client;
	struct client_thread *thread;
	struct kontor_client_request request;
	const char *wanted; /* the method, or the service whose unit is asked */
	const struct directory_service *service;
	char region[3];           /* whose home is asked; "": of none */
	const char *home;         /* where that is, when it is elsewhere; NULL: here */
	int64_t patient_until_ms; /* as long as nothing can have been done */
	uint64_t tried;           /* endpoints of this round, as CLIENT_TRIED() */
	unsigned rounds;
	bool unknown; /* an earlier try may have been done: later refusals do not change that */
	bool free;    /* the last try reached nobody who works: another one costs nobody anything */
};

/* ---- one try ----------------------------------------------------------------------------------------------------- */

static void note_pong(struct endpoint_health *health, const struct kontor_client_pong *pong)
{
	atomic_store_explicit(&health->queued, pong->queued, memory_order_relaxed);
	atomic_store_explicit(&health->capacity, pong->capacity, memory_order_relaxed);
}

static void note_end(const struct call *call, struct endpoint_health *health, int64_t began_ms, int rc, bool answered,
		     const struct kontor_error *err)
{
	int64_t now_ms = kontor_monotonic_ms();
	uint32_t random = client_random(call->thread);
	if (rc == KONTOR_E_BUSY || rc == KONTOR_E_DRAINING || (answered && rc == KONTOR_E_UNAVAILABLE))
		endpoint_health_refused(health, now_ms, err->retry_after_ms ? err->retry_after_ms : AVOID_MS, random,
					err->message);
	else if (answered)
		endpoint_health_answered(health, began_ms);
	else if (rc == KONTOR_E_UNAVAILABLE || (rc == KONTOR_E_UNKNOWN_OUTCOME && now_ms < call->request.deadline_ms))
		endpoint_health_failed(health, now_ms, random, err->message);
}

/* With the only endpoint of a service there is nothing to choose, so nothing to learn. */
static int try_only(struct call *call, kontor_body **ret_reply, struct kontor_error *err)
{
	bool answered = false;
	struct kontor_client_socket *socket = client_socket(call->client, call->thread, call->service->endpoints[0]);
	if (!socket)
		return kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory", call->request.method);
	int rc = kontor_client_socket_call(socket, &call->request, &answered, ret_reply, err);
	call->tried = CLIENT_TRIED(0);
	call->free = !answered && rc == KONTOR_E_UNAVAILABLE;
	return rc;
}

static int try_one(struct call *call, int index, kontor_body **ret_reply, struct kontor_error *err)
{
	struct directory_endpoint *endpoint = call->service->endpoints[index];
	struct endpoint_health *health = &endpoint->health;
	bool answered = false;
	struct kontor_client_socket *socket = client_socket(call->client, call->thread, endpoint);
	if (!socket)
		return kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory", call->request.method);
	const struct kontor_client_pong *pong = kontor_client_socket_pong(socket);
	uint64_t pongs = pong->count;
	int64_t began_ms = kontor_monotonic_ms();
	call->request.elsewhere = client_has_other(call->service, call->tried, index);
	call->request.ask_load = endpoint_health_ask_load(health, began_ms);
	atomic_fetch_add_explicit(&health->in_flight, 1, memory_order_relaxed);
	int rc = kontor_client_socket_call(socket, &call->request, &answered, ret_reply, err);
	atomic_fetch_sub_explicit(&health->in_flight, 1, memory_order_relaxed);
	if (pong->count != pongs)
		note_pong(health, pong);
	note_end(call, health, began_ms, rc, answered, err);
	call->tried |= CLIENT_TRIED(index);
	call->free = rc == KONTOR_E_DRAINING || (!answered && rc == KONTOR_E_UNAVAILABLE);
	return rc;
}

static int try_next(struct call *call, kontor_body **ret_reply, struct kontor_error *err)
{
	if (call->service->endpoints_len == 1)
		return try_only(call, ret_reply, err);
	int64_t now_ms = kontor_monotonic_ms();
	client_probe(call->thread, call->service, now_ms);
	int index = client_choose(call->thread, call->service, call->tried, now_ms);
	if (index < 0) { /* what was left a moment ago has failed in another thread: the next round begins */
		call->tried = 0;
		index = client_choose(call->thread, call->service, call->tried, now_ms);
	}
	return try_one(call, index, ret_reply, err);
}

/* ---- until an answer, a final failure or the deadline ------------------------------------------------------------ */

static int fail_disabled(const char *method, const struct directory_service *service, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_DISABLED, "%s: its service is switched off%s%s", method,
			   service->why_disabled ? " in " : "", service->why_disabled ? service->why_disabled : "");
}

/* The region that the call is about: only when any region's home is elsewhere, as it costs a look through the body. */
static void find_region(struct call *call)
{
	struct kontor_text region;
	memcpy(call->region, call->client->region, sizeof(call->region));
	if (kontor_message_find_text(call->request.body, call->request.body_size, "region", &region) &&
	    kontor_region_valid(region))
		memcpy(call->region, region.data, 2);
}

/* The home of the call's region, when that is not here. */
static int look_up_home(struct call *call, const struct directory_service *home, struct kontor_error *err)
{
	call->service = home;
	call->home = home->why_disabled ? home->why_disabled : "another place";
	if (!home->enabled)
		return fail_disabled(call->request.method, home, err);
	if (home->endpoints_len == 0)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "%s: region %s has its home in %s, and no endpoint of the service there is known "
				   "here: name it in the file of that datacenter",
				   call->request.method, call->region, call->home);
	return 0;
}

/* Where the method is served, as the directory says now. What is only usual is looked for again in each round: its unit
 * may have come up meanwhile. */
static int look_up(struct call *call, struct kontor_error *err)
{
	const char *method = call->request.method, *wanted = call->wanted;
	const struct directory *directory = client_directory(call->client, call->thread);
	call->home = NULL;
	if (directory->knows_homes) {
		find_region(call);
		const struct directory_service *home = directory_find_home(directory, wanted, call->region);
		if (home)
			return look_up_home(call, home, err);
	}
	call->service = directory_find(directory, wanted);
	if (call->client->runtime_folder && (!call->service || (call->service->usual && call->rounds > 0))) {
		int rc = client_find_usual(call->client, wanted, err);
		if (rc)
			return rc;
		call->service = directory_find(client_directory(call->client, call->thread), wanted);
	}
	if (call->service && !call->service->enabled)
		return fail_disabled(method, call->service, err);
	if (!call->service || call->service->endpoints_len == 0)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "%s: no endpoint is configured for its service", method);
	return 0;
}

static bool may_retry(int code, bool has_key)
{
	switch (code) {
	case KONTOR_E_BUSY:
	case KONTOR_E_DRAINING:
	case KONTOR_E_UNAVAILABLE:
		return true;
	case KONTOR_E_UNKNOWN_OUTCOME:
		return has_key;
	default:
		return false;
	}
}

/* Anything up to a time that doubles with each round ("full jitter"), so that callers who failed together come back
 * apart; behind the advised time when there is one. */
static uint32_t backoff_ms(const struct call *call, uint32_t advised_ms)
{
	uint32_t limit = BACKOFF_LIMIT_MS;
	if (call->rounds < 6 && BACKOFF_MS << call->rounds < BACKOFF_LIMIT_MS)
		limit = BACKOFF_MS << call->rounds;
	uint32_t random = client_random(call->thread);
	return advised_ms > 0 ? advised_ms + random % (advised_ms / 4 + 1) : 1 + random % limit;
}

static void sleep_ms(uint32_t ms)
{
	struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&time, NULL);
}

/* Waits until the next try may be made. False: it would be too late. */
static bool wait_for_turn(struct call *call, struct kontor_error *err)
{
	int64_t now_ms = kontor_monotonic_ms();
	int64_t left_ms = (call->unknown ? call->request.deadline_ms : call->patient_until_ms) - now_ms;
	bool round_is_over = client_choose(call->thread, call->service, call->tried, now_ms) < 0;
	uint32_t wait_ms = round_is_over ? backoff_ms(call, err->retry_after_ms) : 0;
	if (wait_ms >= left_ms)
		return false;
	uint32_t budget_ms = call->free ? 0 : client_take_retry(call->client, now_ms);
	if (budget_ms >= left_ms) {
		client_give_retry_back(call->client);
		kontor_fail_in(err, "not tried again, as more than a tenth of this client's calls were retries");
		return false;
	}
	wait_ms = wait_ms > budget_ms ? wait_ms : budget_ms;
	if (wait_ms)
		sleep_ms(wait_ms);
	call->rounds += round_is_over;
	if (round_is_over)
		call->tried = 0;
	return true;
}

/* Names each endpoint with what was wrong with it. */
static int fail_everywhere(const struct call *call, struct kontor_error *err)
{
	char text[sizeof(err->message)], problem[HEALTH_PROBLEM_SIZE];
	size_t length = 0;
	for (size_t i = 0; i < call->service->endpoints_len && length < sizeof(text); i++) {
		struct directory_endpoint *endpoint = call->service->endpoints[i];
		endpoint_health_problem(&endpoint->health, problem);
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s: %s", i ? "; " : "",
					   endpoint->address.endpoint, problem[0] ? problem : "was not asked");
	}
	return kontor_fail(err, KONTOR_E_UNAVAILABLE, "%s: none of %zu endpoints takes it: %s", call->request.method,
			   call->service->endpoints_len, text);
}

/* Tries until there is nothing more to do about a failure: the last one. */
static int try_until_deadline(struct call *call, kontor_body **ret_reply, struct kontor_error *err)
{
	struct kontor_error before;
	before.code = 0;
	for (;;) {
		kontor_error_clear(err);
		int rc = try_next(call, ret_reply, err);
		if (!rc)
			return 0;
		if (rc == KONTOR_E_DEADLINE && before.code) {
			*err = before; /* why it took so long says more */
			return before.code;
		}
		call->unknown |= rc == KONTOR_E_UNKNOWN_OUTCOME;
		if (!may_retry(rc, call->request.key) || !wait_for_turn(call, err))
			return rc;
		before = *err;
		/* A new round follows a change of the directory; what may have been done stays with its cluster. */
		if (!call->tried && !call->unknown && (rc = look_up(call, err)))
			return rc;
	}
}

static int call_until_deadline(struct call *call, kontor_body **ret_reply, struct kontor_error *err)
{
	int rc = try_until_deadline(call, ret_reply, err);
	if (rc == KONTOR_E_UNAVAILABLE && call->service && call->service->endpoints_len > 1)
		rc = fail_everywhere(call, err);
	if (rc == KONTOR_E_UNAVAILABLE && call->home && call->service && call->service->endpoints_len > 0)
		kontor_fail_in(err, "region %s has its home in %s", call->region, call->home);
	if (call->unknown && kontor_code_outcome(rc) == KONTOR_OUTCOME_NOTHING) {
		err->code = rc = KONTOR_E_UNKNOWN_OUTCOME;
		kontor_fail_in(err, "%s: an earlier try may have been done, and then", call->request.method);
	}
	return rc;
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

static int check_call(const char *method, const char *key, size_t body_size, struct kontor_error *err)
{
	if (!strchr(method, '.') || strlen(method) >= KONTOR_METHOD_NAME_SIZE)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "%s: a method is named SERVICE.METHOD", method);
	if (key && (!key[0] || strlen(key) >= KONTOR_KEY_SIZE))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "%s: an idempotency key has 1 to %d bytes", method,
				   KONTOR_KEY_SIZE - 1);
	if (body_size > KONTOR_FRAME_LIMIT)
		return kontor_fail(err, KONTOR_E_TOO_BIG,
				   "%s: the arguments have %zu bytes, more than the %u of a message", method, body_size,
				   KONTOR_FRAME_LIMIT);
	return 0;
}

int kontor_call(kontor_client *client, const char *method, kontor_writer *args,
		const struct kontor_call_options *options, kontor_body **ret_reply, struct kontor_error *err)
{
	struct kontor_call_options none = {0};
	struct kontor_error local = KONTOR_ERROR_INIT;
	kontor_body *reply = NULL;
	struct call call = {.client = client, .request = {.method = method, .body = "\x80", .body_size = 1}};
	if (!options)
		options = &none;
	if (!err)
		err = &local;
	int rc = args ? kontor_writer_finish(args, &call.request.body, &call.request.body_size, err) : 0;
	if (rc == 0)
		rc = check_call(method, options->key, call.request.body_size, err);
	if (rc)
		return rc;
	int64_t now_ms = kontor_monotonic_ms();
	call.request.key = options->key;
	call.request.caller = options->caller ? options->caller : client->caller;
	call.request.deadline_ms = now_ms + (options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS);
	call.patient_until_ms = options->patience_ms ? now_ms + options->patience_ms : call.request.deadline_ms;
	call.wanted = options->service ? options->service : method;
	call.thread = client_this_thread(client);
	if (!call.thread)
		return kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory", method);
	atomic_fetch_add_explicit(&call.thread->calls, 1, memory_order_relaxed);
	rc = look_up(&call, err);
	if (!rc)
		rc = call_until_deadline(&call, &reply, err);
	if (rc)
		return rc;
	if (ret_reply)
		*ret_reply = reply;
	else
		kontor_body_free(reply);
	return 0;
}
