/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule of a TZif footer: a POSIX TZ string such as "CET-1CEST,M3.5.0,M10.5.0/3" with RFC 8536's hours -167 to 167.
 * Not installed.
 */
#ifndef KONTOR_POSIX_TZ_H
#define KONTOR_POSIX_TZ_H

#include "kontor/text.h"

enum posix_tz_day {
	POSIX_TZ_JULIAN, /* Jn: 1-365, February 29 is never counted */
	POSIX_TZ_ZERO,   /* n: 0-365, February 29 counts */
	POSIX_TZ_MONTH,  /* Mm.w.d: day d of week w (5 = last) of month m */
};

struct posix_tz_change {
	enum posix_tz_day kind;
	unsigned month, week, day;
	int32_t seconds; /* local time of day, in the offset before the change */
};

struct posix_tz {
	int32_t standard; /* seconds east of UTC */
	bool has_summer;
	int32_t summer;
	struct posix_tz_change to_summer, to_standard;
};

bool posix_tz_parse(struct kontor_text text, struct posix_tz *ret_tz);
/* Seconds east of UTC at `seconds` since 1970, and the instant until which that holds (INT64_MAX: for ever). */
int64_t posix_tz_offset(const struct posix_tz *tz, int64_t seconds, int64_t *ret_until);

#endif
