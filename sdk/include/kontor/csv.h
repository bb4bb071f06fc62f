/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of an RFC 4180 file. libcsv unquotes the fields; this page finds where records begin and end in a buffer,
 * so that a file can be split, each record can be given back byte for byte, and one bad quote never swallows the rest:
 *
 * - LF and CRLF end a record, also mixed; a quoted field may hold them.
 * - A record whose quoting is malformed (a quote inside an unquoted field, text after a closing quote, a quote that is
 *   not closed within KONTOR_CSV_LINE_LIMIT or before the end of the file) is its first physical line alone; the next
 *   record begins on the next line.
 * - An empty line is no record (but counts as a line).
 */
#ifndef KONTOR_CSV_H
#define KONTOR_CSV_H

#include "kontor/error.h"
#include "kontor/text.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KONTOR_CSV_LINE_LIMIT 65536u /* bytes of one record, without its line end */
#define KONTOR_CSV_FIELDS 64u        /* columns */

enum kontor_csv_fault {
	KONTOR_CSV_OK,
	KONTOR_CSV_QUOTE_INSIDE, /* a quote inside an unquoted field */
	KONTOR_CSV_AFTER_QUOTE,  /* text after a closing quote */
	KONTOR_CSV_UNCLOSED,     /* a quote that is not closed */
	KONTOR_CSV_TOO_LONG,     /* longer than KONTOR_CSV_LINE_LIMIT */
	KONTOR_CSV_NUL,          /* a NUL byte */
	KONTOR_CSV_NOT_UTF8,
	KONTOR_CSV_TOO_MANY_FIELDS,
};
const char *kontor_csv_explain(enum kontor_csv_fault fault);

/* One record of a buffer. */
struct kontor_csv_record {
	struct kontor_text raw; /* the record's bytes without its line end; borrowed from the buffer */
	size_t lines;           /* physical lines that it takes, >= 1 */
	enum kontor_csv_fault fault;
	unsigned fault_column;                        /* 1-based field number, 0 = the line as a whole */
	size_t fields_len;                            /* 0 when faulty */
	struct kontor_text fields[KONTOR_CSV_FIELDS]; /* unquoted; borrowed until the reader's next call */
};

typedef struct kontor_csv kontor_csv;

kontor_csv *kontor_csv_new(void);
kontor_csv *kontor_csv_free(kontor_csv *csv); /* NULL is fine; returns NULL */

/* Takes the first record of `text`. at_end: nothing follows `text` in the file.
 * Returns the bytes consumed, with the line end and empty lines before it; 0 when `text` may end inside the record
 * (call again with more), or when at_end and nothing is left. *ret_skipped_lines: empty lines passed before it.
 * With want_fields false only raw, lines and the quoting faults are filled: four times as fast, for splitting. */
size_t kontor_csv_next(kontor_csv *csv, struct kontor_text text, bool at_end, bool want_fields,
		       struct kontor_csv_record *ret_record, size_t *ret_skipped_lines);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
