/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "upload_packed.h"
#include "upload_pieces.h"
#include "upload_statements.h"

/* What one record may leave unread in the buffer before its line counts as endless, and one more piece. */
#define BUFFER_SIZE (2 * (size_t)KONTOR_UPLOAD_PIECE_LIMIT)

static const char BYTE_ORDER_MARK[] = "\xef\xbb\xbf";
#define BYTE_ORDER_MARK_SIZE 3

struct kontor_upload_reader {
	struct kontor_upload_reader_options options;
	kontor_csv *csv;
	uint64_t loaded; /* bytes of the file up to the end of the buffer */
	uint64_t line;   /* of buffer[from] */
	size_t from, to; /* what is unread in the buffer */
	char *buffer;
	char long_line[KONTOR_CSV_LINE_LIMIT];
};

int kontor_upload_reader_new(const struct kontor_upload_reader_options *options, kontor_upload_reader **ret_reader,
			     struct kontor_error *err)
{
	struct kontor_upload_reader *reader = calloc(1, sizeof(*reader));
	if (reader) {
		reader->options = *options;
		reader->loaded = options->from;
		reader->line = options->line;
		reader->csv = kontor_csv_new();
		reader->buffer = malloc(BUFFER_SIZE);
	}
	if (!reader || !reader->csv || !reader->buffer) {
		kontor_upload_reader_free(reader);
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for reading upload %llu",
				   (unsigned long long)options->upload_id);
	}
	*ret_reader = reader;
	return 0;
}

kontor_upload_reader *kontor_upload_reader_free(kontor_upload_reader *reader)
{
	if (reader) {
		kontor_csv_free(reader->csv);
		free(reader->buffer);
	}
	free(reader);
	return NULL;
}

uint64_t kontor_upload_reader_position(const kontor_upload_reader *reader)
{
	return reader->loaded - (reader->to - reader->from);
}

uint64_t kontor_upload_reader_line(const kontor_upload_reader *reader)
{
	return reader->line;
}

static int unpack_piece(uint64_t upload_id, const struct kontor_upload_piece *piece, uint64_t offset, char *out,
			size_t *ret_size, struct kontor_error *err)
{
	size_t size = ZSTD_decompress(out, KONTOR_UPLOAD_PIECE_LIMIT, piece->packed.data, piece->packed.size);
	if (ZSTD_isError(size))
		return kontor_fail(err, KONTOR_E_STORAGE, "upload %llu: the piece at byte %llu is damaged: %s",
				   (unsigned long long)upload_id, (unsigned long long)piece->offset,
				   ZSTD_getErrorName(size));
	size_t before = (size_t)(offset - piece->offset);
	if (before >= size)
		return kontor_fail(err, KONTOR_E_STORAGE, "upload %llu: the piece with byte %llu is missing",
				   (unsigned long long)upload_id, (unsigned long long)offset);
	if (before > 0) /* only the first piece of a batch begins before it */
		memmove(out, out + before, size - before);
	*ret_size = size - before;
	return 0;
}

/* Its bytes are borrowed from the rows, which the caller closes. */
static int fetch_piece(kontor_conn *conn, const char *sql, uint64_t upload_id, uint64_t offset, kontor_rows **ret_rows,
		       struct kontor_upload_piece *ret_piece, struct kontor_error *err)
{
	*ret_rows = NULL;
	*ret_piece = (struct kontor_upload_piece){.offset = offset};
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, sql, KONTOR_PARAMS(P_UINT(upload_id), P_UINT(offset)), ret_rows,
				 err);
	if (rc)
		return rc;
	rc = kontor_rows_next(*ret_rows, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return kontor_fail(err, KONTOR_E_NOT_FOUND,
				   "the bytes of upload %llu are not kept any more: upload the file again",
				   (unsigned long long)upload_id);
	ret_piece->offset = kontor_rows_uint(*ret_rows, 0);
	ret_piece->packed = kontor_rows_text(*ret_rows, 1);
	return 0;
}

int upload_piece_load(kontor_conn *conn, const char *sql, uint64_t upload_id, uint64_t offset, char *out,
		      size_t *ret_size, struct kontor_error *err)
{
	kontor_rows *rows;
	struct kontor_upload_piece piece;
	int rc = fetch_piece(conn, sql, upload_id, offset, &rows, &piece, err);
	if (rc == 0)
		rc = unpack_piece(upload_id, &piece, offset, out, ret_size, err);
	kontor_rows_close(rows);
	return rc;
}

static const char *piece_statement(const struct kontor_upload_reader_options *options)
{
	return options->unpacked ? SQL_PLAIN_AT : SQL_PIECE_AT;
}

/* *ret_next: the byte behind it; `offset` when it cannot be unpacked or kept. */
static int keep_piece(const struct kontor_upload_reader_options *range, kontor_arena *arena, uint64_t offset,
		      struct kontor_upload_piece *ret_piece, uint64_t *ret_next, struct kontor_error *err)
{
	kontor_rows *rows;
	int rc = fetch_piece(range->conn, piece_statement(range), range->upload_id, offset, &rows, ret_piece, err);
	*ret_next = offset;
	if (rc == 0) {
		struct kontor_text *packed = &ret_piece->packed;
		unsigned long long size = ZSTD_getFrameContentSize(packed->data, packed->size);
		packed->data = kontor_arena_copy(arena, packed->data, packed->size);
		if (packed->data && size <= KONTOR_UPLOAD_PIECE_LIMIT && ret_piece->offset + size > offset)
			*ret_next = ret_piece->offset + size;
	}
	kontor_rows_close(rows);
	return rc;
}

int upload_pieces_load(const struct kontor_upload_reader_options *range, kontor_arena *arena,
		       struct kontor_upload_piece *ret_pieces, size_t limit, size_t *ret_len, struct kontor_error *err)
{
	uint64_t offset = range->from, next;
	*ret_len = 0;
	size_t len = 0;
	for (; offset < range->to && len < limit; len++) {
		int rc = keep_piece(range, arena, offset, &ret_pieces[len], &next, err);
		if (rc || next == offset)
			return rc;
		offset = next;
	}
	if (offset >= range->to)
		*ret_len = len;
	return 0;
}

/* The piece with byte `offset`, of those that were loaded before. */
static int unpack_loaded(const struct kontor_upload_reader_options *options, uint64_t offset, char *out,
			 size_t *ret_size, struct kontor_error *err)
{
	size_t i = options->pieces_len - 1;
	while (i > 0 && options->pieces[i].offset > offset)
		i--;
	return unpack_piece(options->upload_id, &options->pieces[i], offset, out, ret_size, err);
}

/* The end of a file that is being unpacked is where the unpacker comes to it. */
static int load_packed(struct kontor_upload_reader *reader, char *at, size_t *ret_size, struct kontor_error *err)
{
	int rc = upload_packed_next(reader->options.packed, at, ret_size, err);
	if (rc == 0 && *ret_size < KONTOR_UPLOAD_PIECE_LIMIT)
		reader->options.bytes = reader->options.to = reader->loaded + *ret_size;
	return rc;
}

/* More bytes behind what is unread. */
static int load_piece(struct kontor_upload_reader *reader, struct kontor_error *err)
{
	memmove(reader->buffer, reader->buffer + reader->from, reader->to - reader->from);
	reader->to -= reader->from;
	reader->from = 0;

	const struct kontor_upload_reader_options *options = &reader->options;
	char *at = reader->buffer + reader->to;
	size_t size = 0;
	int rc;
	if (options->packed)
		rc = load_packed(reader, at, &size, err);
	else if (options->pieces)
		rc = unpack_loaded(options, reader->loaded, at, &size, err);
	else
		rc = upload_piece_load(options->conn, piece_statement(options), options->upload_id, reader->loaded, at,
				       &size, err);
	if (rc)
		return rc;
	if (options->digest && !EVP_DigestUpdate(options->digest, at, size))
		return kontor_fail(err, KONTOR_E_INTERNAL, "upload %llu: SHA-256 failed",
				   (unsigned long long)options->upload_id);
	reader->to += size;
	reader->loaded += size;
	return 0;
}

/* Empty lines are no records: a file of nothing else must not pile up in the buffer. */
static void drop_empty_lines(struct kontor_upload_reader *reader)
{
	while (reader->from < reader->to) {
		const char *at = reader->buffer + reader->from;
		if (*at == '\n')
			reader->from += 1;
		else if (*at == '\r' && reader->from + 1 < reader->to && at[1] == '\n')
			reader->from += 2;
		else
			break;
		reader->line++;
	}
}

/* A line that does not end within the buffer: keeps its beginning and passes the rest. */
static int pass_long_line(struct kontor_upload_reader *reader, struct kontor_csv_record *ret_record, uint64_t *ret_line,
			  struct kontor_error *err)
{
	memcpy(reader->long_line, reader->buffer + reader->from, sizeof(reader->long_line));
	for (;;) {
		const char *from = reader->buffer + reader->from;
		const char *line_feed = memchr(from, '\n', reader->to - reader->from);
		if (line_feed) {
			reader->from += (size_t)(line_feed - from) + 1;
			break;
		}
		reader->from = reader->to;
		if (reader->loaded == reader->options.bytes)
			break;
		int rc = load_piece(reader, err);
		if (rc)
			return rc;
	}
	ret_record->raw = (struct kontor_text){reader->long_line, sizeof(reader->long_line)};
	ret_record->lines = 1;
	ret_record->fault = KONTOR_CSV_TOO_LONG;
	ret_record->fault_column = 0;
	ret_record->fields_len = 0;
	*ret_line = reader->line++;
	return 1;
}

static bool at_byte_order_mark(const struct kontor_upload_reader *reader)
{
	return kontor_upload_reader_position(reader) == 0 && reader->to - reader->from >= BYTE_ORDER_MARK_SIZE &&
	       memcmp(reader->buffer + reader->from, BYTE_ORDER_MARK, BYTE_ORDER_MARK_SIZE) == 0;
}

static int next_record(kontor_upload_reader *reader, bool want_fields, struct kontor_csv_record *ret_record,
		       uint64_t *ret_line, struct kontor_error *err)
{
	if (kontor_upload_reader_position(reader) >= reader->options.to)
		return 0;
	for (;;) {
		bool at_end = reader->loaded == reader->options.bytes;
		if (at_byte_order_mark(reader))
			reader->from += BYTE_ORDER_MARK_SIZE;
		struct kontor_text unread = {reader->buffer + reader->from, reader->to - reader->from};
		size_t skipped;
		size_t size = kontor_csv_next(reader->csv, unread, at_end, want_fields, ret_record, &skipped);
		if (size) {
			*ret_line = reader->line + skipped;
			reader->line += skipped + ret_record->lines;
			reader->from += size;
			return 1;
		}
		drop_empty_lines(reader);
		if (at_end)
			return 0;
		if (reader->to - reader->from > BUFFER_SIZE - KONTOR_UPLOAD_PIECE_LIMIT)
			return pass_long_line(reader, ret_record, ret_line, err);
		int rc = load_piece(reader, err);
		if (rc)
			return rc;
	}
}

int kontor_upload_reader_next(kontor_upload_reader *reader, struct kontor_csv_record *ret_record, uint64_t *ret_line,
			      struct kontor_error *err)
{
	return next_record(reader, true, ret_record, ret_line, err);
}

int kontor_upload_reader_skip(kontor_upload_reader *reader, struct kontor_error *err)
{
	struct kontor_csv_record record;
	uint64_t line;
	return next_record(reader, false, &record, &line, err);
}
