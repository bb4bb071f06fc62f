/* SPDX-License-Identifier: Apache-2.0
 *
 * What idgen answers to everybody: next, decode, check.
 */
#include "idgen.h"
#include "kontor/host.h"
#include "kontor/time.h"
#include "statements.h"

#define WINDOW_RETRY_MS 20 /* the reserver was woken: a reservation takes two round trips to the database */
#define AWAY_RETRY_MS 500

/* ---- namespaces ------------------------------------------------------------------------------------------------ */

static int refuse_namespace(struct idgen *idgen, kontor_request *request, const char *name)
{
	char known[256];
	if (namespaces_join(&idgen->reserver.namespaces, known, sizeof(known))[0])
		return kontor_request_fail(request, KONTOR_E_NOT_FOUND, "there is no namespace \"%s\"; there are: %s",
					   name, known);
	struct allocator_state state;
	char reason[ALLOCATOR_REASON_SIZE];
	allocator_look(&idgen->reserver.pools[0].allocator, reserver_now(&idgen->reserver), &state);
	return kontor_request_fail(request, KONTOR_E_UNAVAILABLE, "no ids yet: %s",
				   reserver_reason(&idgen->reserver, &state, reason));
}

/* The layout of the argument "namespace"; std63 when it is not given, which most are. NULL: refused. */
static const struct layout *layout_asked(struct idgen *idgen, kontor_request *request)
{
	if (!kontor_arg_given(request, "namespace"))
		return &layouts[LAYOUT_STD63];
	const char *name = kontor_arg_string(request, "namespace");
	const struct namespace *found = namespaces_find(&idgen->reserver.namespaces, name);
	if (!found)
		refuse_namespace(idgen, request, name);
	return found ? found->layout : NULL;
}

/* ---- next: in the front thread, without memory, log or database ------------------------------------------------ */

static int refuse_layout(const struct idgen *idgen, kontor_request *request, const struct namespace *namespace)
{
	return kontor_request_fail(request, KONTOR_E_DISABLED,
				   "namespace %s has layout %s, which has room for datacenter ids 1 to %u; this is %u",
				   namespace->name, namespace->layout->name, namespace->layout->datacenters,
				   idgen->reserver.unit.datacenter);
}

static int refuse_grant(struct idgen *idgen, kontor_request *request, const struct namespace *namespace)
{
	struct allocator_state state;
	char reason[ALLOCATOR_REASON_SIZE];
	reserver_wake(&idgen->reserver);
	allocator_look(namespace->allocator, reserver_now(&idgen->reserver), &state);
	int code = kontor_request_fail(request, KONTOR_E_UNAVAILABLE, "no ids: %s",
				       reserver_reason(&idgen->reserver, &state, reason));
	kontor_request_error(request)->retry_after_ms = state.reason[0] ? AWAY_RETRY_MS : WINDOW_RETRY_MS;
	return code;
}

static int refuse_haste(kontor_request *request, uint32_t retry_ms)
{
	kontor_request_fail(request, KONTOR_E_BUSY, "ids have run %d ms ahead of the clock: come back in %u ms",
			    ALLOCATOR_AHEAD_MS, retry_ms);
	kontor_request_error(request)->retry_after_ms = retry_ms;
	return KONTOR_E_BUSY;
}

int idgen_next(void *self, kontor_request *request)
{
	struct idgen *idgen = self;
	const char *name = kontor_arg_string(request, "namespace");
	uint32_t count = kontor_arg_given(request, "count") ? (uint32_t)kontor_arg_int(request, "count") : 1;
	const struct namespace *namespace = namespaces_find(&idgen->reserver.namespaces, name);
	if (!namespace)
		return refuse_namespace(idgen, request, name);
	if (!namespace->allocator)
		return refuse_layout(idgen, request, namespace);
	if (count > allocator_grant_limit(namespace->layout))
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
					   "argument count: at most %u ids of layout %s at once, not %u",
					   allocator_grant_limit(namespace->layout), namespace->layout->name, count);
	struct kontor_id_range range;
	uint32_t retry_ms = 0;
	switch (allocator_take(namespace->allocator, reserver_now(&idgen->reserver), count, &range, &retry_ms)) {
	case ALLOCATOR_OK:
		break;
	case ALLOCATOR_AHEAD:
		return refuse_haste(request, retry_ms);
	case ALLOCATOR_NO_WINDOW:
		return refuse_grant(idgen, request, namespace);
	}
	kontor_writer *reply = kontor_reply(request);
	kontor_put_uint(reply, "base", range.base);
	kontor_put_uint(reply, "count", range.count);
	kontor_put_uint(reply, "stride", range.stride);
	return 0;
}

/* ---- decode ----------------------------------------------------------------------------------------------------- */

static void put_parts(kontor_writer *reply, const struct layout *layout, const struct layout_parts *parts)
{
	kontor_put_uint(reply, "datacenter", parts->datacenter);
	if (!layout->unit_ms) {
		kontor_put_uint(reply, "number", parts->counter);
		return;
	}
	int64_t time_ms = layout_time_ms(layout, parts->counter);
	kontor_put_uint(reply, "slot", parts->slot);
	kontor_put_uint(reply, "sequence", parts->counter & ((UINT64_C(1) << layout->sequence_bits) - 1));
	kontor_put_time(reply, "time", time_ms);
	kontor_put_int(reply, "time_ms", time_ms);
}

int idgen_decode(void *self, kontor_request *request)
{
	const struct layout *layout = layout_asked(self, request);
	if (!layout)
		return kontor_request_error(request)->code;
	struct layout_parts parts;
	uint64_t id = kontor_arg_id(request, "id");
	if (!layout_take_apart(layout, id, &parts))
		return kontor_request_fail(
			request, KONTOR_E_BAD_REQUEST,
			"%llu is no id of layout %s: datacenter and slot begin at 1, and its time ends",
			(unsigned long long)id, layout->name);
	kontor_writer *reply = kontor_reply(request);
	kontor_put_string(reply, "layout", layout->name);
	put_parts(reply, layout, &parts);
	return 0;
}

/* ---- check: may these ids be ours? ------------------------------------------------------------------------------- */

/* What the database says that was ever reserved. */
struct reserved {
	uint64_t slots[64];
	uint64_t numbers;
};

static int read_reserved(kontor_conn *conn, const struct layout *layout, const char *namespace_,
			 struct reserved *ret_reserved, struct kontor_error *err)
{
	if (!layout->slots) {
		int64_t max = 0;
		int code = kontor_db_query_int(conn, SQL_READ_MAX_N, KONTOR_PARAMS(P_STRING(namespace_)), &max, err);
		ret_reserved->numbers = (uint64_t)max;
		return code;
	}
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_SLOTS, KONTOR_PARAMS(P_STRING(layout->name)), &rows,
				   err);
	while (!code && (code = kontor_rows_next(rows, err)) == 1) {
		ret_reserved->slots[kontor_rows_uint(rows, 0) % 64] = kontor_rows_uint(rows, 3);
		code = 0;
	}
	kontor_rows_close(rows);
	return code;
}

static const char *verdict(const struct idgen *idgen, const struct layout *layout, const struct reserved *reserved,
			   const struct layout_parts *parts)
{
	if (parts->datacenter != idgen->reserver.unit.datacenter)
		return "other_datacenter";
	uint64_t until = layout->slots ? reserved->slots[parts->slot] : reserved->numbers;
	return parts->counter <= until ? "reserved" : "never_reserved";
}

int idgen_check(void *self, kontor_request *request)
{
	struct idgen *idgen = self;
	const struct layout *layout = layout_asked(idgen, request);
	if (!layout)
		return kontor_request_error(request)->code;
	struct reserved reserved = {{0}, 0};
	const char *name = kontor_arg_given(request, "namespace") ? kontor_arg_string(request, "namespace") : "default";
	int code = read_reserved(kontor_request_db(request), layout, name, &reserved, kontor_request_error(request));
	if (code)
		return code;
	const msgpack_object_array *ids = kontor_arg_list(request, "ids");
	kontor_writer *reply = kontor_reply(request);
	kontor_put_array(reply, "rows");
	for (uint32_t i = 0; i < ids->size; i++) {
		struct layout_parts parts;
		bool valid = layout_take_apart(layout, ids->ptr[i].via.u64, &parts);
		kontor_write_map(reply);
		kontor_put_uint(reply, "id", ids->ptr[i].via.u64);
		kontor_put_string(reply, "verdict", valid ? verdict(idgen, layout, &reserved, &parts) : "malformed");
		if (valid)
			put_parts(reply, layout, &parts);
		kontor_write_end(reply);
	}
	kontor_write_end(reply);
	return 0;
}
