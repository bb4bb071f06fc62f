/* SPDX-License-Identifier: Apache-2.0
 *
 * What payout asks of a window: its totals, and its way from closed over settling to settled.
 */
#include <inttypes.h>
#include <string.h>

#include "statements.h"
#include "windows.h"

/* The oldest older window that is closed with items and not settled, 0 when there is none. */
static int older_unsettled(kontor_conn *conn, const char *region, uint32_t window, uint32_t *ret_older,
			   struct kontor_error *err)
{
	int64_t older = 0;
	int rc = kontor_db_query_int(conn, SQL_FIND_OLDER_UNSETTLED, KONTOR_PARAMS(P_STRING(region), P_UINT(window)),
				     &older, err);
	*ret_older = (uint32_t)older;
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
}

/* An upload that is not accepted yet and claims items of the window, 0 when there is none. It may still be cancelled,
 * and then its items are the window's run's again. */
static int open_claims(kontor_conn *conn, const char *region, uint32_t window, uint64_t *ret_upload_id,
		       struct kontor_error *err)
{
	int64_t upload_id = 0;
	int rc = kontor_db_query_int(conn, SQL_FIND_OPEN_CLAIMS, KONTOR_PARAMS(P_STRING(region), P_UINT(window)),
				     &upload_id, err);
	*ret_upload_id = (uint64_t)upload_id;
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
}

static int put_totals(kontor_conn *conn, const char *region, uint32_t window, kontor_writer *w,
		      struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_WINDOW_TOTALS,
				 KONTOR_PARAMS(P_STRING(region), P_UINT(window)), &rows, err);
	if (rc)
		return rc;
	kontor_put_array(w, "totals");
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		kontor_write_map(w);
		kontor_put_text(w, "currency", kontor_rows_text(rows, 0));
		kontor_put_uint(w, "items", kontor_rows_uint(rows, 1));
		kontor_put_int(w, "amount_minor", kontor_rows_int(rows, 2));
		kontor_write_end(w);
	}
	kontor_write_end(w);
	kontor_rows_close(rows);
	return rc;
}

/* A window that nothing was written to has no row: it is open, unless it lies before the region's first one. */
static int describe_unwritten(kontor_request *request, const struct kontor_region *region, uint32_t window,
			      struct window_row *ret_row)
{
	char name[KONTOR_WINDOW_SIZE], first[KONTOR_WINDOW_SIZE];
	struct window_bounds bounds;
	if (window < region->first_window)
		return kontor_request_fail(request, KONTOR_E_NOT_FOUND,
					   "window %s lies before the first window of %s, %s",
					   kontor_window_format(window, name), region->code,
					   kontor_window_format(region->first_window, first));
	int rc = window_find_bounds(kontor_request_db(request), region, window, false, &bounds,
				    kontor_request_error(request));
	if (!rc)
		*ret_row = (struct window_row){.state = "open", .from_ms = bounds.from_ms, .to_ms = bounds.to_ms};
	return rc;
}

int handle_window_get(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *conn = kontor_request_db(request);
	uint32_t window = kontor_arg_window(request, "window"), older = 0;
	uint64_t claimed_by = 0;
	const struct kontor_region *region =
		kontor_region_find(kontor_request_host(request), kontor_arg_string(request, "region"));
	struct window_row row;
	int64_t items = 0;
	int rc = window_get(conn, region->code, window, false, &row, err);
	if (rc == KONTOR_E_NOT_FOUND)
		rc = describe_unwritten(request, region, window, &row);
	if (!rc)
		rc = kontor_db_query_int(conn, SQL_COUNT_WINDOW, KONTOR_PARAMS(P_STRING(region->code), P_UINT(window)),
					 &items, err);
	if (!rc)
		rc = older_unsettled(conn, region->code, window, &older, err);
	if (!rc)
		rc = open_claims(conn, region->code, window, &claimed_by, err);
	if (rc)
		return rc;
	char name[KONTOR_WINDOW_SIZE];
	kontor_writer *w = kontor_reply(request);
	kontor_put_string(w, "window", kontor_window_format(window, name));
	kontor_put_string(w, "state", row.state);
	kontor_put_int(w, "from_ms", row.from_ms);
	kontor_put_int(w, "to_ms", row.to_ms);
	kontor_put_uint(w, "run_id", row.run_id);
	kontor_put_int(w, "items", items);
	if (older)
		kontor_put_string(w, "older_unsettled", kontor_window_format(older, name));
	if (claimed_by)
		kontor_put_uint(w, "open_claims", claimed_by);
	return put_totals(conn, region->code, window, w, err);
}

struct settling {
	const char *region;
	char name[KONTOR_WINDOW_SIZE];
	uint32_t window;
	uint64_t run_id;
	struct window_row row; /* locked */
};

static int lock_window(kontor_request *request, struct settling *ret_settling)
{
	*ret_settling = (struct settling){.region = kontor_arg_string(request, "region"),
					  .window = kontor_arg_window(request, "window"),
					  .run_id = kontor_arg_id(request, "run_id")};
	kontor_window_format(ret_settling->window, ret_settling->name);
	int rc = window_get(kontor_request_db(request), ret_settling->region, ret_settling->window, true,
			    &ret_settling->row, kontor_request_error(request));
	if (rc == KONTOR_E_NOT_FOUND)
		return kontor_request_fail(
			request, KONTOR_E_CONFLICT,
			"window %s of %s is open; run: kontor settlement close --region %s --window %s",
			ret_settling->name, ret_settling->region, ret_settling->region, ret_settling->name);
	return rc;
}

static int answer_state(kontor_request *request, const struct settling *settling, const char *state)
{
	kontor_put_string(kontor_reply(request), "window", settling->name);
	kontor_put_string(kontor_reply(request), "state", state);
	kontor_put_uint(kontor_reply(request), "run_id", settling->run_id);
	return 0;
}

/* The window's row is locked: who claims items writes it too, so no claim comes between this look and the end of the
 * transaction. */
static int refuse_open_claims(kontor_request *request, const struct settling *settling)
{
	uint64_t upload_id = 0;
	int rc = open_claims(kontor_request_db(request), settling->region, settling->window, &upload_id,
			     kontor_request_error(request));
	if (rc || !upload_id)
		return rc;
	return kontor_request_fail(request, KONTOR_E_BUSY,
				   "upload %" PRIu64
				   " claims items of window %s of %s and is not accepted yet; approve, "
				   "refuse or cancel it",
				   upload_id, settling->name, settling->region);
}

int handle_settle_begin(void *self, kontor_request *request)
{
	(void)self;
	struct settling settling;
	int rc = lock_window(request, &settling);
	if (rc)
		return rc;
	if (!window_is_closed(&settling.row))
		return kontor_request_fail(
			request, KONTOR_E_CONFLICT,
			"window %s of %s is %s; run: kontor settlement close --region %s --window %s", settling.name,
			settling.region, settling.row.state, settling.region, settling.name);
	if (strcmp(settling.row.state, "closed") != 0) {
		if (settling.row.run_id == settling.run_id)
			return answer_state(request, &settling, settling.row.state);
		return kontor_request_fail(request, KONTOR_E_CONFLICT, "window %s of %s is %s by run %" PRIu64,
					   settling.name, settling.region, settling.row.state, settling.row.run_id);
	}
	uint32_t older = 0;
	rc = older_unsettled(kontor_request_db(request), settling.region, settling.window, &older,
			     kontor_request_error(request));
	if (rc)
		return rc;
	if (older) {
		char name[KONTOR_WINDOW_SIZE];
		kontor_window_format(older, name);
		return kontor_request_fail(
			request, KONTOR_E_CONFLICT,
			"window %s of %s is older and not settled; run: kontor payout run --region %s "
			"--window %s",
			name, settling.region, settling.region, name);
	}
	rc = refuse_open_claims(request, &settling);
	if (rc)
		return rc;
	rc = kontor_db_exec(kontor_request_db(request), SQL_BEGIN_SETTLING,
			    KONTOR_PARAMS(P_UINT(settling.run_id), P_STRING(settling.region), P_UINT(settling.window)),
			    NULL, kontor_request_error(request));
	return rc ? rc : answer_state(request, &settling, "settling");
}

int handle_settle_end(void *self, kontor_request *request)
{
	(void)self;
	struct settling settling;
	int rc = lock_window(request, &settling);
	if (rc)
		return rc;
	bool settled = strcmp(settling.row.state, "settled") == 0;
	if (settling.row.run_id != settling.run_id || (!settled && strcmp(settling.row.state, "settling") != 0))
		return kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "window %s of %s is %s (run %" PRIu64 "), not settling by run %" PRIu64,
					   settling.name, settling.region, settling.row.state, settling.row.run_id,
					   settling.run_id);
	if (!settled)
		rc = kontor_db_exec(
			kontor_request_db(request), SQL_END_SETTLING,
			KONTOR_PARAMS(P_STRING(settling.region), P_UINT(settling.window), P_UINT(settling.run_id)),
			NULL, kontor_request_error(request));
	return rc ? rc : answer_state(request, &settling, "settled");
}
