/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters and their windows.
 */
#include "allocator.h"

#include <stdio.h>
#include <string.h>

void allocator_init(struct allocator *a, const struct layout *layout, unsigned datacenter, struct allocator_time now)
{
	memset(a, 0, sizeof(*a));
	pthread_mutex_init(&a->lock, NULL);
	a->layout = layout;
	a->datacenter = datacenter;
	a->trusted = now;
	snprintf(a->reason, sizeof(a->reason), "no window was reserved yet");
}

void allocator_destroy(struct allocator *a)
{
	pthread_mutex_destroy(&a->lock);
}

uint32_t allocator_grant_limit(const struct layout *layout)
{
	uint64_t limit = layout->unit_ms ? layout_counters(layout, ALLOCATOR_AHEAD_MS) : KONTOR_ID_GRANT_LIMIT;
	return (uint32_t)(limit < KONTOR_ID_GRANT_LIMIT ? limit : KONTOR_ID_GRANT_LIMIT);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- taking --------------------------------------------------------------------------------------------------- */

static bool looks_like_a_copy(const struct allocator *a, struct allocator_time now)
{
	int64_t step_ms = (now.wall_ms - now.monotonic_ms) - (a->trusted.wall_ms - a->trusted.monotonic_ms);
	return now.generation != a->trusted.generation || step_ms >= ALLOCATOR_STEP_MS || step_ms <= -ALLOCATOR_STEP_MS;
}

/* The counter that belongs to this moment. */
static uint64_t clock_counter(const struct allocator *a, struct allocator_time now)
{
	return a->layout->unit_ms ? layout_counter_at(a->layout, now.monotonic_ms + a->offset_ms) : 0;
}

static enum allocator_result take_from(const struct allocator *a, struct allocator_window *window, uint64_t clock,
				       uint32_t count, uint64_t *ret_first, uint64_t *ret_beyond)
{
	if (!window->open)
		return ALLOCATOR_NO_WINDOW;
	uint64_t first = later(window->last + 1, clock), last = first + count - 1;
	if (last > window->end)
		return ALLOCATOR_NO_WINDOW;
	if (a->layout->unit_ms && last > clock + layout_counters(a->layout, ALLOCATOR_AHEAD_MS)) {
		*ret_beyond = last - clock - layout_counters(a->layout, ALLOCATOR_AHEAD_MS);
		return ALLOCATOR_AHEAD;
	}
	window->last = last;
	*ret_first = first;
	return ALLOCATOR_OK;
}

/* Milliseconds until the clock has caught up with so many counters. */
static uint32_t retry_ms(const struct layout *layout, uint64_t beyond)
{
	return (uint32_t)((beyond >> layout->sequence_bits) + 1) * layout->unit_ms;
}

static enum allocator_result take(struct allocator *a, struct allocator_time now, uint32_t count,
				  struct kontor_id_range *ret_range, uint32_t *ret_retry_ms)
{
	if (a->suspect || looks_like_a_copy(a, now)) {
		a->suspect = true;
		return ALLOCATOR_NO_WINDOW;
	}
	uint64_t clock = clock_counter(a, now), first, beyond = 0, least = UINT64_MAX;
	for (unsigned i = 0; i < ALLOCATOR_WINDOWS; i++) {
		unsigned number = (a->current + i) % ALLOCATOR_WINDOWS;
		struct allocator_window *window = &a->windows[number];
		enum allocator_result result = take_from(a, window, clock, count, &first, &beyond);
		if (result == ALLOCATOR_OK) {
			a->current = number;
			*ret_range = (struct kontor_id_range){layout_id(a->layout, first, a->datacenter, window->slot),
							      layout_stride(a->layout), count};
			return ALLOCATOR_OK;
		}
		if (result == ALLOCATOR_AHEAD && beyond < least)
			least = beyond;
	}
	if (least != UINT64_MAX) {
		*ret_retry_ms = retry_ms(a->layout, least);
		return ALLOCATOR_AHEAD;
	}
	a->wanted = count > a->wanted ? count : a->wanted;
	return ALLOCATOR_NO_WINDOW;
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

/* ---- the reserver's side -------------------------------------------------------------------------------------- */

static void copy_reason(struct allocator *a, const char *reason)
{
	snprintf(a->reason, sizeof(a->reason), "%s", reason);
}

void allocator_set_clock(struct allocator *a, struct allocator_time now, int64_t clock_ms)
{
	pthread_mutex_lock(&a->lock);
	a->offset_ms = clock_ms - now.monotonic_ms;
	pthread_mutex_unlock(&a->lock);
}

bool allocator_observe(struct allocator *a, struct allocator_time now)
{
	pthread_mutex_lock(&a->lock);
	a->suspect = a->suspect || looks_like_a_copy(a, now);
	if (!a->suspect)
		a->trusted = now;
	bool trusted = !a->suspect;
	pthread_mutex_unlock(&a->lock);
	return trusted;
}

void allocator_distrust_windows(struct allocator *a, struct allocator_time now, const char *reason)
{
	pthread_mutex_lock(&a->lock);
	for (unsigned i = 0; i < ALLOCATOR_WINDOWS; i++)
		a->windows[i].open = false;
	a->trusted = now;
	a->suspect = false;
	copy_reason(a, reason);
	pthread_mutex_unlock(&a->lock);
}

/* Ids go on rising from slot to slot, unless the clock went back by more than they may be ahead of it. */
static uint64_t rising_from(const struct allocator *a, uint64_t before, uint64_t end)
{
	if (!a->layout->unit_ms)
		return before;
	uint64_t last = a->windows[a->current].last;
	uint64_t limit = clock_counter(a, a->trusted) + layout_counters(a->layout, ALLOCATOR_AHEAD_MS);
	return last > before && last < end && last <= limit ? last : before;
}

void allocator_open(struct allocator *a, unsigned window, unsigned slot, uint64_t epoch, uint64_t before, uint64_t end)
{
	pthread_mutex_lock(&a->lock);
	a->windows[window] = (struct allocator_window){
		.open = true, .slot = slot, .epoch = epoch, .last = rising_from(a, before, end), .end = end};
	a->wanted = 0;
	a->reason[0] = '\0';
	pthread_mutex_unlock(&a->lock);
}

static uint64_t numbers_left(const struct allocator_window *window)
{
	return window->open ? window->end - window->last : 0;
}

void allocator_add_numbers(struct allocator *a, uint64_t before, uint64_t end)
{
	pthread_mutex_lock(&a->lock);
	struct allocator_window *shortest = &a->windows[0], *before_it = NULL;
	for (unsigned i = 0; i < ALLOCATOR_WINDOWS; i++) {
		struct allocator_window *window = &a->windows[i];
		if (window->open && window->end == before)
			before_it = window;
		if (numbers_left(window) < numbers_left(shortest))
			shortest = window;
	}
	if (before_it)
		before_it->end = end;
	else
		*shortest = (struct allocator_window){.open = true, .last = before, .end = end};
	a->wanted = 0;
	a->reason[0] = '\0';
	pthread_mutex_unlock(&a->lock);
}

struct allocator_numbers allocator_numbers(struct allocator *a)
{
	struct allocator_numbers numbers = {0};
	pthread_mutex_lock(&a->lock);
	for (unsigned i = 0; i < ALLOCATOR_WINDOWS; i++)
		numbers.left += numbers_left(&a->windows[i]);
	numbers.wanted = a->wanted;
	pthread_mutex_unlock(&a->lock);
	return numbers;
}

void allocator_extend(struct allocator *a, unsigned window, uint64_t end)
{
	pthread_mutex_lock(&a->lock);
	a->windows[window].end = later(a->windows[window].end, end);
	a->wanted = 0;
	a->reason[0] = '\0';
	pthread_mutex_unlock(&a->lock);
}

void allocator_close(struct allocator *a, unsigned window, const char *reason)
{
	pthread_mutex_lock(&a->lock);
	a->windows[window].open = false;
	copy_reason(a, reason);
	pthread_mutex_unlock(&a->lock);
}

void allocator_set_reason(struct allocator *a, const char *reason)
{
	pthread_mutex_lock(&a->lock);
	copy_reason(a, reason);
	pthread_mutex_unlock(&a->lock);
}

struct allocator_window allocator_window(struct allocator *a, unsigned window)
{
	pthread_mutex_lock(&a->lock);
	struct allocator_window copy = a->windows[window];
	pthread_mutex_unlock(&a->lock);
	return copy;
}

static int64_t left_ms(const struct allocator *a, const struct allocator_window *window, struct allocator_time now)
{
	uint64_t next = later(window->last + 1, clock_counter(a, now));
	return layout_time_ms(a->layout, window->end) - layout_time_ms(a->layout, next);
}

int64_t allocator_left_ms(struct allocator *a, unsigned window, struct allocator_time now)
{
	pthread_mutex_lock(&a->lock);
	int64_t left = left_ms(a, &a->windows[window], now);
	pthread_mutex_unlock(&a->lock);
	return left;
}

void allocator_look(struct allocator *a, struct allocator_time now, struct allocator_state *ret_state)
{
	pthread_mutex_lock(&a->lock);
	*ret_state = (struct allocator_state){.current = a->windows[a->current],
					      .issued = a->issued,
					      .refused = a->refused,
					      .clock_ms = now.monotonic_ms + a->offset_ms};
	for (unsigned i = 0; i < ALLOCATOR_WINDOWS; i++) {
		const struct allocator_window *window = &a->windows[i];
		if (!window->open)
			continue;
		ret_state->windows++;
		if (!ret_state->current.open)
			ret_state->current = *window;
		int64_t left = a->layout->unit_ms ? left_ms(a, window, now) : 0;
		if (ret_state->windows == 1 || left > ret_state->left_ms)
			ret_state->left_ms = left;
	}
	memcpy(ret_state->reason, a->reason, sizeof(a->reason));
	pthread_mutex_unlock(&a->lock);
}
