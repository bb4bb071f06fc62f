/* SPDX-License-Identifier: Apache-2.0
 *
 * The reserver's visits and its thread.
 */
#include "reserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kontor/log.h"
#include "kontor/time.h"

#define CHECK_EVERY_MS 500 /* windows shrink as fast as the clock goes: nothing becomes due unseen */
#define WATCH_EVERY_MS 2000
#define AWAY_RETRY_MS 20 /* the first id comes this long after a database that was away, and a connection */
#define REFUSED_RETRY_MS 250
#define SILENT_MS 1000 /* a visit takes milliseconds */
#define CLOCKS_DIFFER_MS 5000
#define PEERS_FOR_MEDIAN 2 /* with one peer nobody knows which of the two clocks is wrong */

struct allocator_time reserver_now(const struct reserver *r)
{
	return r->unit.clock(r->unit.clock_arg);
}

/* ---- the allocators ------------------------------------------------------------------------------------------- */

/* The allocator that serves a namespace: of its layout's slots, or of its own numbers. */
static struct allocator *find_allocator(void *arg, const struct layout *layout, const char *name)
{
	struct reserver *r = arg;
	if (r->unit.datacenter > layout->datacenters)
		return NULL;
	if (layout->slots) {
		struct slot_pool *pool = &r->pools[layout - layouts];
		pool->size = r->slots < layout->slots ? r->slots : layout->slots;
		return &pool->allocator;
	}
	struct segment *segment = &r->segments[r->segments_len++];
	segment_init(segment, name, r->unit.datacenter, reserver_now(r));
	return &segment->allocator;
}

void reserver_init(struct reserver *r)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (unsigned i = 0; i < RESERVER_POOLS; i++)
		slot_pool_init(&r->pools[i], &layouts[i], r->unit.datacenter, reserver_now(r));
	r->namespaces.find_allocator = find_allocator;
	r->namespaces.arg = r;
}

void reserver_destroy(struct reserver *r)
{
	for (unsigned i = 0; i < RESERVER_POOLS; i++)
		slot_pool_destroy(&r->pools[i]);
	for (size_t i = 0; i < r->segments_len; i++)
		segment_destroy(&r->segments[i]);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
}

/* ---- windows that may not be used any more -------------------------------------------------------------------- */

static void drop_all(struct reserver *r, struct allocator_time now, const char *reason)
{
	kontor_log(KONTOR_LOG_WARNING, "all id windows dropped", "reason=%s", KONTOR_QUOTED(reason));
	for (unsigned i = 0; i < RESERVER_POOLS; i++)
		slot_pool_give_up(&r->pools[i], NULL, now, reason);
	for (size_t i = 0; i < r->segments_len; i++)
		allocator_distrust_windows(&r->segments[i].allocator, now, reason);
}

static bool take_flag(struct reserver *r, bool *flag)
{
	pthread_mutex_lock(&r->lock);
	bool was = *flag;
	*flag = false;
	pthread_mutex_unlock(&r->lock);
	return was;
}

/* When this machine looks like a copy of another one, or an operator says so. */
static void drop_doubtful_windows(struct reserver *r, struct allocator_time now)
{
	bool trusted = true;
	for (unsigned i = 0; i < RESERVER_POOLS; i++)
		trusted &= allocator_observe(&r->pools[i].allocator, now);
	for (size_t i = 0; i < r->segments_len; i++)
		trusted &= allocator_observe(&r->segments[i].allocator, now);
	if (take_flag(r, &r->fenced))
		drop_all(r, now, "fenced by an operator");
	else if (!trusted)
		drop_all(r, now, "the wall clock jumped, or the machine was resumed from a snapshot");
}

/* Another database gives ids for this datacenter id: whoever is wrong, neither may go on. */
static int check_peers(struct reserver *r, struct allocator_time now, const char *cluster_uuid,
		       struct kontor_error *err)
{
	int code = r->unit.peers ? peers_conflict(r->unit.peers, cluster_uuid, err) : 0;
	if (!code)
		return 0;
	bool open = false;
	for (unsigned i = 0; i < RESERVER_POOLS && !open; i++) {
		struct allocator_state state;
		allocator_look(&r->pools[i].allocator, now, &state);
		open = state.windows > 0;
	}
	for (size_t i = 0; i < r->segments_len && !open; i++)
		open = allocator_numbers(&r->segments[i].allocator).left > 0;
	if (open)
		drop_all(r, now, err->message);
	return code;
}

/* ---- one visit ------------------------------------------------------------------------------------------------ */

/* The database may be bound to no other datacenter id than ours; binds it when claim_auto. */
static int check_cluster(struct reserver *r, struct reservation *visit, struct kontor_error *err)
{
	struct cluster *cluster = &visit->cluster;
	const char *known = r->cluster.uuid;
	int code = 0;
	if (!cluster->datacenter && r->claim_auto) {
		bool bound = false;
		code = check_peers(r, visit->now, "", err); /* nobody may have the datacenter id yet */
		if (!code)
			code = cluster_bind(visit->conn, r->unit.datacenter, r->unit.owner, cluster, &bound, err);
		if (!code && bound)
			kontor_log(KONTOR_LOG_NOTICE, "database bound to the datacenter id", "datacenter=%u cluster=%s",
				   r->unit.datacenter, cluster->uuid);
	}
	if (!code)
		code = cluster_check(cluster, r->unit.datacenter, err);
	if (code)
		return code;
	if (!cluster->datacenter)
		return kontor_fail(
			err, KONTOR_E_UNAVAILABLE,
			"this database is not bound to a datacenter id yet: run `kontor id claim` once (datacenter "
			"id %u is configured here)",
			r->unit.datacenter);
	if (known[0] && strcmp(known, cluster->uuid) != 0)
		return kontor_fail(
			err, KONTOR_E_CONFLICT,
			"the database was replaced by another one (cluster %.8s, before %.8s) while the unit ran: "
			"restart the unit if that was intended",
			cluster->uuid, known);
	if (r->unit.journal)
		code = journal_bind(r->unit.journal, cluster->uuid, err);
	return code;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The ids' clock is the earliest of all that are known, so that no wrong one burns years of ids. What differs much is
 * told. */
static int set_clock(struct reserver *r, struct reservation *visit, struct kontor_error *err)
{
	struct allocator_time now = reserver_now(r);
	int64_t took_ms = now.monotonic_ms - visit->now.monotonic_ms;
	/* not what it said last: the visit is older than that when the database was bound meanwhile, or moved */
	int64_t database_ms = earlier(visit->database_ms, visit->cluster.database_ms), peers_ms = 0;
	visit->now = now;
	visit->clock_ms = earlier(now.wall_ms, database_ms + took_ms);
	char clocks[sizeof(r->clocks)] = "";
	if (llabs(now.wall_ms - database_ms) > CLOCKS_DIFFER_MS + took_ms)
		snprintf(clocks, sizeof(clocks), "this machine's clock is %lld ms %s the database's: set both clocks",
			 llabs(now.wall_ms - database_ms), now.wall_ms > database_ms ? "ahead of" : "behind");
	if (r->unit.peers && peers_clock_offset(r->unit.peers, now.monotonic_ms, &peers_ms) >= PEERS_FOR_MEDIAN) {
		visit->clock_ms = earlier(visit->clock_ms, now.wall_ms + peers_ms + CLOCKS_DIFFER_MS);
		if (!clocks[0] && llabs(peers_ms) > CLOCKS_DIFFER_MS)
			snprintf(clocks, sizeof(clocks), "this machine's clock is %lld ms %s its peers': set it",
				 llabs(peers_ms), peers_ms < 0 ? "ahead of" : "behind");
	}
	pthread_mutex_lock(&r->lock);
	bool changed = (clocks[0] != '\0') != (r->clocks[0] != '\0');
	snprintf(r->clocks, sizeof(r->clocks), "%s", clocks);
	pthread_mutex_unlock(&r->lock);
	if (changed)
		kontor_log(KONTOR_LOG_WARNING, clocks[0] ? "clocks differ" : "clocks agree again", "%s%s",
			   clocks[0] ? "problem=" : "", clocks[0] ? KONTOR_QUOTED(clocks) : "");
	if (visit->clock_ms <= KONTOR_ID_EPOCH_MS)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "the clock of %s is before 2026: set it",
				   now.wall_ms <= KONTOR_ID_EPOCH_MS ? "this machine"
								     : "the database, or of the peers,");
	return 0;
}

/* All at once, so that one old backup means one quarantine, whenever each namespace is asked for next. */
static int restore_lost(struct reserver *r, struct reservation *visit, struct kontor_error *err)
{
	struct lost_reservations lost = {.len = 0};
	int code = 0;
	for (unsigned i = 0; i < RESERVER_POOLS && !code; i++)
		code = slot_pool_find_lost(&r->pools[i], visit, &lost, err);
	for (size_t i = 0; i < r->segments_len && !code; i++)
		code = segment_find_lost(&r->segments[i], visit, &lost, err);
	if (code || !lost.len)
		return code;
	return cluster_restore(visit->conn, &visit->cluster, &lost, reservation_quarantine_ms(&r->unit), err);
}

/* Each layout and namespace for itself: a failure of one is no reason to leave the others without. */
static int reserve_all(struct reserver *r, struct reservation *visit, struct kontor_error *err)
{
	int first = 0;
	for (size_t i = 0; i < RESERVER_POOLS + r->segments_len; i++) {
		struct kontor_error failure = KONTOR_ERROR_INIT;
		bool pool = i < RESERVER_POOLS;
		struct segment *segment = pool ? NULL : &r->segments[i - RESERVER_POOLS];
		int code =
			pool ? slot_pool_step(&r->pools[i], visit, &failure) : segment_step(segment, visit, &failure);
		allocator_set_reason(pool ? &r->pools[i].allocator : &segment->allocator, failure.message);
		if (code && !first)
			first = kontor_fail(err, code, "%s", failure.message);
	}
	return first;
}

/* What keeps all of them from being renewed. */
static void set_reasons(struct reserver *r, const char *reason)
{
	for (unsigned i = 0; i < RESERVER_POOLS; i++)
		allocator_set_reason(&r->pools[i].allocator, reason);
	for (size_t i = 0; i < r->segments_len; i++)
		allocator_set_reason(&r->segments[i].allocator, reason);
}

static int visit_database(struct reserver *r, struct reservation *visit, struct kontor_error *err)
{
	int code = cluster_read(visit->conn, &visit->cluster, err);
	visit->database_ms = visit->cluster.database_ms;
	if (!code)
		code = check_cluster(r, visit, err);
	if (!code)
		code = check_peers(r, visit->now, visit->cluster.uuid, err);
	if (!code)
		code = cluster_watch_server(visit->conn, &visit->cluster, r->server,
					    reservation_quarantine_ms(&r->unit), err);
	if (!code)
		code = set_clock(r, visit, err);
	if (!code)
		code = namespaces_read(&r->namespaces, visit->conn, err);
	if (!code)
		code = restore_lost(r, visit, err);
	if (code) {
		set_reasons(r, err->message);
		return code;
	}
	pthread_mutex_lock(&r->lock);
	r->cluster = visit->cluster;
	pthread_mutex_unlock(&r->lock);
	return reserve_all(r, visit, err);
}

static bool visit_due(struct reserver *r, struct allocator_time now)
{
	if (!r->visited_ms || now.monotonic_ms - r->visited_ms >= WATCH_EVERY_MS)
		return true;
	for (unsigned i = 0; i < RESERVER_POOLS; i++)
		if (slot_pool_due(&r->pools[i], &r->unit, now))
			return true;
	for (size_t i = 0; i < r->segments_len; i++)
		if (segment_due(&r->segments[i]))
			return true;
	return false;
}

static void set_asking(struct reserver *r, int64_t since_ms)
{
	pthread_mutex_lock(&r->lock);
	r->asking_since_ms = since_ms;
	pthread_mutex_unlock(&r->lock);
}

static int ask_database(struct reserver *r, struct reservation *visit, struct kontor_error *err)
{
	int code = kontor_db_acquire(r->db, &visit->conn, err);
	r->connected = visit->conn != NULL;
	if (code) {
		set_reasons(r, err->message);
		return code;
	}
	visit->now = reserver_now(r);
	r->visited_ms = visit->now.monotonic_ms;
	code = visit_database(r, visit, err);
	kontor_db_release(visit->conn);
	return code;
}

int reserver_step(struct reserver *r, struct kontor_error *err)
{
	struct reservation visit = {.unit = &r->unit, .now = reserver_now(r)};
	drop_doubtful_windows(r, visit.now);
	int code = r->cluster.uuid[0] ? check_peers(r, visit.now, r->cluster.uuid, err) : 0;
	if (!code && !visit_due(r, visit.now))
		return 0;
	if (code) {
		set_reasons(r, err->message);
		return code;
	}
	set_asking(r, visit.now.monotonic_ms);
	code = ask_database(r, &visit, err);
	set_asking(r, 0);
	return code;
}

/* ---- the thread ----------------------------------------------------------------------------------------------- */

static struct timespec in_ms(int64_t ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	t.tv_sec += t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	return t;
}

/* True when the thread shall end. After a failure, whoever asks for ids waits like everybody. */
static bool wait_for_next_check(struct reserver *r, int code)
{
	struct timespec until = in_ms(!code ? CHECK_EVERY_MS : r->connected ? REFUSED_RETRY_MS : AWAY_RETRY_MS);
	pthread_mutex_lock(&r->lock);
	while (!r->stopping && !(r->woken && !code) && pthread_cond_timedwait(&r->wake, &r->lock, &until) == 0)
		;
	r->woken = false;
	bool stopping = r->stopping;
	pthread_mutex_unlock(&r->lock);
	return stopping;
}

static void *reserver_run(void *arg)
{
	struct reserver *r = arg;
	char complaint[ALLOCATOR_REASON_SIZE] = ""; /* said once, until it changes */
	int code;
	kontor_log_plugin("idgen");
	do {
		struct kontor_error err = KONTOR_ERROR_INIT;
		code = reserver_step(r, &err);
		if (code && !complaint[0])
			kontor_log(KONTOR_LOG_WARNING, "no ids could be reserved", "code=%s error=%s",
				   kontor_code_name(code), KONTOR_QUOTED(err.message));
		else if (!code && complaint[0])
			kontor_log(KONTOR_LOG_INFO, "ids are reserved again", "datacenter=%u", r->unit.datacenter);
		snprintf(complaint, sizeof(complaint), "%.*s", (int)sizeof(complaint) - 1, code ? err.message : "");
	} while (!wait_for_next_check(r, code));
	return NULL;
}

int reserver_start(struct reserver *r, struct kontor_error *err)
{
	int failure = pthread_create(&r->thread, NULL, reserver_run, r);
	if (failure)
		return kontor_fail(err, KONTOR_E_INTERNAL, "no thread for reservations: %s", strerror(failure));
	r->running = true;
	return 0;
}

static void signal_flag(struct reserver *r, bool *flag)
{
	pthread_mutex_lock(&r->lock);
	if (!*flag) {
		*flag = true;
		pthread_cond_signal(&r->wake);
	}
	pthread_mutex_unlock(&r->lock);
}

void reserver_stop_soon(struct reserver *r)
{
	signal_flag(r, &r->stopping);
}

void reserver_stop(struct reserver *r)
{
	if (!r->running)
		return;
	reserver_stop_soon(r);
	pthread_join(r->thread, NULL);
	r->running = false;
	kontor_conn *conn = NULL;
	kontor_db_acquire(r->db, &conn, NULL);
	for (unsigned i = 0; i < RESERVER_POOLS; i++)
		slot_pool_give_up(&r->pools[i], conn, reserver_now(r), "the unit stops");
	kontor_db_release(conn);
}

/* ---- for others ----------------------------------------------------------------------------------------------- */

void reserver_wake(struct reserver *r)
{
	signal_flag(r, &r->woken);
}

void reserver_fence(struct reserver *r)
{
	signal_flag(r, &r->fenced);
	reserver_wake(r);
}

struct cluster reserver_cluster(struct reserver *r)
{
	pthread_mutex_lock(&r->lock);
	struct cluster cluster = r->cluster;
	pthread_mutex_unlock(&r->lock);
	return cluster;
}

char *reserver_reason(struct reserver *r, const struct allocator_state *state, char buffer[ALLOCATOR_REASON_SIZE])
{
	pthread_mutex_lock(&r->lock);
	int64_t silent_ms = r->asking_since_ms ? reserver_now(r).monotonic_ms - r->asking_since_ms : 0;
	pthread_mutex_unlock(&r->lock);
	if (silent_ms >= SILENT_MS)
		snprintf(buffer, ALLOCATOR_REASON_SIZE, "the database has not answered for %lld s",
			 (long long)silent_ms / 1000);
	else
		snprintf(buffer, ALLOCATOR_REASON_SIZE, "%s",
			 state->reason[0] ? state->reason : "the next ones are being reserved");
	return buffer;
}

char *reserver_clocks(struct reserver *r, char *buffer, size_t size)
{
	pthread_mutex_lock(&r->lock);
	snprintf(buffer, size, "%s", r->clocks);
	pthread_mutex_unlock(&r->lock);
	return buffer;
}
