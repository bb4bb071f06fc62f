/* SPDX-License-Identifier: Apache-2.0
 *
 * The lanes of a unit: which kinds run where, and which crew of threads has them now.
 */
#include "lanes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "job_runner.h"
#include "lane_crew.h"

struct lanes {
	pthread_mutex_t lock; /* of each lane's `crew`: kontor.status reads it in the front */
	struct lane all[LANES];
	struct lane_crew *ended; /* after a change; they end by themselves */
};

static bool same_kinds(const struct lane_crew *a, const struct lane_crew *b)
{
	size_t len = a ? a->kinds_len : 0;
	if (len != (b ? b->kinds_len : 0))
		return false;
	for (size_t i = 0; i < len; i++)
		if (a->plugins[i] != b->plugins[i])
			return false;
	return true;
}

/* ---- starting and changing --------------------------------------------------------------------------------------- */

struct lane_change {
	struct lane_crew *crews[LANES]; /* NULL: nobody has a kind in the lane any more */
	bool differs[LANES];
};

static void discard(struct lanes *lanes, struct lane_change *change)
{
	for (size_t i = 0; i < LANES; i++) {
		if (!change->crews[i])
			continue;
		lane_crew_end(change->crews[i]);
		change->crews[i]->next = lanes->ended;
		lanes->ended = change->crews[i];
	}
}

/* The crews that the lanes should have; those that differ from what is there are started. */
static int prepare(struct unit *unit, struct lanes *lanes, struct lane_change *change, struct kontor_error *err)
{
	int rc = 0;
	for (size_t i = 0; i < LANES && !rc; i++) {
		rc = lane_crew_new(unit, &lanes->all[i], &change->crews[i], err);
		change->differs[i] = !rc && !same_kinds(lanes->all[i].crew, change->crews[i]);
		if (!change->differs[i])
			change->crews[i] = lane_crew_free(change->crews[i]);
		else if (change->crews[i])
			rc = lane_crew_start(change->crews[i], err);
	}
	/* All are started before the first is waited for. */
	for (size_t i = 0; i < LANES; i++) {
		int failed = change->crews[i] ? lane_crew_await(change->crews[i], rc ? NULL : err) : 0;
		rc = rc ? rc : failed;
	}
	return rc;
}

int lanes_change(struct unit *unit, struct kontor_error *err)
{
	struct lanes *lanes = unit->lanes;
	struct lane_change change = {.crews = {NULL}};
	int rc = prepare(unit, lanes, &change, err);
	if (rc) {
		discard(lanes, &change);
		return rc;
	}
	pthread_mutex_lock(&lanes->lock);
	for (size_t i = 0; i < LANES; i++) {
		struct lane *lane = &lanes->all[i];
		if (!change.differs[i])
			continue;
		struct lane_crew *old = lane->crew;
		lane->crew = change.crews[i];
		if (!old)
			continue;
		lane_crew_end(old);
		old->next = lanes->ended;
		lanes->ended = old;
	}
	pthread_mutex_unlock(&lanes->lock);
	return 0;
}

int lanes_start(struct unit *unit, struct kontor_error *err)
{
	struct lanes *lanes = calloc(1, sizeof(*lanes));
	if (!lanes)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for lanes");
	pthread_mutex_init(&lanes->lock, NULL);
	const struct unit_config *config = unit->config;
	unit->lanes = lanes;
	for (size_t i = 0; i < LANES; i++) {
		struct lane *lane = &lanes->all[i];
		lane->name = config->lanes[i].name;
		lane->threads = config->lanes[i].threads;
		lane->connections = config->lanes[i].connections;
		lane->poll_ms = (unsigned)config->lanes[i].poll_ms;
		lane->sessions = kontor_session_quota_new(lane->name, (unsigned)(lane->connections - lane->threads));
		if (!lane->sessions)
			return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for lanes");
	}
	return lanes_change(unit, err);
}

/* ---- ending ---- */

static void reap(struct lanes *lanes, bool wait)
{
	for (struct lane_crew **link = &lanes->ended; *link;) {
		struct lane_crew *crew = *link;
		if (!wait && lane_crew_works(crew)) {
			link = &crew->next;
			continue;
		}
		*link = crew->next;
		lane_crew_free(crew);
	}
}

void lanes_reap(struct unit *unit)
{
	reap(unit->lanes, false);
}

static bool crew_knows(const struct lane_crew *crew, const struct loaded_plugin *plugin)
{
	for (size_t i = 0; crew && i < crew->kinds_len; i++)
		if (crew->plugins[i] == plugin)
			return true;
	return false;
}

bool lanes_know(const struct unit *unit, const struct loaded_plugin *plugin)
{
	const struct lanes *lanes = unit->lanes;
	for (size_t i = 0; i < LANES; i++)
		if (crew_knows(lanes->all[i].crew, plugin))
			return true;
	for (const struct lane_crew *crew = lanes->ended; crew; crew = crew->next)
		if (crew_knows(crew, plugin))
			return true;
	return false;
}

void lanes_stop(struct unit *unit)
{
	struct lanes *lanes = unit->lanes;
	if (!lanes)
		return;
	kontor_job_lane_wake(NULL);
	for (size_t i = 0; i < LANES; i++)
		if (lanes->all[i].crew)
			lane_crew_join(lanes->all[i].crew);
	reap(lanes, true);
}

void lanes_free(struct unit *unit)
{
	struct lanes *lanes = unit->lanes;
	if (!lanes)
		return;
	unit->lanes = NULL;
	for (size_t i = 0; i < LANES; i++) {
		lane_crew_free(lanes->all[i].crew);
		kontor_session_quota_free(lanes->all[i].sessions);
	}
	pthread_mutex_destroy(&lanes->lock);
	free(lanes);
}

int64_t lanes_connections(const struct unit *unit)
{
	struct lanes *lanes = unit->lanes;
	int64_t connections = 0;
	pthread_mutex_lock(&lanes->lock);
	for (size_t i = 0; i < LANES; i++)
		connections += lanes->all[i].crew ? lanes->all[i].connections : 0;
	pthread_mutex_unlock(&lanes->lock);
	return connections;
}

void lanes_put(const struct unit *unit, kontor_writer *w)
{
	struct lanes *lanes = unit->lanes;
	kontor_put_array(w, "lanes");
	pthread_mutex_lock(&lanes->lock);
	for (size_t i = 0; i < LANES; i++) {
		const struct lane *lane = &lanes->all[i];
		if (!lane->crew)
			continue;
		kontor_write_map(w);
		kontor_put_string(w, "lane", lane->name);
		kontor_put_int(w, "threads", lane->threads);
		unsigned held = 0, most = 0;
		kontor_session_quota_read(lane->sessions, &held, &most);
		kontor_put_int(w, "connections", lane->connections);
		kontor_put_uint(w, "connections_held", held);
		kontor_put_uint(w, "connections_most", most);
		kontor_put_uint(w, "busy", lane->busy);
		kontor_put_array(w, "kinds");
		for (size_t k = 0; k < lane->crew->kinds_len; k++)
			kontor_write_string(w, lane->crew->kinds[k].kind.name);
		kontor_write_end(w);
		kontor_write_end(w);
	}
	pthread_mutex_unlock(&lanes->lock);
	kontor_write_end(w);
}
