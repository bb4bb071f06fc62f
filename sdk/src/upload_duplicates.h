/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of one file that repeat or contradict each other. Not installed.
 */
#ifndef KONTOR_UPLOAD_DUPLICATES_H
#define KONTOR_UPLOAD_DUPLICATES_H

#include "kontor/upload.h"

#pragma GCC visibility push(default)

struct kontor_upload_identified { /* 40 bytes for each good row of a file: what planning an upload costs in memory */
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

/* Reorders `rows`. *ret_repeats (free() it; NULL when there is none) is in order of lines. contradictions: as in struct
 * kontor_upload_kind. INTERNAL when out of memory. */
int kontor_upload_find_repeats(struct kontor_upload_identified *rows, size_t rows_len,
			       enum kontor_verdict contradictions, struct kontor_upload_repeat **ret_repeats,
			       size_t *ret_repeats_len, struct kontor_error *err);

#pragma GCC visibility pop
#endif
