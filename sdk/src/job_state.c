/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at jobs: state, progress, results.
 */
#include <stdio.h>

#include "job_statements.h"
#include "job_work.h"

#define COPY(field, text) snprintf(field, sizeof(field), "%s", text)

static void read_info(const kontor_rows *rows, struct kontor_job_info *info)
{
	*info = (struct kontor_job_info){
		.job_id = kontor_rows_uint(rows, 0),
		.done = kontor_rows_uint(rows, 6),
		.total = kontor_rows_uint(rows, 7),
		.created_ms = kontor_rows_int(rows, 8),
		.started_ms = kontor_rows_int(rows, 9),
		.finished_ms = kontor_rows_int(rows, 10),
		.run_at_ms = kontor_rows_int(rows, 11),
		.error_code = (int)kontor_rows_int(rows, 12),
		.cancelling = kontor_rows_int(rows, 14) != 0,
	};
	COPY(info->kind, kontor_rows_string(rows, 1));
	COPY(info->lane, kontor_rows_string(rows, 2));
	COPY(info->state, kontor_rows_string(rows, 3));
	COPY(info->region, kontor_rows_string(rows, 4));
	COPY(info->user, kontor_rows_string(rows, 5));
	COPY(info->error, kontor_rows_string(rows, 13));
}

static int no_job(uint64_t job_id, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_NOT_FOUND, "there is no job %llu", (unsigned long long)job_id);
}

int kontor_job_get(kontor_conn *conn, uint64_t job_id, struct kontor_job_info *ret_info, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_JOB_INFO, KONTOR_PARAMS(P_UINT(job_id)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc == 1)
		read_info(rows, ret_info);
	kontor_rows_close(rows);
	return rc == 1 ? 0 : rc == 0 ? no_job(job_id, err) : rc;
}

int kontor_job_list(kontor_conn *conn, const char *state, const char *kind, uint64_t before, unsigned limit,
		    kontor_job_info_function fn, void *arg, struct kontor_error *err)
{
	const struct kontor_job_filter filter = {.state = state, .kind = kind, .before = before, .limit = limit};
	return kontor_job_search(conn, &filter, fn, arg, err);
}

int kontor_job_speed(kontor_conn *conn, uint64_t job_id, uint64_t *ret_per_second, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_JOB_SPEED, KONTOR_PARAMS(P_UINT(job_id), P_UINT(job_id)),
				 &rows, err);
	if (rc)
		return rc;
	*ret_per_second = 0;
	rc = kontor_rows_next(rows, err);
	if (rc == 1 && !kontor_rows_null(rows, 0))
		*ret_per_second = kontor_rows_uint(rows, 0);
	kontor_rows_close(rows);
	return rc < 0 ? rc : 0;
}

/* ---- searching ---- */

struct search {
	char sql[sizeof(SQL_LIST_BEGIN) + 400];
	struct kontor_param params[8];
	size_t length, params_len;
};

static void add_text(struct search *search, const char *text)
{
	int added = snprintf(search->sql + search->length, sizeof(search->sql) - search->length, "%s", text);
	search->length += (size_t)added;
}

static void add_condition(struct search *search, const char *condition, const char *value)
{
	if (!value)
		return;
	add_text(search, condition);
	search->params[search->params_len++] = P_STRING(value);
}

/* The index is that of the narrowest condition: history is much longer than what runs. */
static void build_search(struct search *search, const struct kontor_job_filter *filter)
{
	add_text(search, SQL_LIST_BEGIN);
	add_text(search, filter->state                 ? SQL_LIST_IN_STATE
			 : filter->which == JOBS_OPEN  ? SQL_LIST_OPEN
			 : filter->which == JOBS_ENDED ? SQL_LIST_ENDED
						       : SQL_LIST_ALL);
	search->params[search->params_len++] = P_UINT(filter->before ? filter->before : UINT64_MAX);
	if (filter->state)
		search->params[search->params_len++] = P_STRING(filter->state);
	if (filter->state && filter->which != JOBS_ALL)
		add_text(search, filter->which == JOBS_OPEN ? " AND j.finished_ms = 0" : " AND j.finished_ms > 0");
	add_condition(search, " AND j.kind = ?", filter->kind);
	add_condition(search, " AND j.lane = ?", filter->lane);
	add_condition(search, " AND j.user = ?", filter->user);
	add_text(search, SQL_LIST_END);
	search->params[search->params_len++] = P_UINT(filter->limit);
}

int kontor_job_search(kontor_conn *conn, const struct kontor_job_filter *filter, kontor_job_info_function fn, void *arg,
		      struct kontor_error *err)
{
	struct search search = {.length = 0};
	kontor_rows *rows = NULL;
	build_search(&search, filter);
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, search.sql, search.params, &rows, err);
	if (rc)
		return rc;
	struct kontor_job_info info;
	while ((rc = kontor_rows_next(rows, err)) == 1) {
		read_info(rows, &info);
		rc = fn(arg, &info, err);
		if (rc)
			break;
	}
	kontor_rows_close(rows);
	return rc;
}

int kontor_job_lanes(kontor_conn *conn, kontor_job_lane_function fn, void *arg, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LANES, KONTOR_NO_PARAMS, &rows, err);
	if (rc)
		return rc;
	while ((rc = kontor_rows_next(rows, err)) == 1)
		fn(arg, kontor_rows_string(rows, 0), kontor_rows_string(rows, 1), kontor_rows_uint(rows, 2));
	kontor_rows_close(rows);
	return rc;
}

/* ---- what a job was given and gave back ---- */

static int read_map(kontor_conn *conn, const char *sql, uint64_t job_id, kontor_body **ret_body,
		    struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, sql, KONTOR_PARAMS(P_UINT(job_id)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc == 0) {
		rc = no_job(job_id, err);
	} else if (rc == 1) {
		struct kontor_text map = kontor_rows_text(rows, 0);
		rc = 0;
		if (!map.data)
			*ret_body = NULL;
		else
			rc = kontor_body_parse(map.data, map.size, ret_body, err);
	}
	kontor_rows_close(rows);
	return rc;
}

int kontor_job_result(kontor_conn *conn, uint64_t job_id, kontor_body **ret_body, struct kontor_error *err)
{
	return read_map(conn, SQL_JOB_RESULT, job_id, ret_body, err);
}

int kontor_job_params_of(kontor_conn *conn, uint64_t job_id, kontor_body **ret_body, struct kontor_error *err)
{
	return read_map(conn, SQL_JOB_PARAMS, job_id, ret_body, err);
}

static int hand_out_result(const kontor_rows *rows, kontor_chunk_result_function fn, void *arg,
			   struct kontor_error *err)
{
	struct kontor_text result = kontor_rows_text(rows, 1);
	kontor_body *body = NULL;
	int rc = result.data ? kontor_body_parse(result.data, result.size, &body, err) : 0;
	if (!rc)
		rc = fn(arg, (uint32_t)kontor_rows_uint(rows, 0), body ? kontor_body_map(body) : NULL, err);
	kontor_body_free(body);
	return rc;
}

/* In pages, so that fn may use the session and big results never lie in memory all at once. */
int kontor_job_results(kontor_conn *conn, uint64_t job_id, kontor_chunk_result_function fn, void *arg,
		       struct kontor_error *err)
{
	uint64_t next = 0;
	bool more = true;
	while (more) {
		kontor_rows *rows = NULL;
		int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_CHUNK_RESULTS,
					 KONTOR_PARAMS(P_UINT(job_id), P_UINT(next)), &rows, err);
		if (rc)
			return rc;
		more = false;
		while ((rc = kontor_rows_next(rows, err)) == 1) {
			more = true;
			next = kontor_rows_uint(rows, 0) + 1;
			rc = hand_out_result(rows, fn, arg, err);
			if (rc)
				break;
		}
		kontor_rows_close(rows);
		if (rc)
			return rc;
	}
	return 0;
}

int kontor_job_each_result(kontor_conn *conn, const kontor_job *job, kontor_chunk_result_function fn, void *arg,
			   struct kontor_error *err)
{
	return kontor_job_results(conn, job->lease.job_id, fn, arg, err);
}
