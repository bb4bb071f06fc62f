/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that came packed, unpacked in a stream. Not installed.
 */
#ifndef KONTOR_UPLOAD_UNPACK_H
#define KONTOR_UPLOAD_UNPACK_H

#include "kontor/error.h"
#include "kontor/text.h"

#pragma GCC visibility push(default)

#define KONTOR_UPLOAD_PLAIN_LIMIT (UINT64_C(8) << 30) /* bytes of an unpacked file */

enum kontor_upload_packing { KONTOR_UPLOAD_PLAIN, KONTOR_UPLOAD_GZIP, KONTOR_UPLOAD_ZSTD };

/* By the magic number that the file begins with. */
enum kontor_upload_packing kontor_upload_packing_of(struct kontor_text beginning);
const char *kontor_upload_packing_name(enum kontor_upload_packing packing); /* "gzip"; "" for plain */

typedef struct kontor_upload_unpacker kontor_upload_unpacker; /* one thread at a time */

/* GZIP: one or more members; ZSTD: one or more frames, windows of up to 128 MiB. */
int kontor_upload_unpacker_new(enum kontor_upload_packing packing, kontor_upload_unpacker **ret_unpacker,
			       struct kontor_error *err);
kontor_upload_unpacker *kontor_upload_unpacker_free(kontor_upload_unpacker *unpacker); /* NULL is fine; returns NULL */

/* Unpacks from the front of *packed, which it shortens, into *ret_size bytes of `out`. It comes to rest when the input
 * is used up or `out` is full. BAD_REQUEST with the byte of the file where it is damaged, or when the file has more
 * than KONTOR_UPLOAD_PLAIN_LIMIT bytes. */
int kontor_upload_unpack(kontor_upload_unpacker *unpacker, struct kontor_text *packed, char *out, size_t size,
			 size_t *ret_size, struct kontor_error *err);
/* After the last byte of the file: BAD_REQUEST when it ends too early. */
int kontor_upload_unpack_end(const kontor_upload_unpacker *unpacker, struct kontor_error *err);

#pragma GCC visibility pop
#endif
