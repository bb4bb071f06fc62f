/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "upload_batch.h"
#include "upload_duplicates.h"
#include "upload_row.h"

/* Rows of a batch stay below 9 MiB, their pieces below 16; what identify() makes of them has the rest. */
#define BATCH_MEMORY (256u << 20)

int upload_batch_init(struct upload_batch *batch, const struct upload_file *file, struct kontor_error *err)
{
	memset(batch, 0, sizeof(*batch));
	batch->file = file;
	batch->arena = kontor_arena_new(BATCH_MEMORY);
	batch->rows = calloc(UPLOAD_BATCH_ROWS, sizeof(*batch->rows));
	batch->open = calloc(UPLOAD_BATCH_ROWS, sizeof(*batch->open));
	if (!batch->arena || !batch->rows || !batch->open)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %d rows", UPLOAD_BATCH_ROWS);
	return 0;
}

void upload_batch_release(struct upload_batch *batch)
{
	kontor_arena_free(batch->arena);
	free(batch->rows);
	free(batch->open);
}

/* ---- the entry of a batch in the chunk's input ---- */

void upload_range_write(const struct upload_range *range, kontor_writer *w)
{
	kontor_put_uint(w, "from", range->from);
	kontor_put_uint(w, "to", range->to);
	kontor_put_uint(w, "line", range->line);
	kontor_put_uint(w, "rows", range->rows);
}

int upload_batch_load(struct upload_batch *batch, kontor_conn *conn, const msgpack_object *entry,
		      struct kontor_error *err)
{
	const msgpack_object *repeats = kontor_get(entry, "repeats");
	kontor_arena_reset(batch->arena);
	batch->rows_len = batch->next_repeat = 0;
	batch->rows_expected = kontor_get_uint(entry, "rows", 0);
	batch->repeats = repeats && repeats->type == MSGPACK_OBJECT_ARRAY ? &repeats->via.array : NULL;
	batch->range = (struct kontor_upload_reader_options){.conn = conn,
							     .upload_id = batch->file->upload.upload_id,
							     .bytes = batch->file->plain_bytes,
							     .unpacked = batch->file->unpacked,
							     .from = kontor_get_uint(entry, "from", 0),
							     .to = kontor_get_uint(entry, "to", 0),
							     .line = kontor_get_uint(entry, "line", 0)};
	struct kontor_upload_reader_options *range = &batch->range;
	int rc = upload_pieces_load(range, batch->arena, batch->pieces, UPLOAD_BATCH_PIECES, &range->pieces_len, err);
	range->pieces = range->pieces_len ? batch->pieces : NULL;
	return rc;
}

bool upload_batch_is_loaded(const struct upload_batch *batch)
{
	return batch->range.pieces != NULL;
}

/* ---- reading ---- */

/* The plan's entry for this line, or NULL. */
static const msgpack_object *repeat_of(struct upload_batch *batch, uint64_t line)
{
	while (batch->repeats && batch->next_repeat < batch->repeats->size) {
		const msgpack_object *entry = &batch->repeats->ptr[batch->next_repeat];
		const msgpack_object *values = entry->via.array.ptr;
		if (values[0].via.u64 > line)
			return NULL;
		batch->next_repeat++;
		if (values[0].via.u64 == line)
			return values;
	}
	return NULL;
}

static void mark_repeat(struct upload_batch *batch, struct kontor_row *row)
{
	const msgpack_object *values = repeat_of(batch, row->line);
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

static int take_row(struct upload_batch *batch, struct kontor_csv_record *record, uint64_t line,
		    struct kontor_error *err)
{
	if (batch->rows_len == batch->rows_expected || batch->rows_len == UPLOAD_BATCH_ROWS ||
	    !upload_record_keep(record, batch->arena))
		return kontor_fail(err, KONTOR_E_INTERNAL, "line %llu is more than the batch may hold",
				   (unsigned long long)line);
	const struct upload_file *file = batch->file;
	struct kontor_row *row = &batch->rows[batch->rows_len];
	struct kontor_identity identity;
	upload_row_fill(file, record, line, row);
	int rc = 0;
	if (row->verdict == KONTOR_VERDICT_OK)
		rc = file->kind->identify(file->self, &file->upload, row, batch->arena, &identity, err);
	if (row->verdict == KONTOR_VERDICT_OK)
		mark_repeat(batch, row);
	batch->open[batch->rows_len++] = row->verdict == KONTOR_VERDICT_OK;
	return rc;
}

static int read_rows(struct upload_batch *batch, kontor_upload_reader *reader, struct kontor_error *err)
{
	struct kontor_csv_record record;
	uint64_t line;
	int rc;
	while ((rc = kontor_upload_reader_next(reader, &record, &line, err)) > 0) {
		rc = take_row(batch, &record, line, err);
		if (rc)
			return rc;
	}
	if (rc == 0 && batch->rows_len != batch->rows_expected)
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "%zu rows were planned, %zu found", batch->rows_expected,
				 batch->rows_len);
	return rc;
}

int upload_batch_read(void *arg, struct kontor_error *err)
{
	struct upload_batch *batch = arg;
	kontor_upload_reader *reader = NULL;
	int rc = kontor_upload_reader_new(&batch->range, &reader, err);
	if (rc == 0)
		rc = read_rows(batch, reader, err);
	kontor_upload_reader_free(reader);
	return rc;
}
