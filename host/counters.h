/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters of the unit since its start, each with the sentence that explains it in kontor.status. Any thread.
 */
#ifndef KONTORD_COUNTERS_H
#define KONTORD_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "kontor/message.h"

enum counter {
	COUNTER_REQUESTS,
	COUNTER_REPLIES,
	COUNTER_ERRORS,
	COUNTER_BUSY,
	COUNTER_REFUSED,
	COUNTER_EXPIRED,
	COUNTER_CANCELLED,
	COUNTER_PINGS,
	COUNTER_BAD_MESSAGES,
	COUNTER_FAULTS,
	COUNTER_REPLIES_DROPPED, /* up to here the front thread alone adds, from here on any thread */
	COUNTER_CONNECTIONS,
	COUNTER_ADMITTED,
	COUNTER_KEYS_REFUSED,
	COUNTER_JOB_STEPS,
	COUNTER_JOB_FAULTS,
	COUNTER_CONNECTIONS_CUT,
	COUNTERS,
};

extern _Atomic uint64_t counter_values[COUNTERS];

/* Locked instructions, several for a request, would cost more than all else that the front does in its own memory. */
static inline void counter_add(enum counter counter)
{
	_Atomic uint64_t *value = &counter_values[counter];
	if (counter > COUNTER_REPLIES_DROPPED)
		atomic_fetch_add_explicit(value, 1, memory_order_relaxed);
	else
		atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + 1,
				      memory_order_relaxed);
}
uint64_t counter_read(enum counter counter);
/* Puts {name: value} under "counters", and {name: help} under "counters_help" when asked for. */
void counters_put(kontor_writer *w, int with_help);

#endif
