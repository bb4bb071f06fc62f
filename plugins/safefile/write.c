/* SPDX-License-Identifier: Apache-2.0 */
#include "write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kontor/client.h"

#define TEMPORARY_SUFFIX ".tmp"

static int failed(struct kontor_error *err, const char *what, const char *name)
{
	/* A full disk is waited for: a job must not die of it. */
	int code = errno == ENOSPC || errno == EDQUOT ? KONTOR_E_UNAVAILABLE : KONTOR_E_STORAGE;
	return kontor_fail(err, code, "cannot %s %s: %s", what, name, strerror(errno));
}

/* ---- folders -------------------------------------------------------------------------------------------------- */

int folder_open(int parent_fd, const char *name, bool create, int *ret_fd, struct kontor_error *err)
{
	bool made = create && mkdirat(parent_fd, name, 0700) == 0;
	if (create && !made && errno != EEXIST)
		return failed(err, "create the folder", name);
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return kontor_fail(err, KONTOR_E_NOT_FOUND, "there is no folder %s", name);
	if (fd < 0)
		return failed(err, "open the folder", name);
	if (made && (fsync(fd) || (parent_fd != AT_FDCWD && fsync(parent_fd)))) {
		int code = failed(err, "make durable the folder", name);
		close(fd);
		return code;
	}
	*ret_fd = fd;
	return 0;
}

static bool is_temporary(const char *name)
{
	size_t length = strlen(name), suffix = strlen(TEMPORARY_SUFFIX);
	return name[0] == '.' && length > suffix && strcmp(name + length - suffix, TEMPORARY_SUFFIX) == 0;
}

static int remove_files(int folder_fd, bool (*chosen)(const char *name), struct kontor_error *err)
{
	int copy = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	if (!entries) {
		failed(err, "list", "the safefile's folder");
		if (copy >= 0)
			close(copy);
		return KONTOR_E_STORAGE;
	}
	int code = 0;
	const struct dirent *entry;
	while (!code && (entry = readdir(entries))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || !chosen(entry->d_name))
			continue;
		if (unlinkat(folder_fd, entry->d_name, 0) && errno != ENOENT)
			code = failed(err, "remove", entry->d_name);
	}
	closedir(entries);
	return code;
}

int folder_remove_temporary(int folder_fd, struct kontor_error *err)
{
	return remove_files(folder_fd, is_temporary, err);
}

static bool any_name(const char *name)
{
	(void)name;
	return true;
}

int folder_remove(int parent_fd, const char *name, struct kontor_error *err)
{
	int fd = -1;
	int code = folder_open(parent_fd, name, false, &fd, err);
	if (code)
		return code == KONTOR_E_NOT_FOUND ? 0 : code;
	code = remove_files(fd, any_name, err);
	close(fd);
	if (code)
		return code;
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) && errno != ENOENT)
		return failed(err, "remove the folder", name);
	return 0;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

void data_file_discard(struct data_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	if (file->temporary[0])
		unlinkat(file->folder_fd, file->temporary, 0);
	file->temporary[0] = '\0';
	EVP_MD_CTX_free(file->hash);
	file->hash = NULL;
}

int data_file_create(struct data_file *file, int folder_fd, const char *name, struct kontor_error *err)
{
	char random[33];
	file->folder_fd = folder_fd;
	file->bytes = file->buffered = 0;
	file->fd = -1;
	/* A name of its own: a runner that lost its lease must not rename what its successor is writing. */
	snprintf(file->name, sizeof(file->name), "%s", name);
	snprintf(file->temporary, sizeof(file->temporary), ".%s.%s" TEMPORARY_SUFFIX, file->name,
		 kontor_random_key(random));
	file->hash = EVP_MD_CTX_new();
	if (!file->hash || EVP_DigestInit_ex(file->hash, EVP_sha256(), NULL) != 1) {
		file->temporary[0] = '\0';
		data_file_discard(file);
		return kontor_fail(err, KONTOR_E_INTERNAL, "SHA-256 is not available");
	}
	file->fd = openat(folder_fd, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file->fd < 0) {
		int code = failed(err, "create", file->temporary);
		file->temporary[0] = '\0';
		data_file_discard(file);
		return code;
	}
	return 0;
}

static int flush(struct data_file *file, struct kontor_error *err)
{
	size_t written = 0;
	while (written < file->buffered) {
		ssize_t n = write(file->fd, file->buffer + written, file->buffered - written);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(err, "write", file->name);
		written += (size_t)n;
	}
	if (EVP_DigestUpdate(file->hash, file->buffer, file->buffered) != 1)
		return kontor_fail(err, KONTOR_E_INTERNAL, "SHA-256 of %s failed", file->name);
	file->bytes += file->buffered;
	file->buffered = 0;
	return 0;
}

int data_file_write(struct data_file *file, const void *data, size_t size, struct kontor_error *err)
{
	const char *bytes = data;
	while (size) {
		size_t room = sizeof(file->buffer) - file->buffered;
		size_t part = size < room ? size : room;
		memcpy(file->buffer + file->buffered, bytes, part);
		file->buffered += part;
		bytes += part;
		size -= part;
		if (file->buffered == sizeof(file->buffer)) {
			int code = flush(file, err);
			if (code) {
				data_file_discard(file);
				return code;
			}
		}
	}
	return 0;
}

int data_file_seal(struct data_file *file, uint64_t *ret_bytes, uint8_t *ret_sha256, struct kontor_error *err)
{
	int code = flush(file, err);
	if (!code && EVP_DigestFinal_ex(file->hash, ret_sha256, NULL) != 1)
		code = kontor_fail(err, KONTOR_E_INTERNAL, "SHA-256 of %s failed", file->name);
	if (!code && fsync(file->fd))
		code = failed(err, "make durable", file->name);
	/* A full disk may show only when the file is closed. */
	int fd = file->fd;
	file->fd = -1;
	if (close(fd) && !code)
		code = failed(err, "close", file->name);
	if (code) {
		data_file_discard(file);
		return code;
	}
	*ret_bytes = file->bytes;
	return 0;
}

int data_file_publish(struct data_file *file, struct kontor_error *err)
{
	int code = 0;
	if (renameat(file->folder_fd, file->temporary, file->folder_fd, file->name))
		code = failed(err, "give its final name to", file->name);
	else
		file->temporary[0] = '\0';
	if (!code && fsync(file->folder_fd))
		code = failed(err, "make durable the folder of", file->name);
	data_file_discard(file);
	return code;
}

int data_file_commit(struct data_file *file, uint64_t *ret_bytes, uint8_t *ret_sha256, struct kontor_error *err)
{
	int code = data_file_seal(file, ret_bytes, ret_sha256, err);
	return code ? code : data_file_publish(file, err);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static int open_to_read(int folder_fd, const char *name, int *ret_fd, struct kontor_error *err)
{
	int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return KONTOR_E_NOT_FOUND;
	if (fd < 0)
		return failed(err, "open", name);
	*ret_fd = fd;
	return 0;
}

int file_hash(int folder_fd, const char *name, uint64_t *ret_bytes, uint8_t *ret_sha256, struct kontor_error *err)
{
	int fd = -1;
	int code = open_to_read(folder_fd, name, &fd, err);
	if (code)
		return code;
	char buffer[1u << 16];
	uint64_t bytes = 0;
	ssize_t n = 0;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool fine = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
	while (fine && ((n = read(fd, buffer, sizeof(buffer))) > 0 || (n < 0 && errno == EINTR))) {
		if (n < 0)
			continue;
		fine = EVP_DigestUpdate(hash, buffer, (size_t)n) == 1;
		bytes += (uint64_t)n;
	}
	if (n < 0)
		code = failed(err, "read", name);
	else if (!fine || EVP_DigestFinal_ex(hash, ret_sha256, NULL) != 1)
		code = kontor_fail(err, KONTOR_E_INTERNAL, "SHA-256 of %s failed", name);
	else
		*ret_bytes = bytes;
	EVP_MD_CTX_free(hash);
	close(fd);
	return code;
}

int file_read(int folder_fd, const char *name, char *buffer, size_t size, size_t *ret_size, struct kontor_error *err)
{
	int fd = -1;
	int code = open_to_read(folder_fd, name, &fd, err);
	if (code)
		return code;
	size_t length = 0;
	ssize_t n = 1;
	while (n != 0 && length < size && !code) {
		n = read(fd, buffer + length, size - length);
		if (n > 0)
			length += (size_t)n;
		else if (n < 0 && errno != EINTR)
			code = failed(err, "read", name);
	}
	close(fd);
	if (code)
		return code;
	if (length == size)
		return kontor_fail(err, KONTOR_E_TOO_BIG, "%s is larger than %zu bytes", name, size - 1);
	buffer[length] = '\0';
	*ret_size = length;
	return 0;
}
