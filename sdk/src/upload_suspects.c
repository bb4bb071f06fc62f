/* SPDX-License-Identifier: Apache-2.0
 *
 * The second pass of an upload's plan. The first one kept a hash of each row; here the rows whose hash another row has
 * too are read again and compared exactly. Only the pieces that hold such rows are read, and of these rows at most
 * SUSPECTS_AT_ONCE are in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "upload_plan.h"
#include "upload_row.h"

#define SUSPECTS_AT_ONCE (1u << 20) /* 40 bytes each */

struct suspects {
	struct upload_plan *plan;
	const struct kontor_upload_print *prints; /* in order of rows */
	size_t len, next;
	struct kontor_upload_identified *found;
	kontor_upload_reader *reader;
	uint64_t position; /* number of the row that the reader comes to next */
};

static int by_row(const void *left, const void *right)
{
	const struct kontor_upload_print *a = left, *b = right;
	return (a->row > b->row) - (a->row < b->row);
}

/* To where the batch of the next suspect begins; the reader goes on from where it is if that is near. */
static int go_to_batch(struct suspects *suspects, const struct upload_range *batch, uint64_t first_row,
		       struct kontor_error *err)
{
	const struct upload_plan *plan = suspects->plan;
	if (suspects->reader &&
	    batch->from - kontor_upload_reader_position(suspects->reader) <= KONTOR_UPLOAD_PIECE_LIMIT)
		return 0;
	suspects->reader = kontor_upload_reader_free(suspects->reader);
	suspects->position = first_row;
	struct kontor_upload_reader_options options = {.conn = kontor_job_db(plan->job),
						       .upload_id = plan->file.upload.upload_id,
						       .bytes = plan->file.plain_bytes,
						       .unpacked = plan->file.unpacked,
						       .from = batch->from,
						       .to = plan->file.plain_bytes,
						       .line = batch->line};
	return kontor_upload_reader_new(&options, &suspects->reader, err);
}

static int changed(uint64_t row, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_INTERNAL, "row %llu of the file is another one than a moment ago",
			   (unsigned long long)row);
}

static int pass_rows(struct suspects *suspects, uint64_t until, struct kontor_error *err)
{
	int rc = 1;
	for (; suspects->position < until && rc > 0; suspects->position++)
		rc = kontor_upload_reader_skip(suspects->reader, err);
	return rc > 0 ? 0 : rc < 0 ? rc : changed(suspects->position, err);
}

static int identify_next(struct suspects *suspects, struct kontor_error *err)
{
	struct kontor_csv_record record;
	struct kontor_row row;
	struct kontor_upload_identified *found = &suspects->found[suspects->next];
	const struct kontor_upload_print *print = &suspects->prints[suspects->next];
	int rc = pass_rows(suspects, print->row, err);
	if (rc)
		return rc;
	rc = kontor_upload_reader_next(suspects->reader, &record, &found->line, err);
	if (rc <= 0)
		return rc < 0 ? rc : changed(print->row, err);
	suspects->position++;
	suspects->next++;
	struct upload_plan *plan = suspects->plan;
	struct kontor_error why = KONTOR_ERROR_INIT;
	kontor_arena *arena = plan->blocks[0].arena;
	kontor_arena_reset(arena);
	upload_row_fill(&plan->file, &record, found->line, &row);
	rc = upload_plan_identify(plan, &row, arena, &found->identity, &why);
	if (rc)
		return upload_plan_give_up(plan, rc, &why, err);
	if (row.verdict != KONTOR_VERDICT_OK)
		rc = changed(print->row, err);
	return rc;
}

/* Fills `found` with the identities of the suspects. */
static int identify_all(struct suspects *suspects, struct kontor_error *err)
{
	const struct upload_plan *plan = suspects->plan;
	uint64_t first_row = 0;
	int rc = 0;
	for (size_t i = 0; i < plan->batches_len && suspects->next < suspects->len && rc == 0; i++) {
		uint64_t end_row = first_row + plan->batches[i].rows;
		if (suspects->prints[suspects->next].row < end_row) {
			if (kontor_job_stopping(plan->job))
				return KONTOR_JOB_STOPPED;
			rc = go_to_batch(suspects, &plan->batches[i], first_row, err);
		}
		while (rc == 0 && suspects->next < suspects->len && suspects->prints[suspects->next].row < end_row)
			rc = identify_next(suspects, err);
		first_row = end_row;
	}
	return rc;
}

static int compare_share(struct upload_plan *plan, struct kontor_upload_print *prints, size_t len,
			 struct kontor_error *err)
{
	struct suspects suspects = {.plan = plan, .prints = prints, .len = len};
	qsort(prints, len, sizeof(*prints), by_row);
	suspects.found = reallocarray(NULL, len, sizeof(*suspects.found));
	int rc = suspects.found ? identify_all(&suspects, err)
				: kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for comparing %zu rows", len);
	kontor_upload_reader_free(suspects.reader);
	if (rc == 0)
		rc = kontor_upload_find_repeats(suspects.found, len, plan->file.kind->contradictions, &plan->repeats,
						err);
	free(suspects.found);
	return rc;
}

int upload_plan_find_repeats(struct upload_plan *plan, struct kontor_error *err)
{
	size_t len = kontor_upload_find_suspects(plan->prints, plan->prints_len);
	int rc = 0;
	plan->file.upload.wants_facts = true;
	for (size_t from = 0, to; from < len && rc == 0; from = to) {
		to = kontor_upload_suspects_end(plan->prints, len, from, SUSPECTS_AT_ONCE);
		rc = compare_share(plan, plan->prints + from, to - from, err);
	}
	if (rc == 0)
		kontor_upload_sort_repeats(&plan->repeats);
	return rc;
}
