/* SPDX-License-Identifier: Apache-2.0
 *
 * A batch: the rows of a file that are judged and stored in one transaction. The plan cuts the file into batches, and
 * some batches in a row are a chunk. Not installed.
 */
#ifndef KONTOR_UPLOAD_BATCH_H
#define KONTOR_UPLOAD_BATCH_H

#include "upload_file.h"
#include "upload_pieces.h"

/* 10,000 rows are one transaction of about 50 ms, little enough for a Galera write set. */
#define UPLOAD_BATCH_ROWS 10000
/* Its rejects, at worst the whole batch, go in one packet: the server's max_allowed_packet is 16 MiB by default. */
#define UPLOAD_BATCH_BYTES (8u << 20)

#define UPLOAD_BATCH_PIECES 16 /* that are in memory at once */

struct upload_batch {
	const struct upload_file *file;
	kontor_arena *arena;
	struct kontor_row *rows; /* UPLOAD_BATCH_ROWS */
	bool *open;              /* by row: nothing was decided before the kind sees it */
	size_t rows_len;

	/* What it is to hold, from upload_batch_load() on. */
	struct kontor_upload_reader_options range;
	struct kontor_upload_piece pieces[UPLOAD_BATCH_PIECES];
	size_t rows_expected;
	const msgpack_object_array *repeats; /* of the plan: [line, kind, other line] in order of lines */
	size_t next_repeat;
};

int upload_batch_init(struct upload_batch *batch, const struct upload_file *file, struct kontor_error *err);
void upload_batch_release(struct upload_batch *batch); /* also of one that is all zero */

/* Loads the bytes of the batch that `entry` of the chunk's input describes; forgets the rows it had. */
int upload_batch_load(struct upload_batch *batch, kontor_conn *conn, const msgpack_object *entry,
		      struct kontor_error *err);
/* Whether all its bytes are loaded, so that another thread may read it while this one uses the session. */
bool upload_batch_is_loaded(const struct upload_batch *batch);
/* Reads its rows, lets the kind identify them and marks those that the plan knows to repeat others. arg: a struct
 * upload_batch that was loaded. */
int upload_batch_read(void *arg, struct kontor_error *err);

/* Writes an entry of a chunk's input but for its repeats, within a map that the caller ends. */
struct upload_range {
	uint64_t from, to; /* bytes of the file */
	uint64_t line;     /* of the byte at `from` */
	uint64_t rows;
};
void upload_range_write(const struct upload_range *range, kontor_writer *w);

#endif
