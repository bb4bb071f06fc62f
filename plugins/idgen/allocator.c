/* SPDX-License-Identifier: Apache-2.0
 *
 * The counter and its window.
 */
#include <stdio.h>
#include <string.h>

#include "allocator.h"

void allocator_init(struct allocator *a, unsigned datacenter)
{
	memset(a, 0, sizeof(*a));
	pthread_mutex_init(&a->lock, NULL);
	a->datacenter = datacenter;
}

void allocator_destroy(struct allocator *a)
{
	pthread_mutex_destroy(&a->lock);
}

/* When the wall clock is set back, the allocator's goes on at the pace of the monotonic one: the service does not stop,
 * and the ids' times are wrong by no more than the step. Setting it right again is the reserver's: another slot. */
static int64_t advance_clock(struct allocator *a, struct allocator_time now)
{
	if (now.wall_ms - now.monotonic_ms > a->offset_ms)
		a->offset_ms = now.wall_ms - now.monotonic_ms;
	return now.monotonic_ms + a->offset_ms;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static enum allocator_result take(struct allocator *a, struct allocator_time now, uint32_t count,
				  struct kontor_id_range *ret_range, uint32_t *ret_retry_ms)
{
	if (!a->slot)
		return ALLOCATOR_NO_WINDOW;
	uint64_t clock = layout_counter_at(advance_clock(a, now));
	uint64_t first = later(a->last + 1, clock);
	uint64_t last = first + count - 1;
	if (last > a->end)
		return ALLOCATOR_NO_WINDOW;
	uint64_t limit = clock + layout_counters(ALLOCATOR_AHEAD_MS);
	if (last > limit) {
		*ret_retry_ms = (uint32_t)((last - limit) >> LAYOUT_SEQUENCE_BITS) + 1;
		return ALLOCATOR_AHEAD;
	}
	a->last = last;
	*ret_range = (struct kontor_id_range){layout_id(first, a->datacenter, a->slot), KONTOR_ID_STRIDE, count};
	return ALLOCATOR_OK;
}

enum allocator_result allocator_take(struct allocator *a, struct allocator_time now, uint32_t count,
				     struct kontor_id_range *ret_range, uint32_t *ret_retry_ms)
{
	pthread_mutex_lock(&a->lock);
	enum allocator_result result = take(a, now, count, ret_range, ret_retry_ms);
	if (result == ALLOCATOR_OK)
		a->issued += count;
	else
		a->refused++;
	pthread_mutex_unlock(&a->lock);
	return result;
}

void allocator_open(struct allocator *a, struct allocator_time now, unsigned slot, uint64_t epoch, uint64_t before,
		    uint64_t end)
{
	pthread_mutex_lock(&a->lock);
	a->slot = slot;
	a->epoch = epoch;
	a->last = before;
	a->end = end;
	a->offset_ms = now.wall_ms - now.monotonic_ms;
	a->reason[0] = '\0';
	pthread_mutex_unlock(&a->lock);
}

void allocator_extend(struct allocator *a, uint64_t end)
{
	pthread_mutex_lock(&a->lock);
	a->end = later(a->end, end);
	a->reason[0] = '\0';
	pthread_mutex_unlock(&a->lock);
}

static void copy_reason(struct allocator *a, const char *reason)
{
	snprintf(a->reason, sizeof(a->reason), "%s", reason);
}

void allocator_close(struct allocator *a, const char *reason)
{
	pthread_mutex_lock(&a->lock);
	a->slot = 0;
	copy_reason(a, reason);
	pthread_mutex_unlock(&a->lock);
}

void allocator_set_reason(struct allocator *a, const char *reason)
{
	pthread_mutex_lock(&a->lock);
	copy_reason(a, reason);
	pthread_mutex_unlock(&a->lock);
}

void allocator_look(struct allocator *a, struct allocator_time now, struct allocator_state *ret_state)
{
	pthread_mutex_lock(&a->lock);
	int64_t clock_ms = a->slot ? advance_clock(a, now) : now.wall_ms;
	int64_t next_ms = layout_time_ms(later(a->last + 1, layout_counter_at(clock_ms)));
	*ret_state = (struct allocator_state){.slot = a->slot,
					      .epoch = a->epoch,
					      .last = a->last,
					      .end = a->end,
					      .issued = a->issued,
					      .refused = a->refused,
					      .clock_ms = clock_ms,
					      .left_ms = a->slot ? layout_time_ms(a->end) - next_ms : 0};
	memcpy(ret_state->reason, a->reason, sizeof(a->reason));
	pthread_mutex_unlock(&a->lock);
}
