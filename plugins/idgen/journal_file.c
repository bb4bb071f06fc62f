/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal's file. It is made under another name, and gets its own by link(2) when it is complete: a journal that
 * can be seen is never half a journal, and of two makers one is told that there is one already.
 */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define OPEN_ATTEMPTS 5 /* each further one only because somebody made or removed the file at that instant */
#define AGAIN 1         /* look at the path anew */

static_assert(2 * JOURNAL_BLOCKS <= IOV_MAX, "a copy can be read in one call");

static int fail_system(const char *path, const char *what, int problem, struct kontor_error *err)
{
	return kontor_fail(
		err, KONTOR_E_STORAGE,
		"the id journal %s cannot be %s: %s. Without it no ids are issued: check the folder's owner, "
		"mode, mount and free space (%zu KiB are needed)",
		path, what, strerror(problem), JOURNAL_FILE_SIZE / 1024);
}

static int lock_file(int fd, const char *path, struct kontor_error *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return fail_system(path, "locked", errno, err);
	return kontor_fail(
		err, KONTOR_E_CONFLICT,
		"the id journal %s is in use by another process: two units must not have the same name and state "
		"folder. Stop the other one (lsof names it) or give this one its own folder",
		path);
}

static int write_all(int fd, const void *data, size_t size, off_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(fd, (const char *)data + done, size - done, offset + (off_t)done);
		if (n < 0 && errno != EINTR)
			return errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* ---- making it -------------------------------------------------------------------------------------------------- */

/* Every block is really written: space that is only promised can still be refused later. */
static int write_empty(int fd)
{
	uint8_t *image = calloc(1, JOURNAL_FILE_SIZE);
	if (!image)
		return ENOMEM;
	const struct journal_entry empty = {.key = ""};
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++)
		for (uint32_t number = 0; number < JOURNAL_BLOCKS; number++) {
			struct journal_block block;
			journal_block_fill(&block, number, 0, &empty);
			memcpy(image + journal_block_offset(copy, number), &block, sizeof(block));
		}
	int problem = ftruncate(fd, 0) || fchmod(fd, 0600) ? errno : 0;
	if (!problem)
		problem = posix_fallocate(fd, 0, (off_t)JOURNAL_FILE_SIZE);
	if (!problem)
		problem = write_all(fd, image, JOURNAL_FILE_SIZE, 0);
	if (!problem && fsync(fd))
		problem = errno;
	free(image);
	return problem;
}

static int sync_folder_of(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	int fd = open(folder[0] ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int problem = fd < 0 || fsync(fd) ? errno : 0;
	if (fd >= 0)
		close(fd);
	return problem;
}

/* The name `making` belongs to the file we locked, and that has no other name. Else it is, or was, somebody's journal:
 * its maker finished before we had the lock, or died between link() and unlink(). */
static bool is_ours_alone(int fd, const char *making)
{
	struct stat locked, named;
	if (fstat(fd, &locked) || lstat(making, &named) || locked.st_ino != named.st_ino)
		return false;
	if (locked.st_nlink == 1)
		return true;
	unlink(making);
	return false;
}

/* `fd` is locked. 0, AGAIN or an error; the name `making` is gone afterwards. */
static int fill_and_name(int fd, const char *making, const char *path, struct kontor_error *err)
{
	int problem = write_empty(fd);
	if (!problem && link(making, path))
		problem = errno;
	unlink(making);
	if (problem == EEXIST)
		return AGAIN;
	if (!problem)
		problem = sync_folder_of(path);
	return problem ? fail_system(path, "made", problem, err) : 0;
}

static int make(const char *path, int *ret_fd, struct kontor_error *err)
{
	char making[PATH_MAX];
	if (snprintf(making, sizeof(making), "%s.new", path) >= (int)sizeof(making))
		return fail_system(path, "made", ENAMETOOLONG, err);
	int fd = open(making, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail_system(path, "made", errno, err);
	int code = lock_file(fd, making, err);
	if (!code)
		code = is_ours_alone(fd, making) ? fill_and_name(fd, making, path, err) : AGAIN;
	if (code)
		close(fd);
	else
		*ret_fd = fd; /* not opened anew: the lock is never let go */
	return code;
}

/* ---- using it --------------------------------------------------------------------------------------------------- */

static int check_size(const char *path, off_t size, struct kontor_error *err)
{
	if (size == (off_t)JOURNAL_FILE_SIZE)
		return 0;
	return kontor_fail(
		err, KONTOR_E_STORAGE,
		"%s has %lld bytes, an id journal of this version of Kontor has %zu: it was cut or overwritten, or "
		"another version wrote it. Find out which; if the database was not restored and did not fail over "
		"since this unit ran last, move the file away and start the unit again",
		path, (long long)size, JOURNAL_FILE_SIZE);
}

static int open_existing(const char *path, int *ret_fd, struct kontor_error *err)
{
	struct stat status;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? make(path, ret_fd, err) : fail_system(path, "opened", errno, err);
	int code = lock_file(fd, path, err);
	if (!code && fstat(fd, &status))
		code = fail_system(path, "opened", errno, err);
	else if (!code && !S_ISREG(status.st_mode))
		code = fail_system(path, "opened", EINVAL, err);
	else if (!code && status.st_nlink == 0)
		code = AGAIN;
	else if (!code)
		code = check_size(path, status.st_size, err);
	if (code)
		close(fd);
	else
		*ret_fd = fd;
	return code;
}

int journal_file_open(const char *path, int *ret_fd, struct kontor_error *err)
{
	for (int attempt = 0; attempt < OPEN_ATTEMPTS; attempt++) {
		int code = open_existing(path, ret_fd, err);
		if (code != AGAIN)
			return code;
	}
	return kontor_fail(err, KONTOR_E_CONFLICT,
			   "the id journal %s is made and removed by somebody else all the time", path);
}

/* In one call: a block's record, then what fills it up, which nobody looks at. */
static bool read_copy(int fd, unsigned copy, struct journal_block *ret_blocks)
{
	char filling[JOURNAL_BLOCK_SIZE - sizeof(struct journal_block)];
	struct iovec parts[2 * JOURNAL_BLOCKS];
	for (uint32_t number = 0; number < JOURNAL_BLOCKS; number++) {
		parts[2 * number] = (struct iovec){&ret_blocks[number], sizeof(*ret_blocks)};
		parts[2 * number + 1] = (struct iovec){filling, sizeof(filling)};
	}
	ssize_t n = preadv(fd, parts, sizeof(parts) / sizeof(parts[0]), journal_block_offset(copy, 0));
	return n == (ssize_t)JOURNAL_BLOCKS * JOURNAL_BLOCK_SIZE;
}

static int read_block(int fd, off_t offset, struct journal_block *ret_block)
{
	struct journal_block block;
	ssize_t n = pread(fd, &block, sizeof(block), offset);
	while (n < 0 && errno == EINTR)
		n = pread(fd, &block, sizeof(block), offset);
	if (n == (ssize_t)sizeof(block))
		*ret_block = block;
	else
		memset(ret_block, 0, sizeof(*ret_block));
	return n < 0 ? errno : n < (ssize_t)sizeof(block) ? ENODATA /* it was cut while we have it open */ : 0;
}

void journal_file_read(int fd, struct journal_image *ret_image)
{
	memset(ret_image->problems, 0, sizeof(ret_image->problems));
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++) {
		if (read_copy(fd, copy, ret_image->blocks[copy]))
			continue;
		for (uint32_t number = 0; number < JOURNAL_BLOCKS; number++)
			ret_image->problems[copy][number] =
				read_block(fd, journal_block_offset(copy, number), &ret_image->blocks[copy][number]);
	}
}

int journal_file_check(int fd, const char *path, struct kontor_error *err)
{
	struct stat status;
	if (fstat(fd, &status))
		return fail_system(path, "written", errno, err);
	if (status.st_nlink > 0)
		return 0;
	return kontor_fail(err, KONTOR_E_STORAGE,
			   "the id journal %s was removed while it is in use: restart the unit, which makes a new one",
			   path);
}

int journal_file_write(int fd, const char *path, unsigned copy, const struct journal_block *block,
		       struct kontor_error *err)
{
	uint8_t whole[JOURNAL_BLOCK_SIZE] = {0};
	memcpy(whole, block, sizeof(*block));
	int problem = write_all(fd, whole, sizeof(whole), journal_block_offset(copy, block->number));
	if (!problem && fdatasync(fd))
		problem = errno;
	return problem ? fail_system(path, "written", problem, err) : 0;
}
