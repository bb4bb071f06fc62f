/* SPDX-License-Identifier: Apache-2.0
 *
 * Message bodies are one msgpack map. msgpack-c does the coding; this page only makes it short to write a map whose
 * size is not known yet, and to read one by key. The wire is described in docs/protocol.md.
 */
#ifndef KONTOR_MESSAGE_H
#define KONTOR_MESSAGE_H

#include <msgpack.h>

#include "kontor/error.h"
#include "kontor/text.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KONTOR_FRAME_LIMIT (4u << 20) /* bytes of one frame */
#define KONTOR_DEPTH_LIMIT 16         /* nesting of a body */

/* ---- writing ------------------------------------------------------------------------------------------------ */

/* A growing msgpack buffer. Maps and arrays are opened and closed; their sizes are patched in when they close.
 * Running out of memory is remembered and reported once, by kontor_writer_finish(). One thread at a time. */
typedef struct kontor_writer kontor_writer;

kontor_writer *kontor_writer_new(void);
kontor_writer *kontor_writer_free(kontor_writer *w); /* NULL is fine; returns NULL */
void kontor_writer_reset(kontor_writer *w);

/* Values. Inside a map use the kontor_put_* forms below, which write the key first. */
void kontor_write_map(kontor_writer *w);   /* ... kontor_write_end */
void kontor_write_array(kontor_writer *w); /* ... kontor_write_end */
void kontor_write_end(kontor_writer *w);
void kontor_write_int(kontor_writer *w, int64_t value);
void kontor_write_uint(kontor_writer *w, uint64_t value);
void kontor_write_bool(kontor_writer *w, bool value);
void kontor_write_nil(kontor_writer *w);
void kontor_write_string(kontor_writer *w, const char *value); /* NULL writes nil */
void kontor_write_text(kontor_writer *w, struct kontor_text value);
void kontor_write_bytes(kontor_writer *w, const void *data, size_t size);
void kontor_write_object(kontor_writer *w, const msgpack_object *value); /* copies any parsed value */

void kontor_put_map(kontor_writer *w, const char *key);
void kontor_put_array(kontor_writer *w, const char *key);
void kontor_put_int(kontor_writer *w, const char *key, int64_t value);
void kontor_put_uint(kontor_writer *w, const char *key, uint64_t value);
void kontor_put_bool(kontor_writer *w, const char *key, bool value);
void kontor_put_string(kontor_writer *w, const char *key, const char *value);
void kontor_put_text(kontor_writer *w, const char *key, struct kontor_text value);
void kontor_put_bytes(kontor_writer *w, const char *key, const void *data, size_t size);
void kontor_put_object(kontor_writer *w, const char *key, const msgpack_object *value);
/* RFC 3339 UTC string; ms == 0 writes nil. */
void kontor_put_time(kontor_writer *w, const char *key, int64_t ms);

/* All maps and arrays must be closed. The bytes stay the writer's, until its next change. */
int kontor_writer_finish(kontor_writer *w, const void **ret_data, size_t *ret_size, struct kontor_error *err);

/* ---- reading ------------------------------------------------------------------------------------------------ */

/* A parsed body and the memory that it stands in. */
typedef struct kontor_body kontor_body;

/* Copies the bytes. Refuses trailing bytes, depth beyond KONTOR_DEPTH_LIMIT and anything but a map at the top.
 * size 0 is an empty map. */
int kontor_body_parse(const void *data, size_t size, kontor_body **ret_body, struct kontor_error *err);
kontor_body *kontor_body_free(kontor_body *body); /* NULL is fine; returns NULL */
const msgpack_object *kontor_body_map(const kontor_body *body);

/* Value of a key in a map, NULL when the key is missing, nil, or `map` is no map (or NULL). */
const msgpack_object *kontor_get(const msgpack_object *map, const char *key);
/* The value if it is there and of that type and range, else `otherwise`. */
int64_t kontor_get_int(const msgpack_object *map, const char *key, int64_t otherwise);
uint64_t kontor_get_uint(const msgpack_object *map, const char *key, uint64_t otherwise);
bool kontor_get_bool(const msgpack_object *map, const char *key, bool otherwise);
/* str or bin; absent (data NULL) when missing or of another type. */
struct kontor_text kontor_get_text(const msgpack_object *map, const char *key);
/* Copies at most size - 1 bytes and a NUL; "" when missing. Returns buffer. */
char *kontor_get_string(const msgpack_object *map, const char *key, char *buffer, size_t size);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
