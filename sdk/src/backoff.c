/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"

#include <sys/random.h>
#include <time.h>

static uint64_t random_bits(void)
{
	uint64_t bits;
	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != (ssize_t)sizeof(bits)) {
		/* Only early at boot; two waiters that draw the same time merely meet again. */
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		bits = (uint64_t)now.tv_nsec;
	}
	return bits;
}

uint32_t backoff_ms(unsigned attempt, uint32_t base_ms, uint32_t cap_ms)
{
	uint64_t limit = attempt < 32 ? (uint64_t)base_ms << attempt : cap_ms;
	if (limit > cap_ms)
		limit = cap_ms;
	return (uint32_t)(random_bits() % (limit + 1));
}
