/* SPDX-License-Identifier: Apache-2.0
 *
 * Layout std63: 0 | 41 bits of milliseconds since 2026-01-01 | 12 sequence | 4 datacenter | 6 slot.
 *
 * Time and sequence stand next to each other, so they are one 53-bit counter: a full sequence carries into the
 * milliseconds by itself, and a grant of any size is (base, count) with one stride.
 */
#ifndef IDGEN_LAYOUT_H
#define IDGEN_LAYOUT_H

#include "kontor/ids.h"

#define LAYOUT_SEQUENCE_BITS 12
#define LAYOUT_DATACENTER_BITS 4
#define LAYOUT_SLOT_BITS 6
#define LAYOUT_COUNTER_LIMIT (UINT64_C(1) << 53) /* reached in 2095 */

#define LAYOUT_DATACENTERS 15 /* 1-15; 0 is no datacenter */
#define LAYOUT_SLOTS 62       /* 1-62; 63 is kept for ids that are composed by hand in a repair */

_Static_assert(KONTOR_ID_STRIDE == 1u << (LAYOUT_DATACENTER_BITS + LAYOUT_SLOT_BITS), "the stride is one counter step");

/* Counters in so many milliseconds. */
static inline uint64_t layout_counters(uint64_t ms)
{
	return ms << LAYOUT_SEQUENCE_BITS;
}

/* The first counter of a millisecond since 1970; 0 before 2026. */
static inline uint64_t layout_counter_at(int64_t time_ms)
{
	return time_ms <= KONTOR_ID_EPOCH_MS ? 0 : layout_counters((uint64_t)(time_ms - KONTOR_ID_EPOCH_MS));
}

/* The millisecond since 1970 that a counter belongs to. */
static inline int64_t layout_time_ms(uint64_t counter)
{
	return KONTOR_ID_EPOCH_MS + (int64_t)(counter >> LAYOUT_SEQUENCE_BITS);
}

static inline uint64_t layout_id(uint64_t counter, unsigned datacenter, unsigned slot)
{
	return counter << (LAYOUT_DATACENTER_BITS + LAYOUT_SLOT_BITS) | datacenter << LAYOUT_SLOT_BITS | slot;
}

#endif
