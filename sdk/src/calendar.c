/* SPDX-License-Identifier: Apache-2.0
 *
 * Day numbers, ISO weeks and the names of settlement windows.
 */
#include <stdio.h>

#include "calendar.h"
#include "kontor/time.h"

#define ERA_YEARS 400
#define ERA_DAYS 146097     /* days in 400 years */
#define DAYS_TO_1970 719468 /* from 0000-03-01 */

/* The year is taken to begin in March, so that the leap day is its last one. */
int64_t calendar_day(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = floor_divide(year, ERA_YEARS);
	int64_t year_of_era = year - era * ERA_YEARS;
	int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * ERA_DAYS + day_of_era - DAYS_TO_1970;
}

struct civil_date calendar_date(int64_t day)
{
	day += DAYS_TO_1970;
	int64_t era = floor_divide(day, ERA_DAYS);
	int64_t day_of_era = day - era * ERA_DAYS;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA_DAYS - 1)) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t march_month = (5 * day_of_year + 2) / 153;
	unsigned month = (unsigned)(march_month < 10 ? march_month + 3 : march_month - 9);
	return (struct civil_date){year_of_era + era * ERA_YEARS + (month <= 2), month,
				   (unsigned)(day_of_year - (153 * march_month + 2) / 5 + 1)};
}

unsigned calendar_month_days(int64_t year, unsigned month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

unsigned calendar_weekday(int64_t day)
{
	int64_t days = day + 4; /* 1970-01-01 was a Thursday */
	return (unsigned)(days - floor_divide(days, 7) * 7);
}

/* ISO 8601: week 1 is the one with January 4th. */
static int64_t first_monday(int64_t year)
{
	int64_t january_4 = calendar_day(year, 1, 4);
	return january_4 - (calendar_weekday(january_4) + 6) % 7;
}

uint32_t calendar_window(int64_t day)
{
	/* The week belongs to the year of its Thursday. */
	int64_t thursday = day - (calendar_weekday(day) + 6) % 7 + 3;
	int64_t year = calendar_date(thursday).year;
	return (uint32_t)(year * 100 + (thursday - first_monday(year)) / 7 + 1);
}

int64_t calendar_window_monday(uint32_t window)
{
	return first_monday(window / 100) + ((int64_t)(window % 100) - 1) * 7;
}

bool kontor_window_parse(struct kontor_text text, uint32_t *ret_window)
{
	if (!text.data || text.size != KONTOR_WINDOW_SIZE - 1 || text.data[4] != '-' || text.data[5] != 'W')
		return false;
	uint32_t window = 0;
	for (size_t i = 0; i < text.size; i++) {
		if (i == 4 || i == 5)
			continue;
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		window = window * 10 + (uint32_t)(text.data[i] - '0');
	}
	if (window < 100 || window % 100 == 0 || calendar_window(calendar_window_monday(window)) != window)
		return false;
	*ret_window = window;
	return true;
}

char *kontor_window_format(uint32_t window, char *out)
{
	snprintf(out, KONTOR_WINDOW_SIZE, "%04u-W%02u", window / 100 % 10000, window % 100);
	return out;
}

uint32_t kontor_window_next(uint32_t window)
{
	return calendar_window(calendar_window_monday(window) + 7);
}

uint32_t kontor_window_previous(uint32_t window)
{
	return calendar_window(calendar_window_monday(window) - 7);
}
