/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal's file: its format, and making, locking, reading and writing it.
 */
#ifndef IDGEN_JOURNAL_FILE_H
#define IDGEN_JOURNAL_FILE_H

#include <assert.h>
#include <sys/types.h>

#include "journal.h"

#define JOURNAL_MAGIC 0x4a44494bu /* "KIDJ" */
#define JOURNAL_VERSION 1u
#define JOURNAL_COPIES 2u
#define JOURNAL_BLOCK_SIZE 4096 /* what a disk writes at once: a torn write never reaches a neighbour */
#define JOURNAL_BLOCKS (JOURNAL_KEYS + 1)
#define JOURNAL_FILE_SIZE ((size_t)JOURNAL_COPIES * JOURNAL_BLOCKS * JOURNAL_BLOCK_SIZE)

/* The start of each block; the rest of it is 0. In the machine's byte order: a journal never leaves its machine. */
struct journal_block {
	uint32_t crc; /* CRC-32 (zlib's) of what follows */
	uint32_t magic, version;
	uint32_t number;   /* 0: text is the cluster's uuid; from 1: a key, "" when it is free */
	uint64_t sequence; /* of the two copies, the larger one is newer */
	uint64_t epoch, hwm;
	char text[JOURNAL_KEY_SIZE]; /* filled up with 0 */
};
static_assert(sizeof(struct journal_block) == 88, "the journal's format has no padding");

static inline off_t journal_block_offset(unsigned copy, uint32_t number)
{
	return (off_t)(copy * JOURNAL_BLOCKS + number) * JOURNAL_BLOCK_SIZE;
}

void journal_block_fill(struct journal_block *ret, uint32_t number, uint64_t sequence,
			const struct journal_entry *entry);

/* Opens and locks the file; makes it first when there is none, in one step for everybody who looks. The lock is the
 * descriptor's. STORAGE for a file that has not JOURNAL_FILE_SIZE bytes. Errors as of journal_open(). */
int journal_file_open(const char *path, int *ret_fd, struct kontor_error *err);
/* All that stands in the places of blocks, valid or not, and per block the errno with which the disk did not read it:
 * such a block is zeroed. */
struct journal_image {
	struct journal_block blocks[JOURNAL_COPIES][JOURNAL_BLOCKS];
	int problems[JOURNAL_COPIES][JOURNAL_BLOCKS];
};
void journal_file_read(int fd, struct journal_image *ret_image);
/* STORAGE when the file was removed while we have it open: what is written would be gone at the next start. */
int journal_file_check(int fd, const char *path, struct kontor_error *err);
/* Into the place of block->number, whose whole disk block is written: nothing of it must be read for that, which a disk
 * may not be able to. Returns 0 when it is on the disk. */
int journal_file_write(int fd, const char *path, unsigned copy, const struct journal_block *block,
		       struct kontor_error *err);

#endif
