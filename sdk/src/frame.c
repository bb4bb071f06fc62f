/* SPDX-License-Identifier: Apache-2.0
 *
 * The envelope's header: one small msgpack array of integers and strings. It is read on the hot path for every message,
 * so a fixed-shape reader does it without allocating; tests/frame_test.c holds it against msgpack-c on random input.
 */
#include <limits.h>
#include <string.h>

#include "frame.h"
#include "kontor/client.h"
#include "message_shape.h"

#define HEADER_ELEMENTS 9
#define HEADER_VERSION 1

/* Reads bytes that kontor_message_shape() has found to be one whole value, so nothing in them is cut off. */
struct reader {
	const uint8_t *at;
	unsigned element; /* place of the element that is read, from 0 as in docs/protocol.md */
	const char *name; /* its name */
	struct kontor_error *err;
};

static int bad(struct reader *r, const char *problem)
{
	return kontor_fail(r->err, KONTOR_E_BAD_REQUEST, "message header: element %u (%s) %s", r->element, r->name,
			   problem);
}

static uint64_t take_number(struct reader *r, unsigned size)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value = value << 8 | *r->at++;
	return value;
}

static int take_uint(struct reader *r, uint64_t limit, uint64_t *ret)
{
	uint8_t tag = *r->at++;
	uint64_t value = 0;
	if (tag <= 0x7f)
		value = tag;
	else if (tag >= 0xcc && tag <= 0xcf) /* uint 8, 16, 32, 64 */
		value = take_number(r, 1u << (tag - 0xcc));
	else if (tag >= 0xd0 && tag <= 0xd3) { /* int 8, 16, 32, 64: some encoders use them for small numbers too */
		static const uint64_t sign_bits[] = {0x80, 0x8000, 0x80000000, UINT64_C(1) << 63};
		value = take_number(r, 1u << (tag - 0xd0));
		if (value & sign_bits[tag - 0xd0])
			return bad(r, "is negative");
	} else if (tag >= 0xe0)
		return bad(r, "is negative");
	else if (tag != 0xc0) /* nil reads as 0 */
		return bad(r, "is no integer");
	if (value > limit)
		return bad(r, "is too big");
	*ret = value;
	return 0;
}

/* A str of printable characters, shorter than `size`; nil reads as "". */
static int take_string(struct reader *r, char *out, size_t size, bool ascii_only)
{
	uint8_t tag = *r->at++;
	uint64_t length = 0;
	if (tag >= 0xa0 && tag <= 0xbf)
		length = tag & 0x1f;
	else if (tag >= 0xd9 && tag <= 0xdb) /* str 8, 16, 32 */
		length = take_number(r, 1u << (tag - 0xd9));
	else if (tag != 0xc0)
		return bad(r, "is no string");
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

static int take_array(struct reader *r, uint64_t *ret_elements)
{
	uint8_t tag = *r->at++;
	if (tag >= 0x90 && tag <= 0x9f)
		*ret_elements = tag & 0x0f;
	else if (tag == 0xdc || tag == 0xdd) /* array 16, 32 */
		*ret_elements = take_number(r, tag == 0xdc ? 2 : 4);
	else
		return kontor_fail(r->err, KONTOR_E_BAD_REQUEST,
				   "message header: is no array [version, kind, id, ...]");
	return 0;
}

static bool is_answer(const struct kontor_frame_header *h)
{
	return h->kind == KONTOR_FRAME_REPLY || h->kind == KONTOR_FRAME_ERROR;
}

static int take_version_or_kind(struct reader *r, struct kontor_frame_header *h)
{
	uint64_t number = 0;
	int rc = take_uint(r, UINT_MAX, &number);
	if (rc)
		return rc;
	if (r->element == 0) {
		h->version = (unsigned)number;
		return number == HEADER_VERSION ? 0 : bad(r, "is not 1, the only version that is spoken here");
	}
	h->kind = (unsigned)number;
	if (number < KONTOR_FRAME_REQUEST || number > KONTOR_FRAME_CANCEL)
		return bad(r, "is none of 1 request, 2 reply, 3 error, 4 ping, 5 pong, 6 cancel");
	return 0;
}

static int take_uint32(struct reader *r, uint32_t *ret)
{
	uint64_t number = 0;
	int rc = take_uint(r, UINT32_MAX, &number);
	*ret = (uint32_t)number;
	return rc;
}

static int take_element(struct reader *r, struct kontor_frame_header *h)
{
	switch (r->element) {
	case 0:
	case 1:
		return take_version_or_kind(r, h);
	case 2:
		return take_uint(r, UINT64_MAX, &h->id);
	case 3:
		if (is_answer(h))
			return take_uint32(r, &h->server_us);
		return take_string(r, h->method, sizeof(h->method), true);
	case 4:
		return take_uint32(r, &h->left_ms);
	case 5:
		return take_uint(r, UINT64_MAX, &h->flags);
	case 6:
		return take_string(r, h->key, sizeof(h->key), false);
	case 7:
		return take_string(r, h->traceparent, sizeof(h->traceparent), true);
	default:
		return take_string(r, h->caller, sizeof(h->caller), true);
	}
}

static const char *element_name(unsigned element, const struct kontor_frame_header *h)
{
	static const char *const names[HEADER_ELEMENTS] = {"version", "kind", "id",          "method", "left_ms",
							   "flags",   "key",  "traceparent", "caller"};
	return element == 3 && is_answer(h) ? "server_us" : names[element];
}

/* ---- the usual request, in one pass ---- */

/* Bytes of a request whose end is known. Everything unusual - another type, a longer form, a further element, a mistake
 * - makes it give up, and the whole reader above judges. */
struct quick_reader {
	const uint8_t *at, *end;
	bool gave_up;
};

static uint64_t quick_uint(struct quick_reader *q, uint64_t limit)
{
	uint64_t value = 0;
	uint8_t tag = q->at < q->end ? *q->at++ : 0xff;
	if (tag <= 0x7f)
		return tag;
	size_t bytes = tag >= 0xcc && tag <= 0xcf ? (size_t)1 << (tag - 0xcc) : 0; /* uint 8, 16, 32, 64 */
	if (!bytes || bytes > (size_t)(q->end - q->at))
		q->gave_up = true;
	else
		for (size_t i = 0; i < bytes; i++)
			value = value << 8 | *q->at++;
	q->gave_up |= value > limit;
	return value;
}

/* ASCII without blanks, in one of the two forms for up to 255 bytes, or nil. */
static void quick_string(struct quick_reader *q, char *out, size_t size)
{
	uint8_t tag = q->at < q->end ? *q->at++ : 0;
	size_t length = tag & 0x1f;
	bool is_string = (tag & 0xe0) == 0xa0;
	if (tag == 0xd9 && q->at < q->end) { /* str 8 */
		length = *q->at++;
		is_string = true;
	} else if (tag == 0xc0) { /* nil reads as "" */
		length = 0;
		is_string = true;
	}
	if (!is_string || length > (size_t)(q->end - q->at) || length >= size)
		q->gave_up = true;
	for (size_t i = 0; i < length && !q->gave_up; i++) {
		out[i] = (char)q->at[i];
		q->gave_up = q->at[i] < 0x21 || q->at[i] > 0x7e;
	}
	if (q->gave_up)
		return;
	q->at += length;
	out[length] = '\0';
}

/* What follows the id of a request with so many elements. */
static void quick_rest(struct quick_reader *q, unsigned elements, struct kontor_frame_header *h)
{
	h->left_ms = 0;
	h->flags = 0;
	h->key[0] = h->traceparent[0] = h->caller[0] = '\0';
	h->server_us = 0;
	quick_string(q, h->method, sizeof(h->method));
	if (elements > 4)
		h->left_ms = (uint32_t)quick_uint(q, UINT32_MAX);
	if (elements > 5)
		h->flags = quick_uint(q, UINT64_MAX);
	if (elements > 6)
		quick_string(q, h->key, sizeof(h->key));
	if (elements > 7)
		quick_string(q, h->traceparent, sizeof(h->traceparent));
	if (elements > 8)
		quick_string(q, h->caller, sizeof(h->caller));
	q->gave_up |= q->at != q->end || !h->method[0];
}

enum quick { QUICK_GAVE_UP, QUICK_SAME, QUICK_READ };

static enum quick read_usual_request(const void *data, size_t size, struct kontor_frame_memory *memory,
				     struct kontor_frame_header *h)
{
	struct quick_reader q = {.at = data, .end = (const uint8_t *)data + size};
	unsigned elements = size > 0 && (*q.at & 0xf0) == 0x90 ? *q.at++ & 0x0fu : 0;
	if (elements < 4 || elements > HEADER_ELEMENTS)
		return QUICK_GAVE_UP;
	uint64_t version = quick_uint(&q, UINT_MAX), kind = quick_uint(&q, UINT_MAX);
	uint64_t id = quick_uint(&q, UINT64_MAX);
	size_t rest = (size_t)(q.end - q.at);
	if (q.gave_up || version != HEADER_VERSION || kind != KONTOR_FRAME_REQUEST || rest == 0)
		return QUICK_GAVE_UP;
	if (elements == memory->elements && rest == memory->size && memcmp(q.at, memory->rest, rest) == 0) {
		h->id = id;
		return QUICK_SAME;
	}
	const uint8_t *begin = q.at;
	memory->elements = 0;
	h->version = (unsigned)version;
	h->kind = (unsigned)kind;
	h->id = id;
	quick_rest(&q, elements, h);
	if (q.gave_up)
		return QUICK_GAVE_UP;
	if (rest <= sizeof(memory->rest)) {
		memcpy(memory->rest, begin, rest);
		memory->size = rest;
		memory->elements = elements;
	}
	return QUICK_READ;
}

int kontor_frame_read(const void *data, size_t size, struct kontor_frame_memory *memory,
		      struct kontor_frame_header *header, bool *ret_same, struct kontor_error *err)
{
	enum quick quick = read_usual_request(data, size, memory, header);
	*ret_same = quick == QUICK_SAME;
	if (quick != QUICK_GAVE_UP)
		return 0;
	memory->elements = 0;
	return kontor_frame_parse(data, size, header, err);
}

/* ---- any header ---- */

int kontor_frame_parse(const void *data, size_t size, struct kontor_frame_header *ret_header, struct kontor_error *err)
{
	struct reader r = {.at = data, .err = err};
	struct kontor_frame_header h = {0};
	uint64_t elements = 0;
	if (kontor_message_shape(data, size, NULL))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "message header: its %zu bytes are not one whole msgpack value", size);
	int rc = take_array(&r, &elements);
	for (uint64_t i = 0; rc == 0 && i < elements && i < HEADER_ELEMENTS; i++) {
		if (is_answer(&h) && i > 3)
			break; /* answers have no more */
		r.element = (unsigned)i;
		r.name = element_name(r.element, &h);
		rc = take_element(&r, &h);
	}
	if (rc)
		return rc;
	if (elements < 3)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "message header: element %u (%s) is missing; it begins [version, kind, id, ...]",
				   (unsigned)elements, element_name((unsigned)elements, &h));
	if (h.kind == KONTOR_FRAME_REQUEST && !h.method[0])
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "message header: element 3 (method) is missing");
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
	if (is_answer(h))
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

/* In its shortest form; returns how many bytes that are. */
static size_t put_uint(unsigned char *out, uint64_t value)
{
	unsigned log = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
	if (value < 0x80) {
		out[0] = (unsigned char)value;
		return 1;
	}
	unsigned bytes = 1u << log;
	out[0] = (unsigned char)(0xcc + log); /* uint 8, 16, 32, 64 */
	for (unsigned i = 0; i < bytes; i++)
		out[1 + i] = (unsigned char)(value >> 8 * (bytes - 1 - i));
	return 1 + bytes;
}

size_t kontor_frame_write_answer(unsigned kind, uint64_t id, uint32_t server_us, unsigned char *out)
{
	bool timed = kind != KONTOR_FRAME_PONG;
	size_t size = 0;
	out[size++] = timed ? 0x94 : 0x93; /* an array of so many */
	out[size++] = HEADER_VERSION;
	out[size++] = (unsigned char)kind;
	size += put_uint(out + size, id);
	return timed ? size + put_uint(out + size, server_us) : size;
}
