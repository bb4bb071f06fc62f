/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in service `jobs`: what runs, how far it is, and what became of it.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "job_runner.h"
#include "kontor/client.h"
#include "kontor/host.h"
#include "kontor/job.h"
#include "kontor/time.h"
#include "services.h"
#include "unit_config.h"

#define PAGE_DEFAULT 50
#define PAGE_LIMIT 1000
#define WAIT_LIMIT_MS 5000
#define POLL_MS 100 /* of a long poll; each is one read by primary key */

static bool has_ended(const struct kontor_job_info *info)
{
	return info->finished_ms != 0;
}

/* Of a job that has ended, from its start to its end. */
static uint64_t mean_speed(const struct kontor_job_info *info)
{
	int64_t took_ms = info->started_ms ? info->finished_ms - info->started_ms : 0;
	return took_ms > 0 ? (uint64_t)((unsigned __int128)info->done * 1000 / (uint64_t)took_ms) : 0;
}

/* Units of progress per second, and seconds left at that speed; 0 = not known, and while the job waits. */
static int put_speed(kontor_writer *w, kontor_conn *db, const struct kontor_job_info *info, struct kontor_error *err)
{
	uint64_t rate = has_ended(info) ? mean_speed(info) : 0;
	int rc = strcmp(info->state, "running") == 0 ? kontor_job_speed(db, info->job_id, &rate, err) : 0;
	kontor_put_uint(w, "rate", rate);
	bool known = !has_ended(info) && rate && info->total > info->done;
	kontor_put_uint(w, "eta_s", known ? (info->total - info->done) / rate + 1 : 0);
	return rc;
}

static int put_job(kontor_writer *w, kontor_conn *db, const struct kontor_job_info *info, struct kontor_error *err)
{
	kontor_put_uint(w, "job_id", info->job_id);
	kontor_put_string(w, "kind", info->kind);
	kontor_put_string(w, "lane", info->lane);
	kontor_put_string(w, "state", info->state);
	kontor_put_string(w, "region", info->region);
	kontor_put_string(w, "user", info->user);
	kontor_put_uint(w, "done", info->done);
	kontor_put_uint(w, "total", info->total);
	int rc = put_speed(w, db, info, err);
	kontor_put_int(w, "error_code", info->error_code);
	kontor_put_string(w, "error", info->error);
	kontor_put_bool(w, "cancelling", info->cancelling);
	kontor_put_time(w, "created", info->created_ms);
	kontor_put_time(w, "started", info->started_ms);
	kontor_put_time(w, "finished", info->finished_ms);
	return rc;
}

/* ---- jobs.list ---- */

struct page {
	kontor_writer *w;
	kontor_conn *db;
	uint64_t last;
	unsigned rows, limit;
};

static int put_row(void *arg, const struct kontor_job_info *info, struct kontor_error *err)
{
	struct page *page = arg;
	kontor_write_map(page->w);
	int rc = put_job(page->w, page->db, info, err);
	kontor_write_end(page->w);
	page->last = info->job_id;
	page->rows++;
	return rc;
}

static const char *given_string(kontor_request *request, const char *name)
{
	return kontor_arg_given(request, name) ? kontor_arg_string(request, name) : NULL;
}

#define STATES "queued, running, waiting, done, failed, cancelled, dead"

static bool is_state(const char *name)
{
	static const char *const states[] = {"queued", "running", "waiting", "done", "failed", "cancelled", "dead"};
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(states[i], name) == 0)
			return true;
	return false;
}

static int check_filter(kontor_request *request, const struct kontor_job_filter *filter)
{
	if (filter->state && !is_state(filter->state))
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
					   "'%s' is no state of a job: there are " STATES, filter->state);
	if (filter->lane && !lane_known(filter->lane)) {
		char names[128] = "";
		for (size_t i = 0, length = 0; i < LANES; i++)
			length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s", i ? ", " : "",
						   lane_names[i]);
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST, "'%s' is no lane: there are %s", filter->lane,
					   names);
	}
	return 0;
}

static int list_jobs(void *self, kontor_request *request)
{
	(void)self;
	kontor_writer *w = kontor_reply(request);
	const struct kontor_job_filter filter = {
		.state = given_string(request, "state"),
		.kind = given_string(request, "kind"),
		.lane = given_string(request, "lane"),
		.user = given_string(request, "user"),
		.which = !kontor_arg_given(request, "ended") ? JOBS_ALL
			 : kontor_arg_bool(request, "ended") ? JOBS_ENDED
							     : JOBS_OPEN,
		.before = kontor_arg_id(request, "after"),
		.limit = kontor_arg_given(request, "limit") ? (unsigned)kontor_arg_int(request, "limit") : PAGE_DEFAULT,
	};
	struct page page = {.w = w, .db = kontor_request_db(request), .limit = filter.limit};
	int rc = check_filter(request, &filter);
	if (rc)
		return rc;
	kontor_put_array(w, "rows");
	rc = kontor_job_search(page.db, &filter, put_row, &page, kontor_request_error(request));
	kontor_write_end(w);
	if (!rc && page.rows == page.limit)
		kontor_put_uint(w, "next", page.last);
	return rc;
}

/* ---- jobs.lanes ---- */

struct lane_counts {
	uint64_t running, queued, waiting, dead;
};

static void count_lane(void *arg, const char *lane, const char *state, uint64_t jobs)
{
	struct lane_counts *counts = arg;
	size_t i = 0;
	while (i < LANES && strcmp(lane_names[i], lane) != 0)
		i++;
	if (i == LANES)
		return;
	uint64_t *count = strcmp(state, "running") == 0   ? &counts[i].running
			  : strcmp(state, "queued") == 0  ? &counts[i].queued
			  : strcmp(state, "waiting") == 0 ? &counts[i].waiting
							  : &counts[i].dead;
	*count += jobs;
}

static int list_lanes(void *self, kontor_request *request)
{
	(void)self;
	kontor_writer *w = kontor_reply(request);
	struct lane_counts counts[LANES] = {{0}};
	int rc = kontor_job_lanes(kontor_request_db(request), count_lane, counts, kontor_request_error(request));
	kontor_put_array(w, "rows");
	for (size_t i = 0; i < LANES && !rc; i++) {
		kontor_write_map(w);
		kontor_put_string(w, "lane", lane_names[i]);
		kontor_put_uint(w, "running", counts[i].running);
		kontor_put_uint(w, "queued", counts[i].queued);
		kontor_put_uint(w, "waiting", counts[i].waiting);
		kontor_put_uint(w, "dead", counts[i].dead);
		kontor_write_end(w);
	}
	kontor_write_end(w);
	return rc;
}

/* ---- jobs.get ---- */

static bool has_news(const struct kontor_job_info *info, const struct kontor_job_info *first, uint64_t seen_done)
{
	return has_ended(info) || info->done != seen_done || strcmp(info->state, first->state) != 0;
}

/* Reads the job until there is news for the caller, or wait_ms are over. */
static int wait_for_news(kontor_request *request, uint64_t job_id, struct kontor_job_info *info)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *db = kontor_request_db(request);
	int rc = kontor_job_get(db, job_id, info, err);
	if (rc == KONTOR_E_NOT_FOUND)
		return kontor_request_fail(request, rc, "there is no job %" PRIu64, job_id);
	const struct kontor_job_info first = *info;
	uint64_t seen =
		kontor_arg_given(request, "seen_done") ? (uint64_t)kontor_arg_int(request, "seen_done") : first.done;
	int64_t until = kontor_monotonic_ms() + kontor_arg_int(request, "wait_ms");
	while (!rc && !has_news(info, &first, seen) && kontor_monotonic_ms() < until &&
	       !kontor_request_cancelled(request) && !kontor_host_draining(kontor_request_host(request))) {
		nanosleep(&(struct timespec){0, POLL_MS * 1000000L}, NULL);
		rc = kontor_job_get(db, job_id, info, err);
	}
	return rc;
}

static int put_result(kontor_request *request, uint64_t job_id)
{
	kontor_body *result = NULL;
	int rc = kontor_job_result(kontor_request_db(request), job_id, &result, kontor_request_error(request));
	if (!rc && result)
		kontor_put_object(kontor_reply(request), "result", kontor_body_map(result));
	kontor_body_free(result);
	return rc;
}

static int get_job(void *self, kontor_request *request)
{
	(void)self;
	uint64_t job_id = kontor_arg_id(request, "job_id");
	struct kontor_job_info info;
	int rc = wait_for_news(request, job_id, &info);
	if (rc)
		return rc;
	rc = put_job(kontor_reply(request), kontor_request_db(request), &info, kontor_request_error(request));
	return rc ? rc : put_result(request, job_id);
}

/* ---- jobs.cancel, jobs.retry ---- */

typedef int (*job_change)(kontor_conn *tx, uint64_t job_id, struct kontor_error *err);

static int change_job(kontor_request *request, job_change change)
{
	uint64_t job_id = kontor_arg_id(request, "job_id");
	struct kontor_job_info info;
	struct kontor_error *err = kontor_request_error(request);
	int rc = change(kontor_request_db(request), job_id, err);
	if (!rc)
		rc = kontor_job_get(kontor_request_db(request), job_id, &info, err);
	return rc ? rc : put_job(kontor_reply(request), kontor_request_db(request), &info, err);
}

static int cancel_job(void *self, kontor_request *request)
{
	(void)self;
	return change_job(request, kontor_job_cancel);
}

static int retry_job(void *self, kontor_request *request)
{
	(void)self;
	return change_job(request, kontor_job_retry);
}

/* ---- jobs.output ---- */

static void put_piece(void *arg, uint64_t next, struct kontor_text frame, uint64_t plain_bytes)
{
	kontor_writer *w = arg;
	kontor_put_bytes(w, "data", frame.data, frame.size);
	kontor_put_uint(w, "bytes", plain_bytes);
	kontor_put_uint(w, "next", next);
}

/* Only of a job that is done: a part of a report would look like all of it. */
static int read_output(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *db = kontor_request_db(request);
	uint64_t job_id = kontor_arg_id(request, "job_id");
	struct kontor_job_info info;
	int rc = kontor_job_get(db, job_id, &info, err);
	if (!rc && strcmp(info.state, "done") != 0)
		rc = kontor_request_fail(request, KONTOR_E_CONFLICT,
					 "job %" PRIu64 " is %s: it has output once it is done", job_id, info.state);
	return rc ? rc
		  : kontor_job_output_read(db, job_id, (uint64_t)kontor_arg_int(request, "offset"), put_piece,
					   kontor_reply(request), err);
}

static const struct kontor_arg output_args[] = {
	{"job_id", KONTOR_ARG_ID, .required = true, .help = "the job"},
	{"offset", KONTOR_ARG_INT, .min = 0, .max = INT64_MAX, .help = "the `next` of the piece before"},
};

/* ---- jobs.wake ---- */

/* What it announces is committed, and comes from another unit: it is not passed on. */
static int wake_lane(void *self, kontor_request *request)
{
	(void)self;
	kontor_job_lane_wake(given_string(request, "lane"));
	return 0;
}

static const struct kontor_arg wake_args[] = {
	{"lane", KONTOR_ARG_STRING, .max = 32, .help = "the lane; without it all"},
};
static const struct kontor_arg list_args[] = {
	{"state", KONTOR_ARG_STRING, .max = 16, .help = "only jobs in this state: " STATES},
	{"kind", KONTOR_ARG_STRING, .max = 64, .help = "only jobs of this kind, like payout.run"},
	{"lane", KONTOR_ARG_STRING, .max = 32, .help = "only jobs of this lane"},
	{"user", KONTOR_ARG_STRING, .max = 64, .help = "only jobs that this user asked for"},
	{"ended", KONTOR_ARG_BOOL, .help = "yes: only jobs that have ended; no: only those that have not"},
	{"after", KONTOR_ARG_ID, .help = "the `next` of the page before; newest jobs come first"},
	{"limit", KONTOR_ARG_INT, .min = 1, .max = PAGE_LIMIT, .help = "rows of one page (50)"},
};
static const struct kontor_arg get_args[] = {
	{"job_id", KONTOR_ARG_ID, .required = true, .help = "the job"},
	{"wait_ms", KONTOR_ARG_INT, .min = 0, .max = WAIT_LIMIT_MS,
	 .help = "waits that many milliseconds for an end, another state or other progress"},
	{"seen_done", KONTOR_ARG_INT, .min = 0, .max = INT64_MAX, .help = "the progress that the caller knows already"},
};
static const struct kontor_arg change_args[] = {
	{"job_id", KONTOR_ARG_ID, .required = true, .help = "the job"},
};
#define ARGS(table) .args = (table), .args_len = sizeof(table) / sizeof((table)[0])

static const struct kontor_method methods[] = {
	{"list", 0, KONTOR_OPERATOR, KONTOR_ROLE_VIEWER, ARGS(list_args), .help = "Jobs, newest first.",
	 .handle = list_jobs},
	{"lanes", 0, KONTOR_OPERATOR, KONTOR_ROLE_VIEWER,
	 .help = "How many jobs of each lane run, wait for their turn, wait for something else, and are dead.",
	 .handle = list_lanes},
	{"output", 0, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, ARGS(output_args),
	 .help = "A piece of what a job made, as a zstd frame; without data when there is none behind that offset.",
	 .handle = read_output},
	{"wake", KONTOR_METHOD_INLINE, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, ARGS(wake_args),
	 .help = "Another unit has committed new work for a lane.", .handle = wake_lane},
	{"get", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, ARGS(get_args),
	 .help = "One job with its progress, and its result once it is done.", .handle = get_job},
	{"cancel", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, ARGS(change_args),
	 .help = "Asks a job to stop; what it did is taken back.", .handle = cancel_job},
	{"retry", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, ARGS(change_args),
	 .help = "Starts a failed or dead job again.", .handle = retry_job},
};

const struct kontor_plugin service_jobs = {
	KONTOR_PLUGIN_ABI,         .name = "jobs",
	.version = KONTOR_VERSION, .summary = "durable jobs: list, progress, cancel, retry",
	.methods = methods,        .methods_len = sizeof(methods) / sizeof(methods[0]),
};
