/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading msgpack: a parsed body, and its values by key.
 */
#include <stdlib.h>
#include <string.h>

#include "kontor/message.h"
#include "message_shape.h"

#define ZONE_CHUNK 4096u

struct kontor_body {
	msgpack_zone zone;
	msgpack_object root;
	char bytes[]; /* strings and binaries of root point into it */
};

int kontor_body_parse(const void *data, size_t size, kontor_body **ret_body, struct kontor_error *err)
{
	static const char empty_map[] = "\x80";
	if (size == 0) {
		data = empty_map;
		size = sizeof(empty_map) - 1;
	}
	if (size > KONTOR_FRAME_LIMIT)
		return kontor_fail(err, KONTOR_E_TOO_BIG, "a body of %zu bytes is over the limit of %u", size,
				   KONTOR_FRAME_LIMIT);
	int code = kontor_message_shape(data, size, err);
	if (code)
		return code;
	kontor_body *body = malloc(sizeof(*body) + size);
	if (!body || !msgpack_zone_init(&body->zone, ZONE_CHUNK)) {
		free(body);
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a body of %zu bytes", size);
	}
	memcpy(body->bytes, data, size);
	size_t offset = 0;
	msgpack_unpack_return unpacked = msgpack_unpack(body->bytes, size, &offset, &body->zone, &body->root);
	if (unpacked != MSGPACK_UNPACK_SUCCESS || body->root.type != MSGPACK_OBJECT_MAP) {
		kontor_body_free(body);
		if (unpacked == MSGPACK_UNPACK_NOMEM_ERROR)
			return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a body of %zu bytes", size);
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "the body is not one msgpack map of named arguments");
	}
	*ret_body = body;
	return 0;
}

kontor_body *kontor_body_free(kontor_body *body)
{
	if (body) {
		msgpack_zone_destroy(&body->zone);
		free(body);
	}
	return NULL;
}

const msgpack_object *kontor_body_map(const kontor_body *body)
{
	return &body->root;
}

const msgpack_object *kontor_get(const msgpack_object *map, const char *key)
{
	if (!map || map->type != MSGPACK_OBJECT_MAP)
		return NULL;
	size_t length = strlen(key);
	for (uint32_t i = 0; i < map->via.map.size; i++) {
		const msgpack_object_kv *pair = &map->via.map.ptr[i];
		if (pair->key.type == MSGPACK_OBJECT_STR && pair->key.via.str.size == length &&
		    memcmp(pair->key.via.str.ptr, key, length) == 0)
			return pair->val.type == MSGPACK_OBJECT_NIL ? NULL : &pair->val;
	}
	return NULL;
}

int64_t kontor_get_int(const msgpack_object *map, const char *key, int64_t otherwise)
{
	const msgpack_object *value = kontor_get(map, key);
	if (value && value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		return value->via.i64;
	if (value && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER && value->via.u64 <= INT64_MAX)
		return (int64_t)value->via.u64;
	return otherwise;
}

uint64_t kontor_get_uint(const msgpack_object *map, const char *key, uint64_t otherwise)
{
	const msgpack_object *value = kontor_get(map, key);
	return value && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? value->via.u64 : otherwise;
}

bool kontor_get_bool(const msgpack_object *map, const char *key, bool otherwise)
{
	const msgpack_object *value = kontor_get(map, key);
	return value && value->type == MSGPACK_OBJECT_BOOLEAN ? value->via.boolean : otherwise;
}

struct kontor_text kontor_get_text(const msgpack_object *map, const char *key)
{
	const msgpack_object *value = kontor_get(map, key);
	if (value && value->type == MSGPACK_OBJECT_STR)
		return (struct kontor_text){value->via.str.ptr, value->via.str.size};
	if (value && value->type == MSGPACK_OBJECT_BIN)
		return (struct kontor_text){value->via.bin.ptr, value->via.bin.size};
	return (struct kontor_text){NULL, 0};
}

char *kontor_get_string(const msgpack_object *map, const char *key, char *buffer, size_t size)
{
	struct kontor_text text = kontor_get_text(map, key);
	size_t length = text.size < size ? text.size : size - 1;
	if (text.data)
		memcpy(buffer, text.data, length);
	buffer[length] = '\0';
	return buffer;
}
