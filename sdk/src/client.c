/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls: which endpoint serves a method, the calling thread's socket to it, and which failures are worth another try.
 */
#include "kontor/client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <zmq.h>

#include "client_socket.h"
#include "client_state.h"
#include "directory.h"
#include "kontor/time.h"

#define DEFAULT_TIMEOUT_MS 30000
#define BACKOFF_MS 50
#define BACKOFF_LIMIT_MS 2000

/* One thread's sockets, and the directory as it knows it. */
struct thread_sockets {
	kontor_client *client;
	struct thread_sockets *next;
	struct directory *directory;
	struct kontor_client_socket **sockets;
	size_t len;
};

struct kontor_client {
	void *context;
	bool own_context;
	char *caller; /* NULL: none */
	pthread_key_t key;
	bool has_key;
	pthread_mutex_t lock; /* guards all below, and the directories' references */
	struct thread_sockets *threads;
	struct directory_endpoint *endpoints;  /* that any directory ever led to */
	_Atomic(struct directory *) directory; /* read without the lock only to see that it has changed */
};

/* ---- its parts --------------------------------------------------------------------------------------------------- */

static void close_sockets(struct thread_sockets *thread)
{
	for (size_t i = 0; i < thread->len; i++)
		kontor_client_socket_free(thread->sockets[i]);
	free(thread->sockets);
	free(thread);
}

/* Runs in a thread that ends. */
static void thread_ends(void *value)
{
	struct thread_sockets *thread = value;
	kontor_client *client = thread->client;
	pthread_mutex_lock(&client->lock);
	struct thread_sockets **link = &client->threads;
	while (*link && *link != thread)
		link = &(*link)->next;
	if (*link)
		*link = thread->next;
	directory_unref(thread->directory);
	pthread_mutex_unlock(&client->lock);
	close_sockets(thread);
}

int kontor_client_new(const struct kontor_client_options *options, kontor_client **ret_client, struct kontor_error *err)
{
	kontor_client *client = calloc(1, sizeof(*client));
	if (!client)
		return kontor_fail(err, KONTOR_E_INTERNAL, "client: out of memory");
	pthread_mutex_init(&client->lock, NULL);
	client->own_context = !options->zmq_context;
	client->context = options->zmq_context ? options->zmq_context : zmq_ctx_new();
	client->caller = options->caller ? strdup(options->caller) : NULL;
	client->has_key = pthread_key_create(&client->key, thread_ends) == 0;
	const struct kontor_endpoint endpoint = {options->endpoint, options->server_key};
	const struct kontor_route every_service = {.enabled = true, .endpoints = &endpoint, .endpoints_len = 1};
	client->directory = directory_new(&every_service, options->endpoint != NULL, &client->endpoints);
	if (!client->context || !client->has_key || !client->directory || (options->caller && !client->caller)) {
		kontor_client_free(client);
		return kontor_fail(err, KONTOR_E_INTERNAL, "client: out of memory or of thread keys");
	}
	if (client->own_context)
		zmq_ctx_set(client->context, ZMQ_BLOCKY, 0); /* an exit never waits for unsent messages */
	*ret_client = client;
	return 0;
}

kontor_client *kontor_client_free(kontor_client *client)
{
	if (!client)
		return NULL;
	if (client->has_key)
		pthread_key_delete(client->key);
	while (client->threads) {
		struct thread_sockets *thread = client->threads;
		client->threads = thread->next;
		directory_unref(thread->directory);
		close_sockets(thread);
	}
	if (client->own_context && client->context)
		zmq_ctx_term(client->context);
	directory_unref(client->directory);
	directory_endpoints_free(client->endpoints);
	free(client->caller);
	pthread_mutex_destroy(&client->lock);
	free(client);
	return NULL;
}

void kontor_client_orphan(kontor_client *client)
{
	if (client && client->has_key)
		pthread_key_delete(client->key);
}

/* ---- the directory ----------------------------------------------------------------------------------------------- */

int kontor_client_set_routes(kontor_client *client, const struct kontor_route *routes, size_t len,
			     struct kontor_error *err)
{
	pthread_mutex_lock(&client->lock);
	struct directory *fresh = directory_new(routes, len, &client->endpoints);
	if (fresh)
		directory_unref(atomic_exchange(&client->directory, fresh));
	pthread_mutex_unlock(&client->lock);
	return fresh ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "client: out of memory for its directory");
}

/* Sockets to endpoints that the directory does not name any more would go on connecting for ever. */
static void close_unused_sockets(struct thread_sockets *thread)
{
	size_t kept = 0;
	for (size_t i = 0; i < thread->len; i++) {
		if (directory_leads_to(thread->directory, kontor_client_socket_endpoint(thread->sockets[i])))
			thread->sockets[kept++] = thread->sockets[i];
		else
			kontor_client_socket_free(thread->sockets[i]);
	}
	thread->len = kept;
}

/* The pointer cannot be that of an older one: the thread still has a reference to what it compares with. */
static const struct directory *newest_directory(kontor_client *client, struct thread_sockets *thread)
{
	if (atomic_load(&client->directory) == thread->directory)
		return thread->directory;
	pthread_mutex_lock(&client->lock);
	directory_unref(thread->directory);
	thread->directory = client->directory;
	thread->directory->references++;
	pthread_mutex_unlock(&client->lock);
	close_unused_sockets(thread);
	return thread->directory;
}

static struct thread_sockets *this_thread(kontor_client *client)
{
	struct thread_sockets *thread = pthread_getspecific(client->key);
	if (thread)
		return thread;
	thread = calloc(1, sizeof(*thread));
	if (!thread || pthread_setspecific(client->key, thread)) {
		free(thread);
		return NULL;
	}
	thread->client = client;
	pthread_mutex_lock(&client->lock);
	thread->next = client->threads;
	client->threads = thread;
	pthread_mutex_unlock(&client->lock);
	return thread;
}

/* This thread's socket to the endpoint; NULL when out of memory. */
static struct kontor_client_socket *find_socket(kontor_client *client, struct thread_sockets *thread,
						const struct directory_endpoint *endpoint)
{
	for (size_t i = 0; i < thread->len; i++)
		if (kontor_client_socket_endpoint(thread->sockets[i]) == &endpoint->address)
			return thread->sockets[i];
	struct kontor_client_socket **sockets =
		realloc(thread->sockets, (thread->len + 1) * sizeof(struct kontor_client_socket *));
	if (!sockets)
		return NULL;
	thread->sockets = sockets;
	sockets[thread->len] = kontor_client_socket_new(client->context, &endpoint->address, NULL);
	return sockets[thread->len] ? sockets[thread->len++] : NULL;
}

/* ---- calling ----------------------------------------------------------------------------------------------------- */

static uint32_t random_below(uint32_t limit)
{
	uint32_t value = 0;
	if (getrandom(&value, sizeof(value), 0) != sizeof(value))
		value = (uint32_t)kontor_monotonic_ms();
	return value % limit;
}

/* Between half and all of a time that doubles with each try, so that callers who failed together come back apart. */
static uint32_t backoff_ms(unsigned attempt, uint32_t advised_ms)
{
	uint32_t base = BACKOFF_LIMIT_MS;
	if (attempt < 6 && BACKOFF_MS << attempt < BACKOFF_LIMIT_MS)
		base = BACKOFF_MS << attempt;
	uint32_t jittered = base / 2 + random_below(base / 2 + 1);
	return advised_ms > 0 ? advised_ms + random_below(advised_ms / 4 + 1) : jittered;
}

static void sleep_ms(uint32_t ms)
{
	struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&time, NULL);
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

/* Tries until an answer, a final failure or the deadline. */
static int call_until_deadline(struct kontor_client_socket *socket, const struct kontor_client_request *request,
			       uint32_t patience_ms, kontor_body **ret_reply, struct kontor_error *err)
{
	bool unknown = false; /* an earlier try may have been done: later refusals do not change that */
	int64_t patient_until_ms = patience_ms ? kontor_monotonic_ms() + patience_ms : request->deadline_ms;
	for (unsigned attempt = 0;; attempt++) {
		*err = (struct kontor_error)KONTOR_ERROR_INIT;
		int rc = kontor_client_socket_call(socket, request, ret_reply, err);
		if (rc == KONTOR_E_UNKNOWN_OUTCOME)
			unknown = true;
		uint32_t wait_ms = backoff_ms(attempt, err->retry_after_ms);
		int64_t until_ms = unknown ? request->deadline_ms : patient_until_ms;
		bool in_time = kontor_monotonic_ms() + wait_ms < until_ms;
		if (rc && in_time && may_retry(rc, request->key)) {
			sleep_ms(wait_ms);
			continue;
		}
		if (unknown && kontor_code_outcome(rc) == KONTOR_OUTCOME_NOTHING) {
			err->code = rc = KONTOR_E_UNKNOWN_OUTCOME;
			kontor_fail_in(err, "%s: an earlier try may have been done, and then", request->method);
		}
		return rc;
	}
}

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

static int fail_disabled(const char *method, const struct directory_service *service, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_DISABLED, "%s: its service is switched off%s%s", method,
			   service->why_disabled ? " in " : "", service->why_disabled ? service->why_disabled : "");
}

int kontor_call(kontor_client *client, const char *method, kontor_writer *args,
		const struct kontor_call_options *options, kontor_body **ret_reply, struct kontor_error *err)
{
	struct kontor_call_options none = {0};
	struct kontor_error local = KONTOR_ERROR_INIT;
	kontor_body *reply = NULL;
	struct kontor_client_request request = {.method = method, .body = "\x80", .body_size = 1}; /* an empty map */
	if (!options)
		options = &none;
	if (!err)
		err = &local;
	int rc = args ? kontor_writer_finish(args, &request.body, &request.body_size, err) : 0;
	if (rc == 0)
		rc = check_call(method, options->key, request.body_size, err);
	if (rc)
		return rc;
	request.key = options->key;
	request.caller = options->caller ? options->caller : client->caller;
	request.deadline_ms = kontor_monotonic_ms() + (options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS);
	struct thread_sockets *thread = this_thread(client);
	if (!thread)
		return kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory", method);
	const struct directory_service *service = directory_find(newest_directory(client, thread), method);
	if (service && !service->enabled)
		return fail_disabled(method, service, err);
	if (!service || service->endpoints_len == 0)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "%s: no endpoint is configured for its service", method);
	struct kontor_client_socket *socket = find_socket(client, thread, service->endpoints[0]);
	if (!socket)
		return kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory", method);
	rc = call_until_deadline(socket, &request, options->patience_ms, &reply, err);
	if (rc)
		return rc;
	if (ret_reply)
		*ret_reply = reply;
	else
		kontor_body_free(reply);
	return 0;
}

char *kontor_random_key(char *out)
{
	uint8_t bytes[16];
	size_t have = 0;
	while (have < sizeof(bytes)) { /* getrandom fails only when a signal comes before the pool is ready */
		ssize_t n = getrandom(bytes + have, sizeof(bytes) - have, 0);
		have += n > 0 ? (size_t)n : 0;
	}
	return kontor_hex(bytes, sizeof(bytes), out);
}
