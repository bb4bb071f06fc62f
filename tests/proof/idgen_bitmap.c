/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages by (space, number / PAGE_NUMBERS), open addressing.
 */
#include "idgen_bitmap.h"

#include <stdlib.h>

#define PAGE_BITS 12 /* numbers of a page: 2^12 */
#define PAGE_WORDS ((1u << PAGE_BITS) / 64)
#define FIRST_PLACES 1024u

struct page {
	uint64_t space, place;
	uint64_t words[PAGE_WORDS];
};

struct bitmap {
	struct page **pages;
	size_t places, len; /* places: a power of 2 */
	struct page *recent;
};

struct bitmap *bitmap_new(void)
{
	struct bitmap *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->places = FIRST_PLACES;
	b->pages = calloc(b->places, sizeof(struct page *));
	if (b->pages)
		return b;
	free(b);
	return NULL;
}

struct bitmap *bitmap_free(struct bitmap *b)
{
	if (!b)
		return NULL;
	for (size_t i = 0; i < b->places; i++)
		free(b->pages[i]);
	free(b->pages);
	free(b);
	return NULL;
}

/* Finalizer of MurmurHash3 (public domain, Austin Appleby). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

/* Where the page is, or where it goes. */
static struct page **find_place(struct page **pages, size_t places, uint64_t space, uint64_t place)
{
	size_t i = (size_t)mix(mix(space) + place) & (places - 1);
	while (pages[i] && (pages[i]->space != space || pages[i]->place != place))
		i = (i + 1) & (places - 1);
	return &pages[i];
}

static bool grow(struct bitmap *b)
{
	size_t places = b->places * 2;
	struct page **pages = calloc(places, sizeof(struct page *));
	if (!pages)
		return false;
	for (size_t i = 0; i < b->places; i++)
		if (b->pages[i])
			*find_place(pages, places, b->pages[i]->space, b->pages[i]->place) = b->pages[i];
	free(b->pages);
	b->pages = pages;
	b->places = places;
	return true;
}

static struct page *page_of(struct bitmap *b, uint64_t space, uint64_t place)
{
	if (b->recent && b->recent->space == space && b->recent->place == place)
		return b->recent;
	if (b->len >= b->places / 2 && !grow(b))
		return NULL;
	struct page **at = find_place(b->pages, b->places, space, place);
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return NULL;
		(*at)->space = space;
		(*at)->place = place;
		b->len++;
	}
	b->recent = *at;
	return *at;
}

bool bitmap_set(struct bitmap *b, uint64_t space, uint64_t number, bool *ret_was_set)
{
	struct page *page = page_of(b, space, number >> PAGE_BITS);
	if (!page)
		return false;
	uint64_t *word = &page->words[(number >> 6) & (PAGE_WORDS - 1)], bit = UINT64_C(1) << (number & 63);
	*ret_was_set = *word & bit;
	*word |= bit;
	return true;
}

uint64_t *bitmap_word(struct bitmap *b, uint64_t space)
{
	struct page *page = page_of(b, space, 0);
	return page ? page->words : NULL;
}
