/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two passes of an upload's plan share. Not installed.
 */
#ifndef KONTOR_UPLOAD_PLAN_H
#define KONTOR_UPLOAD_PLAN_H

#include "upload_duplicates.h"
#include "upload_file.h"
#include "upload_packed.h"
#include "upload_pieces.h"

struct upload_range {      /* a chunk */
	uint64_t from, to; /* bytes of the file */
	uint64_t line;     /* of the byte at `from` */
	uint64_t rows;
};

struct upload_plan {
	kontor_job *job;
	struct upload_file file;
	EVP_MD_CTX *digest;
	kontor_arena *arena; /* of what identify() makes of the latest rows */
	enum kontor_upload_packing packing;
	upload_packed *packed; /* what the reader reads from, unless the file is plain */
	kontor_upload_reader *reader;
	uint64_t rows;
	struct kontor_upload_print *prints; /* of the good rows */
	size_t prints_len, prints_capacity;
	struct upload_range *chunks;
	size_t chunks_len, chunks_capacity;
	struct kontor_upload_repeats repeats;
};

/* Fills the row from the record and lets the kind judge it: verdict OK with its identity, or another one. A negative
 * answer: the job fails, or the file is refused. */
int upload_plan_identify(struct upload_plan *plan, const struct kontor_csv_record *record, uint64_t line,
			 struct kontor_row *row, struct kontor_identity *ret_identity, struct kontor_error *err);

/* From the prints of all rows to the repeats, in order of lines: reads those rows again that may be repeats. */
int upload_plan_find_repeats(struct upload_plan *plan, struct kontor_error *err);

#endif
