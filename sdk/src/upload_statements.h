/* SPDX-License-Identifier: Apache-2.0
 *
 * SQL of the upload job. The tables are made by plugins/upload/schema/; nothing but this job and that plugin touches
 * them.
 */
#ifndef KONTOR_UPLOAD_STATEMENTS_H
#define KONTOR_UPLOAD_STATEMENTS_H

#define UPLOAD_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

#define SQL_LOAD_UPLOAD                                                                                                \
	"SELECT region, kind, name, user, state, sha256, bytes, dry_run, header, rows_total, error_code, error, "      \
	"checked_ms, plain_bytes FROM upload WHERE upload_id = ?"

#define SQL_FIND_ACTIVE                                                                                                \
	"SELECT upload_id FROM upload WHERE region = ? AND kind = ? AND dry_run = 0 "                                  \
	"AND state IN ('checking', 'importing') AND checked_ms <= ? ORDER BY upload_id LIMIT 1"

/* The piece that holds one byte of the file as it was sent, or of what it unpacks to. */
#define SQL_PIECE_AT                                                                                                   \
	"SELECT file_offset, data FROM upload_piece WHERE upload_id = ? AND file_offset <= ? "                         \
	"ORDER BY file_offset DESC LIMIT 1"
#define SQL_PLAIN_AT                                                                                                   \
	"SELECT file_offset, data FROM upload_plain WHERE upload_id = ? AND file_offset <= ? "                         \
	"ORDER BY file_offset DESC LIMIT 1"
#define SQL_KEEP_PLAIN                                                                                                 \
	"INSERT INTO upload_plain (upload_id, file_offset, data) VALUES (?, ?, ?) "                                    \
	"ON DUPLICATE KEY UPDATE upload_id = upload_id"

#define SQL_REFUSE                                                                                                     \
	"UPDATE upload SET state = 'refused', error_code = ?, error = ?, ended_ms = " UPLOAD_NOW_MS                    \
	" WHERE upload_id = ? AND state = 'checking'"
#define SQL_BEGIN_IMPORT                                                                                               \
	"UPDATE upload SET state = 'importing', header = ?, rows_total = ?, packing = ?, plain_bytes = ? "             \
	"WHERE upload_id = ? AND state = 'checking'"
#define SQL_WAIT_FOR_APPROVAL                                                                                          \
	"UPDATE upload SET state = 'waiting_approval' "                                                                \
	"WHERE upload_id = ? AND state IN ('importing', 'waiting_approval')"
#define SQL_ACCEPT                                                                                                     \
	"UPDATE upload SET state = 'accepted', accepted_ms = ?, ended_ms = " UPLOAD_NOW_MS " "                         \
	"WHERE upload_id = ? AND state IN ('importing', 'waiting_approval')"
#define SQL_END_DRY_RUN                                                                                                \
	"UPDATE upload SET state = 'dry_run', ended_ms = " UPLOAD_NOW_MS " WHERE upload_id = ? AND state = "           \
	"'importing'"
#define SQL_END_UNDONE                                                                                                 \
	"UPDATE upload SET state = ?, error_code = ?, error = ?, ended_ms = " UPLOAD_NOW_MS " "                        \
	"WHERE upload_id = ? AND state NOT IN ('refused', 'accepted', 'dry_run')"

/* ---- waiting for another upload ---- */

#define SQL_NOTE_WAIT "UPDATE upload SET waits_for = ? WHERE upload_id = ? AND waits_for <> ?"
#define SQL_WAITS_FOR                                                                                                  \
	"SELECT u.waits_for FROM upload u JOIN job j ON j.job_id = u.job_id "                                          \
	"WHERE u.upload_id = ? AND u.state = 'importing' AND j.stage <> 'undo'"
/* Whoever waited for it has gone on since. */
#define SQL_FORGET_WAITS "UPDATE upload SET waits_for = 0 WHERE waits_for = ?"

/* ---- a dead one begins again ---- */

#define SQL_LOCK_FOR_RESTART "SELECT state, error FROM upload WHERE upload_id = ? FOR UPDATE"
/* Deleted first of all; with the upload's row locked, so that nobody deletes it now. */
#define SQL_FIRST_PIECE "SELECT 1 FROM upload_piece WHERE upload_id = ? AND file_offset = 0 FOR UPDATE"
#define SQL_RESTART                                                                                                    \
	"UPDATE upload SET state = 'checking', header = '', rows_total = 0, packing = '', plain_bytes = 0, "           \
	"error_code = 0, error = '', ended_ms = 0, waits_for = 0, checked_ms = " UPLOAD_NOW_MS " WHERE upload_id = ?"

#define SQL_INSERT_REJECT                                                                                              \
	"INSERT INTO upload_reject (upload_id, line_no, column_no, column_name, verdict, reason, raw) "                \
	"VALUES (?, ?, ?, ?, ?, ?, ?)"
#define SQL_INSERT_TOTAL                                                                                               \
	"INSERT INTO upload_total (upload_id, chunk_no, batch_no, verdict, currency, row_count, amount_minor) "        \
	"VALUES (?, ?, ?, ?, ?, ?, ?)"
#define SQL_LOAD_TOTALS "SELECT verdict, currency, row_count, amount_minor FROM upload_total WHERE upload_id = ?"

/* Bounded, so that no transaction grows with the file. */
#define SQL_DELETE_PIECES "DELETE FROM upload_piece WHERE upload_id = ? LIMIT 500"
#define SQL_DELETE_PLAIN "DELETE FROM upload_plain WHERE upload_id = ? LIMIT 500"
#define SQL_DELETE_REJECTS "DELETE FROM upload_reject WHERE upload_id = ? LIMIT 10000"
#define SQL_DELETE_TOTALS "DELETE FROM upload_total WHERE upload_id = ? LIMIT 10000"

#endif
