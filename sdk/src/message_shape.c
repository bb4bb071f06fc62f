/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over the bytes of a message without allocation or recursion.
 */
#include <stdint.h>

#include "kontor/message.h"
#include "message_shape.h"

/* One value's first bytes. */
struct head {
	uint64_t skip;     /* bytes of it, header included, without its elements */
	uint64_t elements; /* values inside: a map of n has 2n */
	bool container;
};

static uint64_t big_endian(const unsigned char *p, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | p[i];
	return value;
}

/* Header of types 0xC0-0xDF: how many bytes of length follow the type byte, and what the length counts. */
struct form {
	uint8_t length_bytes, fixed;
	enum { BYTES, ARRAY, MAP, INVALID } counts;
};

static struct form form_of(unsigned char type)
{
	static const struct form forms[32] = {
		{0, 0, BYTES}, {0, 0, INVALID}, {0, 0, BYTES}, {0, 0, BYTES},                 /* nil, -, false, true */
		{1, 0, BYTES}, {2, 0, BYTES},   {4, 0, BYTES},                                /* bin */
		{1, 1, BYTES}, {2, 1, BYTES},   {4, 1, BYTES},                                /* ext: and a type byte */
		{0, 4, BYTES}, {0, 8, BYTES},                                                 /* float */
		{0, 1, BYTES}, {0, 2, BYTES},   {0, 4, BYTES}, {0, 8, BYTES},                 /* uint */
		{0, 1, BYTES}, {0, 2, BYTES},   {0, 4, BYTES}, {0, 8, BYTES},                 /* int */
		{0, 2, BYTES}, {0, 3, BYTES},   {0, 5, BYTES}, {0, 9, BYTES}, {0, 17, BYTES}, /* fixext */
		{1, 0, BYTES}, {2, 0, BYTES},   {4, 0, BYTES},                                /* str */
		{2, 0, ARRAY}, {4, 0, ARRAY},   {2, 0, MAP},   {4, 0, MAP},
	};
	return forms[type - 0xC0];
}

/* False when the value's header does not end within `left` bytes or is of no type. */
static bool read_head(const unsigned char *p, size_t left, struct head *head)
{
	unsigned char type = p[0];
	*head = (struct head){.skip = 1};
	if (type <= 0x7F || type >= 0xE0)
		return true;
	if (type <= 0x9F) {
		head->container = true;
		head->elements = (uint64_t)(type & 15) * (type <= 0x8F ? 2 : 1);
		return true;
	}
	if (type <= 0xBF) {
		head->skip = 1u + (type & 31);
		return true;
	}
	struct form form = form_of(type);
	if (form.counts == INVALID || left < 1u + form.length_bytes)
		return false;
	uint64_t length = big_endian(p + 1, form.length_bytes);
	head->skip = 1u + form.length_bytes + form.fixed;
	if (form.counts == BYTES) {
		head->skip += length;
	} else {
		head->container = true;
		head->elements = length * (form.counts == MAP ? 2 : 1);
	}
	return true;
}

int kontor_message_shape(const void *data, size_t size, struct kontor_error *err)
{
	const unsigned char *bytes = data;
	uint64_t missing[KONTOR_DEPTH_LIMIT + 1] = {1}; /* elements still to come, per level; level 0 is the top */
	unsigned level = 0;
	size_t at = 0;
	while (level > 0 || missing[0] > 0) {
		if (missing[level] == 0) {
			level--;
			continue;
		}
		struct head head;
		if (at == size || !read_head(bytes + at, size - at, &head) || head.skip > size - at)
			return kontor_fail(
				err, KONTOR_E_BAD_REQUEST,
				"the body is no msgpack: the value at byte %zu of %zu is cut off or of no type", at,
				size);
		at += head.skip;
		missing[level]--;
		if (!head.container)
			continue;
		if (head.elements > size - at)
			return kontor_fail(
				err, KONTOR_E_BAD_REQUEST,
				"the body is no msgpack: a container before byte %zu claims more than follows", at);
		if (level == KONTOR_DEPTH_LIMIT)
			return kontor_fail(err, KONTOR_E_BAD_REQUEST, "the body is nested deeper than %d",
					   KONTOR_DEPTH_LIMIT);
		missing[++level] = head.elements;
	}
	if (at != size)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "%zu bytes follow the end of the body", size - at);
	return 0;
}

/* The value at *at; moves *at behind it. False when it does not end within the bytes. */
static bool skip_value(const unsigned char *bytes, size_t size, size_t *at)
{
	for (uint64_t missing = 1; missing > 0; missing--) {
		struct head head;
		if (*at >= size || !read_head(bytes + *at, size - *at, &head) || head.skip > size - *at)
			return false;
		*at += head.skip;
		missing += head.elements; /* at most 2^33 for each of at most 2^22 bytes */
	}
	return true;
}

/* The string that begins there; NULL data when it is none. */
static struct kontor_text text_at(const unsigned char *bytes, size_t size, size_t at)
{
	struct head head;
	unsigned char type = at < size ? bytes[at] : 0;
	bool is_string = (type >= 0xA0 && type <= 0xBF) || (type >= 0xD9 && type <= 0xDB);
	if (!is_string || !read_head(bytes + at, size - at, &head) || head.skip > size - at)
		return (struct kontor_text){NULL, 0};
	size_t header = type <= 0xBF ? 1 : 1u + form_of(type).length_bytes;
	return (struct kontor_text){(const char *)bytes + at + header, head.skip - header};
}

bool kontor_message_find_text(const void *data, size_t size, const char *key, struct kontor_text *ret)
{
	const unsigned char *bytes = data;
	struct head map;
	bool is_map = size > 0 && ((bytes[0] >= 0x80 && bytes[0] <= 0x8F) || bytes[0] >= 0xDE) && bytes[0] <= 0xDF;
	if (!is_map || !read_head(bytes, size, &map) || map.skip > size)
		return false;
	size_t at = map.skip;
	for (uint64_t pairs = map.elements / 2; pairs > 0; pairs--) {
		bool found = kontor_text_is(text_at(bytes, size, at), key);
		if (!skip_value(bytes, size, &at))
			return false;
		*ret = text_at(bytes, size, at);
		if (found)
			return ret->data != NULL;
		if (!skip_value(bytes, size, &at))
			return false;
	}
	return false;
}
