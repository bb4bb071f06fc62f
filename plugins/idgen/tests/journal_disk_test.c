/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal on a disk that fails: writes and syncs that leave nothing, half or all of a block behind, and blocks that
 * cannot be read any more.
 */
#undef pread
#undef preadv
#undef pwrite
#undef fdatasync

#include <errno.h>
#include <fcntl.h>

#define TOP "/dev/shm" /* thousands of files that no disk needs to see */
#include "journal_fixture.h"

#define TORN_BYTES 4 /* of a block: the checksum is the new one's, all else is as it was */
#define TRIES 3

/* ---- the disk --------------------------------------------------------------------------------------------------- */

enum left { NOTHING, HALF, ALL }; /* of a write that failed */

static struct disk {
	int fails_in; /* the write that fails, counted from 0; -1: none */
	bool in_sync; /* it is its sync that fails */
	enum left left;
	int writes;
	off_t last; /* where, and what stood there */
	uint8_t kept[JOURNAL_BLOCK_SIZE], written[JOURNAL_BLOCK_SIZE];
	bool unreadable[JOURNAL_COPIES][JOURNAL_BLOCKS];
} disk = {.fails_in = -1};

static char other[96], empty[96]; /* further journals */

static bool *unreadable_at(off_t offset)
{
	size_t block = (size_t)offset / JOURNAL_BLOCK_SIZE;
	return &disk.unreadable[block / JOURNAL_BLOCKS][block % JOURNAL_BLOCKS];
}

static void put(int fd, const void *data, size_t size, off_t offset)
{
	assert_int_equal(pwrite(fd, data, size, offset), size);
}

static void leave(int fd)
{
	size_t new_bytes = disk.left == ALL ? sizeof(disk.kept) : disk.left == HALF ? TORN_BYTES : 0;
	memcpy(disk.kept, disk.written, new_bytes);
	put(fd, disk.kept, sizeof(disk.kept), disk.last);
}

ssize_t disk_preadv(int fd, const struct iovec *parts, int parts_len, off_t offset)
{
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++)
		for (uint32_t number = 0; number < JOURNAL_BLOCKS; number++)
			if (disk.unreadable[copy][number]) {
				errno = EIO;
				return -1;
			}
	return preadv(fd, parts, parts_len, offset);
}

ssize_t disk_pread(int fd, void *data, size_t size, off_t offset)
{
	if (*unreadable_at(offset)) {
		errno = EIO;
		return -1;
	}
	return pread(fd, data, size, offset);
}

ssize_t disk_pwrite(int fd, const void *data, size_t size, off_t offset)
{
	if (size > JOURNAL_BLOCK_SIZE) /* the file is being made */
		return pwrite(fd, data, size, offset);
	bool fails = disk.writes++ == disk.fails_in;
	/* a system reads what a write leaves out of a block */
	if (*unreadable_at(offset) && size < JOURNAL_BLOCK_SIZE) {
		errno = EIO;
		return -1;
	}
	*unreadable_at(offset) = false;
	disk.last = offset;
	assert_int_equal(pread(fd, disk.kept, sizeof(disk.kept), offset), sizeof(disk.kept));
	memcpy(disk.written, disk.kept, sizeof(disk.written));
	memcpy(disk.written, data, size);
	put(fd, data, size, offset);
	if (!fails || disk.in_sync)
		return (ssize_t)size;
	leave(fd);
	errno = EIO;
	return -1;
}

int disk_fdatasync(int fd)
{
	if (!disk.in_sync || disk.writes - 1 != disk.fails_in)
		return 0;
	leave(fd);
	errno = EIO;
	return -1;
}

/* ---- writes that fail ------------------------------------------------------------------------------------------- */

/* Of a try to record something: 0 is success; the others fail in one of its two writes or in one of its two syncs, and
 * leave one of three things behind. */
#define OUTCOMES (1 + 2 * 2 * 3)
#define TORN (-1)

static void choose(int outcome)
{
	disk.writes = 0;
	disk.fails_in = outcome ? (outcome - 1) % 2 : -1;
	disk.in_sync = (outcome - 1) / 2 % 2;
	disk.left = (enum left)((outcome - 1) / 4);
}

/* Of record 1, both copies. */
static void copy_record(const char *from, const char *to)
{
	char bytes[JOURNAL_BLOCK_SIZE];
	int from_fd = open(from, O_RDONLY | O_CLOEXEC), to_fd = open(to, O_WRONLY | O_CLOEXEC);
	assert_true(from_fd >= 0 && to_fd >= 0);
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++) {
		off_t at = journal_block_offset(copy, 1);
		assert_int_equal(pread(from_fd, bytes, sizeof(bytes), at), sizeof(bytes));
		put(to_fd, bytes, sizeof(bytes), at);
	}
	close(from_fd);
	close(to_fd);
}

/* What a new process finds in the file as it is now, after a kill or a power cut. */
static uint64_t found_anew(void)
{
	struct journal j;
	copy_record(path, other);
	choose(0);
	assert_int_equal(journal_open(&j, other, &err), 0);
	assert_true(j.repaired <= 1);
	uint64_t hwm = journal_hwm(&j, "std63/1", NULL);
	journal_close(&j);
	return hwm;
}

/* Which try each copy on the disk is from, or TORN. */
struct expected {
	int copies[JOURNAL_COPIES];
	unsigned doubtful;
};

static void expect_try(struct expected *expected, int number)
{
	for (int i = 0; i < (int)JOURNAL_COPIES; i++) {
		unsigned copy = expected->doubtful ^ (unsigned)i;
		if (i != disk.fails_in) {
			expected->copies[copy] = number;
			continue;
		}
		if (disk.left != NOTHING)
			expected->copies[copy] = disk.left == ALL ? number : TORN;
		expected->doubtful = copy;
		return;
	}
	expected->doubtful = 0;
}

/* A try is judged by its number: marks go down from one to the next, but never below one that was acknowledged. */
static void run_tries(int outcomes)
{
	struct journal j;
	struct expected expected = {.doubtful = 0};
	uint64_t hwms[1 + TRIES] = {0}, base = 0;
	choose(0);
	open_journal(&j);
	for (int number = 1; number <= TRIES; number++, outcomes /= OUTCOMES) {
		int outcome = outcomes % OUTCOMES;
		hwms[number] = base + 10 - (uint64_t)number;
		choose(outcome);
		expect_try(&expected, number);
		int code = journal_mark(&j, "std63/1", 1, hwms[number], &err);
		assert_int_equal(code, outcome ? KONTOR_E_STORAGE : 0);
		base += code ? 0 : 100;
		int newest = expected.copies[0] > expected.copies[1] ? expected.copies[0] : expected.copies[1];
		assert_int_not_equal(newest, TORN);
		if (outcomes < OUTCOMES) /* nothing but successes follows: each beginning is looked at once */
			assert_int_equal(found_anew(), hwms[newest]);
	}
	journal_close(&j);
	copy_record(empty, path);
}

static void test_any_tries_that_fail_leave_the_newest_whole_record(void **state)
{
	(void)state;
	struct journal j;
	const char *const paths[] = {path, other, empty};
	snprintf(other, sizeof(other), "%.80s/other", folder);
	snprintf(empty, sizeof(empty), "%.80s/empty", folder);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(journal_open(&j, paths[i], &err), 0);
		journal_close(&j);
	}
	for (int outcomes = 0; outcomes < OUTCOMES * OUTCOMES * OUTCOMES; outcomes++)
		run_tries(outcomes);
	unlink(other);
	unlink(empty);
}

/* The record that ties the journal to its database: it is written only once, so nothing else would make it whole. */
static void test_the_cluster_is_known_after_each_failed_bind(void **state)
{
	(void)state;
	for (int first = 1; first < OUTCOMES; first++)
		for (int second = 1; second < OUTCOMES; second++) {
			struct journal j;
			choose(0);
			open_journal(&j);
			choose(first);
			assert_int_equal(journal_bind(&j, CLUSTER, &err), KONTOR_E_STORAGE);
			choose(second);
			assert_int_equal(journal_bind(&j, CLUSTER, &err), KONTOR_E_STORAGE);
			choose(0);
			journal_close(&j); /* killed */
			open_journal(&j);
			assert_int_equal(journal_bind(&j, CLUSTER, &err), 0);
			journal_close(&j);
			unlink(path);
		}
}

/* ---- blocks that cannot be read --------------------------------------------------------------------------------- */

static void make_journal(void)
{
	struct journal j;
	open_journal(&j);
	assert_int_equal(journal_bind(&j, CLUSTER, &err), 0);
	mark(&j, "std63/1", 1, 100);
	mark(&j, "std63/2", 1, 200);
	journal_close(&j);
}

static void assert_all_is_there(size_t unreadable)
{
	struct journal j;
	open_journal(&j);
	assert_int_equal(j.repaired, unreadable);
	assert_int_equal(j.unreadable, unreadable);
	assert_int_equal(journal_bind(&j, CLUSTER, &err), 0);
	assert_int_equal(journal_hwm(&j, "std63/1", NULL), 100);
	assert_int_equal(journal_hwm(&j, "std63/2", NULL), 200);
	journal_close(&j);
}

static void test_an_unreadable_copy_is_written_anew_from_the_other_one(void **state)
{
	(void)state;
	make_journal();
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++)
		for (uint32_t number = 0; number < JOURNAL_BLOCKS; number++) {
			disk.unreadable[copy][number] = true;
			disk.unreadable[!copy][(number + 1) % JOURNAL_BLOCKS] = true;
			assert_all_is_there(2);
			assert_all_is_there(0);
		}
}

static void test_a_record_that_no_copy_can_be_read_of_is_refused_with_the_reason(void **state)
{
	(void)state;
	make_journal();
	for (uint32_t number = 0; number < 3; number++) {
		struct journal j;
		disk.unreadable[0][number] = disk.unreadable[1][number] = true;
		assert_int_equal(journal_open(&j, path, &err), KONTOR_E_STORAGE);
		assert_non_null(strstr(err.message, strerror(EIO)));
		assert_non_null(strstr(err.message, path));
		disk.unreadable[0][number] = false; /* it can be read again, and nothing was written */
		assert_all_is_there(1);
	}
}

static void test_an_unreadable_copy_and_a_torn_one_are_refused(void **state)
{
	(void)state;
	struct journal j;
	make_journal();
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++) {
		FILE *file = fopen(path, "r+e");
		assert_non_null(file);
		assert_int_equal(fseek(file, journal_block_offset(!copy, 2), SEEK_SET), 0);
		assert_int_equal(fwrite("torn", 4, 1, file), 1);
		fclose(file);
		disk.unreadable[copy][2] = true;
		assert_int_equal(journal_open(&j, path, &err), KONTOR_E_STORAGE);
		assert_non_null(strstr(err.message, "block 2 has no valid copy that can be read"));
		assert_non_null(strstr(err.message, strerror(EIO)));
		disk.unreadable[copy][2] = false;
		open_journal(&j); /* repairs it */
		assert_int_equal(j.unreadable, 0);
		journal_close(&j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_any_tries_that_fail_leave_the_newest_whole_record),
		IN_FOLDER(test_the_cluster_is_known_after_each_failed_bind),
		IN_FOLDER(test_an_unreadable_copy_is_written_anew_from_the_other_one),
		IN_FOLDER(test_a_record_that_no_copy_can_be_read_of_is_refused_with_the_reason),
		IN_FOLDER(test_an_unreadable_copy_and_a_torn_one_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
