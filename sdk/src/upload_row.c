/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "kontor/upload.h"

static const struct {
	const char *name;
	bool rejects;
} verdicts[KONTOR_VERDICT_COUNT] = {
	[KONTOR_VERDICT_OK] = {"ok", false},
	[KONTOR_VERDICT_LATE] = {"late", false},
	[KONTOR_VERDICT_UNCHANGED] = {"unchanged", false},
	[KONTOR_VERDICT_NEEDS_APPROVAL] = {"needs_approval", false},
	[KONTOR_VERDICT_BAD_ROW] = {"bad_row", true},
	[KONTOR_VERDICT_DUPLICATE_IN_FILE] = {"duplicate_in_file", true},
	[KONTOR_VERDICT_ALREADY_EXISTS] = {"already_exists", true},
	[KONTOR_VERDICT_CONFLICT] = {"conflict", true},
	[KONTOR_VERDICT_NOT_FOUND] = {"not_found", true},
	[KONTOR_VERDICT_OTHER_SHOP] = {"other_shop", true},
	[KONTOR_VERDICT_ALREADY_CLAIMED] = {"already_claimed", true},
	[KONTOR_VERDICT_ALREADY_SETTLED] = {"already_settled", true},
	[KONTOR_VERDICT_HELD] = {"held", true},
};

const char *kontor_verdict_name(enum kontor_verdict verdict)
{
	return (unsigned)verdict < KONTOR_VERDICT_COUNT ? verdicts[verdict].name : "unknown";
}

bool kontor_verdict_rejects(enum kontor_verdict verdict)
{
	return (unsigned)verdict >= KONTOR_VERDICT_COUNT || verdicts[verdict].rejects;
}

void kontor_row_reject(struct kontor_row *row, enum kontor_verdict verdict, int kind_column, const char *format, ...)
{
	row->verdict = verdict;
	if (kind_column < 0)
		row->column = 0;
	else
		row->column = row->positions ? row->positions[kind_column] : (unsigned)kind_column + 1;
	va_list args;
	va_start(args, format);
	int length = vsnprintf(row->reason, sizeof(row->reason), format, args);
	va_end(args);
	/* A cut must not leave half a character: the reason goes into a utf8mb4 column. */
	size_t end = length < 0 ? 0 : (size_t)length;
	if (end >= sizeof(row->reason)) {
		end = sizeof(row->reason) - 1;
		while (end > 0 && !kontor_text_utf8((struct kontor_text){row->reason, end}))
			end--;
	}
	row->reason[end] = '\0';
}
