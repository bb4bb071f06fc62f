/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a request: never a crash, never deeper than the limit; the reader of small maps says what the other says.
 */
#include <stdlib.h>

#include "kontor/message.h"
#include "message_small.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const msgpack_object *object, unsigned depth)
{
	if (depth > KONTOR_DEPTH_LIMIT)
		abort();
	if (object->type == MSGPACK_OBJECT_MAP) {
		for (uint32_t i = 0; i < object->via.map.size; i++) {
			touch(&object->via.map.ptr[i].key, depth + 1);
			touch(&object->via.map.ptr[i].val, depth + 1);
		}
	} else if (object->type == MSGPACK_OBJECT_ARRAY) {
		for (uint32_t i = 0; i < object->via.array.size; i++)
			touch(&object->via.array.ptr[i], depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kontor_body *body = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	msgpack_object_kv room[KONTOR_SMALL_MAP];
	msgpack_object small;
	bool is_small = kontor_read_small_map(data, size, room, &small);
	if (kontor_body_parse(data, size, &body, &err)) {
		if (!err.message[0] || body || is_small)
			abort();
		return 0;
	}
	if (is_small && !msgpack_object_equal(small, *kontor_body_map(body)))
		abort();
	touch(kontor_body_map(body), 0);
	kontor_get_int(kontor_body_map(body), "count", 1);
	kontor_get_text(kontor_body_map(body), "namespace");
	kontor_body_free(body);
	return 0;
}
