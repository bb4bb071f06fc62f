/* SPDX-License-Identifier: Apache-2.0
 *
 * POSIX TZ rules: POSIX.1-2017, Base Definitions 8.3, with the extension of RFC 8536 3.3.1.
 */
#include "posix_tz.h"
#include "calendar.h"

#define DEFAULT_CHANGE_SECONDS (2 * 3600)
#define HOUR_LIMIT 167
#define NAME_MINIMUM 3u

struct cursor {
	const char *p, *end;
};

static bool at(const struct cursor *cursor, char c)
{
	return cursor->p < cursor->end && *cursor->p == c;
}

static bool take(struct cursor *cursor, char c)
{
	if (!at(cursor, c))
		return false;
	cursor->p++;
	return true;
}

static bool take_number(struct cursor *cursor, unsigned minimum, unsigned maximum, unsigned *ret)
{
	const char *start = cursor->p;
	unsigned value = 0;
	while (cursor->p < cursor->end && *cursor->p >= '0' && *cursor->p <= '9' && value <= maximum)
		value = value * 10 + (unsigned)(*cursor->p++ - '0');
	*ret = value;
	return cursor->p > start && value >= minimum && value <= maximum;
}

/* An abbreviation, "CET" or "<+08>". */
static bool take_name(struct cursor *cursor)
{
	bool quoted = take(cursor, '<');
	const char *start = cursor->p;
	while (cursor->p < cursor->end) {
		char c = *cursor->p;
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-')))
			break;
		cursor->p++;
	}
	return (size_t)(cursor->p - start) >= NAME_MINIMUM && (!quoted || take(cursor, '>'));
}

/* [+-]hh[:mm[:ss]] */
static bool take_hms(struct cursor *cursor, int32_t *ret_seconds)
{
	bool negative = take(cursor, '-');
	if (!negative)
		take(cursor, '+');
	unsigned hours, minutes = 0, seconds = 0;
	if (!take_number(cursor, 0, HOUR_LIMIT, &hours))
		return false;
	if (take(cursor, ':') && !take_number(cursor, 0, 59, &minutes))
		return false;
	if (take(cursor, ':') && !take_number(cursor, 0, 59, &seconds))
		return false;
	int32_t total = (int32_t)(hours * 3600 + minutes * 60 + seconds);
	*ret_seconds = negative ? -total : total;
	return true;
}

static bool take_offset(struct cursor *cursor, int32_t *ret_east)
{
	int32_t west; /* POSIX counts what must be added to get UTC */
	if (!take_hms(cursor, &west) || west <= -DAY_SECONDS - 7200 || west >= DAY_SECONDS + 7200)
		return false;
	*ret_east = -west;
	return true;
}

/* ,date[/time] */
static bool take_change(struct cursor *cursor, struct posix_tz_change *change)
{
	bool valid = take(cursor, ',');
	if (take(cursor, 'M')) {
		change->kind = POSIX_TZ_MONTH;
		valid = valid && take_number(cursor, 1, 12, &change->month) && take(cursor, '.') &&
			take_number(cursor, 1, 5, &change->week) && take(cursor, '.') &&
			take_number(cursor, 0, 6, &change->day);
	} else if (take(cursor, 'J')) {
		change->kind = POSIX_TZ_JULIAN;
		valid = valid && take_number(cursor, 1, 365, &change->day);
	} else {
		change->kind = POSIX_TZ_ZERO;
		valid = valid && take_number(cursor, 0, 365, &change->day);
	}
	change->seconds = DEFAULT_CHANGE_SECONDS;
	return valid && (!take(cursor, '/') || take_hms(cursor, &change->seconds));
}

bool posix_tz_parse(struct kontor_text text, struct posix_tz *ret_tz)
{
	struct cursor cursor = {text.data, text.data + text.size};
	struct posix_tz tz = {0};
	if (!take_name(&cursor) || !take_offset(&cursor, &tz.standard))
		return false;
	if (cursor.p < cursor.end) {
		tz.has_summer = true;
		tz.summer = tz.standard + 3600;
		if (!take_name(&cursor) || (!at(&cursor, ',') && !take_offset(&cursor, &tz.summer)) ||
		    !take_change(&cursor, &tz.to_summer) || !take_change(&cursor, &tz.to_standard))
			return false;
	}
	if (cursor.p != cursor.end)
		return false;
	*ret_tz = tz;
	return true;
}

/* The day of a change in a year. */
static int64_t change_day(const struct posix_tz_change *change, int64_t year)
{
	int64_t new_year = calendar_day(year, 1, 1);
	if (change->kind == POSIX_TZ_ZERO)
		return new_year + change->day;
	if (change->kind == POSIX_TZ_JULIAN) {
		bool after_leap_day = change->day >= 60 && calendar_month_days(year, 2) == 29;
		return new_year + change->day - 1 + (after_leap_day ? 1 : 0);
	}
	int64_t first = calendar_day(year, change->month, 1);
	int64_t day = first + (change->day + 7 - calendar_weekday(first)) % 7 + (int64_t)(change->week - 1) * 7;
	while (day >= first + calendar_month_days(year, change->month))
		day -= 7;
	return day;
}

struct instant {
	int64_t seconds;
	int32_t offset; /* from then on */
};

/* Puts a change in order; of equal instants the one added later is the later. */
static void insert(struct instant *instants, size_t *len, struct instant added)
{
	size_t i = (*len)++;
	for (; i > 0 && instants[i - 1].seconds > added.seconds; i--)
		instants[i] = instants[i - 1];
	instants[i] = added;
}

int64_t posix_tz_offset(const struct posix_tz *tz, int64_t seconds, int64_t *ret_until)
{
	*ret_until = INT64_MAX;
	if (!tz->has_summer)
		return tz->standard;
	struct instant instants[6]; /* of the years before, of and after: hours of a change may go beyond its year */
	size_t len = 0;
	int64_t year = calendar_date(floor_divide(seconds, DAY_SECONDS)).year;
	for (int64_t y = year - 1; y <= year + 1; y++) {
		const struct posix_tz_change *summer = &tz->to_summer, *standard = &tz->to_standard;
		insert(instants, &len,
		       (struct instant){change_day(summer, y) * DAY_SECONDS + summer->seconds - tz->standard,
					tz->summer});
		insert(instants, &len,
		       (struct instant){change_day(standard, y) * DAY_SECONDS + standard->seconds - tz->summer,
					tz->standard});
	}
	int64_t offset = tz->standard;
	for (size_t i = 0; i < len; i++) {
		if (instants[i].seconds > seconds) {
			*ret_until = instants[i].seconds;
			break;
		}
		offset = instants[i].offset;
	}
	return offset;
}
