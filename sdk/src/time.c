/* SPDX-License-Identifier: Apache-2.0
 *
 * The clocks, and instants as RFC 3339.
 */
#include <stdio.h>
#include <time.h>

#include "calendar.h"
#include "kontor/time.h"

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t kontor_now_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t kontor_monotonic_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

char *kontor_time_format(int64_t ms, char *out)
{
	int64_t seconds = floor_divide(ms, 1000);
	int64_t day = floor_divide(seconds, DAY_SECONDS);
	unsigned second = (unsigned)(seconds - day * DAY_SECONDS), thousandth = (unsigned)(ms - seconds * 1000);
	struct civil_date date = calendar_date(day);
	int length = snprintf(out, KONTOR_TIME_SIZE, "%04lld-%02u-%02uT%02u:%02u:%02u", (long long)date.year,
			      date.month, date.day, second / 3600, second / 60 % 60, second % 60);
	if (thousandth)
		snprintf(out + length, KONTOR_TIME_SIZE - (size_t)length, ".%03uZ", thousandth);
	else
		snprintf(out + length, KONTOR_TIME_SIZE - (size_t)length, "Z");
	return out;
}

/* What is left to read. */
struct cursor {
	const char *p, *end;
};

/* Exactly `count` digits. */
static bool take_number(struct cursor *cursor, unsigned count, unsigned *ret)
{
	unsigned value = 0;
	if (cursor->end - cursor->p < (ptrdiff_t)count)
		return false;
	for (unsigned i = 0; i < count; i++) {
		char c = cursor->p[i];
		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (unsigned)(c - '0');
	}
	cursor->p += count;
	*ret = value;
	return true;
}

static bool take(struct cursor *cursor, char c)
{
	if (cursor->p == cursor->end || *cursor->p != c)
		return false;
	cursor->p++;
	return true;
}

/* ".123456" cut to milliseconds; nothing is 0. */
static bool take_fraction(struct cursor *cursor, unsigned *ret_ms)
{
	*ret_ms = 0;
	if (!take(cursor, '.'))
		return true;
	unsigned digit, digits = 0, weight = 100;
	for (; take_number(cursor, 1, &digit); digits++) {
		*ret_ms += digit * weight;
		weight /= 10;
	}
	return digits > 0;
}

static enum kontor_time_fault take_offset(struct cursor *cursor, int64_t *ret_seconds)
{
	*ret_seconds = 0;
	if (cursor->p == cursor->end)
		return KONTOR_TIME_NO_OFFSET;
	if (take(cursor, 'Z'))
		return KONTOR_TIME_OK;
	bool west = *cursor->p == '-';
	unsigned hour, minute;
	if (!take(cursor, west ? '-' : '+') || !take_number(cursor, 2, &hour) || !take(cursor, ':') ||
	    !take_number(cursor, 2, &minute))
		return KONTOR_TIME_SYNTAX;
	if (hour > 23 || minute > 59)
		return KONTOR_TIME_RANGE;
	*ret_seconds = (int64_t)hour * 3600 + minute * 60;
	if (west)
		*ret_seconds = -*ret_seconds;
	return KONTOR_TIME_OK;
}

enum kontor_time_fault kontor_time_parse(struct kontor_text text, int64_t *ret_ms)
{
	if (!text.data)
		return KONTOR_TIME_SYNTAX;
	struct cursor cursor = {text.data, text.data + text.size};
	unsigned year, month, day, hour, minute, second, ms;
	if (!take_number(&cursor, 4, &year) || !take(&cursor, '-') || !take_number(&cursor, 2, &month) ||
	    !take(&cursor, '-') || !take_number(&cursor, 2, &day) || !take(&cursor, 'T') ||
	    !take_number(&cursor, 2, &hour) || !take(&cursor, ':') || !take_number(&cursor, 2, &minute) ||
	    !take(&cursor, ':') || !take_number(&cursor, 2, &second) || !take_fraction(&cursor, &ms))
		return KONTOR_TIME_SYNTAX;
	int64_t offset;
	enum kontor_time_fault fault = take_offset(&cursor, &offset);
	if (fault == KONTOR_TIME_OK && cursor.p != cursor.end)
		fault = KONTOR_TIME_SYNTAX;
	if (fault != KONTOR_TIME_OK)
		return fault;
	if (year == 0 || hour > 23 || minute > 59 || second > 59)
		return KONTOR_TIME_RANGE;
	if (month < 1 || month > 12 || day < 1 || day > calendar_month_days(year, month))
		return KONTOR_TIME_NO_SUCH_DAY;
	int64_t seconds = calendar_day(year, month, day) * DAY_SECONDS + (int64_t)hour * 3600 + minute * 60 + second;
	*ret_ms = (seconds - offset) * 1000 + ms;
	return KONTOR_TIME_OK;
}

const char *kontor_time_explain(enum kontor_time_fault fault)
{
	switch (fault) {
	case KONTOR_TIME_OK:
		return "the time is fine";
	case KONTOR_TIME_SYNTAX:
		return "a time is written like 2026-11-02T09:30:00+08:00 or 2026-11-02T01:30:00Z, with capital T and Z";
	case KONTOR_TIME_NO_OFFSET:
		return "the time has no offset; end it with Z or an offset such as +08:00";
	case KONTOR_TIME_NO_SUCH_DAY:
		return "there is no such day in the calendar";
	case KONTOR_TIME_RANGE:
		return "out of range: years 0001-9999, hours 00-23, minutes and seconds 00-59 (no leap second), "
		       "offsets up to 23:59";
	}
	return "not a time";
}
