/* SPDX-License-Identifier: Apache-2.0
 *
 * Which rows of a file may be about the same thing: equal 64-bit hashes of their identities. Two identities share a
 * hash once in 10^5 files of 10 million rows; that costs a look at two rows, and decides nothing.
 */
#include <string.h>

#include "upload_duplicates.h"

#define DIGIT_BITS 8
#define DIGITS (64 / DIGIT_BITS)
#define BUCKETS (1u << DIGIT_BITS)
#define FEW 48 /* below it, insertion is faster than another pass by digits */

/* Of both halves of the key, whatever a kind puts there (multipliers: odd, of the golden ratio and of xxHash). */
struct kontor_upload_print kontor_upload_print_of(const struct kontor_identity *identity, uint32_t row)
{
	uint64_t halves[2];
	_Static_assert(sizeof(halves) == KONTOR_IDENTITY_SIZE, "the key is two numbers");
	memcpy(halves, identity->key, sizeof(halves));
	uint64_t hash = halves[0] * UINT64_C(0x9e3779b97f4a7c15);
	hash ^= hash >> 32;
	hash = (hash ^ halves[1]) * UINT64_C(0xc2b2ae3d27d4eb4f);
	hash ^= hash >> 29;
	return (struct kontor_upload_print){(uint32_t)(hash >> 32), (uint32_t)hash, row};
}

static uint64_t hash_of(const struct kontor_upload_print *print)
{
	return (uint64_t)print->high << 32 | print->low;
}

static unsigned digit_of(const struct kontor_upload_print *print, unsigned digit)
{
	return (unsigned)(hash_of(print) >> (64 - DIGIT_BITS * (digit + 1))) & (BUCKETS - 1);
}

static void insertion_sort(struct kontor_upload_print *prints, size_t len)
{
	for (size_t i = 1; i < len; i++) {
		struct kontor_upload_print moving = prints[i];
		size_t place = i;
		for (; place > 0 && hash_of(&prints[place - 1]) > hash_of(&moving); place--)
			prints[place] = prints[place - 1];
		prints[place] = moving;
	}
}

/* American flag sort (McIlroy, Bostic, McIlroy 1993): by digits from the highest, in place; qsort() would take as much
 * memory again. Recurses at most DIGITS deep. */
static void sort_from(struct kontor_upload_print *prints, size_t len, unsigned digit)
{
	if (len <= FEW) {
		insertion_sort(prints, len);
		return;
	}
	size_t next[BUCKETS], end[BUCKETS], counts[BUCKETS] = {0}, sum = 0;
	for (size_t i = 0; i < len; i++)
		counts[digit_of(&prints[i], digit)]++;
	for (unsigned b = 0; b < BUCKETS; b++) {
		next[b] = sum;
		sum += counts[b];
		end[b] = sum;
	}
	for (unsigned b = 0; b < BUCKETS; b++) {
		while (next[b] < end[b]) {
			struct kontor_upload_print moving = prints[next[b]];
			for (unsigned to = digit_of(&moving, digit); to != b; to = digit_of(&moving, digit)) {
				struct kontor_upload_print displaced = prints[next[to]];
				prints[next[to]++] = moving;
				moving = displaced;
			}
			prints[next[b]++] = moving;
		}
	}
	if (digit + 1 == DIGITS)
		return;
	for (unsigned b = 0; b < BUCKETS; b++)
		sort_from(prints + end[b] - counts[b], counts[b], digit + 1);
}

size_t kontor_upload_find_suspects(struct kontor_upload_print *prints, size_t len)
{
	size_t kept = 0;
	sort_from(prints, len, 0);
	for (size_t from = 0, to; from < len; from = to) {
		for (to = from + 1; to < len && hash_of(&prints[to]) == hash_of(&prints[from]);)
			to++;
		if (to - from == 1)
			continue;
		memmove(prints + kept, prints + from, (to - from) * sizeof(*prints));
		kept += to - from;
	}
	return kept;
}

size_t kontor_upload_suspects_end(const struct kontor_upload_print *suspects, size_t len, size_t from, size_t limit)
{
	if (len - from <= limit)
		return len;
	size_t to = from + limit;
	while (to < len && hash_of(&suspects[to]) == hash_of(&suspects[to - 1]))
		to++;
	return to;
}
