/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing msgpack. A map or array gets a 32-bit header at once; when it is closed its size is patched in, or the header
 * shortened to one byte.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "kontor/message.h"
#include "kontor/time.h"

#define OPEN_LIMIT (KONTOR_DEPTH_LIMIT + 1) /* a body's depth, and an array around it */
#define HEADER_SIZE 5u                      /* type byte and big-endian 32-bit size */
#define TYPE_ARRAY_32 0xDDu
#define TYPE_MAP_32 0xDFu
#define TYPE_FIX_ARRAY 0x90u /* and the size, up to 15 elements */
#define TYPE_FIX_MAP 0x80u
#define FIX_LIMIT 15u
#define FIX_STRING 0xA0u /* and the length, up to 31 bytes */
#define FIX_STRING_LIMIT 31u
#define INTEGER_SIZE 9u  /* the longest form: a type byte and 64 bits */
#define SHORT_BYTES 512u /* contents up to this long are moved, to give their container the short header */
#define FIRST_SIZE ((size_t)1024)

struct open_container {
	size_t position; /* of its header in the buffer */
	uint32_t items;  /* in a map, keys and values each count one */
	bool map;
};

enum writer_fault { WRITER_FINE, WRITER_NO_MEMORY, WRITER_TOO_DEEP, WRITER_NOT_OPEN, WRITER_ODD_MAP };

/* Integers and strings, which all messages are made of, are written here; the rest by msgpack-c into the same buffer.
 */
struct kontor_writer {
	msgpack_sbuffer buffer;
	msgpack_packer packer;
	struct open_container open[OPEN_LIMIT];
	unsigned open_len;
	enum writer_fault fault; /* the first one; everything after it is ignored */
};

kontor_writer *kontor_writer_new(void)
{
	kontor_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	msgpack_sbuffer_init(&w->buffer);
	msgpack_packer_init(&w->packer, &w->buffer, msgpack_sbuffer_write);
	return w;
}

kontor_writer *kontor_writer_free(kontor_writer *w)
{
	if (w) {
		msgpack_sbuffer_destroy(&w->buffer);
		free(w);
	}
	return NULL;
}

void kontor_writer_reset(kontor_writer *w)
{
	msgpack_sbuffer_clear(&w->buffer);
	w->open_len = 0;
	w->fault = WRITER_FINE;
}

static void remember(kontor_writer *w, enum writer_fault fault)
{
	if (w->fault == WRITER_FINE)
		w->fault = fault;
}

/* Rare: kept out of the functions that are called for each value. */
static __attribute__((noinline, cold)) bool grow(kontor_writer *w, size_t size)
{
	size_t room = w->buffer.alloc ? w->buffer.alloc : FIRST_SIZE;
	while (room - w->buffer.size < size) {
		if (room > SIZE_MAX / 2)
			return false;
		room *= 2;
	}
	char *data = realloc(w->buffer.data, room);
	if (!data)
		return false;
	w->buffer.data = data;
	w->buffer.alloc = room;
	return true;
}

/* Where the next bytes go, with room for `size`; NULL when out of memory, which is remembered. */
static inline unsigned char *make_room(kontor_writer *w, size_t size)
{
	if (w->buffer.alloc - w->buffer.size < size && !grow(w, size)) {
		remember(w, WRITER_NO_MEMORY);
		return NULL;
	}
	return (unsigned char *)w->buffer.data + w->buffer.size;
}

/* Called before each value: counts it in the container that it goes into. */
static inline bool begin_value(kontor_writer *w)
{
	if (w->fault != WRITER_FINE)
		return false;
	if (w->open_len)
		w->open[w->open_len - 1].items++;
	return true;
}

/* packed: what the packer returned, 0 or -1 when out of memory. */
static void end_value(kontor_writer *w, int packed)
{
	if (packed != 0)
		remember(w, WRITER_NO_MEMORY);
}

static void open_container(kontor_writer *w, bool map)
{
	if (!begin_value(w))
		return;
	if (w->open_len == OPEN_LIMIT) {
		remember(w, WRITER_TOO_DEEP);
		return;
	}
	unsigned char *header = make_room(w, HEADER_SIZE);
	if (!header)
		return;
	header[0] = map ? TYPE_MAP_32 : TYPE_ARRAY_32;
	w->open[w->open_len++] = (struct open_container){w->buffer.size, 0, map};
	w->buffer.size += HEADER_SIZE;
}

void kontor_write_map(kontor_writer *w)
{
	open_container(w, true);
}

void kontor_write_array(kontor_writer *w)
{
	open_container(w, false);
}

/* A small container gets the header of one byte: messages that fit 33 bytes need no memory in libzmq. */
void kontor_write_end(kontor_writer *w)
{
	if (w->fault != WRITER_FINE)
		return;
	if (!w->open_len) {
		remember(w, WRITER_NOT_OPEN);
		return;
	}
	const struct open_container *container = &w->open[--w->open_len];
	if (container->map && container->items % 2) {
		remember(w, WRITER_ODD_MAP);
		return;
	}
	uint32_t size = container->map ? container->items / 2 : container->items;
	unsigned char *header = (unsigned char *)w->buffer.data + container->position;
	size_t bytes = w->buffer.size - container->position - HEADER_SIZE;
	if (size > FIX_LIMIT || bytes > SHORT_BYTES) {
		uint32_t big_endian = htobe32(size);
		memcpy(header + 1, &big_endian, sizeof(big_endian));
		return;
	}
	header[0] = (unsigned char)((container->map ? TYPE_FIX_MAP : TYPE_FIX_ARRAY) | size);
	memmove(header + 1, header + HEADER_SIZE, bytes);
	w->buffer.size -= HEADER_SIZE - 1;
}

static inline void put_big_endian(unsigned char *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
}

static inline void write_uint(kontor_writer *w, uint64_t value)
{
	unsigned char *at = begin_value(w) ? make_room(w, INTEGER_SIZE) : NULL;
	if (!at)
		return;
	if (value < 0x80) { /* the type byte is the value itself */
		at[0] = (unsigned char)value;
		w->buffer.size++;
		return;
	}
	unsigned log = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
	unsigned bytes = 1u << log;
	at[0] = (unsigned char)(0xCC + log);               /* uint 8, 16, 32, 64 */
	put_big_endian(at + 1, value << (64 - 8 * bytes)); /* what is beyond `bytes` is written over by what follows */
	w->buffer.size += 1 + bytes;
}

static __attribute__((noinline)) void write_long_text(kontor_writer *w, struct kontor_text value)
{
	if (begin_value(w))
		end_value(w, msgpack_pack_str_with_body(&w->packer, value.data, value.size));
}

static inline void write_text(kontor_writer *w, struct kontor_text value)
{
	if (value.size > FIX_STRING_LIMIT) {
		write_long_text(w, value);
		return;
	}
	if (!begin_value(w))
		return;
	unsigned char *at = make_room(w, 1 + value.size);
	if (!at)
		return;
	at[0] = (unsigned char)(FIX_STRING | value.size);
	memcpy(at + 1, value.data, value.size);
	w->buffer.size += 1 + value.size;
}

/* Keys are short: they are copied while their end is looked for. */
static inline void write_key(kontor_writer *w, const char *key)
{
	unsigned char *at = w->fault == WRITER_FINE ? make_room(w, 1 + FIX_STRING_LIMIT) : NULL;
	if (!at)
		return;
	size_t size = 0;
	for (; size < FIX_STRING_LIMIT && key[size]; size++)
		at[1 + size] = (unsigned char)key[size];
	if (key[size]) {
		write_long_text(w, kontor_text_of(key));
		return;
	}
	at[0] = (unsigned char)(FIX_STRING | size);
	w->buffer.size += 1 + size;
	begin_value(w);
}

void kontor_write_int(kontor_writer *w, int64_t value)
{
	if (value >= 0)
		write_uint(w, (uint64_t)value);
	else if (begin_value(w))
		end_value(w, msgpack_pack_int64(&w->packer, value));
}

void kontor_write_uint(kontor_writer *w, uint64_t value)
{
	write_uint(w, value);
}

void kontor_write_bool(kontor_writer *w, bool value)
{
	if (begin_value(w))
		end_value(w, value ? msgpack_pack_true(&w->packer) : msgpack_pack_false(&w->packer));
}

void kontor_write_nil(kontor_writer *w)
{
	if (begin_value(w))
		end_value(w, msgpack_pack_nil(&w->packer));
}

void kontor_write_string(kontor_writer *w, const char *value)
{
	kontor_write_text(w, kontor_text_of(value));
}

void kontor_write_text(kontor_writer *w, struct kontor_text value)
{
	if (value.data)
		write_text(w, value);
	else
		kontor_write_nil(w);
}

void kontor_write_bytes(kontor_writer *w, const void *data, size_t size)
{
	if (begin_value(w))
		end_value(w, msgpack_pack_bin_with_body(&w->packer, data, size));
}

void kontor_write_object(kontor_writer *w, const msgpack_object *value)
{
	if (!value)
		kontor_write_nil(w);
	else if (begin_value(w))
		end_value(w, msgpack_pack_object(&w->packer, *value));
}

void kontor_put_map(kontor_writer *w, const char *key)
{
	write_key(w, key);
	kontor_write_map(w);
}

void kontor_put_array(kontor_writer *w, const char *key)
{
	write_key(w, key);
	kontor_write_array(w);
}

void kontor_put_int(kontor_writer *w, const char *key, int64_t value)
{
	write_key(w, key);
	kontor_write_int(w, value);
}

void kontor_put_uint(kontor_writer *w, const char *key, uint64_t value)
{
	write_key(w, key);
	write_uint(w, value);
}

void kontor_put_bool(kontor_writer *w, const char *key, bool value)
{
	write_key(w, key);
	kontor_write_bool(w, value);
}

void kontor_put_string(kontor_writer *w, const char *key, const char *value)
{
	write_key(w, key);
	kontor_write_string(w, value);
}

void kontor_put_text(kontor_writer *w, const char *key, struct kontor_text value)
{
	write_key(w, key);
	kontor_write_text(w, value);
}

void kontor_put_bytes(kontor_writer *w, const char *key, const void *data, size_t size)
{
	write_key(w, key);
	kontor_write_bytes(w, data, size);
}

void kontor_put_object(kontor_writer *w, const char *key, const msgpack_object *value)
{
	write_key(w, key);
	kontor_write_object(w, value);
}

void kontor_put_time(kontor_writer *w, const char *key, int64_t ms)
{
	char text[KONTOR_TIME_SIZE];
	kontor_put_string(w, key, ms ? kontor_time_format(ms, text) : NULL);
}

int kontor_writer_finish(kontor_writer *w, const void **ret_data, size_t *ret_size, struct kontor_error *err)
{
	if (w->open_len)
		remember(w, WRITER_NOT_OPEN);
	switch (w->fault) {
	case WRITER_FINE:
		*ret_data = w->buffer.data;
		*ret_size = w->buffer.size;
		return 0;
	case WRITER_NO_MEMORY:
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory while writing a message of %zu bytes",
				   w->buffer.size);
	case WRITER_TOO_DEEP:
		return kontor_fail(err, KONTOR_E_INTERNAL, "bug: a message is nested deeper than %d", OPEN_LIMIT);
	case WRITER_NOT_OPEN:
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "bug: the maps and arrays of a message are not closed as often as opened");
	case WRITER_ODD_MAP:
		return kontor_fail(err, KONTOR_E_INTERNAL, "bug: a map of a message has a key without a value");
	}
	return kontor_fail(err, KONTOR_E_INTERNAL, "bug: a message writer is in no known state");
}
