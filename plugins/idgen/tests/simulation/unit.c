/* SPDX-License-Identifier: Apache-2.0
 *
 * Coroutines that can be copied.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define FRAME_LIMIT 1024 /* bytes: the frame of go(), and what lies below it */

struct unit *running_unit;
static unit_context scheduler;

/* What of `from` is in use. */
static void copy(struct memory *to, const struct memory *from)
{
	memcpy(to, from, offsetof(struct memory, stack));
	memcpy(to->stack + from->stack_unused, from->stack + from->stack_unused, UNIT_STACK - from->stack_unused);
	memcpy(to->heap, from->heap, from->heap_used);
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
	memory->stack_unused = UNIT_STACK;
	unit->incarnation++;
	unit->running = true;
	unit->contradicted_by = 0;
	unit->unseen_ms = unit->unseen_before_step_ms = 0;
	unit->state = MAY_ISSUE;
	unit->flight = NULL;
}

static void enter(struct memory *memory)
{
	static ucontext_t first;
	getcontext(&first);
	first.uc_stack.ss_sp = memory->stack;
	first.uc_stack.ss_size = UNIT_STACK;
	first.uc_link = NULL;
	makecontext(&first, life, 0);
	setcontext(&first);
}

/* Returns when somebody goes back to `from`. Not inlined: what the caller has in registers is on its stack then. */
static __attribute__((noinline)) void go(unit_context from, struct memory *to)
{
	if (__builtin_setjmp(from))
		return;
	if (to && to->stack_unused == UNIT_STACK)
		enter(to);
	__builtin_longjmp(to ? to->context : scheduler, 1);
}

enum wish unit_run(struct unit *unit)
{
	struct memory *memory = unit_memory(unit);
	running_unit = unit;
	go(scheduler, memory);
	return memory->wish;
}

int unit_wish(enum wish wish)
{
	struct memory *memory = running_unit->place->memory;
	memory->wish = wish;
	memory->granted = 0;
	memory->stack_unused = (size_t)((unsigned char *)__builtin_frame_address(0) - memory->stack) - FRAME_LIMIT;
	go(memory->context, NULL);
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
	clone->unseen_ms = unit->unseen_ms;
	clone->unseen_before_step_ms = unit->unseen_before_step_ms;
	clone->contradicted_by = unit->contradicted_by;
	clone->state = unit->state;
	clone->disk = unit->disk;
	clone->paused_until_ms = clone->asleep_ms = 0;
	clone->incarnation++;
	clone->dormant = true;
	clone->flight = NULL;
}
