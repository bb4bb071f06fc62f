/* SPDX-License-Identifier: Apache-2.0
 *
 * The book of peers. A peer is a unit with a database: a unit that we ask at an endpoint stays the same peer when its
 * database changes (that is how a conflict is cured), and one that only calls us is known by both together (so that
 * two machines with the same name cannot speak for each other).
 */
#include "peers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "kontor/time.h"

#define PEERS 64     /* beyond that the one is forgotten that was heard the longest ago */
#define ENDPOINTS 64 /* more than peer_calls.h asks */
#define CELLS 1024   /* a power of two, more than PEERS_KEYS: a search always ends at a free one */
#define PROBLEM_SIZE 256
#define NEVER INT64_MIN

struct endpoint {
	char name[PEER_ENDPOINT_SIZE];
	char problem[PROBLEM_SIZE]; /* "": none */
	bool is_self;
};

struct peer {
	char endpoint[PEER_ENDPOINT_SIZE]; /* "": it only called us */
	char unit[PEER_UNIT_SIZE];
	char cluster_uuid[CLUSTER_UUID_SIZE];
	unsigned datacenter;
	int64_t heard_ms; /* monotonic */
	bool clock_known;
	int64_t clock_ms; /* monotonic: when it was compared */
	int64_t clock_offset_ms;
};

/* One key of one cluster, in a hash table with linear probing; key "" is a free cell. */
struct cell {
	char cluster_uuid[CLUSTER_UUID_SIZE];
	char key[JOURNAL_KEY_SIZE];
	uint64_t epoch, hwm;
	int64_t held_ms; /* monotonic: when a unit said last that it issues from it */
};

struct peers {
	unsigned datacenter;
	uint64_t process;
	pthread_mutex_t lock; /* guards what follows */
	struct peer peers[PEERS];
	size_t peers_len;
	struct endpoint endpoints[ENDPOINTS];
	size_t endpoints_len;
	struct cell cells[CELLS];
	size_t cells_used;
};

struct peers *peers_new(unsigned datacenter)
{
	struct peers *book = calloc(1, sizeof(*book));
	if (!book)
		return NULL;
	book->datacenter = datacenter;
	if (getrandom(&book->process, sizeof(book->process), 0) != sizeof(book->process))
		book->process = (uint64_t)kontor_now_ms();
	book->process >>= 1; /* an argument of type INT */
	pthread_mutex_init(&book->lock, NULL);
	return book;
}

struct peers *peers_free(struct peers *book)
{
	if (book) {
		pthread_mutex_destroy(&book->lock);
		free(book);
	}
	return NULL;
}

uint64_t peers_process(const struct peers *book)
{
	return book->process;
}

/* ---- high-water marks ------------------------------------------------------------------------------------------- */

static size_t hash(const char *cluster_uuid, const char *key)
{
	uint64_t value = 14695981039346656037u; /* FNV-1a */
	for (const char *c = cluster_uuid; *c; c++)
		value = (value ^ (uint8_t)*c) * 1099511628211u;
	for (const char *c = key; *c; c++)
		value = (value ^ (uint8_t)*c) * 1099511628211u;
	return (size_t)(value ^ (value >> 32));
}

/* The cell of the key, or the free one where it belongs. */
static struct cell *find_cell(struct peers *book, const char *cluster_uuid, const char *key)
{
	size_t at = hash(cluster_uuid, key) % CELLS;
	while (book->cells[at].key[0] &&
	       (strcmp(book->cells[at].key, key) != 0 || strcmp(book->cells[at].cluster_uuid, cluster_uuid) != 0))
		at = (at + 1) % CELLS;
	return &book->cells[at];
}

/* False when there is no room for another key. */
static bool note_mark(struct peers *book, const char *cluster_uuid, const struct peer_mark *mark, int64_t monotonic_ms)
{
	struct cell *cell = find_cell(book, cluster_uuid, mark->key);
	if (!cell->key[0]) {
		if (book->cells_used == PEERS_KEYS)
			return false;
		book->cells_used++;
		memcpy(cell->key, mark->key, sizeof(cell->key));
		memcpy(cell->cluster_uuid, cluster_uuid, sizeof(cell->cluster_uuid));
		cell->held_ms = NEVER;
	}
	cell->epoch = mark->epoch > cell->epoch ? mark->epoch : cell->epoch;
	cell->hwm = mark->hwm > cell->hwm ? mark->hwm : cell->hwm;
	if (mark->held)
		cell->held_ms = monotonic_ms;
	return true;
}

static bool is_recent(int64_t then_ms, int64_t monotonic_ms)
{
	return then_ms != NEVER && monotonic_ms - then_ms <= PEERS_RECENT_MS;
}

uint64_t peers_hwm(struct peers *book, const char *cluster_uuid, const char *key, int64_t monotonic_ms,
		   uint64_t *ret_epoch, bool *ret_held_recently)
{
	pthread_mutex_lock(&book->lock);
	const struct cell *cell = find_cell(book, cluster_uuid, key);
	bool known = cell->key[0];
	uint64_t hwm = known ? cell->hwm : 0;
	if (ret_epoch)
		*ret_epoch = known ? cell->epoch : 0;
	if (ret_held_recently)
		*ret_held_recently = known && is_recent(cell->held_ms, monotonic_ms);
	pthread_mutex_unlock(&book->lock);
	return hwm;
}

/* ---- who said it ------------------------------------------------------------------------------------------------ */

/* Makes it when it is new; NULL when there are too many. */
static struct endpoint *find_endpoint(struct peers *book, const char *name)
{
	for (size_t i = 0; i < book->endpoints_len; i++)
		if (strcmp(book->endpoints[i].name, name) == 0)
			return &book->endpoints[i];
	if (book->endpoints_len == ENDPOINTS)
		return NULL;
	struct endpoint *fresh = &book->endpoints[book->endpoints_len++];
	snprintf(fresh->name, sizeof(fresh->name), "%s", name);
	return fresh;
}

static struct peer *find_at(struct peers *book, const char *endpoint)
{
	for (size_t i = 0; i < book->peers_len; i++)
		if (book->peers[i].endpoint[0] && strcmp(book->peers[i].endpoint, endpoint) == 0)
			return &book->peers[i];
	return NULL;
}

/* The one with this name and database, other than `besides`. */
static struct peer *find_named(struct peers *book, const struct peer_report *report, const struct peer *besides)
{
	for (size_t i = 0; i < book->peers_len; i++) {
		struct peer *peer = &book->peers[i];
		if (peer != besides && strcmp(peer->unit, report->unit) == 0 &&
		    strcmp(peer->cluster_uuid, report->cluster_uuid) == 0)
			return peer;
	}
	return NULL;
}

static struct peer *add(struct peers *book)
{
	struct peer *peer = &book->peers[0];
	if (book->peers_len < PEERS)
		peer = &book->peers[book->peers_len++];
	else
		for (size_t i = 1; i < PEERS; i++)
			if (book->peers[i].heard_ms < peer->heard_ms)
				peer = &book->peers[i];
	memset(peer, 0, sizeof(*peer));
	return peer;
}

static void forget(struct peers *book, struct peer *peer)
{
	*peer = book->peers[--book->peers_len];
}

/* It called us, and we have not asked it (or it is known by its endpoint already). */
static struct peer *peer_that_called(struct peers *book, const struct peer_report *report)
{
	struct peer *peer = find_named(book, report, NULL);
	return peer ? peer : add(book);
}

/* The same unit at the same endpoint is the same peer, whatever its database is now. Another unit at that endpoint is
 * another peer: what the first one said is not taken back by it. */
static struct peer *peer_at(struct peers *book, const char *endpoint, const struct peer_report *report)
{
	struct peer *before = find_at(book, endpoint);
	if (before && strcmp(before->unit, report->unit) == 0) {
		struct peer *caller = find_named(book, report, before);
		if (caller && !caller->endpoint[0])
			forget(book, caller); /* may move `before` */
		before = find_at(book, endpoint);
		return before ? before : add(book);
	}
	if (before)
		before->endpoint[0] = '\0';
	return peer_that_called(book, report);
}

static void compare_clock(struct peer *peer, int64_t offset_ms, int64_t monotonic_ms)
{
	peer->clock_known = true;
	peer->clock_ms = monotonic_ms;
	peer->clock_offset_ms = offset_ms;
}

static void note_peer(struct peers *book, const char *endpoint, const struct peer_report *report, int64_t own_wall_ms,
		      int64_t monotonic_ms)
{
	struct peer *peer = endpoint ? peer_at(book, endpoint, report) : peer_that_called(book, report);
	if (endpoint)
		snprintf(peer->endpoint, sizeof(peer->endpoint), "%s", endpoint);
	memcpy(peer->unit, report->unit, sizeof(peer->unit));
	memcpy(peer->cluster_uuid, report->cluster_uuid, sizeof(peer->cluster_uuid));
	peer->datacenter = report->datacenter;
	peer->heard_ms = monotonic_ms;
	if (own_wall_ms != PEERS_NO_CLOCK)
		compare_clock(peer, report->wall_ms - own_wall_ms, monotonic_ms);
}

int peers_note(struct peers *book, const char *endpoint, const struct peer_report *report, int64_t own_wall_ms,
	       int64_t monotonic_ms, struct kontor_error *err)
{
	bool is_self = report->process == book->process, room = true;
	pthread_mutex_lock(&book->lock);
	struct endpoint *at = endpoint ? find_endpoint(book, endpoint) : NULL;
	if (at) {
		at->is_self = is_self;
		at->problem[0] = '\0';
	}
	if (!is_self)
		note_peer(book, endpoint, report, own_wall_ms, monotonic_ms);
	if (!is_self && report->datacenter == book->datacenter && report->cluster_uuid[0])
		for (size_t i = 0; i < report->marks_len; i++)
			room &= note_mark(book, report->cluster_uuid, &report->marks[i], monotonic_ms);
	pthread_mutex_unlock(&book->lock);
	if (room)
		return 0;
	return kontor_fail(
		err, KONTOR_E_TOO_BIG,
		"unit %s reports more slots and segment namespaces than the %d that can be remembered of all peers: "
		"what it reserved for the rest is not compared with the database",
		report->unit, PEERS_KEYS);
}

void peers_note_problem(struct peers *book, const char *endpoint, const char *problem)
{
	pthread_mutex_lock(&book->lock);
	struct endpoint *at = find_endpoint(book, endpoint);
	if (at)
		snprintf(at->problem, sizeof(at->problem), "%.*s", PROBLEM_SIZE - 1, problem);
	pthread_mutex_unlock(&book->lock);
}

/* ---- conclusions ------------------------------------------------------------------------------------------------ */

static bool conflicts(const struct peers *book, const struct peer *peer, const char *cluster_uuid)
{
	return peer->datacenter == book->datacenter && peer->cluster_uuid[0] &&
	       strcmp(peer->cluster_uuid, cluster_uuid) != 0;
}

int peers_conflict(struct peers *book, const char *cluster_uuid, struct kontor_error *err)
{
	struct peer found = {.datacenter = 0};
	pthread_mutex_lock(&book->lock);
	for (size_t i = 0; i < book->peers_len && !found.datacenter; i++)
		if (conflicts(book, &book->peers[i], cluster_uuid))
			found = book->peers[i];
	pthread_mutex_unlock(&book->lock);
	if (!found.datacenter)
		return 0;
	return kontor_fail(err, KONTOR_E_CONFLICT,
			   "two databases give the ids of datacenter id %u, so none are issued: give the wrong one an "
			   "id of its own (`id` "
			   "in its datacenter's file, and a new database), and restart the units of both. Ours is "
			   "cluster %.8s, the "
			   "other is %.8s, of unit %s%s%s",
			   book->datacenter, cluster_uuid[0] ? cluster_uuid : "unbound", found.cluster_uuid, found.unit,
			   found.endpoint[0] ? " at " : "", found.endpoint);
}

static int compare_offsets(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

size_t peers_clock_offset(struct peers *book, int64_t monotonic_ms, int64_t *ret_median_ms)
{
	int64_t offsets[PEERS];
	size_t len = 0;
	pthread_mutex_lock(&book->lock);
	for (size_t i = 0; i < book->peers_len; i++)
		if (book->peers[i].clock_known && is_recent(book->peers[i].clock_ms, monotonic_ms))
			offsets[len++] = book->peers[i].clock_offset_ms;
	pthread_mutex_unlock(&book->lock);
	if (len == 0)
		return 0;
	qsort(offsets, len, sizeof(offsets[0]), compare_offsets);
	*ret_median_ms = offsets[len / 2]; /* no mean: one of two peers that is an hour behind would take us half-way */
	return len;
}

static void put_peer(const struct peers *book, const struct peer *peer, const char *problem, const char *cluster_uuid,
		     int64_t monotonic_ms, kontor_writer *w)
{
	kontor_write_map(w);
	if (peer->endpoint[0])
		kontor_put_string(w, "endpoint", peer->endpoint);
	kontor_put_string(w, "unit", peer->unit);
	kontor_put_uint(w, "datacenter", peer->datacenter);
	kontor_put_string(w, "cluster", peer->cluster_uuid);
	kontor_put_int(w, "heard_ms_ago", monotonic_ms - peer->heard_ms);
	if (peer->clock_known)
		kontor_put_int(w, "clock_offset_ms", peer->clock_offset_ms);
	if (conflicts(book, peer, cluster_uuid))
		problem = "it has our datacenter id and another database";
	if (problem && problem[0])
		kontor_put_string(w, "problem", problem);
	kontor_write_end(w);
}

static void put_endpoint(const struct endpoint *at, kontor_writer *w)
{
	kontor_write_map(w);
	kontor_put_string(w, "endpoint", at->name);
	if (at->is_self)
		kontor_put_string(w, "unit", "this one");
	if (at->problem[0])
		kontor_put_string(w, "problem", at->problem);
	kontor_write_end(w);
}

void peers_put(struct peers *book, const char *cluster_uuid, int64_t monotonic_ms, kontor_writer *w)
{
	pthread_mutex_lock(&book->lock);
	kontor_put_array(w, "peers");
	for (size_t i = 0; i < book->endpoints_len; i++) {
		const struct peer *peer = find_at(book, book->endpoints[i].name);
		if (peer)
			put_peer(book, peer, book->endpoints[i].problem, cluster_uuid, monotonic_ms, w);
		else
			put_endpoint(&book->endpoints[i], w);
	}
	for (size_t i = 0; i < book->peers_len; i++)
		if (!book->peers[i].endpoint[0])
			put_peer(book, &book->peers[i], NULL, cluster_uuid, monotonic_ms, w);
	kontor_write_end(w);
	pthread_mutex_unlock(&book->lock);
}
