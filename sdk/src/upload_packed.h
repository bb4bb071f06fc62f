/* SPDX-License-Identifier: Apache-2.0
 *
 * The pieces of a packed file, unpacked while the plan reads them. Each block of the unpacked file is kept in table
 * upload_plain, where the chunks find it. Not installed.
 */
#ifndef KONTOR_UPLOAD_PACKED_H
#define KONTOR_UPLOAD_PACKED_H

#include <openssl/evp.h>

#include "kontor/db.h"
#include "upload_unpack.h"

typedef struct upload_packed upload_packed; /* one thread at a time */

struct upload_packed_options {
	kontor_conn *conn;
	uint64_t upload_id;
	uint64_t bytes;     /* of the file as it was sent */
	EVP_MD_CTX *digest; /* gets these bytes */
};

/* How the file is packed, by its first bytes. */
int upload_packed_detect(kontor_conn *conn, uint64_t upload_id, uint64_t bytes, enum kontor_upload_packing *ret_packing,
			 struct kontor_error *err);

int upload_packed_new(const struct upload_packed_options *options, enum kontor_upload_packing packing,
		      upload_packed **ret_packed, struct kontor_error *err);
upload_packed *upload_packed_free(upload_packed *packed); /* NULL is fine; returns NULL */

/* The next KONTOR_UPLOAD_PIECE_LIMIT bytes of the unpacked file, fewer only at its end (then 0). In a transaction of
 * its own they are kept; that a block is there already, from a plan that was broken off, is fine: the same file unpacks
 * to the same blocks. BAD_REQUEST: the file is damaged, cut off or too big. */
int upload_packed_next(upload_packed *packed, char *block, size_t *ret_size, struct kontor_error *err);

#endif
