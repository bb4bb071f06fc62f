/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the border of a record by its quotes, then splits it: at its commas when it holds no quote (nearly every row of
 * a machine's file), else with libcsv.
 */
#include <stdlib.h>
#include <string.h>

#include <csv.h>

#include "kontor/csv.h"

struct kontor_csv {
	struct csv_parser parser;
	struct kontor_csv_record *record; /* that libcsv's callback fills */
	bool too_many;
	size_t unquoted_used;
	char unquoted[KONTOR_CSV_LINE_LIMIT]; /* an unquoted record is never longer than the record */
};

/* Where a record ends. */
struct border {
	size_t size; /* bytes of the record */
	size_t next; /* where the next line begins */
	size_t lines;
	enum kontor_csv_fault fault;
	unsigned fault_column;
};

const char *kontor_csv_explain(enum kontor_csv_fault fault)
{
	switch (fault) {
	case KONTOR_CSV_OK:
		return "no fault";
	case KONTOR_CSV_QUOTE_INSIDE:
		return "a quote inside an unquoted field: put the field in quotes and double the quotes in it";
	case KONTOR_CSV_AFTER_QUOTE:
		return "text after a closing quote: double the quotes inside a quoted field";
	case KONTOR_CSV_UNCLOSED:
		return "a quote that is not closed";
	case KONTOR_CSV_TOO_LONG:
		return "longer than 64 KiB (65,536 bytes)";
	case KONTOR_CSV_NUL:
		return "a NUL byte, which no text has";
	case KONTOR_CSV_NOT_UTF8:
		return "not valid UTF-8: save the file as UTF-8";
	case KONTOR_CSV_TOO_MANY_FIELDS:
		return "more than 64 fields";
	}
	return "unknown fault";
}

/* Nothing is trimmed, and only the finder below ends a record. */
static int never(unsigned char c)
{
	(void)c;
	return 0;
}

static void keep_field(void *field, size_t size, void *arg)
{
	struct kontor_csv *csv = arg;
	struct kontor_csv_record *record = csv->record;
	if (record->fields_len == KONTOR_CSV_FIELDS || csv->unquoted_used + size > sizeof(csv->unquoted)) {
		csv->too_many = true;
		return;
	}
	char *kept = csv->unquoted + csv->unquoted_used;
	if (size)
		memcpy(kept, field, size);
	csv->unquoted_used += size;
	record->fields[record->fields_len++] = (struct kontor_text){kept, size};
}

static void ignore_field(void *field, size_t size, void *arg)
{
	(void)field;
	(void)size;
	(void)arg;
}

kontor_csv *kontor_csv_new(void)
{
	struct kontor_csv *csv = malloc(sizeof(*csv));
	if (!csv || csv_init(&csv->parser, CSV_STRICT)) {
		free(csv);
		return NULL;
	}
	csv_set_space_func(&csv->parser, never);
	csv_set_term_func(&csv->parser, never);
	/* libcsv allocates its buffer at the first byte: do it here, so that no later call can run out of memory. */
	csv_set_blk_size(&csv->parser, KONTOR_CSV_LINE_LIMIT + 1);
	if (csv_parse(&csv->parser, "x", 1, ignore_field, NULL, NULL) != 1) {
		csv_free(&csv->parser);
		free(csv);
		return NULL;
	}
	csv_fini(&csv->parser, ignore_field, NULL, NULL);
	return csv;
}

kontor_csv *kontor_csv_free(kontor_csv *csv)
{
	if (csv)
		csv_free(&csv->parser);
	free(csv);
	return NULL;
}

static size_t skip_empty_lines(struct kontor_text text, size_t *ret_lines)
{
	size_t i = 0, lines = 0;
	for (; i < text.size; lines++) {
		if (text.data[i] == '\n')
			i++;
		else if (text.data[i] == '\r' && i + 1 < text.size && text.data[i + 1] == '\n')
			i += 2;
		else
			break;
	}
	*ret_lines = lines;
	return i;
}

enum quote_state { FIELD_START, IN_PLAIN, IN_QUOTES, AFTER_QUOTES };

static bool faulty(struct border *first_line, enum kontor_csv_fault fault, unsigned column)
{
	first_line->fault = fault;
	first_line->fault_column = column;
	return true;
}

/* Follows the quotes of a record whose first line holds one. *border is that line on entry: a faulty record is it
 * alone. False: the text may end inside the record. */
static bool follow_quotes(struct kontor_text text, bool at_end, struct border *border)
{
	enum quote_state state = FIELD_START;
	unsigned column = 1;
	size_t lines = 1, i = 0;
	const size_t window = KONTOR_CSV_LINE_LIMIT + 2; /* the longest record and its CRLF */

	for (; i < text.size && i < window; i++) {
		char c = text.data[i];
		if (state == IN_QUOTES) {
			lines += c == '\n';
			if (c == '"')
				state = AFTER_QUOTES;
		} else if (c == '\n') {
			size_t size = i - (i > 0 && text.data[i - 1] == '\r');
			if (size > KONTOR_CSV_LINE_LIMIT)
				return faulty(border, KONTOR_CSV_TOO_LONG, 0);
			*border = (struct border){.size = size, .next = i + 1, .lines = lines};
			return true;
		} else if (c == ',') {
			state = FIELD_START;
			column++;
		} else if (c == '"') {
			if (state == IN_PLAIN)
				return faulty(border, KONTOR_CSV_QUOTE_INSIDE, column);
			state = IN_QUOTES;
		} else if (state == AFTER_QUOTES) {
			if (c == '\r' && i + 1 == text.size && !at_end)
				return false;
			if (c != '\r' || i + 1 == text.size || text.data[i + 1] != '\n')
				return faulty(border, KONTOR_CSV_AFTER_QUOTE, column);
		} else {
			state = IN_PLAIN;
		}
	}
	if (i < window && !at_end)
		return false;
	if (state == IN_QUOTES)
		return faulty(border, KONTOR_CSV_UNCLOSED, column);
	if (i > KONTOR_CSV_LINE_LIMIT)
		return faulty(border, KONTOR_CSV_TOO_LONG, 0);
	*border = (struct border){.size = i, .next = i, .lines = lines};
	return true;
}

static bool find_border(struct kontor_text text, bool at_end, struct border *ret)
{
	const char *line_feed = memchr(text.data, '\n', text.size);
	if (!line_feed && !at_end)
		return false;
	size_t size = line_feed ? (size_t)(line_feed - text.data) : text.size;
	*ret = (struct border){.size = size, .next = line_feed ? size + 1 : size, .lines = 1};
	if (line_feed && size > 0 && text.data[size - 1] == '\r')
		ret->size--;
	if (ret->size > KONTOR_CSV_LINE_LIMIT)
		return faulty(ret, KONTOR_CSV_TOO_LONG, 0);
	if (!memchr(text.data, '"', ret->size))
		return true;
	return follow_quotes(text, at_end, ret);
}

static bool split_at_commas(struct kontor_csv_record *record)
{
	const char *from = record->raw.data, *end = from + record->raw.size;
	for (;;) {
		const char *comma = memchr(from, ',', (size_t)(end - from));
		if (record->fields_len == KONTOR_CSV_FIELDS)
			return false;
		record->fields[record->fields_len++] =
			(struct kontor_text){from, (size_t)((comma ? comma : end) - from)};
		if (!comma)
			return true;
		from = comma + 1;
	}
}

static enum kontor_csv_fault unquote(kontor_csv *csv, struct kontor_csv_record *record)
{
	csv->record = record;
	csv->too_many = false;
	csv->unquoted_used = 0;
	size_t parsed = csv_parse(&csv->parser, record->raw.data, record->raw.size, keep_field, NULL, csv);
	csv_fini(&csv->parser, keep_field, NULL, csv);
	/* The finder has already refused all that strict libcsv refuses; if not, half a record must not pass. */
	if (parsed != record->raw.size)
		return KONTOR_CSV_QUOTE_INSIDE;
	return csv->too_many ? KONTOR_CSV_TOO_MANY_FIELDS : KONTOR_CSV_OK;
}

static void set_fault(struct kontor_csv_record *record, enum kontor_csv_fault fault, unsigned column)
{
	record->fault = fault;
	record->fault_column = column;
	record->fields_len = 0;
}

/* Only a faulty record pays for finding out which field it is. */
static unsigned column_of(const struct kontor_csv_record *record, enum kontor_csv_fault fault)
{
	for (size_t i = 0; i < record->fields_len; i++) {
		struct kontor_text field = record->fields[i];
		bool bad =
			fault == KONTOR_CSV_NUL ? memchr(field.data, 0, field.size) != NULL : !kontor_text_utf8(field);
		if (bad)
			return (unsigned)i + 1;
	}
	return 0;
}

static void split(kontor_csv *csv, struct kontor_csv_record *record)
{
	enum kontor_csv_fault fault = KONTOR_CSV_OK;
	if (memchr(record->raw.data, '"', record->raw.size))
		fault = unquote(csv, record);
	else if (!split_at_commas(record))
		fault = KONTOR_CSV_TOO_MANY_FIELDS;
	if (fault) {
		set_fault(record, fault, 0);
		return;
	}
	if (memchr(record->raw.data, 0, record->raw.size))
		fault = KONTOR_CSV_NUL;
	else if (!kontor_text_utf8(record->raw))
		fault = KONTOR_CSV_NOT_UTF8;
	if (fault)
		set_fault(record, fault, column_of(record, fault));
}

size_t kontor_csv_next(kontor_csv *csv, struct kontor_text text, bool at_end, bool want_fields,
		       struct kontor_csv_record *ret_record, size_t *ret_skipped_lines)
{
	size_t start = skip_empty_lines(text, ret_skipped_lines);
	struct kontor_text rest = {text.data + start, text.size - start};
	struct border border;
	if (rest.size == 0 || !find_border(rest, at_end, &border))
		return 0;
	ret_record->raw = (struct kontor_text){rest.data, border.size};
	ret_record->lines = border.lines;
	ret_record->fault = border.fault;
	ret_record->fault_column = border.fault_column;
	ret_record->fields_len = 0;
	if (want_fields && !border.fault)
		split(csv, ret_record);
	return start + border.next;
}
