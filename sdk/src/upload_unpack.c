/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_unpack.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW (15 + 16) /* the largest; + 16: gzip, not zlib */

struct kontor_upload_unpacker {
	enum kontor_upload_packing packing;
	uint64_t taken, given; /* bytes of the packed and of the unpacked file so far */
	bool between;          /* at the end of a member or frame: the file may end here */
	z_stream gzip;
	bool gzip_open;
	ZSTD_DStream *zstd;
};

static bool begins_with(struct kontor_text text, const char *magic, size_t size)
{
	return text.size >= size && memcmp(text.data, magic, size) == 0;
}

/* RFC 1952 section 2.3.1 (with CM 8, the only one there is); RFC 8878 section 3.1.1, and 3.1.2 for a skippable frame.
 */
enum kontor_upload_packing kontor_upload_packing_of(struct kontor_text beginning)
{
	if (begins_with(beginning, "\x1f\x8b\x08", 3))
		return KONTOR_UPLOAD_GZIP;
	if (begins_with(beginning, "\x28\xb5\x2f\xfd", 4) ||
	    (beginning.size >= 4 && (beginning.data[0] & 0xf0) == 0x50 &&
	     memcmp(beginning.data + 1, "\x2a\x4d\x18", 3) == 0))
		return KONTOR_UPLOAD_ZSTD;
	return KONTOR_UPLOAD_PLAIN;
}

const char *kontor_upload_packing_name(enum kontor_upload_packing packing)
{
	return packing == KONTOR_UPLOAD_GZIP ? "gzip" : packing == KONTOR_UPLOAD_ZSTD ? "zstd" : "";
}

int kontor_upload_unpacker_new(enum kontor_upload_packing packing, kontor_upload_unpacker **ret_unpacker,
			       struct kontor_error *err)
{
	kontor_upload_unpacker *unpacker = calloc(1, sizeof(*unpacker));
	bool ready = unpacker != NULL;
	if (ready) {
		unpacker->packing = packing;
		if (packing == KONTOR_UPLOAD_GZIP)
			ready = unpacker->gzip_open = inflateInit2(&unpacker->gzip, GZIP_WINDOW) == Z_OK;
		else
			ready = (unpacker->zstd = ZSTD_createDStream()) != NULL;
	}
	if (!ready) {
		kontor_upload_unpacker_free(unpacker);
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for unpacking a file");
	}
	*ret_unpacker = unpacker;
	return 0;
}

kontor_upload_unpacker *kontor_upload_unpacker_free(kontor_upload_unpacker *unpacker)
{
	if (unpacker && unpacker->gzip_open)
		inflateEnd(&unpacker->gzip);
	if (unpacker)
		ZSTD_freeDStream(unpacker->zstd);
	free(unpacker);
	return NULL;
}

static int refuse_damage(const kontor_upload_unpacker *unpacker, const char *what, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_BAD_REQUEST, "the file's %s data is damaged near its byte %llu: %s%s",
			   kontor_upload_packing_name(unpacker->packing), (unsigned long long)unpacker->taken, what,
			   unpacker->between ? " (what follows the packed data is no packed data)" : "");
}

/* Both: one step; *ret_taken and *ret_given are what it used and made. */
static int step_gzip(kontor_upload_unpacker *unpacker, struct kontor_text packed, char *out, size_t size,
		     size_t *ret_taken, size_t *ret_given, struct kontor_error *err)
{
	z_stream *gzip = &unpacker->gzip;
	if (unpacker->between && unpacker->taken > 0) /* another member, as `cat a.gz b.gz` makes them */
		inflateReset(gzip);
	/* pieces and buffers are far below 4 GiB */
	gzip->next_in = (unsigned char *)(uintptr_t)packed.data; /* zlib's const is optional; it only reads */
	gzip->avail_in = (uInt)packed.size;
	gzip->next_out = (unsigned char *)out;
	gzip->avail_out = (uInt)size;
	int rc = inflate(gzip, Z_NO_FLUSH);
	if (rc == Z_MEM_ERROR)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for unpacking a file");
	if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
		return refuse_damage(unpacker, gzip->msg ? gzip->msg : "it cannot be read", err);
	*ret_taken = packed.size - gzip->avail_in;
	*ret_given = size - gzip->avail_out;
	unpacker->between = rc == Z_STREAM_END;
	return 0;
}

static int step_zstd(kontor_upload_unpacker *unpacker, struct kontor_text packed, char *out, size_t size,
		     size_t *ret_taken, size_t *ret_given, struct kontor_error *err)
{
	ZSTD_inBuffer in = {packed.data, packed.size, 0};
	ZSTD_outBuffer unpacked = {out, size, 0};
	size_t rc = ZSTD_decompressStream(unpacker->zstd, &unpacked, &in);
	if (ZSTD_isError(rc))
		return refuse_damage(unpacker, ZSTD_getErrorName(rc), err);
	*ret_taken = in.pos;
	*ret_given = unpacked.pos;
	unpacker->between = rc == 0;
	return 0;
}

int kontor_upload_unpack(kontor_upload_unpacker *unpacker, struct kontor_text *packed, char *out, size_t size,
			 size_t *ret_size, struct kontor_error *err)
{
	*ret_size = 0;
	while (*ret_size < size) {
		size_t taken = 0, given = 0;
		/* Without input only what the unpacker holds back is to be had; between members there is none. */
		if (packed->size == 0 && (unpacker->between || unpacker->taken == 0))
			return 0;
		int rc = (unpacker->packing == KONTOR_UPLOAD_GZIP ? step_gzip : step_zstd)(
			unpacker, *packed, out + *ret_size, size - *ret_size, &taken, &given, err);
		if (rc)
			return rc;
		packed->data += taken;
		packed->size -= taken;
		unpacker->taken += taken;
		unpacker->given += given;
		*ret_size += given;
		if (unpacker->given > KONTOR_UPLOAD_PLAIN_LIMIT)
			return kontor_fail(err, KONTOR_E_BAD_REQUEST,
					   "the file has more than 8 GiB unpacked: split it");
		if (taken == 0 && given == 0)
			return 0;
	}
	return 0;
}

int kontor_upload_unpack_end(const kontor_upload_unpacker *unpacker, struct kontor_error *err)
{
	if (unpacker->between)
		return 0;
	return kontor_fail(
		err, KONTOR_E_BAD_REQUEST,
		"the file's %s data is cut off: it ends after byte %llu in the middle, with %llu bytes unpacked",
		kontor_upload_packing_name(unpacker->packing), (unsigned long long)unpacker->taken,
		(unsigned long long)unpacker->given);
}
