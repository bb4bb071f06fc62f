/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that is freed all at once: the words of one request, one row, one page.
 */
#ifndef KONTOR_ARENA_H
#define KONTOR_ARENA_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kontor_arena kontor_arena;

/* limit: bytes it may grow to, 0 = 64 MiB. NULL when out of memory. One thread at a time. */
kontor_arena *kontor_arena_new(size_t limit);
/* NULL is fine; returns NULL. */
kontor_arena *kontor_arena_free(kontor_arena *arena);
/* Forgets everything but keeps the first block. */
void kontor_arena_reset(kontor_arena *arena);
/* Zeroed, aligned to 16; NULL past the limit or when out of memory. */
void *kontor_arena_alloc(kontor_arena *arena, size_t size);
char *kontor_arena_copy(kontor_arena *arena, const void *bytes, size_t length); /* adds a NUL */
char *kontor_arena_format(kontor_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
