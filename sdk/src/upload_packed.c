/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_packed.h"

#include <stdlib.h>

#include <zstd.h>

#include "upload_pieces.h"
#include "upload_statements.h"

#define COMPRESSION_LEVEL 1 /* as the pieces that come in: plugins/upload/receive.c */
#define MAGIC_SIZE 4

struct upload_packed {
	struct upload_packed_options options;
	kontor_upload_unpacker *unpacker;
	uint64_t loaded;           /* bytes of the sent file up to the end of `unread` */
	struct kontor_text unread; /* of `piece` */
	uint64_t given;            /* bytes of the unpacked file */
	char *piece;
	char *kept; /* the block as it is stored */
	size_t kept_size, kept_capacity;
};

int upload_packed_detect(kontor_conn *conn, uint64_t upload_id, uint64_t bytes, enum kontor_upload_packing *ret_packing,
			 struct kontor_error *err)
{
	size_t have = 0;
	char *beginning = malloc(KONTOR_UPLOAD_PIECE_LIMIT + MAGIC_SIZE);
	int rc = beginning ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for reading a file");
	while (rc == 0 && have < MAGIC_SIZE && have < bytes) { /* nobody has to send more than a byte at first */
		size_t size = 0;
		rc = upload_piece_load(conn, SQL_PIECE_AT, upload_id, have, beginning + have, &size, err);
		have += size;
	}
	if (rc == 0)
		*ret_packing = kontor_upload_packing_of((struct kontor_text){beginning, have});
	free(beginning);
	return rc;
}

int upload_packed_new(const struct upload_packed_options *options, enum kontor_upload_packing packing,
		      upload_packed **ret_packed, struct kontor_error *err)
{
	upload_packed *packed = calloc(1, sizeof(*packed));
	if (packed) {
		packed->options = *options;
		packed->kept_capacity = ZSTD_compressBound(KONTOR_UPLOAD_PIECE_LIMIT);
		packed->piece = malloc(KONTOR_UPLOAD_PIECE_LIMIT);
		packed->kept = malloc(packed->kept_capacity);
	}
	if (!packed || !packed->piece || !packed->kept) {
		upload_packed_free(packed);
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for unpacking upload %llu",
				   (unsigned long long)options->upload_id);
	}
	int rc = kontor_upload_unpacker_new(packing, &packed->unpacker, err);
	if (rc) {
		upload_packed_free(packed);
		return rc;
	}
	*ret_packed = packed;
	return 0;
}

upload_packed *upload_packed_free(upload_packed *packed)
{
	if (packed) {
		kontor_upload_unpacker_free(packed->unpacker);
		free(packed->piece);
		free(packed->kept);
	}
	free(packed);
	return NULL;
}

static int load_piece(upload_packed *packed, struct kontor_error *err)
{
	const struct upload_packed_options *options = &packed->options;
	size_t size = 0;
	int rc = upload_piece_load(options->conn, SQL_PIECE_AT, options->upload_id, packed->loaded, packed->piece,
				   &size, err);
	if (rc == 0 && !EVP_DigestUpdate(options->digest, packed->piece, size))
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "upload %llu: SHA-256 failed",
				 (unsigned long long)options->upload_id);
	if (rc)
		return rc;
	packed->unread = (struct kontor_text){packed->piece, size};
	packed->loaded += size;
	return 0;
}

static int fill_block(upload_packed *packed, char *block, size_t *ret_size, struct kontor_error *err)
{
	*ret_size = 0;
	while (*ret_size < KONTOR_UPLOAD_PIECE_LIMIT) {
		size_t more = 0;
		int rc = kontor_upload_unpack(packed->unpacker, &packed->unread, block + *ret_size,
					      KONTOR_UPLOAD_PIECE_LIMIT - *ret_size, &more, err);
		*ret_size += more;
		if (rc || *ret_size == KONTOR_UPLOAD_PIECE_LIMIT)
			return rc;
		if (packed->loaded == packed->options.bytes)
			return kontor_upload_unpack_end(packed->unpacker, err);
		rc = load_piece(packed, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int keep_block(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const upload_packed *packed = arg;
	return kontor_db_exec(tx, SQL_KEEP_PLAIN,
			      KONTOR_PARAMS(P_UINT(packed->options.upload_id), P_UINT(packed->given),
					    P_BYTES(packed->kept, packed->kept_size)),
			      NULL, err);
}

int upload_packed_next(upload_packed *packed, char *block, size_t *ret_size, struct kontor_error *err)
{
	int rc = fill_block(packed, block, ret_size, err);
	if (rc || *ret_size == 0)
		return rc;
	packed->kept_size = ZSTD_compress(packed->kept, packed->kept_capacity, block, *ret_size, COMPRESSION_LEVEL);
	if (ZSTD_isError(packed->kept_size))
		return kontor_fail(err, KONTOR_E_INTERNAL, "upload %llu: a block cannot be compressed: %s",
				   (unsigned long long)packed->options.upload_id, ZSTD_getErrorName(packed->kept_size));
	rc = kontor_db_transaction(packed->options.conn, keep_block, packed, err);
	packed->given += *ret_size;
	return rc;
}
