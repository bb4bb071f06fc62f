/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "kontor/time.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

static int64_t at(const char *text)
{
	int64_t ms = 0;
	if (kontor_time_parse(kontor_text_of(text), &ms) != KONTOR_TIME_OK)
		fail_msg("%s is not accepted", text);
	return ms;
}

static void test_times_are_read_to_the_millisecond(void **state)
{
	(void)state;
	assert_int_equal(at("1970-01-01T00:00:00Z"), 0);
	assert_int_equal(at("1969-12-31T23:59:59.999999Z"), -1);
	assert_int_equal(at("2026-01-01T00:00:00Z"), INT64_C(1767225600000));
	assert_int_equal(at("2026-01-01T00:00:00.1Z"), INT64_C(1767225600100));
	assert_int_equal(at("2026-01-01T00:00:00.1239999999999Z"), INT64_C(1767225600123));
	assert_int_equal(at("2026-01-01T08:00:00+08:00"), INT64_C(1767225600000));
	assert_int_equal(at("2025-12-31T18:30:00-05:30"), INT64_C(1767225600000));
	assert_int_equal(at("2026-01-01T23:59:00+23:59"), INT64_C(1767225600000));
	assert_int_equal(at("2026-01-01T00:00:00-00:00"), INT64_C(1767225600000));
	assert_int_equal(at("2024-02-29T00:00:00Z"), INT64_C(1709164800000));
	assert_int_equal(at("2000-02-29T12:00:00Z"), INT64_C(951825600000));
}

static void test_bad_times_name_their_fault(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum kontor_time_fault fault;
	} cases[] = {
		{"", KONTOR_TIME_SYNTAX},
		{"2026-11-02", KONTOR_TIME_SYNTAX},
		{"2026-11-02 09:30:00Z", KONTOR_TIME_SYNTAX},
		{"2026-11-02t09:30:00Z", KONTOR_TIME_SYNTAX},
		{"2026-11-02T09:30:00z", KONTOR_TIME_SYNTAX},
		{"2026-11-02T09:30Z", KONTOR_TIME_SYNTAX},
		{"2026-11-02T09:30:00.Z", KONTOR_TIME_SYNTAX},
		{"2026-11-02T09:30:00,5Z", KONTOR_TIME_SYNTAX},
		{"2026-11-02T09:30:00+0800", KONTOR_TIME_SYNTAX},
		{"2026-11-02T09:30:00+8:00", KONTOR_TIME_SYNTAX},
		{"2026-11-02T09:30:00Z ", KONTOR_TIME_SYNTAX},
		{" 2026-11-02T09:30:00Z", KONTOR_TIME_SYNTAX},
		{"26-11-02T09:30:00Z", KONTOR_TIME_SYNTAX},
		{"2026-1-2T09:30:00Z", KONTOR_TIME_SYNTAX},
		{"+2026-11-02T09:30:00Z", KONTOR_TIME_SYNTAX},
		{"２026-11-02T09:30:00Z", KONTOR_TIME_SYNTAX},
		{"1793612345", KONTOR_TIME_SYNTAX},
		{"2026-11-02T09:30:00", KONTOR_TIME_NO_OFFSET},
		{"2026-11-02T09:30:00.5", KONTOR_TIME_NO_OFFSET},
		{"2026-02-30T09:30:00Z", KONTOR_TIME_NO_SUCH_DAY},
		{"2026-02-29T09:30:00Z", KONTOR_TIME_NO_SUCH_DAY},
		{"1900-02-29T09:30:00Z", KONTOR_TIME_NO_SUCH_DAY},
		{"2026-04-31T09:30:00Z", KONTOR_TIME_NO_SUCH_DAY},
		{"2026-13-01T09:30:00Z", KONTOR_TIME_NO_SUCH_DAY},
		{"2026-00-01T09:30:00Z", KONTOR_TIME_NO_SUCH_DAY},
		{"2026-01-00T09:30:00Z", KONTOR_TIME_NO_SUCH_DAY},
		{"2026-11-02T24:00:00Z", KONTOR_TIME_RANGE},
		{"2026-11-02T09:60:00Z", KONTOR_TIME_RANGE},
		{"2016-12-31T23:59:60Z", KONTOR_TIME_RANGE},
		{"2026-11-02T09:30:00+24:00", KONTOR_TIME_RANGE},
		{"2026-11-02T09:30:00+08:60", KONTOR_TIME_RANGE},
		{"0000-01-01T00:00:00Z", KONTOR_TIME_RANGE},
	};
	int64_t ms = 77;
	for (size_t k = 0; k < COUNT(cases); k++) {
		if (kontor_time_parse(kontor_text_of(cases[k].text), &ms) != cases[k].fault)
			fail_msg("%s", cases[k].text);
		assert_true(strlen(kontor_time_explain(cases[k].fault)) > 10);
	}
	assert_int_equal(kontor_time_parse(kontor_text_of(NULL), &ms), KONTOR_TIME_SYNTAX);
	assert_int_equal(ms, 77);
}

static void test_what_is_written_is_read_again_and_agrees_with_libc(void **state)
{
	(void)state;
	char text[KONTOR_TIME_SIZE], libc[KONTOR_TIME_SIZE];
	assert_string_equal(kontor_time_format(INT64_C(1795341600123), text), "2026-11-22T10:00:00.123Z");
	assert_string_equal(kontor_time_format(INT64_C(1795341600000), text), "2026-11-22T10:00:00Z");
	srand(3);
	const int64_t first = at("0001-01-01T00:00:00Z"), last = at("9999-12-31T23:59:59.999Z");
	for (int n = 0; n < 200000; n++) {
		int64_t ms = first + (int64_t)((uint64_t)((int64_t)rand() << 31 ^ rand()) % (uint64_t)(last - first));
		assert_int_equal(at(kontor_time_format(ms, text)), ms);
		time_t seconds = (time_t)(ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000));
		struct tm tm;
		gmtime_r(&seconds, &tm);
		strftime(libc, sizeof(libc), "%Y-%m-%dT%H:%M:%S", &tm);
		assert_int_equal(strncmp(strchr(text, '-'), strchr(libc, '-'), 15), 0);
	}
}

static uint32_t window(const char *text)
{
	uint32_t number = 0;
	if (!kontor_window_parse(kontor_text_of(text), &number))
		fail_msg("%s is not accepted", text);
	return number;
}

static void test_windows_are_iso_weeks_that_exist(void **state)
{
	(void)state;
	static const char *const bad[] = {"2026-W00", "2026-W54", "2027-W53", "2025-W53",  "2026W45",
					  "2026-w45", "2026-45",  "2026-W5",  "2026-W455", "",
					  "0000-W01", "２026-W4", "2026-W4x"};
	uint32_t number = 77;
	for (size_t k = 0; k < COUNT(bad); k++)
		if (kontor_window_parse(kontor_text_of(bad[k]), &number))
			fail_msg("%s was accepted", bad[k]);
	assert_int_equal(number, 77);
	char text[KONTOR_WINDOW_SIZE];
	assert_int_equal(window("2026-W45"), 202645);
	assert_int_equal(window("2026-W53"), 202653);
	assert_int_equal(window("2020-W53"), 202053);
	assert_string_equal(kontor_window_format(202605, text), "2026-W05");
	assert_int_equal(kontor_window_next(202653), 202701);
	assert_int_equal(kontor_window_next(202552), 202601);
	assert_int_equal(kontor_window_previous(202701), 202653);
	assert_int_equal(kontor_window_previous(202601), 202552);
}

static void test_weeks_agree_with_libc_from_1900_to_2200(void **state)
{
	(void)state;
	const kontor_zone *utc = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(kontor_zone_open("Etc/UTC", &utc, &err), 0);
	for (int64_t ms = at("1900-01-01T00:00:00Z"); ms < at("2200-01-01T00:00:00Z"); ms += DAY_MS) {
		time_t seconds = (time_t)(ms / 1000);
		struct tm tm;
		char libc[16], ours[KONTOR_WINDOW_SIZE];
		gmtime_r(&seconds, &tm);
		strftime(libc, sizeof(libc), "%G-W%V", &tm);
		assert_string_equal(kontor_window_format(kontor_zone_window(utc, ms), ours), libc);
	}
}

static void check_bounds(const char *zone_name, const char *window_name, const char *from, const char *to)
{
	const kontor_zone *zone = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_zone_open(zone_name, &zone, &err))
		fail_msg("%s", err.message);
	int64_t from_ms, to_ms;
	uint32_t number = window(window_name);
	kontor_zone_window_bounds(zone, number, &from_ms, &to_ms);
	char text[KONTOR_TIME_SIZE];
	assert_string_equal(kontor_time_format(from_ms, text), from);
	assert_string_equal(kontor_time_format(to_ms, text), to);
	assert_int_equal(kontor_zone_window(zone, from_ms), number);
	assert_int_equal(kontor_zone_window(zone, to_ms - 1), number);
	assert_int_equal(kontor_zone_window(zone, from_ms - 1), kontor_window_previous(number));
	assert_int_equal(kontor_zone_window(zone, to_ms), kontor_window_next(number));
}

static void test_windows_begin_at_local_midnight(void **state)
{
	(void)state;
	check_bounds("Asia/Singapore", "2026-W45", "2026-11-01T16:00:00Z", "2026-11-08T16:00:00Z");
	check_bounds("Asia/Singapore", "2026-W53", "2026-12-27T16:00:00Z", "2027-01-03T16:00:00Z");
	check_bounds("Asia/Bangkok", "2026-W01", "2025-12-28T17:00:00Z", "2026-01-04T17:00:00Z");
	check_bounds("Asia/Taipei", "2026-W01", "2025-12-28T16:00:00Z", "2026-01-04T16:00:00Z");
	check_bounds("America/Sao_Paulo", "2026-W45", "2026-11-02T03:00:00Z", "2026-11-09T03:00:00Z");
	/* summer time begins on Sunday: a week of 167 hours; ends: one of 169 */
	check_bounds("Europe/Berlin", "2026-W13", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
	check_bounds("Europe/Berlin", "2026-W43", "2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z");
	/* beyond every table, by the footer's rule */
	check_bounds("Europe/Berlin", "2126-W30", "2126-07-21T22:00:00Z", "2126-07-28T22:00:00Z");
	check_bounds("Europe/Berlin", "2126-W05", "2126-01-27T23:00:00Z", "2126-02-03T23:00:00Z");
	/* the southern summer spans the turn of the year */
	check_bounds("Australia/Sydney", "2126-W01", "2125-12-30T13:00:00Z", "2126-01-06T13:00:00Z");
	check_bounds("Australia/Sydney", "2126-W27", "2126-06-30T14:00:00Z", "2126-07-07T14:00:00Z");
	/* 00:00 local of Sunday 2017-10-15 did not exist: -03 became -02 within the week */
	check_bounds("America/Sao_Paulo", "2017-W41", "2017-10-09T03:00:00Z", "2017-10-16T02:00:00Z");
}

static void test_a_missing_or_double_midnight_on_a_monday(void **state)
{
	(void)state;
	/* 1997-10-06 began at 01:00 in Brazil, 2016-03-21 in Iran */
	check_bounds("America/Sao_Paulo", "1997-W41", "1997-10-06T03:00:00Z", "1997-10-13T02:00:00Z");
	check_bounds("Asia/Tehran", "2016-W12", "2016-03-20T20:30:00Z", "2016-03-27T19:30:00Z");
	/* 2001-09-24 had two midnights in Israel: the first counts */
	check_bounds("Asia/Jerusalem", "2001-W39", "2001-09-23T21:00:00Z", "2001-09-30T22:00:00Z");
}

static const char *const zone_names[] = {
	"Asia/Singapore", "Asia/Kuala_Lumpur", "Asia/Bangkok",      "Asia/Jakarta",       "Asia/Ho_Chi_Minh",
	"Asia/Manila",    "Asia/Taipei",       "America/Sao_Paulo", "Europe/Berlin",      "Europe/Dublin",
	"Asia/Jerusalem", "Asia/Tehran",       "America/St_Johns",  "America/New_York",   "Australia/Lord_Howe",
	"Pacific/Apia",   "Africa/Casablanca", "Antarctica/Vostok", "Pacific/Kiritimati", "Europe/Sofia",
	"Asia/Gaza",      "America/Godthab",   "Etc/UTC",           "Asia/Kathmandu",
};

static const kontor_zone *open_zone(const char *name)
{
	const kontor_zone *zone = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_zone_open(name, &zone, &err))
		fail_msg("%s", err.message);
	return zone;
}

static void test_windows_tile_the_time_line(void **state)
{
	(void)state;
	srand(4);
	for (size_t z = 0; z < COUNT(zone_names); z++) {
		const kontor_zone *zone = open_zone(zone_names[z]);
		int64_t end = 0;
		for (uint32_t w = 187001; w < 222000; w = kontor_window_next(w)) {
			int64_t from, to;
			kontor_zone_window_bounds(zone, w, &from, &to);
			if (w != 187001)
				assert_int_equal(from, end);
			assert_in_range(to - from, 5 * DAY_MS, 9 * DAY_MS);
			end = to;
			assert_int_equal(kontor_zone_window(zone, from), w);
			assert_int_equal(kontor_zone_window(zone, to - 1), w);
			assert_int_equal(kontor_zone_window(zone, from + rand() % (to - from)), w);
			for (int64_t early = 0; early < 4 * HOUR_MS; early += HOUR_MS / 2)
				assert_int_equal(kontor_zone_window(zone, from + early), w);
		}
	}
}

static void test_windows_agree_with_libc_in_every_zone(void **state)
{
	(void)state;
	srand(5);
	const int64_t first = at("1900-01-01T00:00:00Z"), last = at("2200-01-01T00:00:00Z");
	for (size_t z = 0; z < COUNT(zone_names); z++) {
		const kontor_zone *zone = open_zone(zone_names[z]);
		setenv("TZ", zone_names[z], 1);
		tzset();
		for (int n = 0; n < 20000; n++) {
			int64_t ms = first +
				     (int64_t)((uint64_t)((int64_t)rand() << 31 ^ rand()) % (uint64_t)(last - first));
			if (n % 2) { /* half of them within two hours of a border */
				int64_t from, to;
				kontor_zone_window_bounds(zone, kontor_zone_window(zone, ms), &from, &to);
				ms = from + rand() % (4 * HOUR_MS) - 2 * HOUR_MS;
			}
			time_t seconds = (time_t)((ms - (ms % 1000 + 1000) % 1000) / 1000);
			struct tm tm;
			char libc[16];
			localtime_r(&seconds, &tm);
			strftime(libc, sizeof(libc), "%G-W%V", &tm);
			uint32_t ours = kontor_zone_window(zone, ms);
			int64_t from, to;
			kontor_zone_window_bounds(zone, ours, &from, &to);
			/* right after a clock was set back over midnight libc names the week that has ended */
			if (window(libc) != ours &&
			    !(window(libc) == kontor_window_previous(ours) && ms - from < DAY_MS))
				fail_msg("%s at %lld: %s", zone_names[z], (long long)ms, libc);
		}
	}
	unsetenv("TZ");
}

static void test_a_zone_name_cannot_be_a_path(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
					  "/etc/passwd",
					  "../../etc/passwd",
					  "Asia/../../passwd",
					  "Asia//Tokyo",
					  "Asia/",
					  "./UTC",
					  "Asia/.",
					  "Asia Tokyo",
					  "Asia/Tokyo\n",
					  "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	const kontor_zone *zone = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	for (size_t k = 0; k < COUNT(bad); k++)
		assert_int_equal(kontor_zone_open(bad[k], &zone, &err), KONTOR_E_BAD_REQUEST);
	assert_int_equal(kontor_zone_open("Asia/Nowhere", &zone, &err), KONTOR_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "Asia/Nowhere"));
	assert_int_equal(kontor_zone_open("zone1970.tab", &zone, &err), KONTOR_E_BAD_REQUEST);
	assert_int_equal(kontor_zone_open("leapseconds", &zone, &err), KONTOR_E_NOT_FOUND); /* a file, but no zone */
	assert_int_equal(kontor_zone_open("Asia", &zone, &err), KONTOR_E_NOT_FOUND);        /* a folder */
	assert_null(zone);
}

static void test_a_zone_is_opened_once(void **state)
{
	(void)state;
	assert_ptr_equal(open_zone("Asia/Singapore"), open_zone("Asia/Singapore"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times_are_read_to_the_millisecond),
		cmocka_unit_test(test_bad_times_name_their_fault),
		cmocka_unit_test(test_what_is_written_is_read_again_and_agrees_with_libc),
		cmocka_unit_test(test_windows_are_iso_weeks_that_exist),
		cmocka_unit_test(test_weeks_agree_with_libc_from_1900_to_2200),
		cmocka_unit_test(test_windows_begin_at_local_midnight),
		cmocka_unit_test(test_a_missing_or_double_midnight_on_a_monday),
		cmocka_unit_test(test_windows_tile_the_time_line),
		cmocka_unit_test(test_windows_agree_with_libc_in_every_zone),
		cmocka_unit_test(test_a_zone_name_cannot_be_a_path),
		cmocka_unit_test(test_a_zone_is_opened_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
