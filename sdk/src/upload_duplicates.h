/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of one file that repeat or contradict each other: first those that may, by 64-bit hashes, then exactly. Not
 * installed.
 */
#ifndef KONTOR_UPLOAD_DUPLICATES_H
#define KONTOR_UPLOAD_DUPLICATES_H

#include "kontor/upload.h"

#pragma GCC visibility push(default)

/* ---- by hash: what planning an upload costs in memory, 12 bytes for each good row ---- */

struct kontor_upload_print {
	uint32_t high, low; /* of the hash; in halves, so that the struct has no padding */
	uint32_t row;       /* its place in the file, the first row is 0 */
};

struct kontor_upload_print kontor_upload_print_of(const struct kontor_identity *identity, uint32_t row);
/* Moves the prints that share their hash with another one to the front, equal ones beside each other; returns how many
 * these are. The rest is undefined. In place. */
size_t kontor_upload_find_suspects(struct kontor_upload_print *prints, size_t len);
/* Of sorted suspects from `from` on: where a share of about `limit` ends, no two equal ones apart. */
size_t kontor_upload_suspects_end(const struct kontor_upload_print *suspects, size_t len, size_t from, size_t limit);

/* ---- exactly ---- */

struct kontor_upload_identified {
	struct kontor_identity identity;
	uint64_t line;
};

enum kontor_upload_repeat_kind {
	KONTOR_UPLOAD_SAME_ROW,      /* same identity, same facts: duplicate_in_file */
	KONTOR_UPLOAD_SAME_IDENTITY, /* same identity, other facts, and the first line counts: duplicate_in_file */
	KONTOR_UPLOAD_CONTRADICTION, /* same identity, other facts, and none counts: conflict */
};

struct kontor_upload_repeat {
	uint64_t line;
	uint64_t other_line; /* that it repeats or contradicts */
	enum kontor_upload_repeat_kind kind;
};

struct kontor_upload_repeats {
	struct kontor_upload_repeat *rows; /* free() it */
	size_t len, capacity;
};

/* Reorders `rows`, which hold all rows of each of their identities, and adds the repeats among them. contradictions: as
 * in struct kontor_upload_kind. INTERNAL when out of memory. */
int kontor_upload_find_repeats(struct kontor_upload_identified *rows, size_t rows_len,
			       enum kontor_verdict contradictions, struct kontor_upload_repeats *repeats,
			       struct kontor_error *err);
/* Into the order of lines. */
void kontor_upload_sort_repeats(struct kontor_upload_repeats *repeats);

#pragma GCC visibility pop
#endif
