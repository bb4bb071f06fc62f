/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client's threads together know about one endpoint: is it there, does it take calls, how much has it to do.
 *
 * Each failure to reach it, or loss of it, opens its circuit: it gets no calls while there is another place, until one
 * thread's PING was answered (a probe, which waits for nothing). After the first failures a probe is due soon, after
 * FAILURES_LIMIT in a row only in seconds. A refusal that says "not now" (BUSY, DRAINING) leaves the circuit closed;
 * others are asked first for a while. Not installed.
 */
#ifndef KONTOR_ENDPOINT_HEALTH_H
#define KONTOR_ENDPOINT_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HEALTH_PROBLEM_SIZE 200

struct endpoint_health {
	_Atomic int64_t avoid_until_ms;    /* it refused: others first until then */
	_Atomic int64_t probe_due_ms;      /* 0: the circuit is closed */
	_Atomic int64_t probed_until_ms;   /* a thread has the probe until then */
	_Atomic int64_t asked_ms;          /* when its load was asked for last */
	atomic_uint in_flight;             /* calls of this client */
	atomic_uint queued, capacity;      /* as its last PONG said */
	pthread_mutex_t lock;              /* guards the rest */
	int64_t refused_ms;                /* when it refused last */
	unsigned failures;                 /* in a row */
	char problem[HEALTH_PROBLEM_SIZE]; /* the last one; "" */
};

void endpoint_health_init(struct endpoint_health *health);
void endpoint_health_destroy(struct endpoint_health *health);

/* It answered a call of that time, whatever it said: the circuit is closed. What was running already when it refused
 * others takes nothing back. */
void endpoint_health_answered(struct endpoint_health *health, int64_t began_ms);
/* It answered that it does nothing now: others first, for about that long. `random`: any number. */
void endpoint_health_refused(struct endpoint_health *health, int64_t now_ms, uint32_t for_ms, uint32_t random,
			     const char *problem);
/* Nobody was there, or it was lost. problem NULL: as before. */
void endpoint_health_failed(struct endpoint_health *health, int64_t now_ms, uint32_t random, const char *problem);
/* For the calling thread alone, until then: it is due, and nobody else has it. */
bool endpoint_health_take_probe(struct endpoint_health *health, int64_t now_ms, int64_t until_ms);
/* Its load should be asked for along with a call, by this one. */
bool endpoint_health_ask_load(struct endpoint_health *health, int64_t now_ms);

static inline bool endpoint_health_closed(const struct endpoint_health *health)
{
	return atomic_load_explicit(&health->probe_due_ms, memory_order_relaxed) == 0;
}

/* A copy of the last problem; "" when there was none. */
void endpoint_health_problem(struct endpoint_health *health, char ret[HEALTH_PROBLEM_SIZE]);

#endif
