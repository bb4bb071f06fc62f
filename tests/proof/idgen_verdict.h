/* SPDX-License-Identifier: Apache-2.0
 *
 * Judges the records of all clients together: was any id given twice, and was each one what it should be?
 *
 *   intervals   all grants, sorted by what is constant in them; two that overlap share an id. O(grants).
 *   bitmap      each id that was used one by one, on its own: a second, independent look that knows nothing of strides.
 *   each id     in its layout's range, of the datacenter that was asked, of a time near that of its receipt.
 *   each file   (one thread's stream of single ids): strictly increasing where datacenter and slot are the same.
 */
#ifndef IDGEN_VERDICT_H
#define IDGEN_VERDICT_H

#include <stdio.h>

#include "idgen_records.h"

/* A datacenter's clocks were disturbed on purpose: times of ids that were received then prove nothing. */
struct verdict_disturbance {
	unsigned datacenter;
	int64_t from_ms, to_ms; /* since 1970 */
};

struct verdict_input {
	const struct records_file *files;
	const char *const *names; /* of the files, for people */
	size_t files_len;
	const struct verdict_disturbance *disturbances;
	size_t disturbances_len;
	bool any_datacenter; /* ids of a scheme without datacenters: only duplicates count */
	FILE *out;           /* the first findings of each kind, for people; NULL: nowhere */
};

struct verdict {
	uint64_t records;
	uint64_t granted;             /* ids in the intervals */
	uint64_t consumed;            /* ids in the bitmap */
	uint64_t duplicates;          /* ids in more than one interval, once for each further one */
	uint64_t duplicate_intervals; /* intervals that overlap an earlier one */
	uint64_t consumed_twice;      /* ids that were in the bitmap already */
	uint64_t out_of_layout;       /* records with another stride, 0, or ids beyond the layout's bits */
	uint64_t wrong_datacenter;    /* records */
	uint64_t wrong_time;          /* records */
	uint64_t time_checked;        /* records */
	uint64_t not_increasing;      /* records */
};

/* False when memory runs out. */
bool verdict_judge(const struct verdict_input *input, struct verdict *ret_verdict);
/* Findings of all kinds together. */
uint64_t verdict_findings(const struct verdict *v);

/* An id may be so much older than its receipt: a client's stock (5 s), a slow machine; or newer: ids run ahead of the
 * clock by up to 2 s. */
#define VERDICT_BEHIND_MS 15000
#define VERDICT_AHEAD_MS 4000

#endif
