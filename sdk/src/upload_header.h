/* SPDX-License-Identifier: Apache-2.0
 *
 * The header row of an uploaded file against the columns of its kind. Not installed.
 */
#ifndef KONTOR_UPLOAD_HEADER_H
#define KONTOR_UPLOAD_HEADER_H

#include "kontor/upload.h"

#pragma GCC visibility push(default)

struct kontor_upload_header {
	unsigned columns_len;                     /* of the file */
	unsigned kind_columns[KONTOR_CSV_FIELDS]; /* by position in the file (from 0): index in the kind */
	unsigned positions[KONTOR_CSV_FIELDS];    /* by index in the kind: position in the file from 1, 0 = not there */
};

/* Names are exact and stand once. BAD_REQUEST names line, position, the problem and the nearest column of the kind. */
int kontor_upload_header_check(const struct kontor_upload_kind *kind, const struct kontor_csv_record *record,
			       uint64_t line, struct kontor_upload_header *ret_header, struct kontor_error *err);

/* Name of the column at a 1-based position of the file; "" for 0 (the row as a whole) or a position beyond the header.
 */
const char *kontor_upload_header_name(const struct kontor_upload_header *header, const struct kontor_upload_kind *kind,
				      unsigned position);

#pragma GCC visibility pop
#endif
