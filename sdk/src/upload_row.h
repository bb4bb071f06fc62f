/* SPDX-License-Identifier: Apache-2.0
 *
 * From a record of the file to a row of the kind. Not installed.
 */
#ifndef KONTOR_UPLOAD_ROW_H
#define KONTOR_UPLOAD_ROW_H

#include "upload_file.h"

/* Fills the row from the record, borrowing its bytes: verdict OK, or BAD_ROW for a faulty record or a wrong number of
 * fields. Does not call the kind. */
void upload_row_fill(const struct upload_file *file, const struct kontor_csv_record *record, uint64_t line,
		     struct kontor_row *ret_row);

/* Moves the record's bytes into the arena, and what a field was unquoted to: the reader's next record overwrites them.
 * False: out of memory. */
bool upload_record_keep(struct kontor_csv_record *record, kontor_arena *arena);

#endif
