/* SPDX-License-Identifier: Apache-2.0
 *
 * Reserving windows of id space by one compare-and-set.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kontor/log.h"
#include "kontor/time.h"
#include "reserver.h"
#include "statements.h"

#define CHECK_EVERY_MS 500 /* a window shrinks as fast as the clock goes: 40 s left never become 0 unseen */
#define ACQUIRE_ATTEMPTS 8 /* slots lost to others in a row before the next round */

struct allocator_time reserver_clock(void)
{
	return (struct allocator_time){kontor_now_ms(), kontor_monotonic_ms()};
}

/* ---- the protocol --------------------------------------------------------------------------------------------- */

/* The database may be bound to no other datacenter id than ours; binds it when claim_auto. */
static int check_cluster(struct reserver *r, kontor_conn *conn, struct kontor_error *err)
{
	struct cluster cluster;
	int code = cluster_read(conn, &cluster, err);
	if (!code && !cluster.datacenter && r->claim_auto) {
		bool bound;
		code = cluster_bind(conn, r->datacenter, r->owner, &cluster, &bound, err);
		if (!code && bound)
			kontor_log(KONTOR_LOG_NOTICE, "database bound to the datacenter id", "datacenter=%u cluster=%s",
				   r->datacenter, cluster.uuid);
	}
	if (!code)
		code = cluster_check(&cluster, r->datacenter, err);
	if (code)
		return code;
	if (!cluster.datacenter)
		return kontor_fail(
			err, KONTOR_E_UNAVAILABLE,
			"this database is not bound to a datacenter id yet: run `kontor id claim` once (datacenter "
			"id %u is configured here)",
			r->datacenter);
	if (r->cluster.datacenter && strcmp(r->cluster.uuid, cluster.uuid) != 0)
		return kontor_fail(
			err, KONTOR_E_CONFLICT,
			"the database was replaced by another one (cluster %.8s, before %.8s) while the unit ran: "
			"restart the unit if that was intended",
			cluster.uuid, r->cluster.uuid);
	r->cluster = cluster;
	return 0;
}

/* UNAVAILABLE when `clock_ms` must not reserve id space. */
static int check_clock(int64_t clock_ms, int64_t database_ms, struct kontor_error *err)
{
	if (clock_ms <= KONTOR_ID_EPOCH_MS)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "this machine's clock is before 2026: set it");
	if (clock_ms - database_ms > RESERVER_CLOCK_TOLERANCE_MS)
		return kontor_fail(
			err, KONTOR_E_UNAVAILABLE,
			"this machine's clock is %lld ms ahead of the database's, %d are tolerated: set both clocks",
			(long long)(clock_ms - database_ms), RESERVER_CLOCK_TOLERANCE_MS);
	if (layout_counter_at(clock_ms + RESERVER_WINDOW_MS) >= LAYOUT_COUNTER_LIMIT)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "layout std63 has no ids after 2095");
	return 0;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The slot is not ours for sure: nothing more is issued from it, by us, ever. */
static void give_up_slot(struct reserver *r, const char *reason)
{
	allocator_close(r->allocator, reason);
	kontor_log(KONTOR_LOG_WARNING, "id slot given up", "slot=%u epoch=%llu reason=%s", r->slot,
		   (unsigned long long)r->epoch, KONTOR_QUOTED(reason));
	r->slot = 0;
	r->pending_hwm = 0;
}

/* Lets the lease end, so that others may take the slot once its counters are past. Losing this is no harm. */
static void release_lease(struct reserver *r, kontor_conn *conn)
{
	kontor_db_exec(conn, SQL_RELEASE, KONTOR_PARAMS(P_UINT(r->slot), P_UINT(r->epoch)), NULL, NULL);
}

/* One attempt at one free slot. *ret_taken false: another unit was faster. */
static int try_acquire(struct reserver *r, kontor_conn *conn, struct allocator_time now, int64_t database_ms,
		       bool *ret_taken, struct kontor_error *err)
{
	int64_t earlier_ms = now.wall_ms < database_ms ? now.wall_ms : database_ms;
	kontor_rows *rows = NULL;
	int code =
		kontor_db_query(conn, KONTOR_READ_ALL, SQL_FIND_FREE_SLOT,
				KONTOR_PARAMS(P_UINT(LAYOUT_SLOTS), P_UINT(layout_counter_at(earlier_ms))), &rows, err);
	if (code)
		return code;
	code = kontor_rows_next(rows, err);
	unsigned slot = code == 1 ? (unsigned)kontor_rows_uint(rows, 0) : 0;
	uint64_t epoch = code == 1 ? kontor_rows_uint(rows, 1) : 0, hwm = code == 1 ? kontor_rows_uint(rows, 2) : 0;
	kontor_rows_close(rows);
	if (code < 0)
		return code;
	if (!slot)
		return kontor_fail(
			err, KONTOR_E_UNAVAILABLE,
			"none of the %d id slots of datacenter id %u is free: each is leased, or its reserved ids "
			"reach beyond the clock; see `kontor call idgen.stats`",
			LAYOUT_SLOTS, r->datacenter);
	uint64_t end = layout_counter_at(now.wall_ms + RESERVER_WINDOW_MS), affected = 0;
	code = kontor_db_exec(conn, SQL_ACQUIRE,
			      KONTOR_PARAMS(P_STRING(r->owner), P_UINT(end), P_INT(RESERVER_LEASE_MS), P_UINT(slot),
					    P_UINT(epoch), P_UINT(hwm)),
			      &affected, err);
	if (code) /* perhaps done; then the slot stays unused until its lease ends */
		return code;
	*ret_taken = affected == 1;
	if (*ret_taken) {
		r->slot = slot;
		r->epoch = epoch + 1;
		r->hwm = end;
		r->pending_hwm = 0;
		allocator_open(r->allocator, now, slot, epoch + 1, hwm, end);
		kontor_log(KONTOR_LOG_INFO, "id slot acquired", "slot=%u epoch=%llu", slot,
			   (unsigned long long)r->epoch);
	}
	return 0;
}

static int acquire(struct reserver *r, kontor_conn *conn, struct kontor_error *err)
{
	int code = check_cluster(r, conn, err);
	if (!code)
		code = namespaces_read(r->namespaces, conn, err);
	bool taken = false;
	for (int attempt = 0; !code && !taken && attempt < ACQUIRE_ATTEMPTS; attempt++) {
		struct allocator_time now = r->clock();
		int64_t database_ms;
		code = kontor_db_query_int(conn, SQL_READ_NOW, KONTOR_NO_PARAMS, &database_ms, err);
		if (!code)
			code = check_clock(now.wall_ms, database_ms, err);
		if (!code)
			code = try_acquire(r, conn, now, database_ms, &taken, err);
	}
	if (!code && !taken)
		code = kontor_fail(err, KONTOR_E_UNAVAILABLE, "other units were faster at %d id slots in a row",
				   ACQUIRE_ATTEMPTS);
	return code;
}

/* Decides on the next reservation. *ret_moved_on: the wall clock was set back and the allocator's runs ahead of the
 * database's; the slot was let go. */
static int plan_reservation(struct reserver *r, kontor_conn *conn, bool *ret_moved_on, struct kontor_error *err)
{
	struct allocator_time now = r->clock();
	struct allocator_state state;
	int64_t database_ms;
	int code = kontor_db_query_int(conn, SQL_READ_NOW, KONTOR_NO_PARAMS, &database_ms, err);
	if (code)
		return code;
	allocator_look(r->allocator, now, &state);
	if (check_clock(state.clock_ms, database_ms, NULL) == 0) {
		r->pending_hwm =
			later(layout_counter_at(state.clock_ms), state.last) + layout_counters(RESERVER_WINDOW_MS);
		return 0;
	}
	code = check_clock(now.wall_ms, database_ms, err);
	if (code)
		return code;
	release_lease(r, conn);
	give_up_slot(r, "the clock was set back; ids go on from another slot");
	*ret_moved_on = true;
	return 0;
}

static int reserve(struct reserver *r, kontor_conn *conn, struct kontor_error *err)
{
	bool moved_on = false;
	int code = r->pending_hwm ? 0 : plan_reservation(r, conn, &moved_on, err);
	if (code)
		return code;
	if (moved_on)
		return acquire(r, conn, err);
	uint64_t affected = 0;
	code = kontor_db_exec(conn, SQL_RESERVE,
			      KONTOR_PARAMS(P_UINT(r->pending_hwm), P_INT(RESERVER_LEASE_MS), P_UINT(r->slot),
					    P_UINT(r->epoch), P_UINT(r->hwm)),
			      &affected, err);
	if (code) /* perhaps done: the very same statement is repeated, on another session if this one is lost */
		return code;
	if (affected != 1) {
		give_up_slot(r, "a reservation found the slot changed: taken over, or an earlier answer was lost");
		return acquire(r, conn, err);
	}
	r->hwm = r->pending_hwm;
	r->pending_hwm = 0;
	allocator_extend(r->allocator, r->hwm);
	return 0;
}

int reserver_step(struct reserver *r, struct kontor_error *err)
{
	if (r->slot && !r->pending_hwm) {
		struct allocator_state state;
		allocator_look(r->allocator, r->clock(), &state);
		if (state.left_ms >= RESERVER_RENEW_BELOW_MS)
			return 0;
	}
	kontor_conn *conn = NULL;
	int code = kontor_db_acquire(r->db, &conn, err);
	if (!code)
		code = r->slot ? reserve(r, conn, err) : acquire(r, conn, err);
	kontor_db_release(conn);
	if (code)
		allocator_set_reason(r->allocator, err->message);
	return code;
}

/* ---- the thread ----------------------------------------------------------------------------------------------- */

/* True when the thread shall end. */
static bool wait_for_next_check(struct reserver *r)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += CHECK_EVERY_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&r->lock);
	while (!r->stopping && pthread_cond_timedwait(&r->wake, &r->lock, &until) == 0)
		;
	bool stopping = r->stopping;
	pthread_mutex_unlock(&r->lock);
	return stopping;
}

static void *reserver_run(void *arg)
{
	struct reserver *r = arg;
	char complaint[ALLOCATOR_REASON_SIZE] = ""; /* said once, until it changes */
	kontor_log_plugin("idgen");
	do {
		struct kontor_error err = KONTOR_ERROR_INIT;
		int code = reserver_step(r, &err);
		if (code && strcmp(complaint, err.message) != 0) {
			kontor_log(KONTOR_LOG_WARNING, "no id window could be reserved", "code=%s error=%s",
				   kontor_code_name(code), KONTOR_QUOTED(err.message));
			snprintf(complaint, sizeof(complaint), "%.*s", (int)sizeof(complaint) - 1, err.message);
		} else if (!code && complaint[0]) {
			kontor_log(KONTOR_LOG_INFO, "id windows are reserved again", "slot=%u", r->slot);
			complaint[0] = '\0';
		}
	} while (!wait_for_next_check(r));
	return NULL;
}

int reserver_start(struct reserver *r, struct kontor_error *err)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int failure = pthread_create(&r->thread, NULL, reserver_run, r);
	if (failure)
		return kontor_fail(err, KONTOR_E_INTERNAL, "no thread for reservations: %s", strerror(failure));
	r->running = true;
	return 0;
}

void reserver_stop_soon(struct reserver *r)
{
	if (!r->running)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

void reserver_stop(struct reserver *r)
{
	if (!r->running)
		return;
	reserver_stop_soon(r);
	pthread_join(r->thread, NULL);
	r->running = false;
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	kontor_conn *conn = NULL;
	if (r->slot && kontor_db_acquire(r->db, &conn, NULL) == 0)
		release_lease(r, conn);
	kontor_db_release(conn);
	allocator_close(r->allocator, "the unit stops");
	r->slot = 0;
}
