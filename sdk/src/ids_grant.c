/* SPDX-License-Identifier: Apache-2.0 */
#include "ids_grant.h"

/* So that what is just behind the last id is a number as well. No layout's stride is near it. */
#define STRIDE_LIMIT UINT32_MAX
/* Less than the client's first pause: whoever asks for ids knows better where to ask next. */
#define NO_PATIENCE_MS 1

static bool range_valid(const struct kontor_id_range *range, uint32_t count)
{
	if (range->base == 0 || range->base > INT64_MAX || range->count != count)
		return false;
	if (range->stride == 0 || range->stride > STRIDE_LIMIT)
		return false;
	return (INT64_MAX - range->base) / range->stride >= count - 1;
}

static int read_grant(const kontor_body *reply, uint32_t count, struct kontor_id_range *ret_range,
		      struct kontor_error *err)
{
	const msgpack_object *map = kontor_body_map(reply);
	struct kontor_id_range range = {
		.base = kontor_get_uint(map, "base", 0),
		.stride = kontor_get_uint(map, "stride", 0),
		.count = (uint32_t)kontor_get_uint(map, "count", 0),
	};
	if (!range_valid(&range, count))
		return kontor_fail(err, KONTOR_E_INTERNAL, "idgen.next answered no valid range of %u ids",
				   (unsigned)count);
	*ret_range = range;
	return 0;
}

int kontor_id_grant_ask(kontor_client *client, const char *id_namespace, uint32_t count, uint32_t timeout_ms,
			struct kontor_id_range *ret_range, struct kontor_error *err)
{
	const struct kontor_call_options options = {.timeout_ms = timeout_ms, .patience_ms = NO_PATIENCE_MS};
	kontor_writer *args = kontor_writer_new();
	kontor_body *reply = NULL;
	if (!args)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(args);
	kontor_put_string(args, "namespace", id_namespace);
	kontor_put_uint(args, "count", count);
	kontor_write_end(args);
	int rc = kontor_call(client, "idgen.next", args, &options, &reply, err);
	if (rc == 0)
		rc = read_grant(reply, count, ret_range, err);
	kontor_body_free(reply);
	kontor_writer_free(args);
	return rc;
}
