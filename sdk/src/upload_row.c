/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "upload_row.h"

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

void upload_row_fill(const struct upload_file *file, const struct kontor_csv_record *record, uint64_t line,
		     struct kontor_row *ret_row)
{
	const struct kontor_upload_header *header = &file->header;
	ret_row->line = line;
	ret_row->raw = record->raw;
	ret_row->positions = header->positions;
	ret_row->verdict = KONTOR_VERDICT_OK;
	ret_row->column = 0;
	ret_row->reason[0] = '\0';
	ret_row->amount_minor = 0;
	ret_row->currency[0] = '\0';
	ret_row->parsed = NULL;
	if (record->fault) {
		unsigned position = record->fault_column;
		bool named = position > 0 && position <= header->columns_len;
		kontor_row_reject(ret_row, KONTOR_VERDICT_BAD_ROW, named ? (int)header->kind_columns[position - 1] : -1,
				  "%s", kontor_csv_explain(record->fault));
	} else if (record->fields_len != header->columns_len) {
		kontor_row_reject(ret_row, KONTOR_VERDICT_BAD_ROW, -1, "%zu fields, but the header has %u columns",
				  record->fields_len, header->columns_len);
	}
	bool readable = ret_row->verdict == KONTOR_VERDICT_OK;
	for (size_t i = 0; i < file->kind->columns_len; i++) {
		unsigned position = header->positions[i];
		ret_row->fields[i] =
			readable && position ? record->fields[position - 1] : (struct kontor_text){NULL, 0};
	}
}

bool upload_record_keep(struct kontor_csv_record *record, kontor_arena *arena)
{
	const char *raw = record->raw.data;
	char *kept = kontor_arena_copy(arena, raw, record->raw.size);
	if (!kept)
		return false;
	for (size_t i = 0; i < record->fields_len; i++) {
		struct kontor_text *field = &record->fields[i];
		if (field->data >= raw && field->data <= raw + record->raw.size)
			field->data = kept + (field->data - raw);
		else
			field->data = kontor_arena_copy(arena, field->data, field->size);
		if (!field->data)
			return false;
	}
	record->raw.data = kept;
	return true;
}
