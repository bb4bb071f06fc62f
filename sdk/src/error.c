/* SPDX-License-Identifier: Apache-2.0
 *
 * Error values: filling them, putting context in front, and what each code means for the caller.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kontor/error.h"

/* Length of the longest prefix of message[0..length) that does not end inside a UTF-8 sequence. */
static size_t whole_characters(const char *message, size_t length)
{
	size_t start = length;
	while (start > 0 && length - start < 4 && ((unsigned char)message[start - 1] & 0xC0) == 0x80)
		start--;
	if (start == 0 || ((unsigned char)message[start - 1] & 0x80) == 0)
		return length;
	unsigned char lead = (unsigned char)message[start - 1];
	size_t expected = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
	return length - (start - 1) < expected ? start - 1 : length;
}

static void store_message(struct kontor_error *err, const char *text, int needed)
{
	size_t limit = sizeof(err->message) - 1;
	size_t length = needed < 0 ? 0 : (size_t)needed;
	if (length > limit)
		length = whole_characters(text, limit);
	memcpy(err->message, text, length);
	err->message[length] = '\0';
}

int kontor_fail(struct kontor_error *err, int code, const char *format, ...)
{
	if (!err)
		return code;
	char text[sizeof(err->message)]; /* apart, because an argument may point into err->message */
	va_list args;
	va_start(args, format);
	int needed = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	err->code = code;
	err->retry_after_ms = 0;
	store_message(err, text, needed);
	return code;
}

int kontor_fail_in(struct kontor_error *err, const char *format, ...)
{
	if (!err)
		return KONTOR_E_INTERNAL;
	char text[sizeof(err->message)];
	va_list args;
	va_start(args, format);
	int needed = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (needed >= 0 && (size_t)needed < sizeof(text))
		needed += snprintf(text + needed, sizeof(text) - (size_t)needed, ": %s", err->message);
	store_message(err, text, needed);
	return err->code;
}

const char *kontor_code_name(int code)
{
	switch (code) {
	case KONTOR_OK:
		return "OK";
	case KONTOR_E_BAD_REQUEST:
		return "BAD_REQUEST";
	case KONTOR_E_NO_METHOD:
		return "NO_METHOD";
	case KONTOR_E_DENIED:
		return "DENIED";
	case KONTOR_E_TOO_BIG:
		return "TOO_BIG";
	case KONTOR_E_CONFLICT:
		return "CONFLICT";
	case KONTOR_E_NOT_FOUND:
		return "NOT_FOUND";
	case KONTOR_E_DISABLED:
		return "DISABLED";
	case KONTOR_E_BUSY:
		return "BUSY";
	case KONTOR_E_DRAINING:
		return "DRAINING";
	case KONTOR_E_UNAVAILABLE:
		return "UNAVAILABLE";
	case KONTOR_E_DEADLINE:
		return "DEADLINE";
	case KONTOR_E_UNKNOWN_OUTCOME:
		return "UNKNOWN_OUTCOME";
	case KONTOR_E_INTERNAL:
		return "INTERNAL";
	case KONTOR_E_STORAGE:
		return "STORAGE";
	default:
		return code <= -100 ? "PLUGIN" : "UNKNOWN";
	}
}

enum kontor_outcome kontor_code_outcome(int code)
{
	if (code >= 0)
		return KONTOR_OUTCOME_DONE;
	switch (code) {
	case KONTOR_E_BUSY:
	case KONTOR_E_DRAINING:
	case KONTOR_E_UNAVAILABLE:
	case KONTOR_E_DEADLINE:
		return KONTOR_OUTCOME_NOTHING;
	case KONTOR_E_UNKNOWN_OUTCOME:
		return KONTOR_OUTCOME_UNKNOWN;
	case KONTOR_E_INTERNAL:
	case KONTOR_E_STORAGE:
		return KONTOR_OUTCOME_ROLLED_BACK;
	default:
		return KONTOR_OUTCOME_FINAL;
	}
}
