/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of an uploaded file, read from its pieces in bounded memory. Not installed.
 */
#ifndef KONTOR_UPLOAD_PIECES_H
#define KONTOR_UPLOAD_PIECES_H

#include <openssl/evp.h>

#include "kontor/arena.h"
#include "kontor/csv.h"
#include "kontor/db.h"

struct upload_packed;

#pragma GCC visibility push(default)

#define KONTOR_UPLOAD_PIECE_LIMIT (1u << 20) /* bytes of the file in one piece */

typedef struct kontor_upload_reader kontor_upload_reader; /* one thread at a time */

/* A piece as it is stored. */
struct kontor_upload_piece {
	uint64_t offset; /* of its first byte in the file */
	struct kontor_text packed;
};

struct kontor_upload_reader_options {
	kontor_conn *conn;
	uint64_t upload_id;
	uint64_t bytes;     /* of the whole file */
	uint64_t from, to;  /* records that begin in [from, to); `from` is the border of a record */
	uint64_t line;      /* of the byte at `from`, counted from 1 */
	EVP_MD_CTX *digest; /* gets the bytes of the whole file (from == 0); NULL: none */
	bool unpacked;      /* the file came packed and `bytes`, from, to are of what it unpacks to, in upload_plain */
	/* Or it is being unpacked: gives the bytes one after the other from 0 on; `bytes` and `to` are UINT64_MAX. NULL
	 * else. Borrowed. */
	struct upload_packed *packed;
	/* Or its pieces from the one with `from` to the one with the byte before `to` were loaded before; `conn` is not
	 * used. NULL else. Borrowed. */
	const struct kontor_upload_piece *pieces;
	size_t pieces_len;
};

int kontor_upload_reader_new(const struct kontor_upload_reader_options *options, kontor_upload_reader **ret_reader,
			     struct kontor_error *err);
kontor_upload_reader *kontor_upload_reader_free(kontor_upload_reader *reader); /* NULL is fine; returns NULL */

/* 1: a record with its fields and the line it begins on, borrowed until the next call; 0: no more; negative: failed
 * (NOT_FOUND: the pieces are gone). A line beyond KONTOR_UPLOAD_PIECE_LIMIT comes as TOO_LONG with its first 64 KiB. */
int kontor_upload_reader_next(kontor_upload_reader *reader, struct kontor_csv_record *ret_record, uint64_t *ret_line,
			      struct kontor_error *err);
/* Passes one record without looking into it: 1, 0 or negative as above. */
int kontor_upload_reader_skip(kontor_upload_reader *reader, struct kontor_error *err);
uint64_t
kontor_upload_reader_position(const kontor_upload_reader *reader);      /* bytes of the file before the next record */
uint64_t kontor_upload_reader_line(const kontor_upload_reader *reader); /* of the byte at the position */

#pragma GCC visibility pop

/* Reads the piece with byte `offset` by SQL_PIECE_AT or SQL_PLAIN_AT: its bytes from `offset` on, at most
 * KONTOR_UPLOAD_PIECE_LIMIT, at least one. NOT_FOUND: the pieces are gone. */
int upload_piece_load(kontor_conn *conn, const char *sql, uint64_t upload_id, uint64_t offset, char *out,
		      size_t *ret_size, struct kontor_error *err);

/* Loads the pieces with the bytes from `from` up to `to` into the arena. None (*ret_len 0) when they are more than
 * `limit` or do not fit: then they have to be read one by one. NOT_FOUND: they are gone. */
int upload_pieces_load(const struct kontor_upload_reader_options *range, kontor_arena *arena,
		       struct kontor_upload_piece *ret_pieces, size_t limit, size_t *ret_len, struct kontor_error *err);

#endif
