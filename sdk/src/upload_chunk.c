/* SPDX-License-Identifier: Apache-2.0
 *
 * One chunk of an upload: reads its rows again, marks those that the plan knows to repeat others, and lets the kind
 * judge and store the rest; verdicts, rejects and the chunk's checkpoint are one transaction.
 */
#include <stdlib.h>
#include <string.h>

#include "upload_duplicates.h"
#include "upload_pieces.h"
#include "upload_row.h"
#include "upload_statements.h"
#include "upload_totals.h"

/* Rows of a chunk stay below 9 MiB; what identify() makes of them has the rest. */
#define CHUNK_MEMORY (256u << 20)

struct chunk_work {
	kontor_chunk *chunk;
	struct upload_file file;
	kontor_arena *arena;
	kontor_upload_reader *reader;
	struct kontor_row *rows;
	bool *open; /* by row: nothing was decided before the kind sees it */
	size_t rows_len, rows_expected;
	const msgpack_object_array *repeats; /* of the plan: [line, kind, other line] in order of lines */
	size_t next_repeat;
};

static int open_chunk(struct chunk_work *work, kontor_job *job, struct kontor_error *err)
{
	const msgpack_object *input = kontor_chunk_input(work->chunk);
	const msgpack_object *repeats = kontor_get(input, "repeats");
	work->rows_expected = kontor_get_uint(input, "rows", 0);
	work->repeats = repeats && repeats->type == MSGPACK_OBJECT_ARRAY ? &repeats->via.array : NULL;
	work->arena = kontor_arena_new(CHUNK_MEMORY);
	work->rows = calloc(work->rows_expected, sizeof(*work->rows));
	work->open = calloc(work->rows_expected, sizeof(*work->open));
	if (!work->arena || !work->rows || !work->open)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu rows", work->rows_expected);
	struct kontor_upload_reader_options options = {.conn = kontor_job_db(job),
						       .upload_id = work->file.upload.upload_id,
						       .bytes = work->file.plain_bytes,
						       .unpacked = work->file.unpacked,
						       .from = kontor_get_uint(input, "from", 0),
						       .to = kontor_get_uint(input, "to", 0),
						       .line = kontor_get_uint(input, "line", 0)};
	return kontor_upload_reader_new(&options, &work->reader, err);
}

static void release(struct chunk_work *work)
{
	kontor_upload_reader_free(work->reader);
	kontor_arena_free(work->arena);
	free(work->rows);
	free(work->open);
}

/* The reader's next record overwrites this one: moves the record's bytes, and fields that were unquoted elsewhere. */
static bool keep_record(kontor_arena *arena, struct kontor_csv_record *record)
{
	const char *raw = record->raw.data;
	char *kept = kontor_arena_copy(arena, raw, record->raw.size);
	if (!kept)
		return false;
	for (size_t i = 0; i < record->fields_len; i++) {
		struct kontor_text *field = &record->fields[i];
		if (field->data >= raw && field->data <= raw + record->raw.size)
			field->data = kept + (field->data - raw);
		else
			field->data = kontor_arena_copy(arena, field->data, field->size);
		if (!field->data)
			return false;
	}
	record->raw.data = kept;
	return true;
}

/* The plan's entry for this line, or NULL. */
static const msgpack_object *repeat_of(struct chunk_work *work, uint64_t line)
{
	while (work->repeats && work->next_repeat < work->repeats->size) {
		const msgpack_object *entry = &work->repeats->ptr[work->next_repeat];
		const msgpack_object *values = entry->via.array.ptr;
		if (values[0].via.u64 > line)
			return NULL;
		work->next_repeat++;
		if (values[0].via.u64 == line)
			return values;
	}
	return NULL;
}

static void mark_repeat(struct chunk_work *work, struct kontor_row *row)
{
	const msgpack_object *values = repeat_of(work, row->line);
	if (!values)
		return;
	unsigned long long other_line = values[2].via.u64;
	switch ((enum kontor_upload_repeat_kind)values[1].via.u64) {
	case KONTOR_UPLOAD_SAME_ROW:
		kontor_row_reject(row, KONTOR_VERDICT_DUPLICATE_IN_FILE, -1, "the same as line %llu", other_line);
		break;
	case KONTOR_UPLOAD_SAME_IDENTITY:
		kontor_row_reject(row, KONTOR_VERDICT_DUPLICATE_IN_FILE, -1,
				  "line %llu is about the same with other values; only the first line counts",
				  other_line);
		break;
	case KONTOR_UPLOAD_CONTRADICTION:
		kontor_row_reject(row, KONTOR_VERDICT_CONFLICT, -1,
				  "line %llu has the same identity with other facts; neither counts", other_line);
		break;
	}
}

static int take_row(struct chunk_work *work, struct kontor_csv_record *record, uint64_t line, struct kontor_error *err)
{
	if (work->rows_len == work->rows_expected || !keep_record(work->arena, record))
		return kontor_fail(err, KONTOR_E_INTERNAL, "line %llu is more than the chunk may hold",
				   (unsigned long long)line);
	struct kontor_row *row = &work->rows[work->rows_len];
	struct kontor_identity identity;
	upload_row_fill(&work->file, record, line, row);
	int rc = 0;
	if (row->verdict == KONTOR_VERDICT_OK)
		rc = work->file.kind->identify(work->file.self, &work->file.upload, row, work->arena, &identity, err);
	if (row->verdict == KONTOR_VERDICT_OK)
		mark_repeat(work, row);
	work->open[work->rows_len++] = row->verdict == KONTOR_VERDICT_OK;
	return rc;
}

static int read_rows(struct chunk_work *work, struct kontor_error *err)
{
	struct kontor_csv_record record;
	uint64_t line;
	int rc;
	while ((rc = kontor_upload_reader_next(work->reader, &record, &line, err)) > 0) {
		rc = take_row(work, &record, line, err);
		if (rc)
			return rc;
	}
	if (rc == 0 && work->rows_len != work->rows_expected)
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "%zu rows were planned, %zu found", work->rows_expected,
				 work->rows_len);
	return rc;
}

static int store_rejects(kontor_conn *tx, const struct chunk_work *work, struct kontor_error *err)
{
	kontor_bulk *bulk = kontor_bulk_new("uuusssb");
	int rc = bulk ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the rejects of a chunk");
	for (size_t i = 0; i < work->rows_len && rc == 0; i++) {
		const struct kontor_row *row = &work->rows[i];
		if (!kontor_verdict_rejects(row->verdict))
			continue;
		const char *column = kontor_upload_header_name(&work->file.header, work->file.kind, row->column);
		rc = kontor_bulk_add(bulk,
				     KONTOR_PARAMS(P_UINT(work->file.upload.upload_id), P_UINT(row->line),
						   P_UINT(row->column), P_STRING(column),
						   P_STRING(kontor_verdict_name(row->verdict)), P_STRING(row->reason),
						   P_BYTES(row->raw.data, row->raw.size)),
				     err);
	}
	if (rc == 0)
		rc = kontor_bulk_exec(tx, SQL_INSERT_REJECT, bulk, NULL, err);
	kontor_bulk_free(bulk);
	return rc;
}

static int store_totals(kontor_conn *tx, const struct chunk_work *work, struct kontor_error *err)
{
	struct upload_totals totals = {0};
	for (size_t i = 0; i < work->rows_len; i++) {
		const struct kontor_row *row = &work->rows[i];
		struct upload_total one = {.verdict = row->verdict, .rows = 1};
		if (row->currency[0]) {
			memcpy(one.currency, row->currency, sizeof(one.currency));
			one.amount_minor = row->amount_minor;
		}
		int rc = upload_totals_add(&totals, &one, err);
		if (rc)
			return rc;
	}
	return upload_totals_store(tx, work->file.upload.upload_id, kontor_chunk_no(work->chunk), &totals, err);
}

/* May run again on the same rows: what the kind decided the last time is forgotten. */
static int judge_and_store(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct chunk_work *work = arg;
	for (size_t i = 0; i < work->rows_len; i++) {
		if (work->open[i]) {
			work->rows[i].verdict = KONTOR_VERDICT_OK;
			work->rows[i].column = 0;
			work->rows[i].reason[0] = '\0';
		}
	}
	int rc = work->file.kind->apply(work->file.self, tx, &work->file.upload, work->rows, work->rows_len, err);
	if (rc == 0)
		rc = store_rejects(tx, work, err);
	if (rc == 0)
		rc = store_totals(tx, work, err);
	return rc ? rc : kontor_chunk_done(tx, work->chunk, NULL, 0, work->rows_len, err);
}

/* BUSY from apply() means that a row has to wait, perhaps for another upload's approval: the job waits and comes back.
 */
int upload_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err)
{
	struct chunk_work work = {.chunk = chunk};
	int rc = upload_file_load(self, job, &work.file, err);
	if (rc == 0)
		rc = open_chunk(&work, job, err);
	if (rc == 0)
		rc = read_rows(&work, err);
	if (rc == 0)
		rc = kontor_db_transaction(kontor_job_db(job), judge_and_store, &work, err);
	release(&work);
	return rc;
}
