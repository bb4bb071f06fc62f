/* SPDX-License-Identifier: Apache-2.0
 *
 * What the plugin's code calls of the C library and of libkontor, in the simulation.
 */
#include "foreign.h"

#undef malloc
#undef calloc
#undef free
#undef strdup
#undef getrandom

#include <stdarg.h>
#include <stdio.h>

#include "kontor/client.h"
#include "kontor/log.h"
#include "world.h"

void *simulated_malloc(size_t size)
{
	struct memory *memory = running_unit->place->memory;
	size_t rounded = (size + 15) & ~(size_t)15;
	if (memory->heap_used + rounded > sizeof(memory->heap)) {
		fprintf(stderr, "simulation: the heap is too small\n");
		exit(3);
	}
	void *block = memory->heap + memory->heap_used;
	memory->heap_used += rounded;
	return block;
}

void *simulated_calloc(size_t number, size_t size)
{
	void *block = simulated_malloc(number * size);
	return memset(block, 0, number * size);
}

/* The heap is given back as a whole, with the process. */
void simulated_free(void *block)
{
	(void)block;
}

char *simulated_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	return memcpy(simulated_malloc(size), text, size);
}

ssize_t simulated_getrandom(void *buffer, size_t size, unsigned flags)
{
	(void)flags;
	for (size_t i = 0; i < size; i++)
		((unsigned char *)buffer)[i] = (unsigned char)random_next(&world.random);
	return (ssize_t)size;
}

char *kontor_random_key(char *key)
{
	snprintf(key, 33, "%016llx%016llx", (unsigned long long)random_next(&world.random),
		 (unsigned long long)random_next(&world.random));
	return key;
}

/* The trace is the log. */
void kontor_log(enum kontor_log_level level, const char *event, const char *format, ...)
{
	(void)level;
	if (!world.tracing)
		return;
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	world_trace("%s: %s: %s", running_unit->name, event, text);
}
