/* SPDX-License-Identifier: Apache-2.0
 *
 * What idgen answers to operators and to its peers: claim, stats, slots, evict, fence, namespaces, peer.
 */
#include <string.h>

#include "idgen.h"
#include "kontor/host.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "statements.h"

#define MS_PER_DAY INT64_C(86400000)

/* ---- claim ------------------------------------------------------------------------------------------------------ */

/* Without the operator's word, all peers have to agree. */
static int ask_peers(struct idgen *idgen, const char *cluster_uuid, struct kontor_error *err)
{
	unsigned datacenter = idgen->reserver.unit.datacenter;
	if (!idgen->calls)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "no peers are configured that could be asked. If no other database gives ids for "
				   "datacenter id %u, say so: kontor id claim --alone",
				   datacenter);
	struct peer_calls_round round;
	peer_calls_once(idgen->calls, &round);
	if (round.answered < round.asked)
		return kontor_fail(
			err, KONTOR_E_UNAVAILABLE,
			"%zu of %zu peers answered whether datacenter id %u is free, %.160s did not: %.120s. Start "
			"it, or take it out of `peers`, or say that it is free: kontor id claim --alone",
			round.answered, round.asked, datacenter, round.silent, round.problem);
	return peers_conflict(idgen->book, cluster_uuid, err);
}

int idgen_claim(void *self, kontor_request *request)
{
	struct idgen *idgen = self;
	unsigned datacenter = idgen->reserver.unit.datacenter;
	kontor_conn *conn = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	struct cluster cluster;
	bool bound;
	int code = cluster_read(conn, &cluster, err);
	if (!code && !kontor_arg_bool(request, "alone") && !cluster.datacenter)
		code = ask_peers(idgen, cluster.uuid, err);
	if (!code)
		code = cluster_bind(conn, datacenter, kontor_request_user(request)->name, &cluster, &bound, err);
	if (code)
		return code;
	kontor_writer *reply = kontor_reply(request);
	kontor_put_uint(reply, "datacenter", cluster.datacenter);
	kontor_put_string(reply, "cluster_uuid", cluster.uuid);
	kontor_put_bool(reply, "repeated", !bound);
	return 0;
}

/* ---- stats ------------------------------------------------------------------------------------------------------ */

static const char *text_or_null(const char *text)
{
	return text[0] ? text : NULL;
}

/* One allocator: of a layout with slots, or of a namespace with numbers of its own. */
static void put_allocator(kontor_writer *reply, struct allocator *allocator, const char *namespace_,
			  struct allocator_time now)
{
	struct allocator_state state;
	allocator_look(allocator, now, &state);
	kontor_write_map(reply);
	kontor_put_string(reply, "layout", allocator->layout->name);
	kontor_put_string(reply, "namespace", namespace_);
	kontor_put_uint(reply, "windows", state.windows);
	if (allocator->layout->slots) {
		kontor_put_uint(reply, "slot", state.windows ? state.current.slot : 0);
		kontor_put_uint(reply, "epoch", state.windows ? state.current.epoch : 0);
		kontor_put_int(reply, "window_left_ms", state.windows ? state.left_ms : 0);
		kontor_put_int(reply, "days_left", (layout_end_ms(allocator->layout) - now.wall_ms) / MS_PER_DAY);
	} else {
		kontor_put_uint(reply, "numbers_left", allocator_numbers(allocator).left);
	}
	kontor_put_uint(reply, "issued", state.issued);
	kontor_put_uint(reply, "refused", state.refused);
	kontor_put_string(reply, "problem", text_or_null(state.reason));
	kontor_write_end(reply);
}

int idgen_stats(void *self, kontor_request *request)
{
	struct idgen *idgen = self;
	struct reserver *reserver = &idgen->reserver;
	struct allocator_time now = reserver_now(reserver);
	struct cluster cluster;
	int code = cluster_read(kontor_request_db(request), &cluster, kontor_request_error(request));
	if (code)
		return code;
	char clocks[160];
	int64_t quarantine_ms = cluster.quarantine_until_ms - cluster.database_ms;
	kontor_writer *reply = kontor_reply(request);
	kontor_put_uint(reply, "datacenter", reserver->unit.datacenter);
	kontor_put_string(reply, "cluster_uuid", text_or_null(cluster.uuid));
	kontor_put_string(reply, "server", text_or_null(cluster.server));
	kontor_put_int(reply, "clock_ahead_ms", now.wall_ms - cluster.database_ms);
	kontor_put_string(reply, "clocks", text_or_null(reserver_clocks(reserver, clocks, sizeof(clocks))));
	kontor_put_int(reply, "quarantine_left_ms", quarantine_ms > 0 ? quarantine_ms : 0);
	kontor_put_string(reply, "quarantine_reason", quarantine_ms > 0 ? cluster.quarantine_reason : NULL);
	kontor_put_bool(reply, "clones_are_told", idgen->generation.present);
	kontor_put_array(reply, "allocators");
	for (unsigned i = 0; i < RESERVER_POOLS; i++)
		if (reserver->pools[i].size)
			put_allocator(reply, &reserver->pools[i].allocator, NULL, now);
	for (size_t i = 0; i < reserver->namespaces.len; i++)
		if (reserver->namespaces.entries[i].layout == &layouts[LAYOUT_SEGMENT] &&
		    reserver->namespaces.entries[i].allocator)
			put_allocator(reply, reserver->namespaces.entries[i].allocator,
				      reserver->namespaces.entries[i].name, now);
	kontor_write_end(reply);
	peers_put(idgen->book, cluster.uuid, now.monotonic_ms, reply);
	return 0;
}

/* ---- slots ------------------------------------------------------------------------------------------------------ */

static void put_slot(kontor_writer *reply, const struct layout *layout, const kontor_rows *rows)
{
	uint64_t hwm = kontor_rows_uint(rows, 3);
	kontor_write_map(reply);
	kontor_put_string(reply, "layout", layout->name);
	kontor_put_uint(reply, "slot", kontor_rows_uint(rows, 0));
	kontor_put_uint(reply, "epoch", kontor_rows_uint(rows, 1));
	kontor_put_text(reply, "owner", kontor_rows_text(rows, 2));
	kontor_put_bool(reply, "leased", kontor_rows_int(rows, 5) != 0);
	kontor_put_time(reply, "lease_until", kontor_rows_int(rows, 4));
	kontor_put_time(reply, "reserved_until", layout_time_ms(layout, hwm));
	kontor_write_end(reply);
}

static int put_slots(kontor_writer *reply, const struct layout *layout, kontor_conn *conn, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_SLOTS, KONTOR_PARAMS(P_STRING(layout->name)), &rows,
				   err);
	while (!code && (code = kontor_rows_next(rows, err)) == 1) {
		if (kontor_rows_uint(rows, 1)) /* the others were never used */
			put_slot(reply, layout, rows);
		code = 0;
	}
	kontor_rows_close(rows);
	return code;
}

int idgen_slots(void *self, kontor_request *request)
{
	(void)self;
	kontor_writer *reply = kontor_reply(request);
	kontor_put_array(reply, "rows");
	int code = 0;
	for (size_t i = 0; i < LAYOUTS && !code; i++)
		if (layouts[i].slots)
			code = put_slots(reply, &layouts[i], kontor_request_db(request), kontor_request_error(request));
	kontor_write_end(reply);
	return code;
}

int idgen_evict(void *self, kontor_request *request)
{
	(void)self;
	const char *name = kontor_arg_given(request, "layout") ? kontor_arg_string(request, "layout") : "std63";
	const struct layout *layout = layout_named(name);
	int64_t slot = kontor_arg_int(request, "slot");
	if (!layout || !layout->slots)
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
					   "argument layout: \"%s\" has no slots; std63 and js53 have", name);
	if (slot > layout->slots)
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST, "argument slot: layout %s has slots 1 to %u",
					   layout->name, layout->slots);
	uint64_t affected = 0;
	int code = kontor_db_exec(kontor_request_db(request), SQL_EVICT, KONTOR_PARAMS(P_STRING(name), P_INT(slot)),
				  &affected, kontor_request_error(request));
	if (!code && !affected)
		code = kontor_request_fail(request, KONTOR_E_NOT_FOUND, "slot %lld of layout %s was never used",
					   (long long)slot, name);
	if (code)
		return code;
	kontor_writer *reply = kontor_reply(request);
	kontor_put_string(reply, "layout", name);
	kontor_put_int(reply, "slot", slot);
	kontor_put_bool(reply, "evicted", true);
	return 0;
}

int idgen_fence(void *self, kontor_request *request)
{
	struct idgen *idgen = self;
	kontor_log(KONTOR_LOG_NOTICE, "unit fenced", "user=%s", KONTOR_QUOTED(kontor_request_user(request)->name));
	reserver_fence(&idgen->reserver);
	kontor_put_bool(kontor_reply(request), "fenced", true);
	return 0;
}

/* ---- namespaces ------------------------------------------------------------------------------------------------- */

static void put_namespace(kontor_writer *reply, const kontor_rows *rows)
{
	const struct layout *layout = layout_named(kontor_rows_string(rows, 1));
	kontor_put_text(reply, "namespace", kontor_rows_text(rows, 0));
	kontor_put_text(reply, "layout", kontor_rows_text(rows, 1));
	if (layout && !layout->slots)
		kontor_put_uint(reply, "reserved_until_number", kontor_rows_uint(rows, 2));
	if (kontor_rows_int(rows, 3))
		kontor_put_time(reply, "created_at", kontor_rows_int(rows, 3));
	kontor_put_text(reply, "created_by", kontor_rows_text(rows, 4));
}

int idgen_namespaces(void *self, kontor_request *request)
{
	(void)self;
	kontor_rows *rows = NULL;
	kontor_writer *reply = kontor_reply(request);
	kontor_put_array(reply, "rows");
	int code = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_LIST_NAMESPACES, KONTOR_NO_PARAMS,
				   &rows, kontor_request_error(request));
	while (!code && (code = kontor_rows_next(rows, kontor_request_error(request))) == 1) {
		kontor_write_map(reply);
		put_namespace(reply, rows);
		kontor_write_end(reply);
		code = 0;
	}
	kontor_rows_close(rows);
	kontor_write_end(reply);
	return code;
}

/* The namespace as it is now in the reply; CONFLICT when its layout is another one than was asked for. */
static int answer_namespace(kontor_request *request, const char *name, const char *layout, bool repeated)
{
	kontor_rows *rows = NULL;
	int code = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_READ_NAMESPACE,
				   KONTOR_PARAMS(P_STRING(name)), &rows, kontor_request_error(request));
	if (!code && (code = kontor_rows_next(rows, kontor_request_error(request))) == 1) {
		code = 0;
		if (!kontor_text_is(kontor_rows_text(rows, 1), layout)) {
			code = kontor_request_fail(request, KONTOR_E_CONFLICT,
						   "namespace %s has layout %s already, and a layout never changes: "
						   "take another name",
						   name, kontor_rows_string(rows, 1));
		} else {
			kontor_writer *reply = kontor_reply(request);
			put_namespace(reply, rows);
			kontor_put_bool(reply, "repeated", repeated);
		}
	}
	kontor_rows_close(rows);
	return code;
}

static int check_new_namespace(const struct idgen *idgen, kontor_request *request, const char *layout_name)
{
	const struct layout *layout = layout_named(layout_name);
	unsigned datacenter = idgen->reserver.unit.datacenter;
	if (!layout)
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
					   "argument layout: there is no layout \"%s\"; there are std63, js53, segment",
					   layout_name);
	if (kontor_arg_given(request, "start") && layout->slots)
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
					   "argument start: only layout segment begins at a number; %s begins with the "
					   "clock",
					   layout->name);
	if (datacenter > layout->datacenters)
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
					   "argument layout: %s has room for datacenter ids 1 to %u; this is %u",
					   layout->name, layout->datacenters, datacenter);
	if (idgen->reserver.namespaces.len >= NAMESPACE_LIMIT)
		return kontor_request_fail(request, KONTOR_E_TOO_BIG, "there are %u namespaces already: no more fit in",
					   NAMESPACE_LIMIT);
	return 0;
}

int idgen_namespace_create(void *self, kontor_request *request)
{
	const struct idgen *idgen = self;
	const char *name = kontor_arg_string(request, "namespace"), *layout = kontor_arg_string(request, "layout");
	kontor_conn *conn = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	int64_t start = kontor_arg_given(request, "start") ? kontor_arg_int(request, "start") : 1, max;
	int code = check_new_namespace(idgen, request, layout);
	if (code)
		return code;
	code = kontor_db_query_int(conn, SQL_READ_MAX_N, KONTOR_PARAMS(P_STRING(name)), &max, err);
	bool repeated = code == 0;
	if (code == KONTOR_E_NOT_FOUND)
		code = kontor_db_exec(conn, SQL_CREATE_NAMESPACE,
				      KONTOR_PARAMS(P_STRING(name), P_STRING(layout), P_INT(start - 1),
						    P_STRING(kontor_request_user(request)->name)),
				      NULL, err);
	return code ? code : answer_namespace(request, name, layout, repeated);
}

/* ---- peer ------------------------------------------------------------------------------------------------------- */

int idgen_peer(void *self, kontor_request *request)
{
	struct idgen *idgen = self;
	struct allocator_time now = reserver_now(&idgen->reserver);
	struct peer_report *theirs = kontor_arena_alloc(kontor_request_arena(request), 2 * sizeof(*theirs));
	struct peer_report *ours = theirs + 1;
	int code = peer_report_take(request, theirs);
	if (!code)
		code = peers_note(idgen->book, NULL, theirs, PEERS_NO_CLOCK, now.monotonic_ms,
				  kontor_request_error(request));
	if (code)
		return code;
	idgen_report(idgen, ours);
	peer_report_put(ours, kontor_reply(request));
	return 0;
}
