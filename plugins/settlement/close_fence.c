/* SPDX-License-Identifier: Apache-2.0 */
#include "close.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "statements.h"
#include "upload_kinds.h"

#define WRITER_IDLE_MS (INT64_C(7) * 86400000) /* a thread that returns after this time registers again */

/* ---- obstacles ---- */

static int find_older_items(kontor_conn *conn, const char *region, uint32_t window, struct obstacle *obstacle,
			    struct kontor_error *err)
{
	char older[KONTOR_WINDOW_SIZE];
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_FIND_OLDER_UNSETTLED,
				 KONTOR_PARAMS(P_STRING(region), P_UINT(window)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		obstacle->code = KONTOR_E_CONFLICT;
		kontor_window_format((uint32_t)kontor_rows_uint(rows, 0), older);
		snprintf(obstacle->message, sizeof(obstacle->message),
			 "window %s of %s is older and %s but not settled; run: kontor payout run --region %s --window "
			 "%s",
			 older, region, kontor_rows_string(rows, 1), region, older);
		rc = 0;
	}
	kontor_rows_close(rows);
	if (rc || obstacle->code)
		return rc;
	int64_t open = 0;
	rc = kontor_db_query_int(conn, SQL_FIND_OLDER_WITH_ITEMS, KONTOR_PARAMS(P_STRING(region), P_UINT(window)),
				 &open, err);
	if (rc == 0) {
		obstacle->code = KONTOR_E_CONFLICT;
		kontor_window_format((uint32_t)open, older);
		snprintf(obstacle->message, sizeof(obstacle->message),
			 "window %s of %s is older and holds unsettled items; close and settle it first: kontor "
			 "settlement "
			 "close --region %s --window %s",
			 older, region, region, older);
	}
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
}

static int find_open_upload(kontor_conn *conn, const char *region, uint32_t window, struct obstacle *obstacle,
			    struct kontor_error *err)
{
	int64_t upload_id = 0;
	int rc = kontor_db_query_int(conn, SQL_FIND_OPEN_UPLOAD, KONTOR_PARAMS(P_STRING(region), P_UINT(window)),
				     &upload_id, err);
	if (rc)
		return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
	char name[KONTOR_WINDOW_SIZE];
	obstacle->code = KONTOR_E_BUSY;
	snprintf(obstacle->message, sizeof(obstacle->message),
		 "upload %" PRId64
		 " holds items of window %s of %s and is not accepted yet; wait for it (--wait), or cancel "
		 "it",
		 upload_id, kontor_window_format(window, name), region);
	return 0;
}

static int find_too_early(kontor_conn *conn, const struct kontor_region *region, uint32_t window, bool early,
			  struct obstacle *obstacle, struct kontor_error *err)
{
	struct window_bounds bounds;
	int64_t now;
	int rc = window_find_bounds(conn, region, window, false, &bounds, err);
	if (!rc)
		rc = database_now_ms(conn, &now, err);
	if (rc || bounds.to_ms <= now)
		return rc;
	char name[KONTOR_WINDOW_SIZE], from[KONTOR_TIME_SIZE], to[KONTOR_TIME_SIZE];
	kontor_window_format(window, name);
	if (bounds.from_ms > now) {
		obstacle->code = KONTOR_E_CONFLICT;
		snprintf(obstacle->message, sizeof(obstacle->message),
			 "window %s of %s begins at %s: it cannot be closed before it has begun (--early closes one "
			 "that has "
			 "begun and not ended)",
			 name, region->code, kontor_time_format(bounds.from_ms, from));
	} else if (!early) {
		obstacle->code = KONTOR_E_CONFLICT;
		snprintf(obstacle->message, sizeof(obstacle->message),
			 "window %s of %s ends at %s; --early closes it now, and later items of it count in the next "
			 "one",
			 name, region->code, kontor_time_format(bounds.to_ms, to));
	}
	return 0;
}

/* Which windows its rows belong to is known only once they are stored, so a half-done upload stands against any close.
 */
static int find_active_upload(kontor_conn *conn, const struct close_wish *wish, struct obstacle *obstacle,
			      struct kontor_error *err)
{
	uint64_t upload_id = 0;
	int rc = kontor_upload_find_active(conn, upload_kinds[KIND_BILLING_ITEMS].name, wish->region->code,
					   wish->asked_ms, &upload_id, err);
	if (rc)
		return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
	char name[KONTOR_WINDOW_SIZE];
	obstacle->code = KONTOR_E_BUSY;
	snprintf(obstacle->message, sizeof(obstacle->message),
		 "upload %" PRIu64 " of %s is half done and may hold items of window %s; wait for it (--wait), or "
		 "cancel it",
		 upload_id, wish->region->code, kontor_window_format(wish->window, name));
	return 0;
}

int close_find_obstacle(kontor_conn *conn, const struct close_wish *wish, struct obstacle *ret_obstacle,
			struct kontor_error *err)
{
	const struct kontor_region *region = wish->region;
	memset(ret_obstacle, 0, sizeof(*ret_obstacle));
	if (wish->window < region->first_window) {
		char name[KONTOR_WINDOW_SIZE], first[KONTOR_WINDOW_SIZE];
		ret_obstacle->code = KONTOR_E_CONFLICT;
		snprintf(ret_obstacle->message, sizeof(ret_obstacle->message),
			 "window %s lies before the first window of %s, %s", kontor_window_format(wish->window, name),
			 region->code, kontor_window_format(region->first_window, first));
		return 0;
	}
	int rc = find_too_early(conn, region, wish->window, wish->early, ret_obstacle, err);
	if (!rc && !ret_obstacle->code)
		rc = find_older_items(conn, region->code, wish->window, ret_obstacle, err);
	if (!rc && !ret_obstacle->code)
		rc = find_open_upload(conn, region->code, wish->window, ret_obstacle, err);
	if (!rc && !ret_obstacle->code)
		rc = find_active_upload(conn, wish, ret_obstacle, err);
	return rc;
}

/* ---- the fence ---- */

static int move_region(kontor_conn *tx, const struct kontor_region *region, uint32_t open_from,
		       struct kontor_error *err)
{
	const struct kontor_param *params = KONTOR_PARAMS(P_UINT(open_from), P_STRING(region->code));
	uint64_t moved = 0;
	int rc = kontor_db_exec(tx, SQL_MOVE_REGION, params, &moved, err);
	if (rc || moved)
		return rc;
	rc = kontor_db_exec(tx, SQL_ADD_REGION, KONTOR_PARAMS(P_STRING(region->code), P_UINT(region->first_window)),
			    NULL, err);
	return rc ? rc : kontor_db_exec(tx, SQL_MOVE_REGION, params, NULL, err);
}

int close_raise_fence(kontor_conn *tx, const struct kontor_region *region, uint32_t window, uint64_t job_id,
		      uint64_t *ret_epoch, struct kontor_error *err)
{
	uint32_t open_from;
	int rc = move_region(tx, region, kontor_window_next(window), err);
	if (!rc)
		rc = kontor_db_exec(
			tx, SQL_START_CLOSING,
			KONTOR_PARAMS(P_UINT(job_id), P_STRING(region->code), P_UINT(window), P_UINT(job_id)), NULL,
			err);
	return rc ? rc : window_open_from(tx, region, ret_epoch, &open_from, err);
}

int close_reopen(kontor_conn *tx, const struct kontor_region *region, uint64_t job_id, struct kontor_error *err)
{
	int64_t oldest = 0;
	int rc = kontor_db_query_int(tx, SQL_FIND_CLOSING, KONTOR_PARAMS(P_STRING(region->code), P_UINT(job_id)),
				     &oldest, err);
	if (rc)
		return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
	rc = move_region(tx, region, (uint32_t)oldest, err);
	return rc ? rc
		  : kontor_db_exec(tx, SQL_REOPEN, KONTOR_PARAMS(P_STRING(region->code), P_UINT(job_id)), NULL, err);
}

struct writer_move {
	const char *region;
	uint64_t writer, epoch;
	uint32_t open_from;
};

static int move_writer(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct writer_move *move = arg;
	return kontor_db_exec(tx, SQL_MOVE_WRITER,
			      KONTOR_PARAMS(P_UINT(move->epoch), P_UINT(move->open_from), P_STRING(move->region),
					    P_UINT(move->writer), P_UINT(move->epoch)),
			      NULL, err);
}

static int delete_idle_writers(kontor_conn *conn, const char *region, struct kontor_error *err)
{
	int64_t idle_since = kontor_now_ms() - WRITER_IDLE_MS;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_IDLE_WRITERS,
				 KONTOR_PARAMS(P_STRING(region), P_INT(idle_since)), &rows, err);
	if (rc)
		return rc;
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		rc = kontor_db_exec(
			conn, SQL_DELETE_IDLE_WRITER,
			KONTOR_PARAMS(P_STRING(region), P_UINT(kontor_rows_uint(rows, 0)), P_INT(idle_since)), NULL,
			err);
		if (rc)
			break;
	}
	kontor_rows_close(rows);
	return rc;
}

int close_move_writers(kontor_conn *conn, const struct kontor_region *region, struct kontor_error *err)
{
	struct writer_move move = {.region = region->code};
	int rc = window_open_from(conn, region, &move.epoch, &move.open_from, err);
	kontor_rows *rows = NULL;
	if (!rc)
		rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_WRITERS_BEHIND,
				     KONTOR_PARAMS(P_STRING(region->code), P_UINT(move.epoch)), &rows, err);
	if (rc)
		return rc;
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		move.writer = kontor_rows_uint(rows, 0);
		rc = kontor_db_transaction(conn, move_writer, &move, err);
		if (rc)
			break;
	}
	kontor_rows_close(rows);
	return rc ? rc : delete_idle_writers(conn, region->code, err);
}
