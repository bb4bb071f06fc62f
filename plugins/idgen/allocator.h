/* SPDX-License-Identifier: Apache-2.0
 *
 * Hands out ids from a window of counters that the reserver has made ours for good. Pure: the clock is an argument, the
 * database is out of sight. The front thread takes, the reserver opens and extends, others look; one mutex, held for
 * nanoseconds.
 *
 * The window is the whole safety: what lies in it was never anybody else's and never will be. The clock only says which
 * counter comes next, so a wrong clock can make ids with a wrong time but never the same id twice.
 */
#ifndef IDGEN_ALLOCATOR_H
#define IDGEN_ALLOCATOR_H

#include <pthread.h>
#include <stdbool.h>

#include "layout.h"

#define ALLOCATOR_AHEAD_MS 2000 /* ids may run ahead of the clock by this much; then callers wait */
#define ALLOCATOR_REASON_SIZE 256

struct allocator_time {
	int64_t wall_ms;      /* since 1970; may jump */
	int64_t monotonic_ms; /* never jumps */
};

struct allocator {
	pthread_mutex_t lock;
	unsigned datacenter;
	unsigned slot; /* 0: no window */
	uint64_t epoch;
	uint64_t last;     /* highest counter that was issued, or that lies before the window */
	uint64_t end;      /* highest counter of the window */
	int64_t offset_ms; /* clock = monotonic + offset: follows the wall clock forward, never back */
	uint64_t issued, refused;
	char reason[ALLOCATOR_REASON_SIZE]; /* why there is no window, or why it is not renewed; "" when all is well */
};

enum allocator_result {
	ALLOCATOR_OK,
	ALLOCATOR_NO_WINDOW, /* no slot, or its window is used up: see reason */
	ALLOCATOR_AHEAD,     /* too far ahead of the clock: come back in *ret_retry_ms */
};

/* What others may know of it. */
struct allocator_state {
	unsigned slot;
	uint64_t epoch, last, end, issued, refused;
	int64_t clock_ms; /* of the allocator: the wall clock, but never set back */
	int64_t left_ms;  /* until the window ends, if nothing more is taken; negative: it ended so long ago */
	char reason[ALLOCATOR_REASON_SIZE];
};

void allocator_init(struct allocator *a, unsigned datacenter);
void allocator_destroy(struct allocator *a);

/* count: 1 .. KONTOR_ID_GRANT_LIMIT. The inline method: no allocation, no log, no system call but an uncontended lock.
 */
enum allocator_result allocator_take(struct allocator *a, struct allocator_time now, uint32_t count,
				     struct kontor_id_range *ret_range, uint32_t *ret_retry_ms);

/* A slot that was just acquired: the counters after `before`, up to `end`, are ours. */
void allocator_open(struct allocator *a, struct allocator_time now, unsigned slot, uint64_t epoch, uint64_t before,
		    uint64_t end);
/* The window of the same slot goes on to `end`. */
void allocator_extend(struct allocator *a, uint64_t end);
/* Nothing is issued from the window any more. */
void allocator_close(struct allocator *a, const char *reason);
void allocator_set_reason(struct allocator *a, const char *reason);

void allocator_look(struct allocator *a, struct allocator_time now, struct allocator_state *ret_state);

#endif
