/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two passes of an upload's plan share. Not installed.
 */
#ifndef KONTOR_UPLOAD_PLAN_H
#define KONTOR_UPLOAD_PLAN_H

#include "upload_batch.h"
#include "upload_duplicates.h"
#include "upload_helper.h"
#include "upload_packed.h"

#define UPLOAD_BLOCK_ROWS 1024

/* Rows that were read together and are identified together, while the next ones are read. */
struct upload_block {
	struct upload_plan *plan;
	kontor_arena *arena;
	struct kontor_row *rows; /* UPLOAD_BLOCK_ROWS */
	size_t rows_len;
	uint64_t first;                                       /* number of its first row in the file, from 0 */
	struct kontor_upload_print prints[UPLOAD_BLOCK_ROWS]; /* of the good rows, once they are identified */
	size_t prints_len;
};

struct upload_plan {
	kontor_job *job;
	struct upload_file file;
	EVP_MD_CTX *digest;
	enum kontor_upload_packing packing;
	upload_packed *packed; /* what the reader reads from, unless the file is plain */
	kontor_upload_reader *reader;
	uint64_t rows;
	struct upload_block blocks[2];
	upload_helper *helper;
	struct kontor_upload_print *prints; /* of the good rows */
	size_t prints_len, prints_capacity;
	struct upload_range *batches;
	size_t batches_len, batches_capacity;
	struct kontor_upload_repeats repeats;
};

/* Lets the kind judge a row that upload_row_fill() made: verdict OK with its identity, or another one. Any thread. */
int upload_plan_identify(const struct upload_plan *plan, struct kontor_row *row, kontor_arena *arena,
			 struct kontor_identity *ret_identity, struct kontor_error *err);
/* What a failure of the kind (why, rc) means: the job fails, or the file is refused. Never 0. */
int upload_plan_give_up(struct upload_plan *plan, int rc, const struct kontor_error *why, struct kontor_error *err);

/* From the prints of all rows to the repeats, in order of lines: reads those rows again that may be repeats. */
int upload_plan_find_repeats(struct upload_plan *plan, struct kontor_error *err);

#endif
