/* SPDX-License-Identifier: Apache-2.0
 *
 * What a job makes for people to take away: written piece by piece in the transactions of its chunks, read as a whole.
 */
#include <stdlib.h>

#include <zstd.h>

#include "job_statements.h"
#include "job_work.h"

#define COMPRESSION_LEVEL 3

int kontor_chunk_output(kontor_conn *tx, kontor_chunk *chunk, uint32_t piece, const void *data, size_t size,
			struct kontor_error *err)
{
	const struct job_lease *lease = &chunk->job->lease;
	if (!kontor_db_in_transaction(tx))
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "kontor_chunk_output must be called in the transaction of a checkpoint");
	if (piece >= KONTOR_OUTPUT_PIECES || size == 0 || size > KONTOR_OUTPUT_PIECE_SIZE)
		return kontor_fail(
			err, KONTOR_E_TOO_BIG,
			"job %llu: piece %u of its output has %zu bytes: 1 to %u bytes in at most %u pieces are "
			"allowed",
			(unsigned long long)lease->job_id, piece, size, KONTOR_OUTPUT_PIECE_SIZE, KONTOR_OUTPUT_PIECES);
	size_t room = ZSTD_compressBound(size);
	char *packed = malloc(room);
	size_t packed_size = packed ? ZSTD_compress(packed, room, data, size, COMPRESSION_LEVEL) : 0;
	if (!packed || ZSTD_isError(packed_size)) {
		free(packed);
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the output of job %llu",
				   (unsigned long long)lease->job_id);
	}
	int rc = kontor_db_exec(tx, SQL_OUTPUT_ADD,
				KONTOR_PARAMS(P_UINT(lease->job_id), P_UINT(lease->chunk_no), P_UINT(piece),
					      P_UINT(size), P_BYTES(packed, packed_size)),
				NULL, err);
	free(packed);
	return rc;
}

int kontor_job_output_read(kontor_conn *conn, uint64_t job_id, uint64_t from, kontor_job_output_function fn, void *arg,
			   struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	uint64_t chunk_no = from / KONTOR_OUTPUT_PIECES, piece = from % KONTOR_OUTPUT_PIECES;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_OUTPUT_READ,
				 KONTOR_PARAMS(P_UINT(job_id), P_UINT(chunk_no), P_UINT(chunk_no), P_UINT(piece)),
				 &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc == 1)
		fn(arg, kontor_rows_uint(rows, 0) * KONTOR_OUTPUT_PIECES + kontor_rows_uint(rows, 1) + 1,
		   kontor_rows_text(rows, 2), kontor_rows_uint(rows, 3));
	kontor_rows_close(rows);
	return rc < 0 ? rc : 0;
}
