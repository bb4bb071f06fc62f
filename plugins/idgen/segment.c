/* SPDX-License-Identifier: Apache-2.0
 *
 * Reserving numbers.
 */
#include "segment.h"

#include <stdio.h>

#include "statements.h"

#define LEAST_SIZE UINT64_C(100) /* a unit that is restarted loses less than this of a quiet namespace */
#define MOST_SIZE (UINT64_C(1) << 40)
#define TARGET_MS (10 * INT64_C(60000)) /* a reservation should last so long, as in Leaf: the database may be away */
#define MOST_GROWTH 16
#define RESERVE_ATTEMPTS 8

void segment_init(struct segment *segment, const char *name, unsigned datacenter, struct allocator_time now)
{
	*segment = (struct segment){0};
	snprintf(segment->name, sizeof(segment->name), "%s", name);
	allocator_init(&segment->allocator, &layouts[LAYOUT_SEGMENT], datacenter, now);
}

void segment_destroy(struct segment *segment)
{
	allocator_destroy(&segment->allocator);
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

bool segment_due(struct segment *segment)
{
	struct allocator_numbers numbers = allocator_numbers(&segment->allocator);
	return numbers.wanted || (segment->size && numbers.left < segment->size / 2);
}

/* Sized by how long the last one lasted. */
static uint64_t next_size(const struct segment *segment, uint32_t wanted, int64_t now_ms)
{
	uint64_t size = LEAST_SIZE;
	if (segment->size) {
		int64_t lasted_ms = now_ms > segment->reserved_ms ? now_ms - segment->reserved_ms : 1;
		size = clamp((uint64_t)((double)segment->size * (double)TARGET_MS / (double)lasted_ms),
			     segment->size / 2, segment->size * MOST_GROWTH);
	}
	return clamp(size, wanted * 2 > LEAST_SIZE ? wanted * 2 : LEAST_SIZE, MOST_SIZE);
}

static int read_max(const struct segment *segment, const struct reservation *reservation, uint64_t *ret_max,
		    struct kontor_error *err)
{
	int64_t max;
	int code = kontor_db_query_int(reservation->conn, SQL_READ_MAX_N, KONTOR_PARAMS(P_STRING(segment->name)), &max,
				       err);
	if (code == KONTOR_E_NOT_FOUND)
		return kontor_fail(err, KONTOR_E_INTERNAL, "namespace %s has disappeared from id_namespace",
				   segment->name);
	*ret_max = (uint64_t)max;
	return code;
}

/* What is known is asked first, see slot_pool.c. */
int segment_find_lost(const struct segment *segment, const struct reservation *reservation,
		      struct lost_reservations *lost, struct kontor_error *err)
{
	char key[RESERVATION_KEY_SIZE];
	uint64_t max = 0;
	const struct layout *layout = segment->allocator.layout;
	struct known_reservation known = reservation_known(reservation, reservation_key(key, layout, 0, segment->name));
	int code = read_max(segment, reservation, &max, err);
	if (!code && max < known.hwm && lost->len < LOST_LIMIT)
		lost->items[lost->len++] =
			(struct lost_reservation){.layout = layout, .namespace_ = segment->name, .hwm = known.hwm};
	return code;
}

/* One attempt. *ret_taken false: another unit was faster. An unknown outcome needs no memory: whatever happened, the
 * numbers below the max_n that is read next are not given out by us. */
static int try_reserve(struct segment *segment, struct reservation *reservation, bool *ret_taken,
		       struct kontor_error *err)
{
	struct allocator *allocator = &segment->allocator;
	uint64_t before = 0, affected = 0;
	char key[RESERVATION_KEY_SIZE];
	reservation_key(key, allocator->layout, 0, segment->name);
	int code = read_max(segment, reservation, &before, err);
	if (code)
		return code;
	uint64_t size = next_size(segment, allocator_numbers(allocator).wanted, reservation->now.monotonic_ms),
		 end = before + size;
	if (end >= allocator->layout->counter_limit)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "the numbers of namespace %s are used up", segment->name);
	code = kontor_db_exec(reservation->conn, SQL_RESERVE_NUMBERS,
			      KONTOR_PARAMS(P_UINT(end), P_STRING(segment->name), P_UINT(before)), &affected, err);
	if (code || affected != 1)
		return code;
	if (reservation_overtaken(reservation, key, before)) /* these numbers are lost; the next attempt knows more */
		return 0;
	*ret_taken = true;
	code = reservation_record(reservation, key, 0, end, err);
	if (code)
		return code;
	segment->size = size;
	segment->reserved_ms = reservation->now.monotonic_ms;
	allocator_add_numbers(allocator, before, end);
	return 0;
}

int segment_step(struct segment *segment, struct reservation *reservation, struct kontor_error *err)
{
	bool taken = false;
	int code = 0;
	if (!segment_due(segment))
		return 0;
	for (int attempt = 0; !code && !taken && attempt < RESERVE_ATTEMPTS; attempt++)
		code = try_reserve(segment, reservation, &taken, err);
	if (!code && !taken)
		code = kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "other units were faster at the numbers of namespace %s %d times in a row",
				   segment->name, RESERVE_ATTEMPTS);
	return code;
}
