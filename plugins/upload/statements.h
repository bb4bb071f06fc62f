/* SPDX-License-Identifier: Apache-2.0
 *
 * All SQL of the upload plugin.
 */
#ifndef UPLOAD_STATEMENTS_H
#define UPLOAD_STATEMENTS_H

#define DATABASE_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

/* An upload of the same bytes that counts or may still count. */
static const char SQL_FIND_SAME_BYTES[] =
	"SELECT upload_id, job_id, state, bytes FROM upload WHERE region = ? AND kind = ? AND sha256 = ? AND dry_run = "
	"0 "
	"AND upload_id <> ? AND state IN ('checking', 'importing', 'waiting_approval', 'accepted') "
	"ORDER BY state = 'accepted' DESC, upload_id LIMIT 1";
static const char SQL_FIND_UNFINISHED[] =
	"SELECT upload_id, received_bytes FROM upload WHERE region = ? AND kind = ? AND sha256 = ? AND user = ? "
	"AND dry_run = ? AND again = ? AND state = 'receiving' ORDER BY upload_id LIMIT 1";
static const char SQL_INSERT_UPLOAD[] =
	"INSERT INTO upload (upload_id, region, kind, name, user, state, sha256, bytes, dry_run, again, created_ms) "
	"VALUES (?, ?, ?, ?, ?, 'receiving', ?, ?, ?, ?, ?)";
static const char SQL_LOCK_UPLOAD[] =
	"SELECT region, kind, user, state, sha256, received_bytes, pieces, dry_run, again, job_id "
	"FROM upload WHERE upload_id = ? FOR UPDATE";
static const char SQL_INSERT_PIECE[] = "INSERT INTO upload_piece (upload_id, file_offset, data) VALUES (?, ?, ?)";
static const char SQL_COUNT_PIECE[] =
	"UPDATE upload SET received_bytes = received_bytes + ?, pieces = pieces + 1, received_ms = " DATABASE_NOW_MS
	" WHERE upload_id = ?";
static const char SQL_START_CHECK[] =
	"UPDATE upload SET state = 'checking', bytes = ?, sha256 = ?, job_id = ?, "
	"checked_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED) WHERE upload_id = ?";
static const char SQL_CANCEL_UPLOAD[] = "UPDATE upload SET state = 'cancelled', error = ?, ended_ms = " DATABASE_NOW_MS
					" WHERE upload_id = ? AND state = 'receiving'";

/* ---- retention ---- */

/* Bounded, so that no transaction grows with the file. What is left, the next ones and retention.c delete. */
static const char SQL_DELETE_SOME_PIECES[] = "DELETE FROM upload_piece WHERE upload_id = ? LIMIT 500";
static const char SQL_DELETE_SOME_PLAIN[] = "DELETE FROM upload_plain WHERE upload_id = ? LIMIT 500";
static const char SQL_DELETE_SOME_REJECTS[] = "DELETE FROM upload_reject WHERE upload_id = ? LIMIT 10000";
static const char SQL_LIST_ENDED[] =
	"SELECT upload_id, kind FROM upload WHERE bytes_kept = 1 AND ended_ms > 0 AND "
	"(state = 'cancelled' OR ended_ms <= " DATABASE_NOW_MS " - ?) ORDER BY ended_ms LIMIT ?";
static const char SQL_LOCK_ENDED[] = "SELECT ended_ms FROM upload WHERE upload_id = ? AND ended_ms > 0 FOR UPDATE";
static const char SQL_BYTES_ARE_GONE[] = "UPDATE upload SET bytes_kept = 0 WHERE upload_id = ? AND ended_ms > 0";
static const char SQL_LIST_ABANDONED[] =
	"SELECT upload_id, kind FROM upload WHERE bytes_kept = 1 AND ended_ms = 0 AND state = 'receiving' AND "
	"GREATEST(created_ms, received_ms) <= " DATABASE_NOW_MS " - ? LIMIT ?";
/* Once more under the row's lock: a piece may have come. */
static const char SQL_ABANDON[] =
	"UPDATE upload SET state = 'cancelled', error = CONCAT('abandoned: no piece of it came for ', ?, ' days'), "
	"ended_ms = " DATABASE_NOW_MS " WHERE upload_id = ? AND state = 'receiving' AND "
	"GREATEST(created_ms, received_ms) <= " DATABASE_NOW_MS " - ?";

/* Also of a list: the same columns in the same order. */
#define UPLOAD_COLUMNS                                                                                                 \
	"upload_id, region, kind, name, user, state, sha256, bytes, received_bytes, dry_run, job_id, rows_total, "     \
	"error_code, error, created_ms, accepted_ms, packing"
static const char SQL_GET_UPLOAD[] = "SELECT " UPLOAD_COLUMNS " FROM upload WHERE upload_id = ?";
static const char SQL_LIST_UPLOADS[] =
	"SELECT " UPLOAD_COLUMNS " FROM upload WHERE upload_id < ? ORDER BY upload_id DESC LIMIT ?";
static const char SQL_LIST_UPLOADS_OF_REGION[] =
	"SELECT " UPLOAD_COLUMNS " FROM upload WHERE region = ? AND upload_id < ? ORDER BY upload_id DESC LIMIT ?";
static const char SQL_SUM_TOTALS[] =
	"SELECT verdict, currency, CAST(SUM(row_count) AS UNSIGNED), CAST(SUM(amount_minor) AS SIGNED) "
	"FROM upload_total WHERE upload_id = ? GROUP BY verdict, currency ORDER BY verdict, currency";
/* With how far it is judged. */
static const char SQL_GET_HEADER[] =
	"SELECT header, kind, bytes_kept, state, rows_total, (SELECT CAST(COALESCE(SUM(row_count), 0) AS UNSIGNED) "
	"FROM upload_total WHERE upload_id = u.upload_id) FROM upload u WHERE upload_id = ?";
static const char SQL_LIST_REJECTS[] =
	"SELECT line_no, column_no, column_name, verdict, reason, raw FROM upload_reject "
	"WHERE upload_id = ? AND line_no > ? ORDER BY line_no LIMIT ?";

/* ---- the report of rejects ---- */

#define REJECTS_OF_SPAN                                                                                                \
	"FROM upload u JOIN upload_reject r ON r.upload_id = u.upload_id "                                             \
	"WHERE u.region = ? AND u.created_ms >= ? AND u.created_ms < ? "
static const char SQL_COUNT_REJECTS_OF_SPAN[] = "SELECT COUNT(*) " REJECTS_OF_SPAN;
static const char SQL_NEXT_UPLOAD_OF_SPAN[] =
	"SELECT upload_id FROM upload WHERE region = ? AND upload_id > ? AND created_ms >= ? AND created_ms < ? "
	"ORDER BY upload_id LIMIT 1";
static const char SQL_LIST_REJECTS_BEHIND[] =
	"SELECT u.upload_id, u.kind, u.name, r.line_no, r.column_name, r.verdict, r.reason, r.raw "
	"FROM upload u JOIN upload_reject r ON r.upload_id = u.upload_id "
	"WHERE u.upload_id = ? AND r.line_no > ? ORDER BY r.line_no LIMIT ?";

#endif
