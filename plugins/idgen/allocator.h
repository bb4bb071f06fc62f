/* SPDX-License-Identifier: Apache-2.0
 *
 * Hands out ids from windows of counters that the reserver has made ours for good. Pure: the time is an argument, the
 * database is out of sight. The front thread takes, the reserver opens and extends, others look; one mutex, held for
 * nanoseconds.
 *
 * The windows are the whole safety: what lies in one was never anybody else's and never will be. The clock only says
 * which counter comes next, so a wrong clock can make ids with a wrong time but never the same id twice. What a window
 * cannot survive is a second copy of this memory; so the moment the machine looks like a copy (another generation, or
 * a wall clock that jumped), nothing is issued until the reserver has brought fresh windows.
 */
#ifndef IDGEN_ALLOCATOR_H
#define IDGEN_ALLOCATOR_H

#include <pthread.h>

#include "layout.h"

#define ALLOCATOR_WINDOWS 8     /* at most; each of another slot */
#define ALLOCATOR_AHEAD_MS 2000 /* ids may run ahead of the clock by this much; then callers wait */
/* The wall clock against the monotonic one, between two looks of the reserver: more is no slewing but a step, and a
 * machine that was resumed from a snapshot steps its clock. */
#define ALLOCATOR_STEP_MS 1000
#define ALLOCATOR_REASON_SIZE 256

struct allocator_time {
	int64_t wall_ms;      /* since 1970; may jump */
	int64_t monotonic_ms; /* never jumps */
	uint64_t generation;  /* of this virtual machine: changes when a snapshot of it is resumed */
};

struct allocator_window {
	bool open;
	unsigned slot; /* 0 in a layout without slots */
	uint64_t epoch;
	uint64_t last; /* highest counter that was issued, or that lies before the window */
	uint64_t end;  /* highest counter of the window */
};

struct allocator {
	pthread_mutex_t lock;
	const struct layout *layout;
	unsigned datacenter;
	struct allocator_window windows[ALLOCATOR_WINDOWS];
	unsigned current;              /* ids come from this window as long as it has some, so that they rise */
	int64_t offset_ms;             /* clock of the ids = monotonic + offset */
	struct allocator_time trusted; /* seen by the reserver: what comes later is compared with it */
	bool suspect;                  /* perhaps a copy of another machine: only fresh windows count */
	uint64_t issued, refused;      /* ids; grants */
	uint32_t wanted;               /* the largest grant that no window had room for since the last one opened */
	char reason[ALLOCATOR_REASON_SIZE]; /* why there is no window, or why it is not renewed; "" when all is well */
};

enum allocator_result {
	ALLOCATOR_OK,
	ALLOCATOR_NO_WINDOW, /* none is open, or they are used up, or not to be trusted: see reason; wake the reserver
			      */
	ALLOCATOR_AHEAD,     /* too far ahead of the clock: come back in *ret_retry_ms */
};

/* What others may know of it. */
struct allocator_state {
	unsigned windows; /* open ones */
	struct allocator_window current;
	uint64_t issued, refused;
	int64_t clock_ms; /* of the ids */
	int64_t left_ms;  /* until the last window ends if nothing more is taken; of a layout with time */
	char reason[ALLOCATOR_REASON_SIZE];
};

void allocator_init(struct allocator *a, const struct layout *layout, unsigned datacenter, struct allocator_time now);
void allocator_destroy(struct allocator *a);

/* The largest grant of a layout: beyond it, ids would run ahead of the clock at once. */
uint32_t allocator_grant_limit(const struct layout *layout);

/* count: 1 .. allocator_grant_limit(). The inline method: no allocation, no log, no system call but an uncontended
 * lock. */
enum allocator_result allocator_take(struct allocator *a, struct allocator_time now, uint32_t count,
				     struct kontor_id_range *ret_range, uint32_t *ret_retry_ms);

/* ---- the reserver's side ---- */

/* The ids' clock, as the database and this machine agree on it at `now`. */
void allocator_set_clock(struct allocator *a, struct allocator_time now, int64_t clock_ms);
/* Follows small drifts. False: suspect, also if that was noticed earlier by a caller. */
bool allocator_observe(struct allocator *a, struct allocator_time now);
/* Closes all windows and trusts the machine as it is now: what is opened from here on is fresh. */
void allocator_distrust_windows(struct allocator *a, struct allocator_time now, const char *reason);

/* A slot that was just acquired: the counters after `before`, up to `end`, are ours. */
void allocator_open(struct allocator *a, unsigned window, unsigned slot, uint64_t epoch, uint64_t before, uint64_t end);
/* The numbers after `before`, up to `end`, are ours, in a layout without slots: they lengthen the window that ends
 * there, or are a window of their own; when all are open, the shortest one's rest is lost. */
void allocator_add_numbers(struct allocator *a, uint64_t before, uint64_t end);
struct allocator_numbers {
	uint64_t left;   /* in all windows */
	uint32_t wanted; /* the largest grant that no window had room for since the last reservation; 0: none */
};
struct allocator_numbers allocator_numbers(struct allocator *a);
/* The window goes on to `end`. */
void allocator_extend(struct allocator *a, unsigned window, uint64_t end);
/* Nothing is issued from the window any more. */
void allocator_close(struct allocator *a, unsigned window, const char *reason);
void allocator_set_reason(struct allocator *a, const char *reason);

struct allocator_window allocator_window(struct allocator *a, unsigned window);
/* Until the window ends if nothing more is taken; negative: it ended so long ago. Of a layout with time. */
int64_t allocator_left_ms(struct allocator *a, unsigned window, struct allocator_time now);
void allocator_look(struct allocator *a, struct allocator_time now, struct allocator_state *ret_state);

#endif
