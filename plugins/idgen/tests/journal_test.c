/* SPDX-License-Identifier: Apache-2.0
 *
 * What the journal remembers, who may use it, and files that are torn, flipped, cut or foreign.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#define TOP "/dev/shm" /* thousands of files that no disk needs to see */
#include "journal_fixture.h"

static uint8_t before[JOURNAL_FILE_SIZE], after[JOURNAL_FILE_SIZE], image[JOURNAL_FILE_SIZE];

static void read_file(uint8_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, JOURNAL_FILE_SIZE), JOURNAL_FILE_SIZE);
	close(fd);
}

static void write_file(const uint8_t *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

/* What is refused is left as it is, for people to look at. */
static void assert_refused(int code, const char *words)
{
	struct journal j;
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	assert_int_equal(journal_open(&j, path, &err), code);
	assert_false(j.is_open);
	assert_non_null(strstr(err.message, path));
	if (!strstr(err.message, words))
		fail_msg("not \"%s\": %s", words, err.message);
	journal_close(&j);
}

/* ---- what it remembers ------------------------------------------------------------------------------------------ */

static void count_keys(void *arg, const char *key, uint64_t epoch, uint64_t hwm)
{
	size_t *count = arg;
	*count += strcmp(key, "std63/7") == 0 && epoch == 4 && hwm == 300;
	*count += strcmp(key, "segment/tickets") == 0 && epoch == 1 && hwm == UINT64_MAX;
}

static void test_marks_are_there_after_reopening(void **state)
{
	(void)state;
	struct journal j;
	uint64_t epoch = 99;
	size_t found = 0;
	struct stat status;
	open_journal(&j);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(status.st_size, JOURNAL_FILE_SIZE);
	assert_true((size_t)status.st_blocks * 512 >= JOURNAL_FILE_SIZE);
	mark(&j, "std63/7", 3, 100);
	mark(&j, "segment/tickets", 1, UINT64_MAX);
	mark(&j, "std63/7", 4, 300);
	assert_true(journal_hwm(&j, "std63/8", &epoch) == 0 && epoch == 0);
	journal_close(&j);
	open_journal(&j);
	assert_int_equal(j.repaired, 0);
	assert_int_equal(journal_hwm(&j, "std63/7", &epoch), 300);
	assert_int_equal(epoch, 4);
	journal_each(&j, count_keys, &found);
	assert_int_equal(found, 2);
	assert_int_equal(j.entries_len, 2);
	journal_close(&j);
	journal_close(&j);
}

static void test_a_mark_never_goes_down(void **state)
{
	(void)state;
	struct journal j;
	uint64_t epoch;
	open_journal(&j);
	mark(&j, "std63/7", 5, 300);
	mark(&j, "std63/7", 5, 299);
	mark(&j, "std63/7", 6, 1);
	assert_int_equal(journal_hwm(&j, "std63/7", &epoch), 300);
	assert_int_equal(epoch, 6);
	mark(&j, "std63/7", 2, 301);
	assert_int_equal(journal_hwm(&j, "std63/7", &epoch), 301);
	assert_int_equal(epoch, 6);
	journal_close(&j);
	open_journal(&j);
	assert_int_equal(journal_hwm(&j, "std63/7", &epoch), 301);
	assert_int_equal(epoch, 6);
	journal_close(&j);
}

static void test_it_belongs_to_one_cluster(void **state)
{
	(void)state;
	struct journal j;
	open_journal(&j);
	assert_int_equal(journal_bind(&j, "", &err), KONTOR_E_BAD_REQUEST);
	assert_int_equal(journal_bind(&j, CLUSTER, &err), 0);
	assert_int_equal(journal_bind(&j, CLUSTER, &err), 0);
	journal_close(&j);
	open_journal(&j);
	assert_int_equal(journal_bind(&j, CLUSTER, &err), 0);
	assert_int_equal(journal_bind(&j, "ffffffffffffffffffffffffffffffff", &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, path));
	assert_non_null(strstr(err.message, CLUSTER));
	assert_non_null(strstr(err.message, "ffffffffffffffffffffffffffffffff"));
	assert_non_null(strstr(err.message, "remove the file"));
	journal_close(&j);
}

static void test_keys_have_limits(void **state)
{
	(void)state;
	struct journal j;
	char key[JOURNAL_KEY_SIZE + 1];
	open_journal(&j);
	memset(key, 'k', sizeof(key));
	key[JOURNAL_KEY_SIZE] = '\0';
	assert_int_equal(journal_mark(&j, key, 1, 1, &err), KONTOR_E_BAD_REQUEST);
	assert_int_equal(journal_mark(&j, "", 1, 1, &err), KONTOR_E_BAD_REQUEST);
	key[JOURNAL_KEY_SIZE - 1] = '\0';
	mark(&j, key, 1, 7);
	for (int i = 1; i < JOURNAL_KEYS; i++) {
		snprintf(key, sizeof(key), "segment/%d", i);
		mark(&j, key, 1, (uint64_t)i);
	}
	assert_int_equal(journal_mark(&j, "segment/one-more", 1, 1, &err), KONTOR_E_TOO_BIG);
	assert_non_null(strstr(err.message, "segment/one-more"));
	mark(&j, "segment/1", 1, 1000); /* those that are there go on */
	journal_close(&j);
	open_journal(&j);
	memset(key, 'k', JOURNAL_KEY_SIZE - 1);
	key[JOURNAL_KEY_SIZE - 1] = '\0';
	assert_int_equal(journal_hwm(&j, key, NULL), 7);
	assert_int_equal(journal_hwm(&j, "segment/1", NULL), 1000);
	assert_int_equal(journal_hwm(&j, "segment/255", NULL), 255);
	journal_close(&j);
}

static void *mark_in_thread(void *arg)
{
	struct journal *j = arg;
	uintptr_t failed = 0;
	for (uint64_t hwm = 1; hwm <= 50; hwm++) {
		failed += journal_mark(j, "std63/1", hwm, hwm, NULL) != 0;
		failed += journal_hwm(j, "std63/1", NULL) < hwm;
	}
	return (void *)failed;
}

static void test_threads_may_share_it(void **state)
{
	(void)state;
	struct journal j;
	pthread_t threads[4];
	open_journal(&j);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, mark_in_thread, &j), 0);
	for (int i = 0; i < 4; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(journal_hwm(&j, "std63/1", NULL), 50);
	assert_int_equal(j.entries_len, 1);
	journal_close(&j);
}

/* ---- who may use it --------------------------------------------------------------------------------------------- */

static void test_a_second_user_is_refused(void **state)
{
	(void)state;
	struct journal j;
	open_journal(&j);
	assert_refused(KONTOR_E_CONFLICT, "in use by another process");
	mark(&j, "std63/7", 1, 5);
	journal_close(&j);
	open_journal(&j);
	assert_int_equal(journal_hwm(&j, "std63/7", NULL), 5);
	journal_close(&j);
}

/* A maker that died between link() and unlink() leaves a second name of the journal. It must never be emptied. */
static void test_the_name_for_making_is_never_the_journal_itself(void **state)
{
	(void)state;
	struct journal j;
	char making[128], kept[128];
	open_journal(&j);
	mark(&j, "std63/7", 1, 5);
	journal_close(&j);
	snprintf(making, sizeof(making), "%s.new", path);
	snprintf(kept, sizeof(kept), "%s.kept", path);
	assert_int_equal(link(path, making), 0);
	assert_int_equal(rename(path, kept), 0);
	open_journal(&j); /* makes one, and must not make it out of the other name */
	assert_int_equal(journal_hwm(&j, "std63/7", NULL), 0);
	journal_close(&j);
	assert_int_equal(rename(kept, path), 0);
	open_journal(&j);
	assert_int_equal(journal_hwm(&j, "std63/7", NULL), 5);
	journal_close(&j);
	assert_int_equal(access(making, F_OK), -1);
}

static void test_what_is_written_to_a_removed_file_does_not_count(void **state)
{
	(void)state;
	struct journal j;
	open_journal(&j);
	mark(&j, "std63/7", 1, 5);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(journal_mark(&j, "std63/7", 1, 6, &err), KONTOR_E_STORAGE);
	assert_non_null(strstr(err.message, "was removed"));
	assert_int_equal(journal_hwm(&j, "std63/7", NULL), 5);
	journal_close(&j);
}

/* ---- damage ----------------------------------------------------------------------------------------------------- */

/* `before` and `after`: the file before and after one change from hwm 100 to 200, made by change(). */
static void record_change(const char *key, uint64_t from, uint64_t to)
{
	struct journal j;
	open_journal(&j);
	mark(&j, "std63/1", 1, 11);
	if (from)
		mark(&j, key, 1, from);
	read_file(before);
	mark(&j, key, 1, to);
	read_file(after);
	mark(&j, "std63/1", 1, 11);
	journal_close(&j);
}

/* Both copies of record 2 as they are in `image`, into the file. */
static uint64_t hwm_of_image(const char *key)
{
	struct journal j;
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++) {
		off_t at = journal_block_offset(copy, 2);
		assert_int_equal(pwrite(fd, image + at, JOURNAL_BLOCK_SIZE, at), JOURNAL_BLOCK_SIZE);
	}
	close(fd);
	open_journal(&j);
	uint64_t hwm = journal_hwm(&j, key, NULL);
	assert_int_equal(journal_hwm(&j, "std63/1", NULL), 11);
	journal_close(&j);
	open_journal(&j); /* the first one repaired it */
	assert_int_equal(j.repaired, 0);
	assert_int_equal(journal_hwm(&j, key, NULL), hwm);
	journal_close(&j);
	return hwm;
}

/* The write of one copy ends after `bytes`, from its front or from its end; the copies before it are complete. */
static void tear(unsigned copy, uint32_t number, size_t bytes, bool from_end)
{
	memcpy(image, before, sizeof(image));
	if (copy == 1)
		memcpy(image + journal_block_offset(0, number), after + journal_block_offset(0, number),
		       JOURNAL_BLOCK_SIZE);
	off_t at = journal_block_offset(copy, number) + (from_end ? (off_t)(sizeof(struct journal_block) - bytes) : 0);
	memcpy(image + at, after + at, bytes);
}

static void tear_everywhere(const char *key, uint64_t from, uint64_t to)
{
	record_change(key, from, to);
	for (size_t bytes = 0; bytes <= sizeof(struct journal_block); bytes++)
		for (int from_end = 0; from_end < 2; from_end++) {
			tear(0, 2, bytes, from_end);
			uint64_t hwm = hwm_of_image(key);
			assert_true(hwm == from || hwm == to);
			tear(1, 2, bytes, from_end);
			assert_true(hwm_of_image(key) == to);
		}
}

static void test_a_torn_write_is_survived_at_every_byte(void **state)
{
	(void)state;
	tear_everywhere("std63/2", 100, 200);
}

static void test_a_torn_first_write_is_survived_at_every_byte(void **state)
{
	(void)state;
	tear_everywhere("std63/2", 0, 200);
}

/* Either copy may go bad at any time, and what was acknowledged is still known. */
static void test_a_flip_in_any_byte_loses_nothing(void **state)
{
	(void)state;
	record_change("std63/2", 100, 200);
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++)
		for (size_t i = 0; i < sizeof(struct journal_block); i++) {
			memcpy(image, after, sizeof(image));
			image[journal_block_offset(copy, 2) + (off_t)i] ^= (uint8_t)(1u << (i % 8));
			assert_int_equal(hwm_of_image("std63/2"), 200);
		}
}

static void test_flips_in_both_copies_are_refused(void **state)
{
	(void)state;
	record_change("std63/2", 100, 200);
	for (size_t i = 0; i < sizeof(struct journal_block); i++)
		for (uint32_t number = 0; number < 3; number += 2) {
			memcpy(image, after, sizeof(image));
			image[journal_block_offset(0, number) + (off_t)i] ^= 1;
			image[journal_block_offset(1, number) + 60] ^= 64;
			write_file(image, sizeof(image));
			assert_refused(KONTOR_E_STORAGE, "is damaged: block");
			read_file(before);
			assert_memory_equal(before, image, sizeof(image));
		}
}

/* Zeros and a record of another place are no valid records, though a disk may well hand them out. */
static void test_misplaced_and_zeroed_blocks_are_refused(void **state)
{
	(void)state;
	record_change("std63/2", 100, 200);
	memcpy(image, after, sizeof(image));
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++)
		memset(image + journal_block_offset(copy, 2), 0, JOURNAL_BLOCK_SIZE);
	write_file(image, sizeof(image));
	assert_refused(KONTOR_E_STORAGE, "block 2 is not valid");
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++)
		memcpy(image + journal_block_offset(copy, 2), after + journal_block_offset(copy, 3),
		       JOURNAL_BLOCK_SIZE);
	write_file(image, sizeof(image));
	assert_refused(KONTOR_E_STORAGE, "block 2 is not valid");
}

static void put_block(uint32_t number, uint64_t sequence, const char *key, uint64_t hwm)
{
	struct journal_block block;
	struct journal_entry entry = {.epoch = 1, .hwm = hwm};
	strncpy(entry.key, key, sizeof(entry.key) - 1);
	journal_block_fill(&block, number, sequence, &entry);
	memcpy(image + journal_block_offset(0, number), &block, sizeof(block));
}

static void test_records_that_contradict_each_other_are_refused(void **state)
{
	(void)state;
	struct journal_block block;
	record_change("std63/2", 100, 200);
	memcpy(&block, after + journal_block_offset(0, 2), sizeof(block));
	memcpy(image, after, sizeof(image));
	put_block(2, block.sequence, "std63/2", 150);
	write_file(image, sizeof(image));
	assert_refused(KONTOR_E_STORAGE, "contradict");
	put_block(2, 1000, "std63/1", 150);
	write_file(image, sizeof(image));
	assert_refused(KONTOR_E_STORAGE, "must not stand there");
	put_block(2, 1000, "std63/2", 200);
	put_block(9, 1000, "std63/9", 150);
	write_file(image, sizeof(image));
	assert_refused(KONTOR_E_STORAGE, "must not stand there");
}

static void test_other_files_are_refused(void **state)
{
	(void)state;
	struct journal_block block;
	record_change("std63/2", 100, 200);
	write_file(after, 0);
	assert_refused(KONTOR_E_STORAGE, "has 0 bytes");
	write_file(after, sizeof(after) - 1);
	assert_refused(KONTOR_E_STORAGE, "it was cut");
	memset(image, 'x', sizeof(image));
	write_file(image, sizeof(image));
	assert_refused(KONTOR_E_STORAGE, "is not an id journal");
	memcpy(image, after, sizeof(image));
	journal_block_fill(&block, 0, 1, &(struct journal_entry){.key = CLUSTER});
	block.version = 2;
	block.crc = (uint32_t)crc32(0, (const uint8_t *)&block + 4, sizeof(block) - 4);
	for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++)
		memcpy(image + journal_block_offset(copy, 0), &block, sizeof(block));
	write_file(image, sizeof(image));
	assert_refused(KONTOR_E_STORAGE, "has format 2");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(KONTOR_E_STORAGE, "cannot be opened");
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_refused(KONTOR_E_STORAGE, "cannot be opened");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_marks_are_there_after_reopening),
		IN_FOLDER(test_a_mark_never_goes_down),
		IN_FOLDER(test_it_belongs_to_one_cluster),
		IN_FOLDER(test_keys_have_limits),
		IN_FOLDER(test_threads_may_share_it),
		IN_FOLDER(test_a_second_user_is_refused),
		IN_FOLDER(test_the_name_for_making_is_never_the_journal_itself),
		IN_FOLDER(test_what_is_written_to_a_removed_file_does_not_count),
		IN_FOLDER(test_a_torn_write_is_survived_at_every_byte),
		IN_FOLDER(test_a_torn_first_write_is_survived_at_every_byte),
		IN_FOLDER(test_a_flip_in_any_byte_loses_nothing),
		IN_FOLDER(test_flips_in_both_copies_are_refused),
		IN_FOLDER(test_misplaced_and_zeroed_blocks_are_refused),
		IN_FOLDER(test_records_that_contradict_each_other_are_refused),
		IN_FOLDER(test_other_files_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
