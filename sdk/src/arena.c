/* SPDX-License-Identifier: Apache-2.0
 *
 * An arena: blocks that double in size, freed together.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kontor/arena.h"

#define DEFAULT_LIMIT ((size_t)64 << 20)
#define FIRST_BLOCK ((size_t)4096)
#define BIGGEST_BLOCK ((size_t)1 << 20) /* doubling ends here; a bigger request gets a block of its own size */
#define ALIGNMENT ((size_t)16)

struct block {
	struct block *older;
	size_t size, used;
	_Alignas(16) char bytes[];
};

struct kontor_arena {
	struct block *newest;
	size_t limit;
	size_t allocated; /* bytes in all blocks */
	size_t next_size;
};

kontor_arena *kontor_arena_new(size_t limit)
{
	kontor_arena *arena = calloc(1, sizeof(*arena));
	if (!arena)
		return NULL;
	arena->limit = limit ? limit : DEFAULT_LIMIT;
	arena->next_size = FIRST_BLOCK;
	return arena;
}

static void free_blocks(kontor_arena *arena, bool keep_oldest)
{
	while (arena->newest && !(keep_oldest && !arena->newest->older)) {
		struct block *older = arena->newest->older;
		arena->allocated -= arena->newest->size;
		free(arena->newest);
		arena->newest = older;
	}
}

kontor_arena *kontor_arena_free(kontor_arena *arena)
{
	if (arena) {
		free_blocks(arena, false);
		free(arena);
	}
	return NULL;
}

void kontor_arena_reset(kontor_arena *arena)
{
	free_blocks(arena, true);
	if (arena->newest)
		arena->newest->used = 0;
	arena->next_size = FIRST_BLOCK * 2;
}

static struct block *add_block(kontor_arena *arena, size_t needed)
{
	size_t room = arena->limit - arena->allocated;
	if (needed > room)
		return NULL;
	size_t size = needed > arena->next_size ? needed : arena->next_size;
	if (size > room)
		size = room;
	struct block *block = malloc(sizeof(*block) + size);
	if (!block)
		return NULL;
	block->older = arena->newest;
	block->size = size;
	block->used = 0;
	arena->newest = block;
	arena->allocated += size;
	if (arena->next_size < BIGGEST_BLOCK)
		arena->next_size *= 2;
	return block;
}

void *kontor_arena_alloc(kontor_arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	struct block *block = arena->newest;
	if (!block || block->size - block->used < rounded)
		block = add_block(arena, rounded);
	if (!block)
		return NULL;
	void *memory = block->bytes + block->used;
	block->used += rounded;
	return memset(memory, 0, rounded);
}

char *kontor_arena_copy(kontor_arena *arena, const void *bytes, size_t length)
{
	char *copy = kontor_arena_alloc(arena, length + 1);
	if (copy && length)
		memcpy(copy, bytes, length);
	return copy;
}

char *kontor_arena_format(kontor_arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int needed = vsnprintf(NULL, 0, format, args);
	va_end(args);
	char *text = needed < 0 ? NULL : kontor_arena_alloc(arena, (size_t)needed + 1);
	if (!text)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)needed + 1, format, args);
	va_end(args);
	return text;
}
