/* SPDX-License-Identifier: Apache-2.0
 *
 * The proof's judge finds what was planted, one of each kind, and nothing in records that are right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "idgen_verdict.h"

#define NOW_MS INT64_C(1795348800000) /* 2026-11-22T12:00:00Z */
#define EPOCH_MS INT64_C(1767225600000)

struct planted {
	struct records_header header;
	struct record records[8];
	size_t len;
};

static uint64_t std63(int64_t time_ms, unsigned sequence, unsigned datacenter, unsigned slot)
{
	return (uint64_t)(time_ms - EPOCH_MS) << 22 | sequence << 10 | datacenter << 6 | slot;
}

static uint64_t js53(int64_t time_ms, unsigned sequence, unsigned datacenter, unsigned slot)
{
	return (uint64_t)(time_ms - EPOCH_MS) / 1000 << 22 | sequence << 7 | datacenter << 4 | slot;
}

static struct planted file_of(enum id_layout layout, unsigned datacenter, bool consumed, const char *name)
{
	struct planted p = {.header = {.magic = RECORDS_MAGIC,
				       .layout = (uint32_t)layout,
				       .datacenter = datacenter,
				       .consumed = consumed}};
	strncpy(p.header.id_namespace, name, sizeof(p.header.id_namespace) - 1);
	return p;
}

static void plant(struct planted *p, uint64_t base, uint64_t count)
{
	p->records[p->len++] = (struct record){.count = count,
					       .base = base,
					       .stride = UINT64_C(1) << id_layouts[p->header.layout].low_bits,
					       .received_ms = NOW_MS};
}

static struct verdict judge_with(const struct planted *planted, size_t len, struct verdict_input input)
{
	struct records_file files[8] = {0};
	const char *names[8] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	for (size_t i = 0; i < len; i++)
		files[i] = (struct records_file){&planted[i].header, planted[i].records, planted[i].len, 0};
	input.files = files;
	input.names = names;
	input.files_len = len;
	struct verdict v = {0};
	assert_true(verdict_judge(&input, &v));
	return v;
}

static struct verdict judge(const struct planted *planted, size_t len)
{
	return judge_with(planted, len, (struct verdict_input){0});
}

static void test_grants_side_by_side_are_no_duplicates(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_STD63, 1, false, "payout"), file_of(ID_LAYOUT_STD63, 2, true, "payout"),
			      file_of(ID_LAYOUT_JS53, 1, true, "tickets"), file_of(ID_LAYOUT_SEGMENT, 1, true, "dense"),
			      file_of(ID_LAYOUT_SEGMENT, 1, true, "other")};
	plant(&p[0], std63(NOW_MS, 0, 1, 1), 1000);
	plant(&p[0], std63(NOW_MS, 1000, 1, 1), 1000); /* next to it */
	plant(&p[0], std63(NOW_MS, 0, 1, 2), 1000);    /* another slot */
	plant(&p[1], std63(NOW_MS, 0, 2, 1), 1000);    /* another datacenter */
	plant(&p[2], js53(NOW_MS, 0, 1, 1), 100);
	plant(&p[3], 5 << 4 | 1, 100);
	plant(&p[4], 5 << 4 | 1, 100); /* dense ids are unique within their namespace */
	struct verdict v = judge(p, 5);
	assert_int_equal(verdict_findings(&v), 0);
	assert_int_equal(v.granted, 4300);
	assert_int_equal(v.consumed, 1300);
	assert_int_equal(v.records, 7);
	assert_int_equal(v.time_checked, 5);
}

static void test_one_shared_id_of_two_grants_is_found(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_STD63, 1, false, "payout"), file_of(ID_LAYOUT_STD63, 1, false, "job")};
	plant(&p[0], std63(NOW_MS, 0, 1, 1), 1000);
	plant(&p[1], std63(NOW_MS, 999, 1, 1), 10); /* another namespace of the same layout */
	struct verdict v = judge(p, 2);
	assert_int_equal(v.duplicates, 1);
	assert_int_equal(v.duplicate_intervals, 1);
	assert_int_equal(verdict_findings(&v), 1);
}

static void test_a_grant_inside_a_long_one_is_found_behind_a_short_one(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_STD63, 1, false, "payout")};
	plant(&p[0], std63(NOW_MS, 0, 1, 1), 4000);
	plant(&p[0], std63(NOW_MS, 10, 1, 1), 5);   /* 5 twice */
	plant(&p[0], std63(NOW_MS, 100, 1, 1), 50); /* 50 twice, with the first one, not with the one before it */
	struct verdict v = judge(p, 1);
	assert_int_equal(v.duplicates, 55);
	assert_int_equal(v.duplicate_intervals, 2);
}

static void test_a_grant_that_was_received_twice_is_found(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_SEGMENT, 1, false, "dense")};
	plant(&p[0], 7 << 4 | 1, 3);
	plant(&p[0], 7 << 4 | 1, 3);
	struct verdict v = judge(p, 1);
	assert_int_equal(v.duplicates, 3);
}

static void test_an_id_that_was_used_twice_is_found_one_by_one(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_STD63, 1, true, "payout"), file_of(ID_LAYOUT_STD63, 1, true, "payout")};
	plant(&p[0], std63(NOW_MS, 4090, 1, 1), 100); /* over the end of a page */
	plant(&p[1], std63(NOW_MS + 1, 3, 1, 1), 1);
	struct verdict v = judge(p, 2);
	assert_int_equal(v.consumed, 101);
	assert_int_equal(v.consumed_twice, 1);
	assert_int_equal(v.duplicates, 1);
}

static void test_ids_at_the_same_place_of_two_pages_are_two(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_STD63, 1, true, "payout")};
	for (int ms = 0; ms < 3; ms++) /* 4096 counters apart */
		plant(&p[0], std63(NOW_MS + ms, 7, 1, 1), 2);
	struct verdict v = judge(p, 1);
	assert_int_equal(v.consumed, 6);
	assert_int_equal(verdict_findings(&v), 0);
}

static void test_a_foreign_datacenter_is_found_unless_the_scheme_has_none(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_STD63, 1, false, "payout"),
			      file_of(ID_LAYOUT_JS53, 2, false, "tickets"),
			      file_of(ID_LAYOUT_SEGMENT, 3, false, "dense")};
	plant(&p[0], std63(NOW_MS, 0, 2, 1), 1);
	plant(&p[1], js53(NOW_MS, 0, 1, 1), 1);
	plant(&p[2], 7 << 4 | 1, 1);
	struct verdict v = judge(p, 3);
	assert_int_equal(v.wrong_datacenter, 3);
	v = judge_with(p, 3, (struct verdict_input){.any_datacenter = true});
	assert_int_equal(verdict_findings(&v), 0);
}

static void test_a_wrong_time_is_found_unless_clocks_were_disturbed(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_STD63, 1, false, "payout"),
			      file_of(ID_LAYOUT_JS53, 2, false, "tickets")};
	plant(&p[0], std63(NOW_MS + VERDICT_AHEAD_MS + 1, 0, 1, 1), 1);
	plant(&p[0], std63(NOW_MS - VERDICT_BEHIND_MS - 2, 0, 1, 1), 1);
	plant(&p[0], std63(NOW_MS - VERDICT_BEHIND_MS, 0, 1, 1), 1); /* still fine */
	plant(&p[1], js53(NOW_MS - 3600000, 0, 2, 1), 1);
	struct verdict v = judge(p, 2);
	assert_int_equal(v.wrong_time, 3);
	struct verdict_disturbance first = {1, NOW_MS, NOW_MS};
	v = judge_with(p, 2, (struct verdict_input){.disturbances = &first, .disturbances_len = 1});
	assert_int_equal(v.wrong_time, 1);
	assert_int_equal(v.time_checked, 1);
}

static void test_what_is_not_of_the_layout_is_found(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_STD63, 1, false, "payout"),
			      file_of(ID_LAYOUT_JS53, 1, false, "tickets")};
	plant(&p[0], std63(NOW_MS, 0, 1, 1), 1);
	p[0].records[0].stride = 1;
	plant(&p[0], UINT64_C(1) << 63 | 1 << 6, 1);
	plant(&p[0], 0, 1);
	plant(&p[1], (UINT64_C(1) << 53) - 128 + 16, 2); /* the second id needs a 54th bit */
	struct verdict v = judge(p, 2);
	assert_int_equal(v.out_of_layout, 4);
}

static void test_ids_that_go_down_for_one_caller_are_found(void **state)
{
	(void)state;
	struct planted p[] = {file_of(ID_LAYOUT_STD63, 1, true, "payout"),
			      file_of(ID_LAYOUT_STD63, 1, false, "payout")};
	plant(&p[0], std63(NOW_MS, 100, 1, 1), 10);
	plant(&p[0], std63(NOW_MS, 0, 1, 2), 10); /* another slot may be anywhere */
	plant(&p[0], std63(NOW_MS, 50, 1, 1), 10);
	plant(&p[1], std63(NOW_MS, 1100, 1, 1), 10);
	plant(&p[1], std63(NOW_MS, 1050, 1, 1), 10); /* replies may overtake each other */
	struct verdict v = judge(p, 2);
	assert_int_equal(v.not_increasing, 1);
	assert_int_equal(v.duplicates, 0);
}

/* ---- the files --------------------------------------------------------------------------------------------------- */

static void record_path(char *path, size_t size)
{
	snprintf(path, size, "/tmp/kontor-records-%d", (int)getpid());
	unlink(path);
}

static void test_a_killed_writer_loses_nothing(void **state)
{
	(void)state;
	char path[64], problem[256];
	record_path(path, sizeof(path));
	struct records_header header = file_of(ID_LAYOUT_STD63, 1, true, "payout").header;
	uint64_t base = std63(NOW_MS, 0, 1, 1);
	pid_t child = fork();
	if (!child) {
		struct records_writer w;
		if (!records_create(&w, path, &header, 10))
			_exit(1);
		for (uint64_t n = 0; n < 700; n++)
			records_add_id(&w, base + n * 1024);
		records_add_id(&w, base + 699 * 1024); /* again: a record of its own, and a duplicate */
		records_add_id(&w, base + 800 * 1024);
		_exit(0); /* as a kill would end it: nothing is closed */
	}
	int status;
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	struct records_file file;
	assert_true(records_open(&file, path, problem, sizeof(problem)));
	assert_int_equal(file.len, 3);
	assert_int_equal(file.records[0].count, 700);
	assert_int_equal(file.records[1].count, 1);
	assert_int_equal(file.records[2].base, base + 800 * 1024);
	const char *names[] = {path};
	struct verdict v;
	assert_true(verdict_judge(&(struct verdict_input){.files = &file, .names = names, .files_len = 1}, &v));
	assert_int_equal(v.consumed, 702);
	assert_int_equal(v.consumed_twice, 1);
	assert_int_equal(v.not_increasing, 1);
	records_unmap(&file);
	unlink(path);
}

static void test_a_long_run_has_several_times(void **state)
{
	(void)state;
	char path[64];
	record_path(path, sizeof(path));
	struct records_header header = file_of(ID_LAYOUT_STD63, 1, true, "payout").header;
	struct records_writer w;
	assert_true(records_create(&w, path, &header, 10));
	for (uint64_t n = 1; n <= 100000; n++)
		assert_true(records_add_id(&w, n * 1024));
	assert_int_equal(w.len, 2);
	assert_int_equal(w.records[0].count + w.records[1].count, 100000);
	records_close(&w);
	unlink(path);
}

static void test_a_full_file_is_told_and_a_foreign_one_refused(void **state)
{
	(void)state;
	char path[64], problem[256];
	record_path(path, sizeof(path));
	struct records_header header = file_of(ID_LAYOUT_STD63, 1, false, "payout").header;
	struct records_writer w;
	assert_true(records_create(&w, path, &header, 2));
	assert_true(records_add_grant(&w, 1, 1024, 1024, 5));
	assert_true(records_add_grant(&w, 2, 10240, 1024, 5));
	assert_false(records_add_grant(&w, 3, 20480, 1024, 5));
	w.header->magic = 7;
	records_close(&w);
	struct records_file file;
	assert_false(records_open(&file, path, problem, sizeof(problem)));
	assert_non_null(strstr(problem, "no file of records"));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grants_side_by_side_are_no_duplicates),
		cmocka_unit_test(test_one_shared_id_of_two_grants_is_found),
		cmocka_unit_test(test_a_grant_inside_a_long_one_is_found_behind_a_short_one),
		cmocka_unit_test(test_a_grant_that_was_received_twice_is_found),
		cmocka_unit_test(test_an_id_that_was_used_twice_is_found_one_by_one),
		cmocka_unit_test(test_ids_at_the_same_place_of_two_pages_are_two),
		cmocka_unit_test(test_a_foreign_datacenter_is_found_unless_the_scheme_has_none),
		cmocka_unit_test(test_a_wrong_time_is_found_unless_clocks_were_disturbed),
		cmocka_unit_test(test_what_is_not_of_the_layout_is_found),
		cmocka_unit_test(test_ids_that_go_down_for_one_caller_are_found),
		cmocka_unit_test(test_a_killed_writer_loses_nothing),
		cmocka_unit_test(test_a_long_run_has_several_times),
		cmocka_unit_test(test_a_full_file_is_told_and_a_foreign_one_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
