/* SPDX-License-Identifier: Apache-2.0
 *
 * settlement.close: answers at once when there is nothing to do or something stands against it, else submits the job.
 */
#include <stdio.h>

#include "close.h"
#include "kontor/ids.h"
#include "statements.h"

/* Longer than any caller waits: an upload or a close that stands in the way is told to people at once instead of being
 * retried. */
#define OBSTACLE_RETRY_MS 60000

/* Without a window: the oldest open one that has ended and holds items (those before it are empty and close along with
 * it), else the oldest open one that has ended. */
static int choose_window(kontor_request *request, const struct kontor_region *region, uint32_t *ret_window)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *tx = kontor_request_db(request);
	struct window_bounds bounds;
	uint64_t epoch;
	uint32_t open_from;
	int64_t now, window;
	int rc = window_open_from(tx, region, &epoch, &open_from, err);
	if (!rc)
		rc = database_now_ms(tx, &now, err);
	if (rc)
		return rc;
	rc = kontor_db_query_int(tx, SQL_FIND_ENDED_WITH_ITEMS,
				 KONTOR_PARAMS(P_STRING(region->code), P_UINT(open_from), P_INT(now)), &window, err);
	if (rc == 0) {
		*ret_window = (uint32_t)window;
		return 0;
	}
	if (rc != KONTOR_E_NOT_FOUND)
		return rc;
	rc = window_find_bounds(tx, region, open_from, false, &bounds, err);
	if (rc)
		return rc;
	char name[KONTOR_WINDOW_SIZE], end[KONTOR_TIME_SIZE];
	if (bounds.to_ms > now)
		return kontor_request_fail(
			request, KONTOR_E_CONFLICT,
			"no open window of %s has ended: the oldest one, %s, ends at %s; name it and say "
			"--early to close it now",
			region->code, kontor_window_format(open_from, name), kontor_time_format(bounds.to_ms, end));
	*ret_window = open_from;
	return 0;
}

static int answer_closed(kontor_request *request, const char *region, uint32_t window, const struct window_row *row)
{
	kontor_writer *w = kontor_reply(request);
	char name[KONTOR_WINDOW_SIZE];
	kontor_write_string(w, "job_id"); /* nothing is left to do for one */
	kontor_write_nil(w);
	kontor_put_string(w, "window", kontor_window_format(window, name));
	kontor_put_string(w, "state", row->state);
	kontor_put_uint(w, "items", row->items);
	return window_put_items_minor(kontor_request_db(request), region, window, w, kontor_request_error(request));
}

/* There is one close of a region at a time; its job is the answer to everybody who wants that window, or any.
 * NOT_FOUND when none runs. */
static int answer_running(kontor_request *request, const char *unique_key)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *tx = kontor_request_db(request);
	struct kontor_job_info info;
	kontor_body *params = NULL;
	char name[KONTOR_WINDOW_SIZE];
	uint64_t job_id;
	int rc = kontor_job_by_key(tx, unique_key, &job_id, err);
	if (!rc)
		rc = kontor_job_get(tx, job_id, &info, err);
	if (!rc)
		rc = kontor_job_params_of(tx, job_id, &params, err);
	if (rc)
		return rc;
	uint32_t window = params ? (uint32_t)kontor_get_uint(kontor_body_map(params), "window", 0) : 0;
	kontor_body_free(params);
	kontor_window_format(window, name);
	if (kontor_arg_given(request, "window") && kontor_arg_window(request, "window") != window) {
		err->retry_after_ms = OBSTACLE_RETRY_MS;
		return kontor_request_fail(request, KONTOR_E_BUSY,
					   "window %s of %s is being closed by job %llu; windows close one after the "
					   "other: close this one again once that job has ended",
					   name, info.region, (unsigned long long)job_id);
	}
	kontor_put_uint(kontor_reply(request), "job_id", job_id);
	kontor_put_string(kontor_reply(request), "window", name);
	kontor_put_string(kontor_reply(request), "state", info.state);
	return 0;
}

static int submit(kontor_request *request, const struct close_wish *wish, const char *unique_key)
{
	struct kontor_error *err = kontor_request_error(request);
	struct kontor_job_new job = {.kind = close_job_kind->name,
				     .lane = close_job_kind->lane,
				     .region = wish->region->code,
				     .user = kontor_request_user(request)->name,
				     .unique_key = unique_key};
	char name[KONTOR_WINDOW_SIZE];
	kontor_writer *params = kontor_writer_new();
	if (!params)
		return kontor_request_fail(request, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(params);
	kontor_put_uint(params, "window", wish->window);
	kontor_put_bool(params, "early", wish->early);
	kontor_put_int(params, "asked_ms", wish->asked_ms);
	kontor_put_bool(params, "wait", kontor_arg_bool(request, "wait"));
	kontor_write_end(params);
	int rc = kontor_id_next(kontor_request_host(request), "job", &job.job_id, err);
	if (!rc)
		rc = kontor_writer_finish(params, &job.params, &job.params_size, err);
	if (!rc)
		rc = kontor_job_submit(kontor_request_db(request), &job, err);
	kontor_writer_free(params);
	if (rc == KONTOR_E_CONFLICT) /* somebody was faster */
		return answer_running(request, unique_key);
	if (rc)
		return rc;
	kontor_put_uint(kontor_reply(request), "job_id", job.job_id);
	kontor_put_string(kontor_reply(request), "window", kontor_window_format(wish->window, name));
	kontor_put_string(kontor_reply(request), "state", "queued");
	return 0;
}

int handle_close(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *tx = kontor_request_db(request);
	const struct kontor_region *region =
		kontor_region_find(kontor_request_host(request), kontor_arg_string(request, "region"));
	char unique_key[16];
	snprintf(unique_key, sizeof(unique_key), "close:%s", region->code);

	uint32_t window = kontor_arg_window(request, "window");
	struct window_row row;
	int rc = kontor_arg_given(request, "window") ? window_get(tx, region->code, window, false, &row, err)
						     : KONTOR_E_NOT_FOUND;
	if (rc == 0 && window_is_closed(&row))
		return answer_closed(request, region->code, window, &row);
	if (rc && rc != KONTOR_E_NOT_FOUND)
		return rc;
	rc = answer_running(request, unique_key);
	if (rc != KONTOR_E_NOT_FOUND)
		return rc;
	if (!kontor_arg_given(request, "window")) {
		rc = choose_window(request, region, &window);
		if (rc)
			return rc;
	}
	struct close_wish wish = {.region = region, .window = window, .early = kontor_arg_bool(request, "early")};
	struct obstacle obstacle;
	rc = database_now_ms(tx, &wish.asked_ms, err);
	if (!rc)
		rc = close_find_obstacle(tx, &wish, &obstacle, err);
	if (rc)
		return rc;
	if (obstacle.code == KONTOR_E_CONFLICT || (obstacle.code && !kontor_arg_bool(request, "wait"))) {
		kontor_request_fail(request, obstacle.code, "%s", obstacle.message);
		if (obstacle.code == KONTOR_E_BUSY)
			err->retry_after_ms = OBSTACLE_RETRY_MS;
		return obstacle.code;
	}
	return submit(request, &wish, unique_key);
}
