/* SPDX-License-Identifier: Apache-2.0
 *
 * A client: made, given a directory, taken apart; each thread's sockets.
 */
#include "kontor/client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <zmq.h>

#include "client_guard.h"
#include "client_state.h"
#include "kontor/time.h"

#define RUNTIME_FOLDER "/run/kontor"

/* ---- its threads ------------------------------------------------------------------------------------------------- */

static void free_thread(struct client_thread *thread)
{
	for (size_t i = 0; i < thread->len; i++)
		kontor_client_socket_free(thread->sockets[i]);
	free(thread->sockets);
	free(thread->endpoints);
	free(thread);
}

/* Runs in a thread that ends. */
static void thread_ends(void *value)
{
	struct client_thread *thread = value;
	kontor_client *client = thread->client;
	pthread_mutex_lock(&client->lock);
	struct client_thread **link = &client->threads;
	while (*link && *link != thread)
		link = &(*link)->next;
	if (*link)
		*link = thread->next;
	client->ended_calls += thread->calls;
	directory_unref(thread->directory);
	pthread_mutex_unlock(&client->lock);
	free_thread(thread);
}

struct client_thread *client_this_thread(kontor_client *client)
{
	struct client_thread *thread = pthread_getspecific(client->key);
	if (thread)
		return thread;
	thread = calloc(1, sizeof(*thread));
	if (!thread || pthread_setspecific(client->key, thread)) {
		free(thread);
		return NULL;
	}
	thread->client = client;
	if (getrandom(&thread->random, sizeof(thread->random), 0) != sizeof(thread->random) || !thread->random)
		thread->random = (uint32_t)kontor_monotonic_ms() | 1;
	pthread_mutex_lock(&client->lock);
	thread->next = client->threads;
	client->threads = thread;
	pthread_mutex_unlock(&client->lock);
	return thread;
}

/* Xorshift (Marsaglia 2003): for spreading load and waits only. */
uint32_t client_random(struct client_thread *thread)
{
	uint32_t x = thread->random;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return thread->random = x;
}

struct kontor_client_socket *client_socket(kontor_client *client, struct client_thread *thread,
					   struct directory_endpoint *endpoint)
{
	for (size_t i = 0; i < thread->len; i++)
		if (thread->endpoints[i] == endpoint)
			return thread->sockets[i];
	struct kontor_client_socket **sockets =
		realloc(thread->sockets, (thread->len + 1) * sizeof(struct kontor_client_socket *));
	if (sockets)
		thread->sockets = sockets;
	struct directory_endpoint **endpoints =
		realloc(thread->endpoints, (thread->len + 1) * sizeof(struct directory_endpoint *));
	if (endpoints)
		thread->endpoints = endpoints;
	if (!sockets || !endpoints)
		return NULL;
	endpoints[thread->len] = endpoint;
	sockets[thread->len] = kontor_client_socket_new(client->context, &endpoint->address, client->own);
	return sockets[thread->len] ? sockets[thread->len++] : NULL;
}

/* ---- the client -------------------------------------------------------------------------------------------------- */

int kontor_client_new(const struct kontor_client_options *options, kontor_client **ret_client, struct kontor_error *err)
{
	kontor_client *client = calloc(1, sizeof(*client));
	if (!client)
		return kontor_fail(err, KONTOR_E_INTERNAL, "client: out of memory");
	pthread_mutex_init(&client->lock, NULL);
	retry_budget_init(&client->budget, kontor_monotonic_ms());
	client->own_context = !options->zmq_context;
	client->context = options->zmq_context ? options->zmq_context : zmq_ctx_new();
	client->caller = options->caller ? strdup(options->caller) : NULL;
	bool usual_places = options->conf_folder || options->runtime_folder;
	if (usual_places)
		client->runtime_folder = strdup(options->runtime_folder ? options->runtime_folder : RUNTIME_FOLDER);
	client->has_key = pthread_key_create(&client->key, thread_ends) == 0;
	const struct kontor_endpoint endpoint = {options->endpoint, options->server_key};
	const struct kontor_route every_service = {.enabled = true, .endpoints = &endpoint, .endpoints_len = 1};
	client->directory = directory_new(&every_service, options->endpoint != NULL, &client->endpoints);
	if (!client->context || !client->has_key || !client->directory || (options->caller && !client->caller) ||
	    (usual_places && !client->runtime_folder)) {
		kontor_client_free(client);
		return kontor_fail(err, KONTOR_E_INTERNAL, "client: out of memory or of thread keys");
	}
	if (client->own_context)
		zmq_ctx_set(client->context, ZMQ_BLOCKY, 0); /* an exit never waits for unsent messages */
	int rc = options->key_file ? kontor_client_load_own(options->key_file, &client->own, err) : 0;
	if (!rc && options->conf_folder)
		rc = client_read_conf(client, options->conf_folder, err);
	if (rc)
		kontor_client_free(client);
	else
		*ret_client = client;
	return rc;
}

kontor_client *kontor_client_free(kontor_client *client)
{
	if (!client)
		return NULL;
	if (client->has_key)
		pthread_key_delete(client->key);
	while (client->threads) {
		struct client_thread *thread = client->threads;
		client->threads = thread->next;
		directory_unref(thread->directory);
		free_thread(thread);
	}
	if (client->own_context && client->context)
		zmq_ctx_term(client->context);
	directory_unref(client->directory);
	directory_endpoints_free(client->endpoints);
	kontor_client_free_own(client->own);
	free(client->caller);
	free(client->runtime_folder);
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

static int check_routes(const struct kontor_route *routes, size_t len, struct kontor_error *err)
{
	for (size_t i = 0; i < len; i++)
		if (routes[i].endpoints_len > DIRECTORY_ENDPOINTS_LIMIT)
			return kontor_fail(err, KONTOR_E_BAD_REQUEST, "service %s has %zu endpoints, %d are possible",
					   routes[i].service, routes[i].endpoints_len, DIRECTORY_ENDPOINTS_LIMIT);
	return 0;
}

void client_take_directory(kontor_client *client, struct directory *fresh)
{
	if (fresh)
		directory_unref(atomic_exchange(&client->directory, fresh));
}

int kontor_client_set_routes(kontor_client *client, const struct kontor_route *routes, size_t len,
			     struct kontor_error *err)
{
	int rc = check_routes(routes, len, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&client->lock);
	struct directory *fresh = directory_new(routes, len, &client->endpoints);
	client_take_directory(client, fresh);
	pthread_mutex_unlock(&client->lock);
	return fresh ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "client: out of memory for its directory");
}

int kontor_client_set_region(kontor_client *client, const char *region, struct kontor_error *err)
{
	if (region && !kontor_region_valid(kontor_text_of(region)))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "'%s' is no region: two capital letters, as SG", region);
	memcpy(client->region, region ? region : "\0\0", sizeof(client->region));
	return 0;
}

/* Sockets to endpoints that the directory does not name any more would go on connecting for ever. */
static void close_unused_sockets(struct client_thread *thread)
{
	size_t kept = 0;
	for (size_t i = 0; i < thread->len; i++) {
		if (!directory_leads_to(thread->directory, thread->endpoints[i])) {
			kontor_client_socket_free(thread->sockets[i]);
			continue;
		}
		thread->sockets[kept] = thread->sockets[i];
		thread->endpoints[kept++] = thread->endpoints[i];
	}
	thread->len = kept;
}

/* The pointer cannot be that of an older one: the thread still has a reference to what it compares with. */
const struct directory *client_directory(kontor_client *client, struct client_thread *thread)
{
	if (atomic_load(&client->directory) == thread->directory)
		return thread->directory;
	pthread_mutex_lock(&client->lock);
	directory_unref(thread->directory);
	thread->directory = client->directory;
	thread->directory->references++;
	pthread_mutex_unlock(&client->lock);
	close_unused_sockets(thread);
	thread->probed = NULL;
	return thread->directory;
}

/* ---- retries ----------------------------------------------------------------------------------------------------- */

/* Counted by each thread for itself, and added up only when somebody retries. */
static uint64_t count_calls(const kontor_client *client)
{
	uint64_t calls = client->ended_calls;
	for (const struct client_thread *thread = client->threads; thread; thread = thread->next)
		calls += atomic_load_explicit(&thread->calls, memory_order_relaxed);
	return calls;
}

uint32_t client_take_retry(kontor_client *client, int64_t now_ms)
{
	pthread_mutex_lock(&client->lock);
	uint32_t wait_ms = retry_budget_take(&client->budget, count_calls(client), now_ms);
	pthread_mutex_unlock(&client->lock);
	return wait_ms;
}

void client_give_retry_back(kontor_client *client)
{
	pthread_mutex_lock(&client->lock);
	retry_budget_give_back(&client->budget);
	pthread_mutex_unlock(&client->lock);
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
