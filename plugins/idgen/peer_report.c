/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit's report on the wire. What comes from another unit is checked here, once: the book takes it as it is.
 */
#include <string.h>

#include "peers.h"

#define DATACENTERS 15 /* 4 bits of an id, and 0 is none */

const struct kontor_arg peer_report_args[PEER_REPORT_ARGS] = {
	{.name = "datacenter",
	 .type = KONTOR_ARG_INT,
	 .required = true,
	 .min = 1,
	 .max = DATACENTERS,
	 .help = "its id"},
	{.name = "cluster",
	 .type = KONTOR_ARG_STRING,
	 .required = true,
	 .min = 0,
	 .max = CLUSTER_UUID_SIZE - 1,
	 .help = "uuid of its database's cluster; empty: not bound yet"},
	{.name = "unit",
	 .type = KONTOR_ARG_STRING,
	 .required = true,
	 .min = 1,
	 .max = PEER_UNIT_SIZE - 1,
	 .help = "unit and machine"},
	{.name = "process", .type = KONTOR_ARG_INT, .required = true, .help = "random number of its process"},
	{.name = "wall_ms", .type = KONTOR_ARG_INT, .required = true, .help = "its clock, ms since 1970"},
	{.name = "marks",
	 .type = KONTOR_ARG_LIST,
	 .required = true,
	 .min = 0,
	 .max = PEER_MARKS,
	 .help = "how far ids are reserved: maps of key, epoch, hwm, held"},
};

void peer_report_put(const struct peer_report *report, kontor_writer *w)
{
	kontor_put_uint(w, "datacenter", report->datacenter);
	kontor_put_string(w, "cluster", report->cluster_uuid);
	kontor_put_string(w, "unit", report->unit);
	kontor_put_uint(w, "process", report->process);
	kontor_put_int(w, "wall_ms", report->wall_ms);
	kontor_put_array(w, "marks");
	for (size_t i = 0; i < report->marks_len; i++) {
		const struct peer_mark *mark = &report->marks[i];
		kontor_write_map(w);
		kontor_put_string(w, "key", mark->key);
		kontor_put_uint(w, "epoch", mark->epoch);
		kontor_put_uint(w, "hwm", mark->hwm);
		kontor_put_bool(w, "held", mark->held);
		kontor_write_end(w);
	}
	kontor_write_end(w);
}

/* Keys, names and uuids are printable ASCII: they go to logs and terminals as they are. */
static bool copy_text(struct kontor_text text, char *ret, size_t size)
{
	if (!text.data || text.size >= size)
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	memcpy(ret, text.data, text.size);
	ret[text.size] = '\0';
	return true;
}

static int fail_element(const char *name, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_BAD_REQUEST,
			   "a peer's report has no usable \"%s\": is the other unit of another version of Kontor?",
			   name);
}

static bool is_uint(const msgpack_object *map, const char *key)
{
	const msgpack_object *value = kontor_get(map, key);
	return value && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
}

static int read_marks(const msgpack_object_array *marks, struct peer_report *ret, struct kontor_error *err)
{
	if (marks->size > PEER_MARKS)
		return fail_element("marks", err);
	for (uint32_t i = 0; i < marks->size; i++) {
		const msgpack_object *map = &marks->ptr[i];
		struct peer_mark *mark = &ret->marks[i];
		if (!copy_text(kontor_get_text(map, "key"), mark->key, sizeof(mark->key)) || !mark->key[0])
			return fail_element("key", err);
		if (!is_uint(map, "epoch") || !is_uint(map, "hwm"))
			return fail_element(is_uint(map, "hwm") ? "epoch" : "hwm", err);
		mark->epoch = kontor_get_uint(map, "epoch", 0);
		mark->hwm = kontor_get_uint(map, "hwm", 0);
		mark->held = kontor_get_bool(map, "held", false);
	}
	ret->marks_len = marks->size;
	return 0;
}

int peer_report_read(const msgpack_object *map, struct peer_report *ret, struct kontor_error *err)
{
	const msgpack_object *marks = kontor_get(map, "marks"), *wall = kontor_get(map, "wall_ms");
	uint64_t datacenter = kontor_get_uint(map, "datacenter", 0);
	memset(ret, 0, sizeof(*ret));
	if (datacenter < 1 || datacenter > DATACENTERS)
		return fail_element("datacenter", err);
	ret->datacenter = (unsigned)datacenter;
	if (!copy_text(kontor_get_text(map, "cluster"), ret->cluster_uuid, sizeof(ret->cluster_uuid)))
		return fail_element("cluster", err);
	if (!copy_text(kontor_get_text(map, "unit"), ret->unit, sizeof(ret->unit)) || !ret->unit[0])
		return fail_element("unit", err);
	if (!is_uint(map, "process"))
		return fail_element("process", err);
	ret->process = kontor_get_uint(map, "process", 0);
	ret->wall_ms = kontor_get_int(map, "wall_ms", INT64_MIN);
	if (!wall || ret->wall_ms == INT64_MIN)
		return fail_element("wall_ms", err);
	if (!marks || marks->type != MSGPACK_OBJECT_ARRAY)
		return fail_element("marks", err);
	return read_marks(&marks->via.array, ret, err);
}

int peer_report_take(kontor_request *request, struct peer_report *ret)
{
	struct kontor_error *err = kontor_request_error(request);
	memset(ret, 0, sizeof(*ret));
	ret->datacenter = (unsigned)kontor_arg_int(request, "datacenter");
	ret->process = (uint64_t)kontor_arg_int(request, "process");
	ret->wall_ms = kontor_arg_int(request, "wall_ms");
	if (!copy_text(kontor_text_of(kontor_arg_string(request, "cluster")), ret->cluster_uuid,
		       sizeof(ret->cluster_uuid)))
		return fail_element("cluster", err);
	if (!copy_text(kontor_text_of(kontor_arg_string(request, "unit")), ret->unit, sizeof(ret->unit)))
		return fail_element("unit", err);
	return read_marks(kontor_arg_list(request, "marks"), ret, err);
}
