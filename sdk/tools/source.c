/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#define INPUT_SIZE (256u << 10)
#define SKIP_SIZE (64u << 10)
#define GZIP_OR_ZLIB_WINDOW (15 + 16) /* gzip only */

enum packing { PLAIN, GZIP, ZSTD };

struct source {
	char *path;
	int fd;
	bool is_stdin, file_ended;
	enum packing packing;
	unsigned char *input; /* bytes of the file that are not unpacked yet */
	size_t at, have;
	uint64_t offset, file_size, file_read;
	z_stream gzip;
	bool gzip_open, member_ended;
	ZSTD_DStream *zstd;
	size_t zstd_hint; /* 0: at the end of a frame */
};

/* Reads more input behind what is left. False after complaining. */
static bool fill_input(struct source *s)
{
	memmove(s->input, s->input + s->at, s->have - s->at);
	s->have -= s->at;
	s->at = 0;
	while (s->have < INPUT_SIZE && !s->file_ended) {
		ssize_t n = read(s->fd, s->input + s->have, INPUT_SIZE - s->have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			complain("%s: %s", s->path, strerror(errno));
			return false;
		}
		s->file_ended = n == 0;
		s->have += (size_t)n;
		s->file_read += (uint64_t)n;
	}
	return true;
}

static int open_unpacker(struct source *s)
{
	static const unsigned char gzip_magic[] = {0x1f, 0x8b}, zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
	if (!fill_input(s))
		return EXIT_REFUSED;
	if (s->have >= sizeof(gzip_magic) && memcmp(s->input, gzip_magic, sizeof(gzip_magic)) == 0) {
		s->packing = GZIP;
		s->gzip = (z_stream){0};
		s->gzip_open = inflateInit2(&s->gzip, GZIP_OR_ZLIB_WINDOW) == Z_OK;
	} else if (s->have >= sizeof(zstd_magic) && memcmp(s->input, zstd_magic, sizeof(zstd_magic)) == 0) {
		s->packing = ZSTD;
		s->zstd = ZSTD_createDStream();
		s->zstd_hint = 1;
	} else {
		s->packing = PLAIN;
		return EXIT_DONE;
	}
	if (s->gzip_open || s->zstd)
		return EXIT_DONE;
	complain("%s: out of memory for unpacking", s->path);
	return EXIT_REFUSED;
}

static void close_unpacker(struct source *s)
{
	if (s->gzip_open)
		inflateEnd(&s->gzip);
	s->gzip_open = s->member_ended = false;
	ZSTD_freeDStream(s->zstd);
	s->zstd = NULL;
}

static int open_file(struct source *s)
{
	struct stat status;
	s->fd = s->is_stdin ? STDIN_FILENO : open(s->path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &status)) {
		complain("%s: %s", s->path, strerror(errno));
		return EXIT_REFUSED;
	}
	if (S_ISDIR(status.st_mode)) {
		complain("%s: is a folder, not a file", s->path);
		return EXIT_REFUSED;
	}
	s->file_size = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
	s->at = s->have = 0;
	s->offset = s->file_read = 0;
	s->file_ended = false;
	return open_unpacker(s);
}

int source_open(const char *path, struct source **ret_source)
{
	struct source *s = calloc(1, sizeof(*s));
	if (s) {
		s->fd = -1;
		s->is_stdin = strcmp(path, "-") == 0;
		s->path = strdup(s->is_stdin ? "stdin" : path);
		s->input = malloc(INPUT_SIZE);
	}
	if (!s || !s->path || !s->input) {
		source_close(s);
		complain("out of memory");
		return EXIT_REFUSED;
	}
	int code = open_file(s);
	if (code == EXIT_DONE)
		*ret_source = s;
	else
		source_close(s);
	return code;
}

struct source *source_close(struct source *s)
{
	if (s) {
		close_unpacker(s);
		if (s->fd >= 0 && !s->is_stdin)
			close(s->fd);
		free(s->input);
		free(s->path);
		free(s);
	}
	return NULL;
}

bool source_is_stdin(const struct source *s)
{
	return s->is_stdin;
}

uint64_t source_offset(const struct source *s)
{
	return s->offset;
}

uint64_t source_file_size(const struct source *s)
{
	return s->file_size;
}

uint64_t source_file_read(const struct source *s)
{
	return s->file_read - (s->have - s->at);
}

/* ---- each returns the bytes it gave, or -1 for a broken file ---- */

static ssize_t take_plain(struct source *s, unsigned char *out, size_t size)
{
	size_t n = s->have - s->at < size ? s->have - s->at : size;
	memcpy(out, s->input + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

static ssize_t take_gzip(struct source *s, unsigned char *out, size_t size)
{
	if (s->member_ended) { /* another member may follow, as `cat a.gz b.gz` makes them */
		if (s->at == s->have)
			return 0;
		inflateReset(&s->gzip);
		s->member_ended = false;
	}
	s->gzip.next_in = s->input + s->at;
	s->gzip.avail_in = (uInt)(s->have - s->at);
	s->gzip.next_out = out;
	s->gzip.avail_out = (uInt)size;
	int rc = inflate(&s->gzip, Z_NO_FLUSH);
	s->at = s->have - s->gzip.avail_in;
	s->member_ended = rc == Z_STREAM_END;
	if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
		return -1;
	return (ssize_t)(size - s->gzip.avail_out);
}

static ssize_t take_zstd(struct source *s, unsigned char *out, size_t size)
{
	ZSTD_inBuffer in = {s->input, s->have, s->at};
	ZSTD_outBuffer unpacked = {out, size, 0};
	if (s->at == s->have && s->zstd_hint == 0)
		return 0;
	size_t rc = ZSTD_decompressStream(s->zstd, &unpacked, &in);
	s->at = in.pos;
	if (ZSTD_isError(rc))
		return -1;
	s->zstd_hint = rc;
	return (ssize_t)unpacked.pos;
}

static bool is_whole(const struct source *s)
{
	return s->packing == PLAIN || (s->packing == GZIP && s->member_ended) ||
	       (s->packing == ZSTD && s->zstd_hint == 0);
}

static int refuse_broken(const struct source *s)
{
	complain("%s: is broken: its %s data is damaged or cut off after %llu plain bytes", s->path,
		 s->packing == GZIP ? "gzip" : "zstd", (unsigned long long)s->offset);
	return EXIT_REFUSED;
}

int source_read(struct source *s, void *buffer, size_t size, size_t *ret_size)
{
	size_t got = 0;
	while (got < size) {
		unsigned char *out = (unsigned char *)buffer + got;
		size_t before = s->at;
		if (s->at == s->have && !s->file_ended && !fill_input(s))
			return EXIT_REFUSED;
		ssize_t n = s->packing == PLAIN  ? take_plain(s, out, size - got)
			    : s->packing == GZIP ? take_gzip(s, out, size - got)
						 : take_zstd(s, out, size - got);
		if (n < 0)
			return refuse_broken(s);
		got += (size_t)n;
		s->offset += (uint64_t)n;
		if (n == 0 && s->at == before && s->file_ended)
			break;
		if (n == 0 && s->at == before && !fill_input(s))
			return EXIT_REFUSED;
	}
	if (got < size && !is_whole(s))
		return refuse_broken(s);
	if (s->offset > SOURCE_LIMIT) {
		complain("%s: has more than 8 GiB unpacked; split it", s->path);
		return EXIT_REFUSED;
	}
	*ret_size = got;
	return EXIT_DONE;
}

int source_seek(struct source *s, uint64_t offset)
{
	unsigned char skipped[SKIP_SIZE];
	int code = EXIT_DONE;
	if (offset < s->offset && s->is_stdin) {
		complain("stdin cannot be read twice; give the file by its name");
		return EXIT_REFUSED;
	}
	if (offset < s->offset) {
		close_unpacker(s);
		close(s->fd);
		code = open_file(s);
	}
	while (code == EXIT_DONE && s->offset < offset) {
		uint64_t left = offset - s->offset;
		size_t got = 0;
		code = source_read(s, skipped, left < sizeof(skipped) ? (size_t)left : sizeof(skipped), &got);
		if (code == EXIT_DONE && got == 0) {
			complain("%s: has only %llu bytes, but %llu were sent before: it was changed", s->path,
				 (unsigned long long)s->offset, (unsigned long long)offset);
			code = EXIT_REFUSED;
		}
	}
	return code;
}
