/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of one namespace of layout segment: dense, at any rate, without time. Segments of them are reserved by
 * compare-and-set on the namespace's max_n before they are used; what a unit does not use is lost.
 */
#ifndef IDGEN_SEGMENT_H
#define IDGEN_SEGMENT_H

#include "reservation.h"

#define SEGMENT_NAME_SIZE 33u

struct segment {
	struct allocator allocator;
	char name[SEGMENT_NAME_SIZE];
	uint64_t size;       /* of the last reservation; 0: none yet */
	int64_t reserved_ms; /* when it was made; monotonic */
};

void segment_init(struct segment *segment, const char *name, unsigned datacenter, struct allocator_time now);
void segment_destroy(struct segment *segment);

/* Somebody asked for numbers that are not there, or fewer than half of the last reservation are left. */
bool segment_due(struct segment *segment);
/* Adds the namespace if the database has lost reservations of it that are known. */
int segment_find_lost(const struct segment *segment, const struct reservation *reservation,
		      struct lost_reservations *lost, struct kontor_error *err);
/* Does what is due. */
int segment_step(struct segment *segment, struct reservation *reservation, struct kontor_error *err);

#endif
