/* SPDX-License-Identifier: Apache-2.0
 *
 * What idgen answers: next, decode, claim, stats.
 */
#include "idgen.h"
#include "kontor/host.h"
#include "kontor/time.h"
#include "statements.h"

/* ---- next: in the front thread, without memory, log or database ------------------------------------------------ */

static int refuse_namespace(struct idgen *idgen, kontor_request *request, const char *name)
{
	char known[256];
	if (namespaces_join(&idgen->namespaces, known, sizeof(known))[0])
		return kontor_request_fail(request, KONTOR_E_NOT_FOUND, "there is no namespace \"%s\"; there are: %s",
					   name, known);
	struct allocator_state state;
	allocator_look(&idgen->allocator, reserver_clock(), &state);
	return kontor_request_fail(request, KONTOR_E_UNAVAILABLE, "no ids yet: %s",
				   state.reason[0] ? state.reason : "idgen is starting");
}

static int refuse_grant(struct idgen *idgen, kontor_request *request)
{
	struct allocator_state state;
	allocator_look(&idgen->allocator, reserver_clock(), &state);
	int code = kontor_request_fail(request, KONTOR_E_UNAVAILABLE, "no ids: %s",
				       state.reason[0] ? state.reason
						       : "the reserved window is used up; the next one is on its way");
	kontor_request_error(request)->retry_after_ms = 500;
	return code;
}

int idgen_next(void *self, kontor_request *request)
{
	struct idgen *idgen = self;
	const char *name = kontor_arg_string(request, "namespace");
	uint32_t count = kontor_arg_given(request, "count") ? (uint32_t)kontor_arg_int(request, "count") : 1;
	if (!namespaces_known(&idgen->namespaces, name))
		return refuse_namespace(idgen, request, name);
	struct kontor_id_range range;
	uint32_t retry_ms = 0;
	switch (allocator_take(&idgen->allocator, reserver_clock(), count, &range, &retry_ms)) {
	case ALLOCATOR_OK:
		break;
	case ALLOCATOR_AHEAD:
		kontor_request_fail(request, KONTOR_E_BUSY, "ids have run %d ms ahead of the clock: come back in %u ms",
				    ALLOCATOR_AHEAD_MS, retry_ms);
		kontor_request_error(request)->retry_after_ms = retry_ms;
		return KONTOR_E_BUSY;
	case ALLOCATOR_NO_WINDOW:
		return refuse_grant(idgen, request);
	}
	kontor_writer *reply = kontor_reply(request);
	kontor_put_uint(reply, "base", range.base);
	kontor_put_uint(reply, "count", range.count);
	kontor_put_uint(reply, "stride", range.stride);
	return 0;
}

/* ---- decode ----------------------------------------------------------------------------------------------------- */

int idgen_decode(void *self, kontor_request *request)
{
	struct idgen *idgen = self;
	if (kontor_arg_given(request, "namespace") &&
	    !namespaces_known(&idgen->namespaces, kontor_arg_string(request, "namespace")))
		return refuse_namespace(idgen, request, kontor_arg_string(request, "namespace"));
	uint64_t id = kontor_arg_id(request, "id");
	struct kontor_id_parts parts = kontor_id_decode(id);
	if (parts.datacenter == 0 || parts.slot == 0)
		return kontor_request_fail(
			request, KONTOR_E_BAD_REQUEST,
			"%llu is no id of layout std63: its datacenter is %u and its slot %u, both begin at 1",
			(unsigned long long)id, parts.datacenter, parts.slot);
	kontor_writer *reply = kontor_reply(request);
	kontor_put_time(reply, "time", parts.time_ms);
	kontor_put_int(reply, "time_ms", parts.time_ms);
	kontor_put_uint(reply, "datacenter", parts.datacenter);
	kontor_put_uint(reply, "slot", parts.slot);
	kontor_put_uint(reply, "sequence", parts.sequence);
	return 0;
}

/* ---- claim ------------------------------------------------------------------------------------------------------ */

int idgen_claim(void *self, kontor_request *request)
{
	const struct idgen *idgen = self;
	unsigned datacenter = idgen->reserver.datacenter;
	struct cluster cluster;
	bool bound;
	if (!kontor_arg_bool(request, "alone"))
		return kontor_request_fail(
			request, KONTOR_E_BAD_REQUEST,
			"no other datacenter can be asked from here. If no other database gives ids for "
			"datacenter id %u, say so: kontor id claim --alone",
			datacenter);
	int code = cluster_bind(kontor_request_db(request), datacenter, kontor_request_user(request)->name, &cluster,
				&bound, kontor_request_error(request));
	if (code)
		return code;
	kontor_writer *reply = kontor_reply(request);
	kontor_put_uint(reply, "datacenter", cluster.datacenter);
	kontor_put_string(reply, "cluster_uuid", cluster.uuid);
	kontor_put_bool(reply, "repeated", !bound);
	return 0;
}

/* ---- stats ------------------------------------------------------------------------------------------------------ */

static void put_slot(kontor_writer *reply, const kontor_rows *rows)
{
	kontor_write_map(reply);
	kontor_put_uint(reply, "slot", kontor_rows_uint(rows, 0));
	kontor_put_uint(reply, "epoch", kontor_rows_uint(rows, 1));
	kontor_put_text(reply, "owner", kontor_rows_text(rows, 2));
	kontor_put_time(reply, "reserved_until", layout_time_ms(kontor_rows_uint(rows, 3)));
	kontor_put_time(reply, "lease_until", kontor_rows_int(rows, 4));
	kontor_put_bool(reply, "leased", kontor_rows_int(rows, 5) != 0);
	kontor_write_end(reply);
}

static int put_slots(kontor_writer *reply, kontor_conn *conn, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int code =
		kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_SLOTS, KONTOR_PARAMS(P_UINT(LAYOUT_SLOTS)), &rows, err);
	if (code)
		return code;
	kontor_put_array(reply, "slots");
	while ((code = kontor_rows_next(rows, err)) == 1)
		put_slot(reply, rows);
	kontor_write_end(reply);
	kontor_rows_close(rows);
	return code;
}

int idgen_stats(void *self, kontor_request *request)
{
	struct idgen *idgen = self;
	kontor_conn *conn = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	struct allocator_time now = reserver_clock();
	struct allocator_state state;
	struct cluster cluster;
	int64_t free_slots;
	allocator_look(&idgen->allocator, now, &state);
	int code = cluster_read(conn, &cluster, err);
	if (!code)
		code = kontor_db_query_int(conn, SQL_COUNT_FREE_SLOTS,
					   KONTOR_PARAMS(P_UINT(LAYOUT_SLOTS), P_UINT(layout_counter_at(now.wall_ms))),
					   &free_slots, err);
	if (code)
		return code;
	kontor_writer *reply = kontor_reply(request);
	kontor_put_uint(reply, "datacenter", idgen->reserver.datacenter);
	kontor_put_string(reply, "cluster_uuid", cluster.datacenter ? cluster.uuid : NULL);
	kontor_put_uint(reply, "slot", state.slot);
	kontor_put_uint(reply, "epoch", state.epoch);
	kontor_put_int(reply, "window_left_ms", state.left_ms);
	kontor_put_int(reply, "clock_set_back_ms", state.clock_ms - now.wall_ms);
	kontor_put_uint(reply, "issued", state.issued);
	kontor_put_uint(reply, "refused", state.refused);
	kontor_put_string(reply, "problem", state.reason[0] ? state.reason : NULL);
	kontor_put_int(reply, "slots_free", free_slots);
	return put_slots(reply, conn, err);
}
