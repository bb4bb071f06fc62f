/* SPDX-License-Identifier: Apache-2.0
 *
 * Instants are milliseconds since 1970-01-01T00:00:00Z (int64). Settlement windows are ISO weeks of a region's local
 * time; the system's zoneinfo is read in one place, src/time_zone.c.
 */
#ifndef KONTOR_TIME_H
#define KONTOR_TIME_H

#include "kontor/error.h"
#include "kontor/text.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

int64_t kontor_now_ms(void);       /* CLOCK_REALTIME */
int64_t kontor_monotonic_ms(void); /* CLOCK_MONOTONIC */

#define KONTOR_TIME_SIZE 32
/* RFC 3339 UTC with milliseconds, "2026-11-22T10:00:00.123Z" (".000" is left out); out >= KONTOR_TIME_SIZE. */
char *kontor_time_format(int64_t ms, char *out);

enum kontor_time_fault {
	KONTOR_TIME_OK,
	KONTOR_TIME_SYNTAX,
	KONTOR_TIME_NO_OFFSET,   /* neither Z nor +hh:mm */
	KONTOR_TIME_NO_SUCH_DAY, /* Feb 30 */
	KONTOR_TIME_RANGE,       /* hour 24, offset beyond 23:59, leap second, year 0 */
};
/* RFC 3339, seconds with an optional fraction (cut to ms), `Z` or an offset, no leap second. 'T' and 'Z' upper case. */
enum kontor_time_fault kontor_time_parse(struct kontor_text text, int64_t *ret_ms);
const char *kontor_time_explain(enum kontor_time_fault fault);

/* A settlement window is numbered week-year * 100 + ISO week: 2026-W45 is 202645. */
#define KONTOR_WINDOW_SIZE 9
bool kontor_window_parse(struct kontor_text text, uint32_t *ret_window); /* "2026-W45"; a week that exists */
char *kontor_window_format(uint32_t window, char *out);                  /* out >= KONTOR_WINDOW_SIZE */
uint32_t kontor_window_next(uint32_t window);
uint32_t kontor_window_previous(uint32_t window);

typedef struct kontor_zone kontor_zone;
/* name as in zoneinfo, "Asia/Singapore". The zone lives as long as the process and is shared. */
int kontor_zone_open(const char *name, const kontor_zone **ret_zone, struct kontor_error *err);
/* The window in whose local week the instant lies. */
uint32_t kontor_zone_window(const kontor_zone *zone, int64_t ms);
/* [Monday 00:00, next Monday 00:00) local, as UTC instants. A local midnight that does not exist is the first instant
 * after the gap; one that exists twice, the first. */
void kontor_zone_window_bounds(const kontor_zone *zone, uint32_t window, int64_t *ret_from_ms, int64_t *ret_to_ms);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
