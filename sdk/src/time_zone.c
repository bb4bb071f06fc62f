/* SPDX-License-Identifier: Apache-2.0
 *
 * Time zones from the system's zoneinfo (TZif, RFC 8536, version 2 or later) and the windows of a zone. Apart from
 * libc's, so that any number of zones can be used by any thread at once. The footer, which goes on for ever after the
 * last transition, is read by posix_tz.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calendar.h"
#include "kontor/time.h"
#include "posix_tz.h"

#define ZONEINFO "/usr/share/zoneinfo"
#define ZONE_NAME_SIZE 64u
#define ZONE_FILE_LIMIT ((size_t)65536) /* the biggest one of 2024a has 3,900 bytes */
#define HEADER_SIZE 44u
#define OFFSET_LIMIT 93600 /* 26 h: beyond RFC 8536's range of offsets */

struct kontor_zone {
	struct kontor_zone *next;
	char name[ZONE_NAME_SIZE];
	size_t transitions_len;
	int64_t *transitions; /* seconds since 1970, rising */
	int32_t *offsets;     /* seconds east of UTC from transitions[i] on */
	int32_t first_offset; /* before the first transition */
	bool has_rule;
	struct posix_tz rule;
};

static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kontor_zone *zones; /* never freed: callers keep pointers */

/* ---- the file ------------------------------------------------------------------------------------------------- */

static uint32_t big_endian_32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t big_endian_64(const uint8_t *p)
{
	return (int64_t)((uint64_t)big_endian_32(p) << 32 | big_endian_32(p + 4));
}

/* Counts of a TZif header, in the order of the file. */
struct tzif_counts {
	size_t isut, isstd, leap, times, types, chars;
};

static bool read_header(const uint8_t *p, size_t left, struct tzif_counts *counts)
{
	if (left < HEADER_SIZE || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return false;
	size_t values[6];
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		values[i] = big_endian_32(p + 20 + 4 * i);
		if (values[i] > ZONE_FILE_LIMIT)
			return false;
	}
	*counts = (struct tzif_counts){values[0], values[1], values[2], values[3], values[4], values[5]};
	return true;
}

static size_t block_size(const struct tzif_counts *counts, size_t time_size)
{
	return counts->times * (time_size + 1) + counts->types * 6 + counts->chars + counts->leap * (time_size + 4) +
	       counts->isstd + counts->isut;
}

/* The transitions of the second block (64-bit times) at p. */
static bool read_transitions(struct kontor_zone *zone, const uint8_t *p, const struct tzif_counts *counts)
{
	const uint8_t *indexes = p + counts->times * 8, *types = indexes + counts->times;
	zone->transitions = calloc(counts->times + 1, sizeof(zone->transitions[0]));
	zone->offsets = calloc(counts->times + 1, sizeof(zone->offsets[0]));
	if (!zone->transitions || !zone->offsets)
		return false;
	zone->first_offset = (int32_t)big_endian_32(types);
	zone->transitions_len = counts->times;
	for (size_t i = 0; i < counts->times; i++) {
		if (indexes[i] >= counts->types)
			return false;
		zone->transitions[i] = big_endian_64(p + i * 8);
		zone->offsets[i] = (int32_t)big_endian_32(types + (size_t)indexes[i] * 6);
		if (abs(zone->offsets[i]) >= OFFSET_LIMIT || (i && zone->transitions[i] <= zone->transitions[i - 1]))
			return false;
	}
	return abs(zone->first_offset) < OFFSET_LIMIT;
}

static bool read_footer(struct kontor_zone *zone, const uint8_t *p, size_t left)
{
	const uint8_t *end = left >= 2 && p[0] == '\n' ? memchr(p + 1, '\n', left - 1) : NULL;
	if (!end)
		return false;
	struct kontor_text text = {(const char *)p + 1, (size_t)(end - p - 1)};
	if (text.size == 0)
		return true;
	zone->has_rule = posix_tz_parse(text, &zone->rule);
	return zone->has_rule;
}

static bool read_tzif(struct kontor_zone *zone, const uint8_t *file, size_t size)
{
	struct tzif_counts first, second;
	if (!read_header(file, size, &first))
		return false;
	size_t skip = HEADER_SIZE + block_size(&first, 4); /* the block of 32-bit times */
	if (skip > size || !read_header(file + skip, size - skip, &second))
		return false;
	const uint8_t *block = file + skip + HEADER_SIZE;
	size_t left = size - skip - HEADER_SIZE, needed = block_size(&second, 8);
	/* Leap seconds: only the "right/" zones count them, which CONTRACT's times do not. */
	if (needed > left || second.types == 0 || second.leap != 0)
		return false;
	return read_transitions(zone, block, &second) && read_footer(zone, block + needed, left - needed);
}

/* Components of letters, digits, '_', '+', '-' between single slashes: nothing that leaves the folder. */
static bool zone_name_valid(const char *name)
{
	size_t length = strlen(name);
	if (length == 0 || length >= ZONE_NAME_SIZE)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = name[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (c == '/' && i > 0 && name[i - 1] != '/' && i + 1 < length)
			continue;
		if (!letter && c != '_' && c != '+' && c != '-')
			return false;
	}
	return true;
}

/* Reads up to ZONE_FILE_LIMIT bytes; false with errno. */
static bool read_zone_file(const char *name, uint8_t *buffer, size_t *ret_size)
{
	char path[sizeof(ZONEINFO) + ZONE_NAME_SIZE + 1];
	snprintf(path, sizeof(path), "%s/%s", ZONEINFO, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size_t size = 0;
	ssize_t n;
	while ((n = read(fd, buffer + size, ZONE_FILE_LIMIT - size)) != 0) {
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			size += (size_t)n;
	}
	int failure = errno;
	close(fd);
	errno = failure;
	*ret_size = size;
	return n == 0;
}

static struct kontor_zone *free_zone(struct kontor_zone *zone)
{
	if (zone) {
		free(zone->transitions);
		free(zone->offsets);
		free(zone);
	}
	return NULL;
}

static int load_zone(const char *name, struct kontor_zone **ret_zone, struct kontor_error *err)
{
	struct kontor_zone *zone = calloc(1, sizeof(*zone));
	uint8_t *file = malloc(ZONE_FILE_LIMIT);
	int code = 0;
	if (!zone || !file) {
		code = kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for time zone %s", name);
		goto out;
	}
	size_t size;
	if (!read_zone_file(name, file, &size))
		code = kontor_fail(err, KONTOR_E_NOT_FOUND,
				   "time zone \"%s\": %s/%s: %s; is the name right and the package tzdata installed?",
				   name, ZONEINFO, name, strerror(errno));
	else if (!read_tzif(zone, file, size))
		code = kontor_fail(err, KONTOR_E_NOT_FOUND,
				   "time zone \"%s\": %s/%s is no TZif file of version 2 or later without leap seconds",
				   name, ZONEINFO, name);
out:
	free(file);
	if (code) {
		free_zone(zone);
		return code;
	}
	snprintf(zone->name, sizeof(zone->name), "%s", name);
	*ret_zone = zone;
	return 0;
}

int kontor_zone_open(const char *name, const kontor_zone **ret_zone, struct kontor_error *err)
{
	if (!zone_name_valid(name))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "\"%.80s\" is no name of a time zone such as Asia/Singapore", name);
	pthread_mutex_lock(&zones_lock);
	struct kontor_zone *zone = zones;
	while (zone && strcmp(zone->name, name) != 0)
		zone = zone->next;
	int code = 0;
	if (!zone) {
		code = load_zone(name, &zone, err);
		if (!code) {
			zone->next = zones;
			zones = zone;
		}
	}
	pthread_mutex_unlock(&zones_lock);
	if (!code)
		*ret_zone = zone;
	return code;
}

/* ---- the windows ---------------------------------------------------------------------------------------------- */

/* How many transitions of the table have happened at `seconds`. */
static size_t transitions_until(const kontor_zone *zone, int64_t seconds)
{
	size_t low = 0, high = zone->transitions_len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zone->transitions[middle] <= seconds)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The offset at `seconds` and the instant until which it holds (INT64_MAX: for ever). */
static int64_t offset_at(const kontor_zone *zone, int64_t seconds, int64_t *ret_until)
{
	size_t past = transitions_until(zone, seconds);
	if (past < zone->transitions_len) {
		*ret_until = zone->transitions[past];
		return past ? zone->offsets[past - 1] : zone->first_offset;
	}
	if (zone->has_rule)
		return posix_tz_offset(&zone->rule, seconds, ret_until);
	*ret_until = INT64_MAX;
	return past ? zone->offsets[past - 1] : zone->first_offset;
}

/* The first instant whose local time is `local` (seconds) or later: local time goes up but for where a clock is set
 * back, so this is the first of two equal times and the end of a gap. */
static int64_t first_instant(const kontor_zone *zone, int64_t local)
{
	int64_t from = local - OFFSET_LIMIT; /* here local time is surely earlier than `local` */
	for (;;) {
		int64_t until;
		int64_t instant = local - offset_at(zone, from, &until);
		if (instant < from)
			instant = from;
		if (instant < until)
			return instant;
		from = until;
	}
}

void kontor_zone_window_bounds(const kontor_zone *zone, uint32_t window, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
	int64_t monday = calendar_window_monday(window);
	*ret_from_ms = first_instant(zone, monday * DAY_SECONDS) * 1000;
	*ret_to_ms = first_instant(zone, (monday + 7) * DAY_SECONDS) * 1000;
}

uint32_t kontor_zone_window(const kontor_zone *zone, int64_t ms)
{
	int64_t seconds = floor_divide(ms, 1000), until, from_ms, to_ms;
	int64_t local = seconds + offset_at(zone, seconds, &until);
	uint32_t window = calendar_window(floor_divide(local, DAY_SECONDS));
	/* A clock that was set back over Monday's midnight reads Sunday again; the new window has begun all the same.
	 */
	kontor_zone_window_bounds(zone, window, &from_ms, &to_ms);
	return ms >= to_ms ? kontor_window_next(window) : window;
}
