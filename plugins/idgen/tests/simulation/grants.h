/* SPDX-License-Identifier: Apache-2.0
 *
 * All ids that were handed out in a run, and whether one of them was handed out twice.
 */
#ifndef SIMULATION_GRANTS_H
#define SIMULATION_GRANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kontor/ids.h"

#define GRANTS_LIMIT 65536u

/* Neighbours of one process are one. */
struct grant {
	unsigned kind;
	uint64_t remainder;   /* of the id by the stride: datacenter and slot */
	uint64_t first, last; /* counters */
	unsigned process;     /* who gave them: a unit's life, and */
	int64_t at_ms;        /* when */
};

struct grants {
	struct grant *grants;
	size_t len;
	uint64_t ids;
};

void grants_add(struct grants *all, unsigned kind, struct kontor_id_range range, unsigned process, int64_t at_ms);
/* Sorts them. False: *ret_one and *ret_other have ids in common. */
bool grants_are_disjoint(struct grants *all, struct grant *ret_one, struct grant *ret_other);

#endif
