/* SPDX-License-Identifier: Apache-2.0
 *
 * What must never happen, and what must.
 */
#include "checks.h"

#include "world.h"

#define RESERVED_SLACK_MS                                                                                              \
	60000 /* ids run ahead of the clock by 2 s, statements take their time, js53 counts in seconds */

void checks_grant(struct unit *unit, enum process_kind kind, const struct kontor_id_range *range)
{
	uint64_t last = range->base + (range->count - 1) * range->stride;
	unsigned slot;
	if (!process_reserved_slot(kind, last, &slot)) {
		world_violation("%s issued %llu, which is no id of kind %d", unit->name, (unsigned long long)last,
				kind);
		return;
	}
	uint64_t reserved = unit->server->reserved[kind][slot];
	if (last / range->stride > reserved)
		world_violation(
			"%s issued id %llu of kind %d, beyond %llu, the highest counter that was ever committed",
			unit->name, (unsigned long long)last, kind, (unsigned long long)reserved);
}

void checks_service(int64_t since_ms)
{
	for (unsigned i = 0; i < world.plan.places; i++)
		for (enum process_kind kind = 0; kind < PROCESS_KINDS; kind++)
			if (process_serves(&world.units[i].options, kind) &&
			    world.units[i].served_ms[kind] < since_ms) {
				world_violation("%s got no ids of kind %d for %lld ms after all faults had ended: %s",
						world.units[i].name, kind, (long long)(world.now_ms - since_ms),
						process_reason(&unit_memory(&world.units[i])->process, kind));
			}
}

/* A clock that is wrong burns no time: nothing is reserved further ahead than a window beyond the latest that the
 * database's clock ever was. */
void checks_time(void)
{
	for (unsigned i = 0; i < world.plan.datacenters; i++)
		for (enum process_kind kind = 0; kind < PROCESS_KINDS; kind++)
			for (unsigned slot = 0; slot < SERVER_SLOTS; slot++) {
				int64_t ms = process_counter_ms(kind, world.servers[i].reserved[kind][slot]);
				int64_t latest_ms = world.now_ms + world.states[i].largest_offset_ms;
				if (world.servers[i].reserved[kind][slot] &&
				    ms > latest_ms + world.plan.window_ms + RESERVED_SLACK_MS)
					world_violation("slot %u of kind %d is reserved until %lld, and the database's "
							"clock was never later than %lld",
							slot, kind, (long long)ms, (long long)latest_ms);
			}
}

void checks_uniqueness(void)
{
	struct grant one, other;
	if (!grants_are_disjoint(&world.grants, &one, &other))
		world_violation(
			"the same ids were issued twice: kind %u, remainder %llu, counters %llu-%llu by process "
			"%u at %.3f and %llu-%llu by process %u at %.3f",
			one.kind, (unsigned long long)one.remainder, (unsigned long long)one.first,
			(unsigned long long)one.last, one.process, (double)(one.at_ms - WORLD_START_MS) / 1000,
			(unsigned long long)other.first, (unsigned long long)other.last, other.process,
			(double)(other.at_ms - WORLD_START_MS) / 1000);
}
