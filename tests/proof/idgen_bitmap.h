/* SPDX-License-Identifier: Apache-2.0
 *
 * A sparse set of numbers in many spaces: pages of 512 bytes in a hash table, so 10^8 ids out of 2^63 fit in memory as
 * long as they come in runs.
 */
#ifndef IDGEN_BITMAP_H
#define IDGEN_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

struct bitmap;

struct bitmap *bitmap_new(void); /* NULL when memory runs out */
struct bitmap *bitmap_free(struct bitmap *b);
/* Puts (space, number) in; *ret_was_set tells whether it was there. False when memory runs out. */
bool bitmap_set(struct bitmap *b, uint64_t space, uint64_t number, bool *ret_was_set);
/* One word for each space, 0 at first; valid until the next call. NULL when memory runs out. Not mixed with
 * bitmap_set(). */
uint64_t *bitmap_word(struct bitmap *b, uint64_t space);

#endif
