/* SPDX-License-Identifier: Apache-2.0
 *
 * safefile.cancel: before publication a safefile can be taken back; its payouts are ready again.
 */
#include <string.h>

#include "kontor/approval.h"
#include "kontor/log.h"
#include "payout_calls.h"
#include "safefile.h"
#include "statements.h"

static int answer(kontor_request *request, uint64_t safefile_id, uint64_t job_id)
{
	return safefile_put(kontor_request_db(request), kontor_request_arena(request), kontor_reply(request),
			    safefile_id, job_id, false, kontor_request_error(request));
}

static bool still_created(const struct stored_file *file)
{
	return strcmp(file->state, STATE_PLANNING) == 0 || strcmp(file->state, STATE_PLANNED) == 0 ||
	       strcmp(file->state, STATE_WRITING) == 0;
}

static int start_cancelling(const struct safefile_plugin *plugin, kontor_request *request,
			    const struct stored_file *file)
{
	kontor_conn *tx = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	uint64_t job_id, changed;
	int code = kontor_id_next(plugin->host, "job", &job_id, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_START_CANCELLING,
				      KONTOR_PARAMS(P_UINT(job_id), P_UINT(file->safefile_id)), &changed, err);
	if (!code && changed == 0)
		return kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "safefile %llu is %s: only what is not being published can be cancelled",
					   (unsigned long long)file->safefile_id, file->state);
	if (!code)
		code = kontor_approval_void(tx, SAFEFILE_SUBJECT, file->safefile_id, err);
	if (!code)
		code = safefile_submit(tx, JOB_CANCEL, job_id, file->region, kontor_request_user(request)->name,
				       file->safefile_id, 0, err);
	return code ? code : answer(request, file->safefile_id, job_id);
}

int safefile_cancel(void *self, kontor_request *request)
{
	const struct safefile_plugin *plugin = self;
	kontor_conn *tx = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	struct stored_file file;
	int64_t cancel_job = 0;
	int code = stored_file_load(tx, kontor_arg_id(request, "safefile_id"), &file, err);
	if (code)
		return code;
	if (still_created(&file)) {
		/* Its job takes back what it did. */
		code = kontor_job_cancel(tx, file.job_id, err);
		return code ? code : answer(request, file.safefile_id, file.job_id);
	}
	if (strcmp(file.state, STATE_CANCELLING) != 0 && strcmp(file.state, STATE_CANCELLED) != 0)
		return start_cancelling(plugin, request, &file);
	code = kontor_db_query_int(tx, SQL_CANCEL_JOB_OF, KONTOR_PARAMS(P_UINT(file.safefile_id)), &cancel_job, err);
	return code ? code : answer(request, file.safefile_id, cancel_job ? (uint64_t)cancel_job : file.job_id);
}

/* ---- the job ---- */

static int planned(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	return kontor_job_planned(tx, arg, 0, err);
}

int cancel_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	return kontor_db_transaction(kontor_job_db(job), planned, job, err);
}

struct cancellation {
	kontor_job *job;
	const struct stored_file *file;
};

static int set_cancelled(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct cancellation *c = arg;
	const void *data;
	size_t size;
	int code = kontor_db_exec(tx, SQL_SET_CANCELLED, KONTOR_PARAMS(P_UINT(c->file->safefile_id)), NULL, err);
	kontor_writer *w = code ? NULL : kontor_writer_new();
	if (!w)
		return code ? code : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(w);
	kontor_put_uint(w, "safefile_id", c->file->safefile_id);
	kontor_put_string(w, "state", STATE_CANCELLED);
	kontor_write_end(w);
	code = kontor_writer_finish(w, &data, &size, err);
	if (!code)
		code = kontor_job_done(tx, c->job, data, size, err);
	kontor_writer_free(w);
	return code;
}

int cancel_finish(void *self, kontor_job *job, struct kontor_error *err)
{
	const struct safefile_plugin *plugin = self;
	struct stored_file file;
	int code = job_file(job, &file, err);
	/* The files go first: what is ready to be paid again must not lie there to be sent. */
	if (!code)
		code = safefile_folder_remove(&file, err);
	if (!code)
		code = payout_unbatch(plugin->host, file.safefile_id, err);
	struct cancellation cancellation = {job, &file};
	if (!code)
		code = kontor_db_transaction(kontor_job_db(job), set_cancelled, &cancellation, err);
	if (!code)
		kontor_log(KONTOR_LOG_NOTICE, "safefile cancelled", "safefile=%llu",
			   (unsigned long long)file.safefile_id);
	return code;
}
