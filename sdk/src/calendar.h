/* SPDX-License-Identifier: Apache-2.0
 *
 * Days and ISO weeks of the proleptic Gregorian calendar, as day numbers: day 0 is 1970-01-01. Not installed.
 */
#ifndef KONTOR_CALENDAR_H
#define KONTOR_CALENDAR_H

#include <stdint.h>

#define DAY_SECONDS INT64_C(86400)

struct civil_date {
	int64_t year;
	unsigned month, day; /* 1-12, 1-31 */
};

int64_t calendar_day(int64_t year, unsigned month, unsigned day);
struct civil_date calendar_date(int64_t day);
unsigned calendar_month_days(int64_t year, unsigned month);
/* 0 = Sunday ... 6 = Saturday. */
unsigned calendar_weekday(int64_t day);

/* Week-year * 100 + ISO 8601 week of the day. */
uint32_t calendar_window(int64_t day);
/* The Monday with which a window begins. */
int64_t calendar_window_monday(uint32_t window);

/* Rounds towards minus infinity, as times before 1970 need it; divisor > 0. */
static inline int64_t floor_divide(int64_t value, int64_t divisor)
{
	return value / divisor - (value % divisor < 0 ? 1 : 0);
}

#endif
