/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct source {
	char *path;
	int fd;
	bool is_stdin, is_stream;
	uint64_t offset, size;
};

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
	/* `kontor upload - <file` reads a file; behind a shell that has read a part of it, it is a stream. */
	s->is_stream = !S_ISREG(status.st_mode) || lseek(s->fd, 0, SEEK_CUR) != 0;
	s->size = s->is_stream ? 0 : (uint64_t)status.st_size;
	return EXIT_DONE;
}

int source_open(const char *path, struct source **ret_source)
{
	struct source *s = calloc(1, sizeof(*s));
	if (s) {
		s->fd = -1;
		s->is_stdin = strcmp(path, "-") == 0;
		s->path = strdup(s->is_stdin ? "stdin" : path);
	}
	if (!s || !s->path) {
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
		if (s->fd >= 0 && !s->is_stdin)
			close(s->fd);
		free(s->path);
		free(s);
	}
	return NULL;
}

bool source_is_stdin(const struct source *s)
{
	return s->is_stdin;
}

bool source_is_stream(const struct source *s)
{
	return s->is_stream;
}

uint64_t source_offset(const struct source *s)
{
	return s->offset;
}

uint64_t source_size(const struct source *s)
{
	return s->size;
}

int source_read(struct source *s, void *buffer, size_t size, size_t *ret_size)
{
	size_t got = 0;
	while (got < size) {
		ssize_t n = read(s->fd, (char *)buffer + got, size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			complain("%s: %s", s->path, strerror(errno));
			return EXIT_REFUSED;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}
	s->offset += got;
	if (s->offset > SOURCE_LIMIT) {
		complain("%s: has more than 8 GiB; split it", s->path);
		return EXIT_REFUSED;
	}
	*ret_size = got;
	return EXIT_DONE;
}

int source_seek(struct source *s, uint64_t offset)
{
	if (offset > s->size) {
		complain("%s: has only %llu bytes, but %llu were sent before: it was changed", s->path,
			 (unsigned long long)s->size, (unsigned long long)offset);
		return EXIT_REFUSED;
	}
	if (lseek(s->fd, (off_t)offset, SEEK_SET) < 0) {
		complain("%s: %s", s->path, strerror(errno));
		return EXIT_REFUSED;
	}
	s->offset = offset;
	return EXIT_DONE;
}
