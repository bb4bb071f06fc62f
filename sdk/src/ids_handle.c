/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread's part of a source. The page that kontor_id_handle_next() works on comes first and is wiped in a child of
 * fork(2); struct id_handle stands in the page behind it, which the child keeps.
 */
#include <errno.h>
#include <string.h>

#include "ids_source.h"

#define HANDLE_PAGES 2
/* So many pieces a grant is cut into for each handle: few visits to the stock, and little lost when a piece is given
 * up. The second one leaves half of the grant, and the next grant is fetched. */
#define PIECES 4

/* What kontor_id_handle_fill() takes at once: every layout grants that much. */
#define FILL_LIMIT ID_WANTED_LIMIT

static struct id_handle *state_of(kontor_id_handle *handle)
{
	return (struct id_handle *)((char *)handle + kontor_id_page_size());
}

int kontor_id_handle_new(kontor_id_source *source, kontor_id_handle **ret_handle, struct kontor_error *err)
{
	kontor_id_handle *line = kontor_id_page_new(HANDLE_PAGES);
	if (!line)
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "ids of %s: a page that is wiped on fork (madvise MADV_WIPEONFORK): %s",
				   source->id_namespace, strerror(errno));
	struct id_handle *handle = state_of(line);
	*handle = (struct id_handle){.source = source, .line = line};
	kontor_id_source_lock(source);
	handle->next = source->handles;
	source->handles = handle;
	source->handles_len++;
	pthread_mutex_unlock(&source->lock);
	*ret_handle = line;
	return 0;
}

kontor_id_handle *kontor_id_handle_free(kontor_id_handle *handle)
{
	if (!handle)
		return NULL;
	struct id_handle *state = state_of(handle);
	kontor_id_source *source = state->source;
	kontor_id_source_lock(source);
	struct id_handle **link = &source->handles;
	while (*link && *link != state)
		link = &(*link)->next;
	if (*link) {
		*link = state->next;
		source->handles_len--;
	}
	pthread_mutex_unlock(&source->lock);
	kontor_id_page_free(handle, HANDLE_PAGES);
	return NULL;
}

static uint32_t usual_piece(const kontor_id_source *source)
{
	size_t piece = source->size / (PIECES * source->handles_len);
	return source->strict || piece == 0 ? 1 : (uint32_t)piece;
}

/* Takes least .. wish ids for the caller and puts a new piece into the handle, whose last piece is lost. The caller's
 * are kept out of it, as the source's thread may take it back as soon as the lock is free. */
static int install(kontor_id_handle *line, uint32_t least, uint32_t wish, struct kontor_id_range *ret_first,
		   struct kontor_error *err)
{
	struct id_handle *handle = state_of(line);
	kontor_id_source *source = handle->source;
	struct id_grant piece = {0};
	kontor_id_source_lock(source);
	uint32_t usual = usual_piece(source);
	int rc = kontor_id_source_take(source, least, wish > usual ? wish : usual, &piece, err);
	if (!rc && source->ahead)
		rc = kontor_id_prefetch_start(source, err); /* it looks after the age */
	if (!rc) {
		*ret_first = kontor_id_grant_cut(&piece, wish).range;
		uint64_t end = piece.range.base + piece.range.count * piece.range.stride;
		handle->asked_ms = piece.asked_ms;
		handle->seen_next = piece.range.base;
		line->stride = piece.range.stride;
		__atomic_store_n(&line->next, piece.range.base, __ATOMIC_RELAXED);
		__atomic_store_n(&line->end, piece.range.count ? end : 0, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&source->lock);
	return rc;
}

int kontor_id_handle_refill(kontor_id_handle *handle, uint64_t *ret_id, struct kontor_error *err)
{
	struct kontor_id_range first;
	int rc = install(handle, 1, 1, &first, err);
	if (!rc)
		*ret_id = first.base;
	return rc;
}

/* Up to `most` ids out of the handle; count 0: there is none. */
static struct kontor_id_range cut(kontor_id_handle *line, uint32_t most)
{
	uint64_t next = __atomic_load_n(&line->next, __ATOMIC_RELAXED);
	uint64_t end = __atomic_load_n(&line->end, __ATOMIC_RELAXED);
	struct kontor_id_range range = {.base = next, .stride = line->stride};
	if (next >= end)
		return range;
	/* the product fits: a stride has at most 32 bits and a count 21 */
	range.count = most * line->stride <= end - next ? most : (uint32_t)((end - next) / line->stride);
	__atomic_store_n(&line->next, next + range.count * line->stride, __ATOMIC_RELAXED);
	return range;
}

static int check_count(const kontor_id_handle *line, uint32_t count, struct kontor_error *err)
{
	const struct id_handle *handle = state_of((kontor_id_handle *)line);
	if (count > 0 && count <= KONTOR_ID_GRANT_LIMIT)
		return 0;
	return kontor_fail(err, KONTOR_E_BAD_REQUEST, "ids of %s: a range holds 1 to %u ids, not %u",
			   handle->source->id_namespace, KONTOR_ID_GRANT_LIMIT, (unsigned)count);
}

int kontor_id_handle_range(kontor_id_handle *handle, uint32_t count, struct kontor_id_range *ret_range,
			   struct kontor_error *err)
{
	int rc = check_count(handle, count, err);
	if (rc)
		return rc;
	struct kontor_id_range range = cut(handle, count);
	if (range.count < count)
		rc = install(handle, count, count, &range, err);
	if (!rc)
		*ret_range = range;
	return rc;
}

/* Two ids that are computed and stored at once, on any machine that has 128-bit registers; out need not be aligned. */
typedef uint64_t two_ids __attribute__((vector_size(16), aligned(8), may_alias));

static void write_ids(uint64_t *out, const struct kontor_id_range *range)
{
	uint64_t stride = range->stride;
	two_ids even = {range->base, range->base + stride}, odd = even + 2 * stride;
	size_t i = 0;
	for (; i + 4 <= range->count; i += 4, even += 4 * stride, odd += 4 * stride) {
		*(two_ids *)(out + i) = even;
		*(two_ids *)(out + i + 2) = odd;
	}
	for (; i < range->count; i++)
		out[i] = range->base + i * stride;
}

int kontor_id_handle_fill(kontor_id_handle *handle, uint64_t *out, size_t count, struct kontor_error *err)
{
	while (count > 0) {
		uint32_t most = count < FILL_LIMIT ? (uint32_t)count : FILL_LIMIT;
		struct kontor_id_range range = cut(handle, most);
		if (range.count == 0) {
			int rc = install(handle, 1, most, &range, err);
			if (rc)
				return rc;
		}
		write_ids(out, &range);
		out += range.count;
		count -= range.count;
	}
	return 0;
}
