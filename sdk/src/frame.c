/* SPDX-License-Identifier: Apache-2.0
 *
 * The envelope's header: one small msgpack array of integers and strings. It is read on the hot path for every message,
 * so a fixed-shape reader does it without allocating; tests/frame_test.c holds it against msgpack-c on random input.
 */
#include <limits.h>
#include <string.h>

#include "kontor/client.h"

#define HEADER_ELEMENTS 9
#define HEADER_VERSION 1

struct reader {
	const uint8_t *at, *end;
	unsigned element; /* 1-based place of the element that is read */
	const char *name; /* its name */
	struct kontor_error *err;
};

static int bad(struct reader *r, const char *problem)
{
	return kontor_fail(r->err, KONTOR_E_BAD_REQUEST, "message header: element %u (%s) %s", r->element, r->name,
			   problem);
}

/* The next `size` bytes as a big-endian number; false at the end of the data. */
static bool take_number(struct reader *r, unsigned size, uint64_t *ret)
{
	if ((size_t)(r->end - r->at) < size)
		return false;
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value = value << 8 | *r->at++;
	*ret = value;
	return true;
}

static int take_uint(struct reader *r, uint64_t limit, uint64_t *ret)
{
	if (r->at == r->end)
		return bad(r, "is cut off");
	uint8_t tag = *r->at++;
	uint64_t value = 0;
	bool whole = true;
	if (tag <= 0x7f)
		value = tag;
	else if (tag >= 0xcc && tag <= 0xcf) /* uint 8, 16, 32, 64 */
		whole = take_number(r, 1u << (tag - 0xcc), &value);
	else if (tag >= 0xd0 && tag <= 0xd3) { /* int 8, 16, 32, 64: some encoders use them for small numbers too */
		unsigned size = 1u << (tag - 0xd0);
		whole = take_number(r, size, &value);
		if (whole && value >> (8 * size - 1))
			return bad(r, "is negative");
	} else if (tag != 0xc0) /* nil reads as 0 */
		return bad(r, "is no integer");
	if (!whole)
		return bad(r, "is cut off");
	if (value > limit)
		return bad(r, "is too big");
	*ret = value;
	return 0;
}

/* A str of printable characters, fewer than `size`; nil reads as "". */
static int take_string(struct reader *r, char *out, size_t size, bool ascii_only)
{
	if (r->at == r->end)
		return bad(r, "is cut off");
	uint8_t tag = *r->at++;
	uint64_t length = 0;
	if (tag >= 0xa0 && tag <= 0xbf)
		length = tag & 0x1f;
	else if (tag >= 0xd9 && tag <= 0xdb) { /* str 8, 16, 32 */
		if (!take_number(r, 1u << (tag - 0xd9), &length))
			return bad(r, "is cut off");
	} else if (tag != 0xc0)
		return bad(r, "is no string");
	if (length > (uint64_t)(r->end - r->at))
		return bad(r, "is cut off");
	if (length >= size)
		return bad(r, "is too long");
	for (uint64_t i = 0; i < length; i++) {
		uint8_t c = r->at[i];
		if (c < 0x21 || c == 0x7f || (ascii_only && c > 0x7f))
			return bad(r, "holds a character that is not allowed there");
	}
	memcpy(out, r->at, length);
	out[length] = '\0';
	r->at += length;
	return 0;
}

/* What a tag says about the value that it begins. */
struct shape {
	unsigned length_size; /* bytes of a length that follows the tag */
	uint64_t bytes;       /* fixed payload */
	uint64_t elements;    /* nested values: of a fixarray or fixmap, or per counted element */
	enum { PLAIN, COUNTS_BYTES, COUNTS_ELEMENTS } counts;
};

static bool shape_of(uint8_t tag, struct shape *ret)
{
	static const struct shape shapes[] = {
		/* c0 nil, c1 never used, c2 false, c3 true */
		{0},
		{0},
		{0},
		{0},
		{1, 0, 0, COUNTS_BYTES},
		{2, 0, 0, COUNTS_BYTES},
		{4, 0, 0, COUNTS_BYTES}, /* bin */
		{1, 1, 0, COUNTS_BYTES},
		{2, 1, 0, COUNTS_BYTES},
		{4, 1, 0, COUNTS_BYTES}, /* ext */
		{0, 4, 0, PLAIN},
		{0, 8, 0, PLAIN}, /* float */
		{0, 1, 0, PLAIN},
		{0, 2, 0, PLAIN},
		{0, 4, 0, PLAIN},
		{0, 8, 0, PLAIN}, /* uint */
		{0, 1, 0, PLAIN},
		{0, 2, 0, PLAIN},
		{0, 4, 0, PLAIN},
		{0, 8, 0, PLAIN}, /* int */
		{0, 2, 0, PLAIN},
		{0, 3, 0, PLAIN},
		{0, 5, 0, PLAIN},
		{0, 9, 0, PLAIN},
		{0, 17, 0, PLAIN}, /* fixext */
		{1, 0, 0, COUNTS_BYTES},
		{2, 0, 0, COUNTS_BYTES},
		{4, 0, 0, COUNTS_BYTES}, /* str */
		{2, 0, 1, COUNTS_ELEMENTS},
		{4, 0, 1, COUNTS_ELEMENTS}, /* array */
		{2, 0, 2, COUNTS_ELEMENTS},
		{4, 0, 2, COUNTS_ELEMENTS}, /* map */
	};
	if (tag <= 0x7f || tag >= 0xe0)
		*ret = (struct shape){0};
	else if (tag <= 0x8f)
		*ret = (struct shape){.elements = 2u * (tag & 0x0f)};
	else if (tag <= 0x9f)
		*ret = (struct shape){.elements = tag & 0x0f};
	else if (tag <= 0xbf)
		*ret = (struct shape){.bytes = tag & 0x1f};
	else if (tag == 0xc1)
		return false;
	else
		*ret = shapes[tag - 0xc0];
	return true;
}

/* Passes over one value of any type. Nested ones are only counted, so depth costs nothing. */
static int skip_value(struct reader *r)
{
	uint64_t open = 1;
	while (open > 0) {
		struct shape shape;
		if (r->at == r->end)
			return bad(r, "is cut off");
		if (!shape_of(*r->at++, &shape))
			return bad(r, "is no msgpack");
		uint64_t length = 0;
		if (!take_number(r, shape.length_size, &length))
			return bad(r, "is cut off");
		uint64_t bytes = shape.bytes + (shape.counts == COUNTS_BYTES ? length : 0);
		uint64_t elements = shape.counts == COUNTS_ELEMENTS ? shape.elements * length : shape.elements;
		if (bytes > (uint64_t)(r->end - r->at))
			return bad(r, "is cut off");
		r->at += bytes;
		open += elements - 1;
		/* Each value takes a byte at least. */
		if (open > (uint64_t)(r->end - r->at))
			return bad(r, "is cut off");
	}
	return 0;
}

static int take_array(struct reader *r, uint64_t *ret_elements)
{
	if (r->at == r->end)
		return kontor_fail(r->err, KONTOR_E_BAD_REQUEST, "message header: is empty");
	uint8_t tag = *r->at++;
	bool whole = true;
	if (tag >= 0x90 && tag <= 0x9f)
		*ret_elements = tag & 0x0f;
	else if (tag == 0xdc || tag == 0xdd)
		whole = take_number(r, tag == 0xdc ? 2 : 4, ret_elements);
	else
		whole = false;
	if (!whole)
		return kontor_fail(r->err, KONTOR_E_BAD_REQUEST, "message header: is no msgpack array");
	return 0;
}

static const char *element_name(unsigned element, unsigned kind)
{
	static const char *const names[HEADER_ELEMENTS] = {"version", "kind", "id",          "method", "left_ms",
							   "flags",   "key",  "traceparent", "caller"};
	if (element > HEADER_ELEMENTS)
		return "unknown";
	if (element == 4 && (kind == KONTOR_FRAME_REPLY || kind == KONTOR_FRAME_ERROR))
		return "server_us";
	return names[element - 1];
}

static int take_element(struct reader *r, struct kontor_frame_header *h)
{
	uint64_t number = 0;
	int rc = 0;
	bool answer = h->kind == KONTOR_FRAME_REPLY || h->kind == KONTOR_FRAME_ERROR;
	if (answer && r->element > 4)
		return skip_value(r);
	switch (r->element) {
	case 1:
		rc = take_uint(r, UINT_MAX, &number);
		h->version = (unsigned)number;
		if (!rc && h->version != HEADER_VERSION)
			return bad(r, "is not 1, the only version that is spoken here");
		return rc;
	case 2:
		rc = take_uint(r, UINT_MAX, &number);
		h->kind = (unsigned)number;
		if (!rc && (h->kind < KONTOR_FRAME_REQUEST || h->kind > KONTOR_FRAME_CANCEL))
			return bad(r, "is none of 1 request, 2 reply, 3 error, 4 ping, 5 pong, 6 cancel");
		return rc;
	case 3:
		return take_uint(r, UINT64_MAX, &h->id);
	case 4:
		if (!answer)
			return take_string(r, h->method, sizeof(h->method), true);
		rc = take_uint(r, UINT32_MAX, &number);
		h->server_us = (uint32_t)number;
		return rc;
	case 5:
		rc = take_uint(r, UINT32_MAX, &number);
		h->left_ms = (uint32_t)number;
		return rc;
	case 6:
		return take_uint(r, UINT64_MAX, &h->flags);
	case 7:
		return take_string(r, h->key, sizeof(h->key), false);
	case 8:
		return take_string(r, h->traceparent, sizeof(h->traceparent), true);
	case 9:
		return take_string(r, h->caller, sizeof(h->caller), true);
	default:
		return skip_value(r);
	}
}

int kontor_frame_parse(const void *data, size_t size, struct kontor_frame_header *ret_header, struct kontor_error *err)
{
	struct reader r = {.at = data, .err = err};
	r.end = r.at + size;
	struct kontor_frame_header h = {0};
	uint64_t elements = 0;
	int rc = take_array(&r, &elements);
	if (rc)
		return rc;
	/* Each element takes a byte at least, so a wild count ends here. */
	if (elements > (uint64_t)(r.end - r.at))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "message header: is cut off");
	for (uint64_t i = 1; i <= elements; i++) {
		r.element = i > UINT_MAX ? UINT_MAX : (unsigned)i;
		r.name = element_name(r.element, h.kind);
		rc = take_element(&r, &h);
		if (rc)
			return rc;
	}
	if (r.at != r.end)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "message header: %zu bytes follow the array",
				   (size_t)(r.end - r.at));
	if (elements < 3)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "message header: element %u (%s) is missing; it begins [version, kind, id, ...]",
				   (unsigned)elements + 1, element_name((unsigned)elements + 1, 0));
	if (h.kind == KONTOR_FRAME_REQUEST && !h.method[0])
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "message header: element 4 (method) is missing");
	*ret_header = h;
	return 0;
}

void kontor_frame_write(kontor_writer *w, const struct kontor_frame_header *h)
{
	kontor_writer_reset(w);
	kontor_write_array(w);
	kontor_write_uint(w, h->version);
	kontor_write_uint(w, h->kind);
	kontor_write_uint(w, h->id);
	if (h->kind == KONTOR_FRAME_REPLY || h->kind == KONTOR_FRAME_ERROR)
		kontor_write_uint(w, h->server_us);
	if (h->kind == KONTOR_FRAME_REQUEST) {
		kontor_write_string(w, h->method);
		kontor_write_uint(w, h->left_ms);
		kontor_write_uint(w, h->flags);
		kontor_write_string(w, h->key);
		kontor_write_string(w, h->traceparent);
		kontor_write_string(w, h->caller);
	}
	kontor_write_end(w);
}
