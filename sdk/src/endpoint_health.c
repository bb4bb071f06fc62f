/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint_health.h"

#include <stdio.h>

#define FAILURES_LIMIT 5
#define FIRST_PROBE_MS 100 /* doubled with each failure before the limit, and jittered up to twice that */
/* Behind the limit: between the two. */
#define LATE_PROBE_MS 1000
#define LATEST_PROBE_MS 5000
#define LOAD_FRESH_MS 250

void endpoint_health_init(struct endpoint_health *health)
{
	pthread_mutex_init(&health->lock, NULL);
}

void endpoint_health_destroy(struct endpoint_health *health)
{
	pthread_mutex_destroy(&health->lock);
}

void endpoint_health_answered(struct endpoint_health *health, int64_t began_ms)
{
	if (atomic_load_explicit(&health->avoid_until_ms, memory_order_relaxed) == 0 && endpoint_health_closed(health))
		return; /* the usual case, without a write */
	pthread_mutex_lock(&health->lock);
	health->failures = 0;
	health->probe_due_ms = 0;
	if (began_ms > health->refused_ms) {
		health->problem[0] = '\0';
		health->avoid_until_ms = 0;
	}
	pthread_mutex_unlock(&health->lock);
}

void endpoint_health_refused(struct endpoint_health *health, int64_t now_ms, uint32_t for_ms, uint32_t random,
			     const char *problem)
{
	pthread_mutex_lock(&health->lock);
	health->failures = 0;
	health->probe_due_ms = 0;
	health->refused_ms = now_ms;
	health->avoid_until_ms = now_ms + for_ms + random % (for_ms / 2 + 1);
	snprintf(health->problem, sizeof(health->problem), "%s", problem);
	pthread_mutex_unlock(&health->lock);
}

static int64_t probe_after_ms(unsigned failures, uint32_t random)
{
	if (failures >= FAILURES_LIMIT)
		return LATE_PROBE_MS + random % (LATEST_PROBE_MS - LATE_PROBE_MS + 1);
	int64_t least = (int64_t)FIRST_PROBE_MS << (failures - 1);
	return least + random % least;
}

void endpoint_health_failed(struct endpoint_health *health, int64_t now_ms, uint32_t random, const char *problem)
{
	pthread_mutex_lock(&health->lock);
	health->failures++;
	health->probe_due_ms = now_ms + probe_after_ms(health->failures, random);
	if (problem)
		snprintf(health->problem, sizeof(health->problem), "%s", problem);
	pthread_mutex_unlock(&health->lock);
}

bool endpoint_health_take_probe(struct endpoint_health *health, int64_t now_ms, int64_t until_ms)
{
	int64_t due_ms = health->probe_due_ms, taken_until_ms = health->probed_until_ms;
	return due_ms != 0 && now_ms >= due_ms && now_ms >= taken_until_ms &&
	       atomic_compare_exchange_strong(&health->probed_until_ms, &taken_until_ms, until_ms);
}

bool endpoint_health_ask_load(struct endpoint_health *health, int64_t now_ms)
{
	int64_t asked_ms = atomic_load_explicit(&health->asked_ms, memory_order_relaxed);
	return now_ms - asked_ms >= LOAD_FRESH_MS &&
	       atomic_compare_exchange_strong(&health->asked_ms, &asked_ms, now_ms);
}

void endpoint_health_problem(struct endpoint_health *health, char ret[HEALTH_PROBLEM_SIZE])
{
	pthread_mutex_lock(&health->lock);
	snprintf(ret, HEALTH_PROBLEM_SIZE, "%s", health->problem);
	pthread_mutex_unlock(&health->lock);
}
