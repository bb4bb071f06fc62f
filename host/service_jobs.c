/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in service `jobs`: what runs, how far it is, and what became of it.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "kontor/client.h"
#include "kontor/host.h"
#include "kontor/job.h"
#include "kontor/time.h"
#include "services.h"

#define PAGE_DEFAULT 50
#define PAGE_LIMIT 1000
#define WAIT_LIMIT_MS 5000
#define POLL_MS 100 /* of a long poll; each is one read by primary key */

static bool has_ended(const struct kontor_job_info *info)
{
	return info->finished_ms != 0;
}

/* Units of progress per second, and seconds left at that speed; 0 = not known. */
static void put_speed(kontor_writer *w, const struct kontor_job_info *info)
{
	int64_t end_ms = has_ended(info) ? info->finished_ms : kontor_now_ms();
	int64_t took_ms = info->started_ms ? end_ms - info->started_ms : 0;
	uint64_t rate = took_ms > 0 ? (uint64_t)((unsigned __int128)info->done * 1000 / (uint64_t)took_ms) : 0;
	kontor_put_uint(w, "rate", rate);
	bool known = !has_ended(info) && rate && info->total > info->done;
	kontor_put_uint(w, "eta_s", known ? (info->total - info->done) / rate + 1 : 0);
}

static void put_job(kontor_writer *w, const struct kontor_job_info *info)
{
	kontor_put_uint(w, "job_id", info->job_id);
	kontor_put_string(w, "kind", info->kind);
	kontor_put_string(w, "lane", info->lane);
	kontor_put_string(w, "state", info->state);
	kontor_put_string(w, "region", info->region);
	kontor_put_string(w, "user", info->user);
	kontor_put_uint(w, "done", info->done);
	kontor_put_uint(w, "total", info->total);
	put_speed(w, info);
	kontor_put_int(w, "error_code", info->error_code);
	kontor_put_string(w, "error", info->error);
	kontor_put_bool(w, "cancelling", info->cancelling);
	kontor_put_time(w, "created", info->created_ms);
	kontor_put_time(w, "started", info->started_ms);
	kontor_put_time(w, "finished", info->finished_ms);
}

/* ---- jobs.list ---- */

struct page {
	kontor_writer *w;
	uint64_t last;
	unsigned rows, limit;
};

static int put_row(void *arg, const struct kontor_job_info *info, struct kontor_error *err)
{
	(void)err;
	struct page *page = arg;
	kontor_write_map(page->w);
	put_job(page->w, info);
	kontor_write_end(page->w);
	page->last = info->job_id;
	page->rows++;
	return 0;
}

static const char *given_string(kontor_request *request, const char *name)
{
	return kontor_arg_given(request, name) ? kontor_arg_string(request, name) : NULL;
}

static int list_jobs(void *self, kontor_request *request)
{
	(void)self;
	kontor_writer *w = kontor_reply(request);
	int64_t limit = kontor_arg_given(request, "limit") ? kontor_arg_int(request, "limit") : PAGE_DEFAULT;
	struct page page = {.w = w, .limit = (unsigned)limit};
	kontor_put_array(w, "rows");
	int rc = kontor_job_list(kontor_request_db(request), given_string(request, "state"),
				 given_string(request, "kind"), kontor_arg_id(request, "after"), page.limit, put_row,
				 &page, kontor_request_error(request));
	kontor_write_end(w);
	if (!rc && page.rows == page.limit)
		kontor_put_uint(w, "next", page.last);
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
	put_job(kontor_reply(request), &info);
	return put_result(request, job_id);
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
	if (!rc)
		put_job(kontor_reply(request), &info);
	return rc;
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

static const struct kontor_arg list_args[] = {
	{"state", KONTOR_ARG_STRING, .max = 16,
	 .help = "only jobs in this state: queued, running, waiting, done, failed, cancelled, dead"},
	{"kind", KONTOR_ARG_STRING, .max = 64, .help = "only jobs of this kind, like payout.run"},
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
