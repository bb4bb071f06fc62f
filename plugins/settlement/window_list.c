/* SPDX-License-Identifier: Apache-2.0
 *
 * settlement.windows: the windows of a region that anything has happened in, oldest first.
 */
#include "statements.h"
#include "windows.h"

#define DEFAULT_LIMIT 1000

int handle_windows(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	int64_t limit = kontor_arg_given(request, "limit") ? kontor_arg_int(request, "limit") : DEFAULT_LIMIT;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_LIST_WINDOWS,
				 KONTOR_PARAMS(P_STRING(kontor_arg_string(request, "region")),
					       P_UINT(kontor_arg_window(request, "after")), P_INT(limit)),
				 &rows, err);
	if (rc)
		return rc;
	kontor_writer *w = kontor_reply(request);
	char name[KONTOR_WINDOW_SIZE] = "";
	int64_t count = 0;
	kontor_put_array(w, "rows");
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		uint64_t run_id = kontor_rows_uint(rows, 4);
		kontor_write_map(w);
		kontor_put_string(w, "window", kontor_window_format((uint32_t)kontor_rows_uint(rows, 0), name));
		kontor_put_time(w, "from", kontor_rows_int(rows, 1));
		kontor_put_time(w, "to", kontor_rows_int(rows, 2));
		kontor_put_string(w, "state", kontor_rows_string(rows, 3));
		kontor_put_int(w, "items", kontor_rows_int(rows, 5));
		kontor_put_int(w, "late", kontor_rows_int(rows, 6));
		kontor_put_int(w, "uploads_open", kontor_rows_int(rows, 7));
		kontor_put_int(w, "runs", kontor_rows_int(rows, 8) + (run_id ? 1 : 0)); /* manual ones, its own */
		if (run_id)
			kontor_put_uint(w, "run_id", run_id);
		kontor_write_end(w);
		count++;
	}
	kontor_write_end(w);
	if (rc == 0 && count == limit)
		kontor_put_string(w, "next", name);
	kontor_rows_close(rows);
	return rc;
}
