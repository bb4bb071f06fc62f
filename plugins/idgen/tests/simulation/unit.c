/* SPDX-License-Identifier: Apache-2.0
 *
 * Coroutines that can be copied.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit *running_unit;
static ucontext_t scheduler;

static void copy(void *to, const struct memory *from)
{
	memcpy(to, from, offsetof(struct memory, heap) + from->heap_used);
}

struct memory *unit_memory(struct unit *unit)
{
	struct place *place = unit->place;
	if (place->resident == unit)
		return place->memory;
	if (place->resident)
		copy(place->resident->image, place->memory);
	copy(place->memory, unit->image);
	place->resident = unit;
	return place->memory;
}

static void life(void)
{
	process_start(&running_unit->place->memory->process, &running_unit->options);
	for (;;) {
		process_step(&running_unit->place->memory->process);
		unit_wish(WISH_STEP_DONE);
	}
}

void unit_start(struct unit *unit)
{
	struct memory *memory = unit->place->memory;
	if (unit->place->resident && unit->place->resident != unit)
		copy(unit->place->resident->image, memory);
	unit->place->resident = unit;
	memset(&memory->process, 0, sizeof(memory->process));
	memory->conn = (struct kontor_conn){0};
	memory->heap_used = 0;
	for (size_t i = 0; i < UNIT_ROWS; i++)
		memory->rows[i].used = false;
	getcontext(&memory->context);
	memory->context.uc_stack.ss_sp = memory->stack;
	memory->context.uc_stack.ss_size = UNIT_STACK;
	memory->context.uc_link = NULL;
	makecontext(&memory->context, life, 0);
	unit->incarnation++;
	unit->running = true;
	unit->contradicted_by = 0;
	unit->state = MAY_ISSUE;
	unit->flight = NULL;
}

enum wish unit_run(struct unit *unit)
{
	struct memory *memory = unit_memory(unit);
	running_unit = unit;
	swapcontext(&scheduler, &memory->context);
	return memory->wish;
}

int unit_wish(enum wish wish)
{
	struct memory *memory = running_unit->place->memory;
	memory->wish = wish;
	memory->granted = 0;
	swapcontext(&memory->context, &scheduler);
	return memory->granted;
}

void unit_kill(struct unit *unit)
{
	unit->incarnation++;
	unit->running = false;
	unit->flight = NULL;
}

void unit_clone(struct unit *unit, struct unit *clone)
{
	copy(clone->image, unit_memory(unit));
	clone->options = unit->options;
	clone->place = unit->place;
	clone->server = unit->server;
	clone->wall_offset_ms = unit->wall_offset_ms;
	clone->monotonic_offset_ms = unit->monotonic_offset_ms;
	clone->generation = unit->generation;
	clone->contradicted_by = unit->contradicted_by;
	clone->state = unit->state;
	clone->disk = unit->disk;
	clone->paused_until_ms = clone->asleep_ms = 0;
	clone->incarnation++;
	clone->dormant = true;
	clone->flight = NULL;
}
