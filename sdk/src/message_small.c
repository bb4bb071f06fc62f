/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over the bytes of a small flat map. It gives up on whatever is unusual, so it has no errors to explain.
 */
#include <stdint.h>
#include <string.h>

#include "message_small.h"

struct reader {
	const uint8_t *at, *end;
};

static bool take_length(struct reader *r, unsigned bytes, uint64_t *ret)
{
	uint64_t value = 0;
	if (bytes > (size_t)(r->end - r->at))
		return false;
	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | *r->at++;
	*ret = value;
	return true;
}

static bool take_string(struct reader *r, uint64_t length, msgpack_object *ret)
{
	if (length > (size_t)(r->end - r->at))
		return false;
	*ret = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {(uint32_t)length, (const char *)r->at}};
	r->at += length;
	return true;
}

/* Types that have a byte of their own, or one and a length. */
static bool take_long_form(struct reader *r, uint8_t tag, msgpack_object *ret)
{
	uint64_t number = 0;
	switch (tag) {
	case 0xc0:
		*ret = (msgpack_object){.type = MSGPACK_OBJECT_NIL};
		return true;
	case 0xc2:
	case 0xc3:
		*ret = (msgpack_object){.type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = tag == 0xc3};
		return true;
	case 0xc4: /* bin 8, 16 */
	case 0xc5:
		if (!take_length(r, 1u << (tag - 0xc4), &number) || !take_string(r, number, ret))
			return false;
		ret->type = MSGPACK_OBJECT_BIN; /* its span is a str's */
		return true;
	case 0xcc: /* uint 8, 16, 32, 64 */
	case 0xcd:
	case 0xce:
	case 0xcf:
		if (!take_length(r, 1u << (tag - 0xcc), &number))
			return false;
		*ret = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = number};
		return true;
	case 0xd9: /* str 8, 16 */
	case 0xda:
		return take_length(r, 1u << (tag - 0xd9), &number) && take_string(r, number, ret);
	default:
		return false;
	}
}

static bool take_value(struct reader *r, msgpack_object *ret)
{
	if (r->at == r->end)
		return false;
	uint8_t tag = *r->at++;
	if (tag <= 0x7f) {
		*ret = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = tag};
		return true;
	}
	if (tag >= 0xe0) {
		*ret = (msgpack_object){.type = MSGPACK_OBJECT_NEGATIVE_INTEGER, .via.i64 = (int8_t)tag};
		return true;
	}
	if ((tag & 0xe0) == 0xa0)
		return take_string(r, tag & 0x1f, ret);
	return take_long_form(r, tag, ret);
}

bool kontor_read_small_map(const void *data, size_t size, msgpack_object_kv room[KONTOR_SMALL_MAP],
			   msgpack_object *ret_map)
{
	struct reader r = {data, (const uint8_t *)data + size};
	unsigned entries = size ? *r.at++ ^ 0x80u : 0; /* a fixmap is 0x80 and its size */
	if (entries > KONTOR_SMALL_MAP)
		return false;
	for (unsigned i = 0; i < entries; i++)
		if (!take_value(&r, &room[i].key) || room[i].key.type != MSGPACK_OBJECT_STR ||
		    !take_value(&r, &room[i].val))
			return false;
	if (r.at != r.end)
		return false;
	*ret_map = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map = {entries, room}};
	return true;
}
