/* SPDX-License-Identifier: Apache-2.0
 *
 * safefile.create: the request that makes the safefile's row and submits its job (create_job.c).
 */
#include <stdio.h>
#include <string.h>

#include "payout_calls.h"
#include "safefile.h"
#include "statements.h"

#define DAY_MS INT64_C(86400000)

/* The first Monday to Friday after the day on which the safefile was made. */
static void next_weekday(int64_t created_ms, char *out)
{
	char time[KONTOR_TIME_SIZE];
	int64_t day = created_ms / DAY_MS + 1;
	while ((day + 3) % 7 >= 5) /* 1970-01-01 was a Thursday; 0 is Monday */
		day++;
	snprintf(out, 11, "%.10s", kontor_time_format(day * DAY_MS, time));
}

void safefile_unique_run(const char *profile, uint64_t run_id, char *out, size_t size)
{
	snprintf(out, size, "%s:%llu", profile, (unsigned long long)run_id);
}

/* The safefile of this run and profile that is not failed or cancelled; 0: none. */
static int find_existing(kontor_conn *conn, const char *unique, uint64_t *ret_id, struct kontor_error *err)
{
	int64_t id = 0;
	int code = kontor_db_query_int(conn, SQL_FILE_BY_RUN, KONTOR_PARAMS(P_STRING(unique)), &id, err);
	*ret_id = (uint64_t)id;
	return code == KONTOR_E_NOT_FOUND ? 0 : code;
}

static int answer(kontor_request *request, uint64_t safefile_id, bool repeated)
{
	/* job 0: that of the row, safefile.create */
	int code = safefile_put(kontor_request_db(request), kontor_request_arena(request), kontor_reply(request),
				safefile_id, 0, !repeated, kontor_request_error(request));
	if (!code)
		kontor_put_bool(kontor_reply(request), "repeated", repeated);
	return code;
}

struct new_file {
	uint64_t safefile_id, job_id;
	char unique[64], path[PATH_LIMIT], execution_date[11], profile_text[PROFILE_TEXT_SIZE];
	int64_t created_ms;
};

static int prepare(const struct safefile_plugin *plugin, kontor_request *request, const struct payout_run *run,
		   struct new_file *file)
{
	struct kontor_error *err = kontor_request_error(request);
	const char *profile_name = kontor_arg_string(request, "profile");
	const struct kontor_region *region = kontor_region_find(plugin->host, run->region);
	struct profile profile;
	char window[KONTOR_WINDOW_SIZE];
	if (!region)
		return kontor_request_fail(request, KONTOR_E_CONFLICT, "region %s of run %llu is not configured here",
					   run->region, (unsigned long long)run->run_id);
	int code = profile_resolve(plugin->host, profile_name, region, &profile, err);
	if (!code)
		code = profile_to_text(&profile, file->profile_text, sizeof(file->profile_text), err);
	if (!code)
		code = kontor_id_next(plugin->host, "file", &file->safefile_id, err);
	if (!code)
		code = kontor_id_next(plugin->host, "job", &file->job_id, err);
	if (code)
		return code;
	file->created_ms = kontor_now_ms();
	next_weekday(file->created_ms, file->execution_date);
	int length =
		snprintf(file->path, sizeof(file->path), "%s/%s/%s-%s-%llu", plugin->base, profile_name, run->region,
			 kontor_window_format(run->window, window), (unsigned long long)file->safefile_id);
	if (length < 0 || (size_t)length >= sizeof(file->path))
		return kontor_request_fail(request, KONTOR_E_CONFLICT, "the path of the safefiles' folder is too long");
	return 0;
}

int safefile_submit(kontor_conn *tx, const char *kind, uint64_t job_id, const char *region, const char *user,
		    uint64_t safefile_id, uint64_t ready, struct kontor_error *err)
{
	char key[64];
	const void *params;
	size_t size;
	snprintf(key, sizeof(key), "%s:%llu", kind, (unsigned long long)safefile_id);
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(w);
	kontor_put_uint(w, "safefile_id", safefile_id);
	kontor_put_uint(w, "ready", ready);
	kontor_write_end(w);
	int code = kontor_writer_finish(w, &params, &size, err);
	if (!code)
		code = kontor_job_submit(tx,
					 &(struct kontor_job_new){.job_id = job_id,
								  .kind = kind,
								  .lane = KONTOR_LANE_FILE,
								  .region = region,
								  .user = user,
								  .unique_key = key,
								  .params = params,
								  .params_size = size},
					 err);
	kontor_writer_free(w);
	return code;
}

static int insert(kontor_request *request, const struct payout_run *run, const struct new_file *file)
{
	const char *user = kontor_request_user(request)->name;
	return kontor_db_exec(kontor_request_db(request), SQL_INSERT_FILE,
			      KONTOR_PARAMS(P_UINT(file->safefile_id), P_STRING(run->region), P_UINT(run->window),
					    P_UINT(run->run_id), P_STRING(kontor_arg_string(request, "profile")),
					    P_STRING(file->profile_text), P_UINT(file->job_id), P_STRING(user),
					    P_STRING(file->path), P_STRING(file->execution_date),
					    P_INT(file->created_ms), P_STRING(file->unique)),
			      NULL, kontor_request_error(request));
}

int safefile_create(void *self, kontor_request *request)
{
	const struct safefile_plugin *plugin = self;
	kontor_conn *tx = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	struct payout_run run = {0};
	struct new_file *file = kontor_arena_alloc(kontor_request_arena(request), sizeof(*file));
	uint64_t existing = 0;
	if (!file)
		return kontor_request_fail(request, KONTOR_E_INTERNAL, "out of memory");
	bool by_window = kontor_arg_given(request, "window");
	if (by_window == kontor_arg_given(request, "run_id") || (by_window && !kontor_arg_given(request, "region")))
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST, "give either region and window, or run_id");
	int code = payout_run_for_file(plugin->host, kontor_arg_id(request, "run_id"),
				       kontor_arg_string(request, "region"), kontor_arg_window(request, "window"), &run,
				       err);
	if (code)
		return code;
	if (kontor_arg_given(request, "region") && strcmp(run.region, kontor_arg_string(request, "region")) != 0)
		return kontor_request_fail(request, KONTOR_E_CONFLICT, "run %llu belongs to region %s, not %s",
					   (unsigned long long)run.run_id, run.region,
					   kontor_arg_string(request, "region"));
	safefile_unique_run(kontor_arg_string(request, "profile"), run.run_id, file->unique, sizeof(file->unique));
	code = find_existing(tx, file->unique, &existing, err);
	if (code || existing)
		return code ? code : answer(request, existing, true);
	code = prepare(plugin, request, &run, file);
	if (code)
		return code;
	code = insert(request, &run, file);
	if (code == KONTOR_E_CONFLICT && !find_existing(tx, file->unique, &existing, err) && existing)
		return answer(request, existing, true);
	if (!code)
		code = safefile_submit(tx, JOB_CREATE, file->job_id, run.region, kontor_request_user(request)->name,
				       file->safefile_id, run.ready, err);
	return code ? code : answer(request, file->safefile_id, false);
}
