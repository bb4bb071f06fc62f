/* SPDX-License-Identifier: Apache-2.0 */
#include "charset.h"

#include <string.h>

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool in_set(char c)
{
	return is_alphanumeric(c) || (c && strchr("/-?:().,'+ ", c));
}

bool charset_epc217_valid(const char *text)
{
	size_t length = strlen(text);
	for (size_t i = 0; i < length; i++)
		if (!in_set(text[i]))
			return false;
	if (length && (text[0] == '/' || text[length - 1] == '/'))
		return false;
	return !strstr(text, "//");
}

bool charset_has_alphanumeric(const char *text)
{
	for (; *text; text++)
		if (is_alphanumeric(*text))
			return true;
	return false;
}

/* EPC217-08, annex: conversions of the ASCII characters that are outside of the set. */
static char convert(char c)
{
	static const char from[] = "&_~*$%^=!#@;\"`<[{>]}|\\";
	static const char to[] = "+--........,''((()))//";
	_Static_assert(sizeof(from) == sizeof(to), "one conversion for each character");
	if (in_set(c))
		return c;
	const char *found = c ? strchr(from, c) : NULL;
	return found ? to[found - from] : ' ';
}

void charset_epc217_convert(const char *ascii, size_t limit, char *out)
{
	size_t length = 0;
	for (; *ascii && length < limit; ascii++) {
		char c = convert(*ascii);
		char last = length ? out[length - 1] : ' ';
		if ((c == ' ' && last == ' ') || (c == '/' && (last == '/' || length == 0)))
			continue;
		out[length++] = c;
	}
	while (length && (out[length - 1] == ' ' || out[length - 1] == '/'))
		length--;
	out[length] = '\0';
}
