/* SPDX-License-Identifier: Apache-2.0
 *
 * Text as a span, and parsers that accept exactly what CONTRACT names and nothing else. None of them needs a locale,
 * none allocates. All are safe in any thread.
 */
#ifndef KONTOR_TEXT_H
#define KONTOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Borrowed bytes, not NUL-terminated. data == NULL means "absent", data != NULL && size == 0 "empty". */
struct kontor_text {
	const char *data;
	size_t size;
};

#define KONTOR_TEXT(literal) ((struct kontor_text){(literal), sizeof(literal) - 1})

struct kontor_text kontor_text_of(const char *string); /* NULL gives absent */
bool kontor_text_equal(struct kontor_text a, struct kontor_text b);
bool kontor_text_is(struct kontor_text a, const char *string);
bool kontor_text_utf8(struct kontor_text text); /* valid UTF-8 (RFC 3629), NUL allowed */

/* `0|[1-9][0-9]*`, no sign, no blank, <= 2^64-1; false leaves *ret untouched. */
bool kontor_parse_uint(struct kontor_text text, uint64_t *ret);
/* `-?(0|[1-9][0-9]*)`, within int64; "-0" is refused. */
bool kontor_parse_int(struct kontor_text text, int64_t *ret);
/* Ids of files (CONTRACT): `[1-9][0-9]*` up to 2^63-1. */
bool kontor_parse_id(struct kontor_text text, uint64_t *ret);

/* "30s", "500ms", "2m", "12h", "7d" -> milliseconds; "4MiB", "64KiB", "1GiB", "512" -> bytes. The unit is required
 * for durations other than 0. */
bool kontor_parse_duration(struct kontor_text text, int64_t *ret_ms);
bool kontor_parse_size(struct kontor_text text, uint64_t *ret_bytes);

/* Names of units, datacenters, profiles: `[a-z0-9][a-z0-9-]{0,31}`; regions: `[A-Z]{2}`. */
bool kontor_name_valid(struct kontor_text text);
bool kontor_region_valid(struct kontor_text text);

/* The candidate nearest to `text` by edit distance (at most 1/2 of its length away), else NULL. */
const char *kontor_text_nearest(struct kontor_text text, const char *const *candidates, size_t count);

/* Hexadecimal, lower case; out has room for 2 * size + 1. */
char *kontor_hex(const void *bytes, size_t size, char *out);
bool kontor_unhex(struct kontor_text text, void *ret_bytes, size_t size);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
