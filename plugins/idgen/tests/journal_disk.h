/* SPDX-License-Identifier: Apache-2.0
 *
 * Put in front of the journal's sources by the compiler (-include): what they ask of the disk is answered by
 * journal_disk_test.c.
 */
#ifndef IDGEN_JOURNAL_DISK_H
#define IDGEN_JOURNAL_DISK_H

#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t disk_pread(int fd, void *data, size_t size, off_t offset);
ssize_t disk_preadv(int fd, const struct iovec *parts, int parts_len, off_t offset);
ssize_t disk_pwrite(int fd, const void *data, size_t size, off_t offset);
int disk_fdatasync(int fd);

#define pread disk_pread
#define preadv disk_preadv
#define pwrite disk_pwrite
#define fdatasync disk_fdatasync

#endif
