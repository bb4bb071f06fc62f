/* SPDX-License-Identifier: Apache-2.0
 *
 * A bitmap of the ids that tests take from peers 1 and 2, shared with child processes. An id that comes twice ends the
 * process that got it.
 */
#ifndef IDS_TAKEN_H
#define IDS_TAKEN_H

#include <sys/mman.h>

#include "ids_peer.h"

#define TAKEN_COUNTERS (UINT64_C(1) << 26)
#define TAKEN_PEERS 2
#define TAKEN_WORDS (TAKEN_PEERS * TAKEN_COUNTERS / 64)

static atomic_ulong *taken; /* a word more: how many */

static void taken_begin(void)
{
	taken = mmap(NULL, (TAKEN_WORDS + 1) * sizeof(*taken), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (taken == MAP_FAILED)
		abort();
}

static void taken_end(void)
{
	munmap(taken, (TAKEN_WORDS + 1) * sizeof(*taken));
}

static uint64_t taken_count(void)
{
	return taken[TAKEN_WORDS];
}

static void taken_once(uint64_t id)
{
	uint64_t counter = id / PEER_STRIDE, from = id % PEER_STRIDE;
	if (counter == 0 || counter >= TAKEN_COUNTERS || from == 0 || from > TAKEN_PEERS) {
		fprintf(stderr, "%llu was granted by no peer\n", (unsigned long long)id);
		abort();
	}
	uint64_t place = (from - 1) * TAKEN_COUNTERS + counter, bit = UINT64_C(1) << place % 64;
	if (atomic_fetch_or(&taken[place / 64], bit) & bit) {
		fprintf(stderr, "%llu came twice\n", (unsigned long long)id);
		abort();
	}
	atomic_fetch_add(&taken[TAKEN_WORDS], 1);
}

#endif
