/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of a safefile, so that a name that is there has all its bytes on the disk: a temporary name in the same folder,
 * hash while writing, fsync, rename, fsync of the folder. Any thread; one data_file is used by one thread.
 */
#ifndef SAFEFILE_WRITE_H
#define SAFEFILE_WRITE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kontor/error.h"

#define SHA256_SIZE 32
#define FILE_NAME_LIMIT 96

/* ---- folders -------------------------------------------------------------------------------------------------- */

/* Opens folder `name` below parent_fd (AT_FDCWD for an absolute path), made with mode 0700 and made durable in its
 * parent when `create` is set. NOT_FOUND, or STORAGE naming what failed. The caller closes *ret_fd. */
int folder_open(int parent_fd, const char *name, bool create, int *ret_fd, struct kontor_error *err);
/* Removes temporary files that a crash left behind (or that a runner which lost its lease is still writing: its rename
 * then fails). */
int folder_remove_temporary(int folder_fd, struct kontor_error *err);
/* Removes every file of a folder and the folder itself; one that is not there is fine. */
int folder_remove(int parent_fd, const char *name, struct kontor_error *err);

/* ---- writing ---------------------------------------------------------------------------------------------------- */

struct data_file {
	int folder_fd; /* borrowed */
	int fd;
	char name[FILE_NAME_LIMIT];
	char temporary[FILE_NAME_LIMIT + 48];
	EVP_MD_CTX *hash;
	uint64_t bytes;
	size_t buffered;
	char buffer[1u << 16];
};

/* *file is large: keep it off small stacks. After a failure nothing is open and nothing is left on disk. */
int data_file_create(struct data_file *file, int folder_fd, const char *name, struct kontor_error *err);
int data_file_write(struct data_file *file, const void *data, size_t size, struct kontor_error *err);
/* The file is under its final name and durable, with mode 0600; hash and size are those of its bytes. */
int data_file_commit(struct data_file *file, uint64_t *ret_bytes, uint8_t *ret_sha256, struct kontor_error *err);
/* Durable, but still under its temporary name: data_file_publish() renames it. */
int data_file_seal(struct data_file *file, uint64_t *ret_bytes, uint8_t *ret_sha256, struct kontor_error *err);
int data_file_publish(struct data_file *file, struct kontor_error *err);
/* Closes and removes what is not committed; again and after a commit: nothing. */
void data_file_discard(struct data_file *file);

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* NOT_FOUND (no message) when it is not there. */
int file_hash(int folder_fd, const char *name, uint64_t *ret_bytes, uint8_t *ret_sha256, struct kontor_error *err);
/* A small file as a whole, with a NUL behind it; TOO_BIG when it has size bytes or more, NOT_FOUND (no message). */
int file_read(int folder_fd, const char *name, char *buffer, size_t size, size_t *ret_size, struct kontor_error *err);

#endif
