/* SPDX-License-Identifier: Apache-2.0
 *
 * Which endpoint gets a call. Power of two choices (Mitzenmacher 2001): the less busy of two at random does nearly as
 * well as the least busy of all, and callers who all know the same old load do not all run to the same place.
 */
#include "client_state.h"

#include "kontor/time.h"

#define PROBE_LIMIT_MS 2000

static bool usable(const struct endpoint_health *health, int64_t now_ms)
{
	return endpoint_health_closed(health) &&
	       atomic_load_explicit(&health->avoid_until_ms, memory_order_relaxed) <= now_ms;
}

/* Calls that it has to do, of those that it could: as a fraction times 2^16. */
static uint64_t load_of(const struct endpoint_health *health)
{
	uint64_t busy = atomic_load_explicit(&health->queued, memory_order_relaxed) +
			(uint64_t)atomic_load_explicit(&health->in_flight, memory_order_relaxed);
	unsigned capacity = atomic_load_explicit(&health->capacity, memory_order_relaxed);
	return (busy << 16) / (capacity ? capacity : 1);
}

/* The nearest kind of endpoint that has one to use, and how many of that kind. */
static size_t nearest_usable(const struct directory_service *service, uint64_t tried, int64_t now_ms,
			     uint8_t ret[DIRECTORY_ENDPOINTS_LIMIT])
{
	enum directory_distance nearest = DIRECTORY_FAR;
	size_t len = 0;
	for (size_t i = 0; i < service->endpoints_len; i++) {
		const struct directory_endpoint *endpoint = service->endpoints[i];
		if (tried & CLIENT_TRIED(i) || endpoint->distance > nearest || !usable(&endpoint->health, now_ms))
			continue;
		if (endpoint->distance < nearest)
			len = 0;
		nearest = endpoint->distance;
		ret[len++] = (uint8_t)i;
	}
	return len;
}

/* Nobody takes calls readily: first who refused and is the first to be asked again; in a round that begins also who
 * could not be reached, the one first whose probe is due first. */
static int choose_of_bad(const struct directory_service *service, uint64_t tried)
{
	int best = -1;
	int64_t best_ms = INT64_MAX;
	bool best_closed = false;
	for (size_t i = 0; i < service->endpoints_len; i++) {
		const struct endpoint_health *health = &service->endpoints[i]->health;
		bool closed = endpoint_health_closed(health);
		int64_t at_ms = closed ? health->avoid_until_ms : health->probe_due_ms;
		if (tried & CLIENT_TRIED(i) || (tried && !closed) || (best_closed && !closed) ||
		    (best >= 0 && best_closed == closed && at_ms >= best_ms))
			continue;
		best = (int)i;
		best_ms = at_ms;
		best_closed = closed;
	}
	return best;
}

int client_choose(struct client_thread *thread, const struct directory_service *service, uint64_t tried, int64_t now_ms)
{
	uint8_t near[DIRECTORY_ENDPOINTS_LIMIT];
	size_t len = nearest_usable(service, tried, now_ms, near);
	if (len == 0)
		return choose_of_bad(service, tried);
	if (len == 1)
		return near[0];
	size_t a = client_random(thread) % len;
	size_t b = (a + 1 + client_random(thread) % (len - 1)) % len;
	bool a_is_busier =
		load_of(&service->endpoints[near[a]]->health) > load_of(&service->endpoints[near[b]]->health);
	return near[a_is_busier ? b : a];
}

bool client_has_other(const struct directory_service *service, uint64_t tried, int index)
{
	for (size_t i = 0; i < service->endpoints_len; i++)
		if ((int)i != index && !(tried & CLIENT_TRIED(i)) &&
		    endpoint_health_closed(&service->endpoints[i]->health))
			return true;
	return false;
}

static struct directory_endpoint *take_probe(const struct directory_service *service, int64_t now_ms)
{
	for (size_t i = 0; i < service->endpoints_len; i++)
		if (endpoint_health_take_probe(&service->endpoints[i]->health, now_ms, now_ms + PROBE_LIMIT_MS))
			return service->endpoints[i];
	return NULL;
}

void client_probe(struct client_thread *thread, const struct directory_service *service, int64_t now_ms)
{
	if (!thread->probed) {
		thread->probed = take_probe(service, now_ms);
		thread->probe_until_ms = now_ms + PROBE_LIMIT_MS;
	}
	if (!thread->probed)
		return;
	struct kontor_client_socket *socket = client_socket(thread->client, thread, thread->probed);
	if (socket && kontor_client_socket_probe(socket)) {
		endpoint_health_answered(&thread->probed->health, now_ms);
		thread->probed = NULL;
	} else if (now_ms >= thread->probe_until_ms) {
		endpoint_health_failed(&thread->probed->health, now_ms, client_random(thread), NULL);
		if (socket)
			kontor_client_socket_close(socket);
		thread->probed = NULL;
	}
}
