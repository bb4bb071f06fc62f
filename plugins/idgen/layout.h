/* SPDX-License-Identifier: Apache-2.0
 *
 * How an id is made of a counter, the datacenter and the slot. A namespace has one layout and keeps it for ever.
 *
 *   std63    0 | 41 ms since 2026-01-01 | 12 sequence | 4 datacenter | 6 slot      until 2095; 4,096,000 ids/s a slot
 *   js53     31 s since 2026-01-01 | 15 sequence | 3 datacenter | 4 slot           until 2094; 32,768 ids/s a slot;
 *                                                                                  exact in a double (JavaScript)
 *   segment  0 | 59 number | 4 datacenter                                          dense, without time, at any rate
 *
 * Time and sequence stand next to each other, so they are one counter: a full sequence carries into the time by itself,
 * and a grant of any size is (base, count) with one stride.
 */
#ifndef IDGEN_LAYOUT_H
#define IDGEN_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kontor/ids.h"

enum layout_number { LAYOUT_STD63, LAYOUT_JS53, LAYOUT_SEGMENT, LAYOUTS };

struct layout {
	const char *name;
	unsigned unit_ms; /* of time; 0: the counter has no time */
	unsigned sequence_bits, datacenter_bits, slot_bits;
	unsigned datacenters; /* 1 .. this; 0 is no datacenter */
	unsigned slots;       /* 1 .. this; the one above is kept for ids that are composed by hand in a repair */
	uint64_t counter_limit;
};

extern const struct layout layouts[LAYOUTS];

/* NULL: there is none of that name. */
const struct layout *layout_named(const char *name);

/* Counters in so many milliseconds; of a layout with time, as the next three. */
static inline uint64_t layout_counters(const struct layout *layout, int64_t ms)
{
	return (uint64_t)(ms / layout->unit_ms) << layout->sequence_bits;
}

/* The first counter of the time unit that a millisecond since 1970 belongs to; 0 before 2026. */
static inline uint64_t layout_counter_at(const struct layout *layout, int64_t time_ms)
{
	return time_ms <= KONTOR_ID_EPOCH_MS ? 0 : layout_counters(layout, time_ms - KONTOR_ID_EPOCH_MS);
}

/* The millisecond since 1970 at which a counter's time unit begins. */
static inline int64_t layout_time_ms(const struct layout *layout, uint64_t counter)
{
	return KONTOR_ID_EPOCH_MS + (int64_t)(counter >> layout->sequence_bits) * layout->unit_ms;
}

/* The first millisecond since 1970 that has no ids any more. */
static inline int64_t layout_end_ms(const struct layout *layout)
{
	return layout_time_ms(layout, layout->counter_limit);
}

static inline uint64_t layout_stride(const struct layout *layout)
{
	return UINT64_C(1) << (layout->datacenter_bits + layout->slot_bits);
}

static inline uint64_t layout_id(const struct layout *layout, uint64_t counter, unsigned datacenter, unsigned slot)
{
	return counter << (layout->datacenter_bits + layout->slot_bits) | datacenter << layout->slot_bits | slot;
}

struct layout_parts {
	uint64_t counter;
	unsigned datacenter, slot;
};

/* What an id is made of. False: no id of this layout, whatever its number. */
bool layout_take_apart(const struct layout *layout, uint64_t id, struct layout_parts *ret_parts);

#endif
