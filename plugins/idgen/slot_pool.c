/* SPDX-License-Identifier: Apache-2.0
 *
 * Acquiring slots and renewing their windows by one compare-and-set each.
 */
#include "slot_pool.h"

#include <stdio.h>

#include "kontor/log.h"
#include "statements.h"

#define ACQUIRE_ATTEMPTS 8 /* slots lost to others in a row before the next round */
#define SLOTS_LIMIT 63

void slot_pool_init(struct slot_pool *pool, const struct layout *layout, unsigned datacenter, struct allocator_time now)
{
	*pool = (struct slot_pool){0};
	allocator_init(&pool->allocator, layout, datacenter, now);
}

void slot_pool_destroy(struct slot_pool *pool)
{
	allocator_destroy(&pool->allocator);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- giving up ------------------------------------------------------------------------------------------------ */

/* The slot is not ours for sure: nothing more is issued from it, by us, ever. */
static void give_up(struct slot_pool *pool, unsigned number, const char *reason)
{
	struct slot_lease *lease = &pool->leases[number];
	allocator_close(&pool->allocator, number, reason);
	kontor_log(KONTOR_LOG_WARNING, "id slot given up", "layout=%s slot=%u epoch=%llu reason=%s",
		   pool->allocator.layout->name, lease->slot, (unsigned long long)lease->epoch, KONTOR_QUOTED(reason));
	*lease = (struct slot_lease){0};
}

/* Lets the lease end, so that others may take the slot once its counters are past. Losing this is no harm. */
static void release(const struct slot_pool *pool, const struct slot_lease *lease, kontor_conn *conn)
{
	kontor_db_exec(conn, SQL_RELEASE,
		       KONTOR_PARAMS(P_STRING(pool->allocator.layout->name), P_UINT(lease->slot), P_UINT(lease->epoch)),
		       NULL, NULL);
}

void slot_pool_give_up(struct slot_pool *pool, kontor_conn *conn, struct allocator_time now, const char *reason)
{
	allocator_distrust_windows(&pool->allocator, now, reason);
	for (unsigned i = 0; i < ALLOCATOR_WINDOWS; i++) {
		if (pool->leases[i].held && conn)
			release(pool, &pool->leases[i], conn);
		pool->leases[i] = (struct slot_lease){0};
	}
}

/* ---- acquiring ------------------------------------------------------------------------------------------------ */

struct slot_row {
	unsigned slot;
	uint64_t epoch, hwm;
	bool leased;
	struct known_reservation known;
};

struct slot_table {
	struct slot_row rows[SLOTS_LIMIT];
	size_t len;
};

/* What journal and peers know is asked first: a peer may reserve and tell us while the database answers, and that would
 * look like a database which has lost it. */
static void read_known(const struct layout *layout, const struct reservation *reservation,
		       struct known_reservation known[SLOTS_LIMIT + 1])
{
	char key[RESERVATION_KEY_SIZE];
	for (unsigned slot = 1; slot <= layout->slots; slot++)
		known[slot] = reservation_known(reservation, reservation_key(key, layout, slot, NULL));
}

static int read_table(const struct layout *layout, const struct reservation *reservation, struct slot_table *ret_table,
		      struct kontor_error *err)
{
	struct known_reservation known[SLOTS_LIMIT + 1];
	kontor_rows *rows = NULL;
	read_known(layout, reservation, known);
	int code = kontor_db_query(reservation->conn, KONTOR_READ_ALL, SQL_LIST_SLOTS,
				   KONTOR_PARAMS(P_STRING(layout->name)), &rows, err);
	if (code)
		return code;
	ret_table->len = 0;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		unsigned slot = (unsigned)kontor_rows_uint(rows, 0);
		if (slot < 1 || slot > layout->slots || ret_table->len == SLOTS_LIMIT)
			continue;
		ret_table->rows[ret_table->len++] = (struct slot_row){.slot = slot,
								      .epoch = kontor_rows_uint(rows, 1),
								      .hwm = kontor_rows_uint(rows, 3),
								      .leased = kontor_rows_int(rows, 5) != 0,
								      .known = known[slot]};
	}
	kontor_rows_close(rows);
	return code;
}

/* A row below what journal or peers know: the database has lost what it had acknowledged. */
int slot_pool_find_lost(struct slot_pool *pool, const struct reservation *reservation, struct lost_reservations *lost,
			struct kontor_error *err)
{
	const struct layout *layout = pool->allocator.layout;
	struct slot_table table;
	int code = pool->size ? read_table(layout, reservation, &table, err) : 0;
	for (size_t i = 0; pool->size && !code && i < table.len && lost->len < LOST_LIMIT; i++) {
		const struct slot_row *row = &table.rows[i];
		if (row->hwm < row->known.hwm)
			lost->items[lost->len++] = (struct lost_reservation){
				.layout = layout, .slot = row->slot, .epoch = row->known.epoch, .hwm = row->known.hwm};
	}
	return code;
}

/* The longest unused slot that nobody leases or holds and whose counters all lie before the clock; NULL: none. */
static const struct slot_row *find_free(const struct layout *layout, const struct slot_table *table, int64_t clock_ms)
{
	for (size_t i = 0; i < table->len; i++) {
		const struct slot_row *row = &table->rows[i];
		if (!row->leased && !row->known.held_by_peer &&
		    later(row->hwm, row->known.hwm) < layout_counter_at(layout, clock_ms))
			return row;
	}
	return NULL;
}

/* The slot and its first window are ours in the database: written down, then open. */
static int open_slot(struct slot_pool *pool, unsigned number, const struct slot_row *row, uint64_t end,
		     const struct reservation *reservation, struct kontor_error *err)
{
	struct allocator *allocator = &pool->allocator;
	const uint64_t before = later(row->hwm, row->known.hwm);
	char key[RESERVATION_KEY_SIZE];
	reservation_key(key, allocator->layout, row->slot, NULL);
	/* on failure the slot stays unused until its lease ends */
	if (reservation_overtaken(reservation, key, before))
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "a peer reserved in slot %u while it was being taken",
				   row->slot);
	int code = reservation_record(reservation, key, row->epoch + 1, end, err);
	if (code)
		return code;
	pool->leases[number] =
		(struct slot_lease){.held = true,
				    .slot = row->slot,
				    .epoch = row->epoch + 1,
				    .hwm = end,
				    .until_ms = reservation->now.monotonic_ms + reservation->unit->window_ms};
	allocator_open(allocator, number, row->slot, row->epoch + 1, before, end);
	kontor_log(KONTOR_LOG_INFO, "id slot acquired", "layout=%s slot=%u epoch=%llu", allocator->layout->name,
		   row->slot, (unsigned long long)row->epoch + 1);
	return 0;
}

static uint64_t window_end(const struct layout *layout, const struct reservation *reservation)
{
	return layout_counter_at(layout, reservation->clock_ms + reservation->unit->window_ms);
}

/* One attempt at one free slot. *ret_taken false: another unit was faster. */
static int try_acquire(struct slot_pool *pool, unsigned number, const struct slot_table *table,
		       struct reservation *reservation, bool *ret_taken, struct kontor_error *err)
{
	const struct layout *layout = pool->allocator.layout;
	const struct slot_row *row = find_free(layout, table, reservation->clock_ms);
	if (!row)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "none of the %u id slots of layout %s in datacenter id %u is free: each is leased, "
				   "or its reserved ids reach beyond the clock; see `kontor id slots`",
				   layout->slots, layout->name, reservation->unit->datacenter);
	uint64_t end = window_end(layout, reservation), affected = 0;
	int code = kontor_db_exec(reservation->conn, SQL_ACQUIRE,
				  KONTOR_PARAMS(P_STRING(reservation->unit->owner), P_UINT(end),
						P_INT(reservation->unit->window_ms), P_STRING(layout->name),
						P_UINT(row->slot), P_UINT(row->epoch), P_UINT(row->hwm)),
				  &affected, err);
	if (code || affected != 1) /* when the outcome is unknown, the slot stays unused until its lease ends */
		return code;
	*ret_taken = true;
	return open_slot(pool, number, row, end, reservation, err);
}

static int acquire(struct slot_pool *pool, unsigned number, struct slot_table *table, struct reservation *reservation,
		   struct kontor_error *err)
{
	bool taken = false;
	int code = cluster_check_quarantine(&reservation->cluster, err);
	for (int attempt = 0; !code && !taken && attempt < ACQUIRE_ATTEMPTS; attempt++) {
		code = try_acquire(pool, number, table, reservation, &taken, err);
		if (!code) /* also for the next of our slots */
			code = read_table(pool->allocator.layout, reservation, table, err);
	}
	if (!code && !taken)
		code = kontor_fail(err, KONTOR_E_UNAVAILABLE, "other units were faster at %d id slots in a row",
				   ACQUIRE_ATTEMPTS);
	return code;
}

/* ---- renewing ------------------------------------------------------------------------------------------------- */

static int record_and_extend(struct slot_pool *pool, unsigned number, const struct reservation *reservation,
			     struct kontor_error *err)
{
	const struct slot_lease *lease = &pool->leases[number];
	char key[RESERVATION_KEY_SIZE];
	int code = reservation_record(reservation, reservation_key(key, pool->allocator.layout, lease->slot, NULL),
				      lease->epoch, lease->hwm, err);
	if (!code)
		allocator_extend(&pool->allocator, number, lease->hwm);
	return code;
}

/* The clock went back so far that this slot's ids would wait for it: another slot does not have to. */
static bool far_ahead_of_clock(struct slot_pool *pool, unsigned number, const struct reservation *reservation)
{
	return allocator_window(&pool->allocator, number).last >
	       layout_counter_at(pool->allocator.layout, reservation->clock_ms + ALLOCATOR_AHEAD_MS);
}

/* A lease that ran out is not renewed: meanwhile somebody else may have taken the slot, and a database that lost
 * this would let us go on in his window. */
static int renew(struct slot_pool *pool, unsigned number, struct reservation *reservation, struct kontor_error *err)
{
	struct slot_lease *lease = &pool->leases[number];
	const struct layout *layout = pool->allocator.layout;
	const struct reservation_unit *unit = reservation->unit;
	if (!lease->pending_hwm)
		lease->pending_hwm =
			later(window_end(layout, reservation), allocator_window(&pool->allocator, number).last +
								       layout_counters(layout, unit->window_ms));
	if (lease->pending_hwm >= layout->counter_limit)
		lease->pending_hwm = layout->counter_limit - 1;
	uint64_t affected = 0;
	int code =
		kontor_db_exec(reservation->conn, SQL_RESERVE,
			       KONTOR_PARAMS(P_UINT(lease->pending_hwm), P_INT(unit->window_ms), P_STRING(layout->name),
					     P_UINT(lease->slot), P_UINT(lease->epoch), P_UINT(lease->hwm)),
			       &affected, err);
	if (code) /* perhaps done: the very same statement is repeated, on another session if this one is lost */
		return code;
	if (affected != 1) {
		give_up(pool, number,
			"a reservation found the slot changed: taken over, or an earlier answer was lost");
		return 0;
	}
	if (unit->clock(unit->clock_arg).monotonic_ms >= lease->until_ms) {
		give_up(pool, number, "a reservation was answered after its lease had run out");
		return 0;
	}
	char key[RESERVATION_KEY_SIZE];
	if (reservation_overtaken(reservation, reservation_key(key, layout, lease->slot, NULL), lease->hwm)) {
		give_up(pool, number, "a peer reserved in it too, while a reservation was being answered");
		return 0;
	}
	lease->hwm = lease->pending_hwm;
	lease->pending_hwm = 0;
	lease->until_ms = reservation->now.monotonic_ms + unit->window_ms;
	return record_and_extend(pool, number, reservation, err);
}

/* ---- what is due ---------------------------------------------------------------------------------------------- */

static bool recorded(struct slot_pool *pool, unsigned number)
{
	return pool->leases[number].hwm <= allocator_window(&pool->allocator, number).end;
}

static bool renewal_due(struct slot_pool *pool, unsigned number, const struct reservation_unit *unit,
			struct allocator_time now)
{
	return pool->leases[number].pending_hwm ||
	       allocator_left_ms(&pool->allocator, number, now) < reservation_renew_below_ms(unit);
}

bool slot_pool_due(struct slot_pool *pool, const struct reservation_unit *unit, struct allocator_time now)
{
	for (unsigned i = 0; i < pool->size; i++) {
		const struct slot_lease *lease = &pool->leases[i];
		if (!lease->held || now.monotonic_ms >= lease->until_ms || !recorded(pool, i) ||
		    renewal_due(pool, i, unit, now))
			return true;
	}
	return false;
}

static const struct slot_row *row_of(const struct slot_table *table, unsigned slot)
{
	for (size_t i = 0; i < table->len; i++)
		if (table->rows[i].slot == slot)
			return &table->rows[i];
	return NULL;
}

/* Why the slot is not ours for sure any more; NULL: it is. */
static const char *doubt(struct slot_pool *pool, unsigned number, const struct slot_table *table,
			 const struct reservation *reservation)
{
	const struct slot_lease *lease = &pool->leases[number];
	const struct slot_row *row = row_of(table, lease->slot);
	if (reservation->now.monotonic_ms >= lease->until_ms)
		return "its lease ran out while nothing could be reserved";
	if (!row)
		return "its row has disappeared from id_slot";
	if (!lease->pending_hwm && (row->epoch != lease->epoch || row->hwm != lease->hwm))
		return "it was changed by somebody else: an eviction, or a copy of this machine";
	if (row->known.held_by_peer) /* we took it when none did */
		return "a peer holds it too: it reserves in another copy of this database";
	if (far_ahead_of_clock(pool, number, reservation))
		return "the clock was set back; ids go on from another slot";
	return NULL;
}

static int keep_slot(struct slot_pool *pool, unsigned number, struct slot_table *table, struct reservation *reservation,
		     struct kontor_error *err)
{
	struct slot_lease *lease = &pool->leases[number];
	const char *reason = lease->held ? doubt(pool, number, table, reservation) : NULL;
	int code = 0;
	if (reason)
		give_up(pool, number, reason);
	if (lease->held && !recorded(pool, number))
		code = record_and_extend(pool, number, reservation, err);
	if (!code && lease->held && renewal_due(pool, number, reservation->unit, reservation->now))
		code = renew(pool, number, reservation, err);
	if (!code && !lease->held)
		code = acquire(pool, number, table, reservation, err);
	return code;
}

static int keep_slots(struct slot_pool *pool, struct slot_table *table, struct reservation *reservation,
		      struct kontor_error *err)
{
	int first = 0;
	for (unsigned i = 0; i < pool->size; i++) {
		struct kontor_error failure = KONTOR_ERROR_INIT;
		int code = keep_slot(pool, i, table, reservation, &failure);
		if (code && !first)
			first = kontor_fail(err, code, "%s", failure.message);
	}
	return first;
}

int slot_pool_step(struct slot_pool *pool, struct reservation *reservation, struct kontor_error *err)
{
	const struct layout *layout = pool->allocator.layout;
	struct slot_table table;
	if (!pool->size)
		return 0;
	if (layout_counter_at(layout, reservation->clock_ms + reservation->unit->window_ms) >= layout->counter_limit)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "the ids of layout %s are used up: its time has ended",
				   layout->name);
	int code = read_table(layout, reservation, &table, err);
	if (code)
		return code;
	allocator_set_clock(&pool->allocator, reservation->now, reservation->clock_ms);
	return keep_slots(pool, &table, reservation, err);
}
