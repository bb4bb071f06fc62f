/* SPDX-License-Identifier: Apache-2.0
 *
 * The only source of chance in the simulation: a seed is a whole run. splitmix64 (Steele, Lea, Flood 2014).
 */
#ifndef SIMULATION_RANDOM_H
#define SIMULATION_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 .. below - 1 */
static inline uint64_t random_below(struct random *random, uint64_t below)
{
	return random_next(random) % below;
}

static inline int64_t random_between(struct random *random, int64_t first, int64_t last)
{
	return first + (int64_t)random_below(random, (uint64_t)(last - first) + 1);
}

static inline bool random_chance(struct random *random, unsigned permille)
{
	return random_below(random, 1000) < permille;
}

/* 0 .. limit with each order of magnitude about as likely as the next: short delays are usual, long ones happen. */
static inline int64_t random_delay(struct random *random, int64_t limit)
{
	int64_t reach = 1;
	while (reach < limit && random_below(random, 3))
		reach *= 8;
	return (int64_t)random_below(random, (uint64_t)(reach < limit ? reach : limit) + 1);
}

#endif
