/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans of text and the parsers of small values: numbers, ids, durations, sizes, names.
 */
#include <string.h>
#include <strings.h>

#include "kontor/text.h"

#define ID_LIMIT ((uint64_t)INT64_MAX)
#define NAME_LIMIT 32u
#define NEAREST_LIMIT 64u /* bytes; longer words are nobody's typing error */

struct kontor_text kontor_text_of(const char *string)
{
	return (struct kontor_text){string, string ? strlen(string) : 0};
}

bool kontor_text_equal(struct kontor_text a, struct kontor_text b)
{
	if (!a.data || !b.data)
		return !a.data && !b.data;
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool kontor_text_is(struct kontor_text a, const char *string)
{
	return kontor_text_equal(a, kontor_text_of(string));
}

/* Length of the well-formed UTF-8 sequence at p (table 3-7 of the Unicode standard), 0 when there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	size_t length = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
	if (p[0] < 0xC2 || p[0] > 0xF4 || left < length)
		return 0;
	unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80; /* no overlong forms */
	unsigned char high = p[0] == 0xED   ? 0x9F
			     : p[0] == 0xF4 ? 0x8F
					    : 0xBF; /* no surrogates, nothing past U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	return length;
}

bool kontor_text_utf8(struct kontor_text text)
{
	const unsigned char *p = (const unsigned char *)text.data;
	size_t left = text.size;
	while (left) {
		uint64_t word;
		if (left >= sizeof(word)) { /* most text is ASCII: eight bytes at a time */
			memcpy(&word, p, sizeof(word));
			if (!(word & UINT64_C(0x8080808080808080))) {
				p += sizeof(word);
				left -= sizeof(word);
				continue;
			}
		}
		size_t n = utf8_sequence(p, left);
		if (!n)
			return false;
		p += n;
		left -= n;
	}
	return true;
}

bool kontor_parse_uint(struct kontor_text text, uint64_t *ret)
{
	if (!text.data || text.size == 0 || (text.data[0] == '0' && text.size > 1))
		return false;
	uint64_t value = 0;
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		if (c < '0' || c > '9')
			return false;
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
			return false;
	}
	*ret = value;
	return true;
}

bool kontor_parse_int(struct kontor_text text, int64_t *ret)
{
	bool negative = text.data && text.size && text.data[0] == '-';
	if (negative)
		text = (struct kontor_text){text.data + 1, text.size - 1};
	uint64_t magnitude;
	if (!kontor_parse_uint(text, &magnitude) || (negative && magnitude == 0))
		return false;
	if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return false;
	*ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}

bool kontor_parse_id(struct kontor_text text, uint64_t *ret)
{
	uint64_t value;
	if (!kontor_parse_uint(text, &value) || value == 0 || value > ID_LIMIT)
		return false;
	*ret = value;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* Number followed by one of the units; `otherwise` is the factor of a number without a unit (0: only "0" may go
 * without). */
static bool parse_quantity(struct kontor_text text, const struct unit *units, size_t units_len, uint64_t otherwise,
			   uint64_t *ret)
{
	size_t digits = 0;
	while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
		digits++;
	struct kontor_text unit = {text.data + digits, text.size - digits};
	uint64_t value, factor = otherwise;
	if (!kontor_parse_uint((struct kontor_text){text.data, digits}, &value))
		return false;
	if (unit.size) {
		size_t i = 0;
		while (i < units_len && !kontor_text_is(unit, units[i].name))
			i++;
		if (i == units_len)
			return false;
		factor = units[i].factor;
	} else if (factor == 0 && value != 0) {
		return false;
	}
	return !__builtin_mul_overflow(value, factor, ret);
}

bool kontor_parse_duration(struct kontor_text text, int64_t *ret_ms)
{
	static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	uint64_t ms;
	if (!text.data || !parse_quantity(text, units, sizeof(units) / sizeof(units[0]), 0, &ms) || ms > INT64_MAX)
		return false;
	*ret_ms = (int64_t)ms;
	return true;
}

bool kontor_parse_size(struct kontor_text text, uint64_t *ret_bytes)
{
	static const struct unit units[] = {{"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}};
	uint64_t bytes;
	if (!text.data || !parse_quantity(text, units, sizeof(units) / sizeof(units[0]), 1, &bytes))
		return false;
	*ret_bytes = bytes;
	return true;
}

bool kontor_name_valid(struct kontor_text text)
{
	if (!text.data || text.size == 0 || text.size > NAME_LIMIT || text.data[0] == '-')
		return false;
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return true;
}

bool kontor_region_valid(struct kontor_text text)
{
	return text.data && text.size == 2 && text.data[0] >= 'A' && text.data[0] <= 'Z' && text.data[1] >= 'A' &&
	       text.data[1] <= 'Z';
}

/* Levenshtein distance of two words of at most NEAREST_LIMIT bytes. */
static size_t edit_distance(struct kontor_text a, struct kontor_text b)
{
	size_t row[NEAREST_LIMIT + 1];
	for (size_t j = 0; j <= b.size; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.size; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.size; j++) {
			size_t best = diagonal + (a.data[i - 1] != b.data[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.size];
}

const char *kontor_text_nearest(struct kontor_text text, const char *const *candidates, size_t count)
{
	const char *nearest = NULL;
	size_t nearest_distance = text.size / 2 + 1;
	if (!text.data || text.size > NEAREST_LIMIT)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct kontor_text candidate = kontor_text_of(candidates[i]);
		if (candidate.size > NEAREST_LIMIT)
			continue;
		if (candidate.size == text.size && strncasecmp(candidate.data, text.data, text.size) == 0)
			return candidates[i]; /* another case is the likeliest slip */
		size_t distance = edit_distance(text, candidate);
		if (distance < nearest_distance) {
			nearest = candidates[i];
			nearest_distance = distance;
		}
	}
	return nearest;
}

char *kontor_hex(const void *bytes, size_t size, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = bytes;
	for (size_t i = 0; i < size; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * size] = '\0';
	return out;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool kontor_unhex(struct kontor_text text, void *ret_bytes, size_t size)
{
	if (!text.data || text.size != 2 * size)
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (hex_value(text.data[i]) < 0)
			return false;
	unsigned char *p = ret_bytes;
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)((unsigned)hex_value(text.data[2 * i]) * 16 +
				       (unsigned)hex_value(text.data[2 * i + 1]));
	return true;
}
