/* SPDX-License-Identifier: Apache-2.0
 *
 * The job safefile.create: plan, one chunk (plan.c, then produce.c), finish with the request for approvals, undo.
 */
#include <stdio.h>
#include <string.h>

#include "kontor/approval.h"
#include "kontor/log.h"
#include "payout_calls.h"
#include "safefile.h"
#include "statements.h"

#define UNDO_ROWS 5000   /* rows that one transaction of an undo deletes */
#define SUMMARY_SIZE 500 /* kontor_approval_new.summary */

int job_file(kontor_job *job, struct stored_file *ret_file, struct kontor_error *err)
{
	uint64_t id = kontor_get_uint(kontor_job_params(job), "safefile_id", 0);
	return stored_file_load(kontor_job_db(job), id, ret_file, err);
}

static int start_planning(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	kontor_job *job = arg;
	struct stored_file file;
	char unique[64];
	uint64_t changed;
	int code = job_file(job, &file, err);
	if (code)
		return code;
	safefile_unique_run(file.profile.name, file.run_id, unique, sizeof(unique));
	code = kontor_db_exec(tx, SQL_START_PLANNING, KONTOR_PARAMS(P_STRING(unique), P_UINT(file.safefile_id)),
			      &changed, err);
	if (!code && changed == 0)
		code = kontor_fail(err, KONTOR_E_CONFLICT, "safefile %llu is %s and is not planned again",
				   (unsigned long long)file.safefile_id, file.state);
	if (!code)
		code = kontor_db_exec(tx, SQL_FORGET_UNPAYABLE, KONTOR_PARAMS(P_UINT(file.safefile_id)), NULL, err);
	if (!code)
		code = kontor_job_add_chunk(tx, job, 0, NULL, 0, err);
	if (!code)
		code = kontor_job_planned(tx, job, kontor_get_uint(kontor_job_params(job), "ready", 0), err);
	return code;
}

int create_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	return kontor_db_transaction(kontor_job_db(job), start_planning, job, err);
}

static int end_chunk(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	return kontor_chunk_done(tx, arg, NULL, 0, 0, err);
}

int create_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err)
{
	struct stored_file file;
	int code = job_file(job, &file, err);
	if (!code && strcmp(file.state, STATE_PLANNING) == 0)
		code = plan_payments(self, job, chunk, &file, err);
	if (!code)
		code = produce_parts(job, chunk, &file, err);
	return code ? code : kontor_db_transaction(kontor_job_db(job), end_chunk, chunk, err);
}

struct verified {
	kontor_job *job;
	struct stored_file file;
	struct stored_part *parts;
	size_t parts_len;
	uint64_t approval_id;
	uint8_t digest[SHA256_SIZE];
	char summary[SUMMARY_SIZE];
};

/* What people read before they approve. */
static void summarize(struct verified *v)
{
	char window[KONTOR_WINDOW_SIZE], amount[24], hex[2 * SHA256_SIZE + 1];
	const struct profile *profile = &v->file.profile;
	struct currency_total totals[KONTOR_REGION_CURRENCIES];
	size_t len = stored_totals(v->parts, v->parts_len, totals);
	int at = snprintf(v->summary, SUMMARY_SIZE,
			  "%s %s, profile %s: %llu payments on %s from the account that ends in %s,", v->file.region,
			  kontor_window_format(v->file.window, window), profile->name,
			  (unsigned long long)v->file.payments, v->file.execution_date,
			  profile->debtor_iban + strlen(profile->debtor_iban) - 4);
	for (size_t i = 0; i < len && at > 0 && at < SUMMARY_SIZE - 60; i++) {
		const struct profile_currency *currency = profile_currency(profile, totals[i].currency);
		at += snprintf(v->summary + at, SUMMARY_SIZE - (size_t)at, " %s %s", totals[i].currency,
			       kontor_amount_format(totals[i].amount_minor, currency ? currency->exponent : 0, amount));
	}
	if (at > 0 && at < SUMMARY_SIZE - 40)
		snprintf(v->summary + at, SUMMARY_SIZE - (size_t)at, ", digest %.16s",
			 kontor_hex(v->digest, SHA256_SIZE, hex));
}

static int put_result(struct verified *v, kontor_conn *tx, struct kontor_error *err)
{
	const void *data;
	size_t size;
	struct currency_total totals[KONTOR_REGION_CURRENCIES];
	size_t len = stored_totals(v->parts, v->parts_len, totals);
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(w);
	kontor_put_uint(w, "safefile_id", v->file.safefile_id);
	kontor_put_string(w, "state", STATE_VERIFIED);
	kontor_put_string(w, "path", v->file.path);
	kontor_put_uint(w, "payments", v->file.payments);
	kontor_put_map(w, "total_minor");
	for (size_t i = 0; i < len; i++)
		kontor_put_int(w, totals[i].currency, totals[i].amount_minor);
	kontor_write_end(w);
	kontor_write_end(w);
	int code = kontor_writer_finish(w, &data, &size, err);
	if (!code)
		code = kontor_job_done(tx, v->job, data, size, err);
	kontor_writer_free(w);
	return code;
}

static int set_verified(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct verified *v = arg;
	uint64_t changed;
	int code = kontor_db_exec(tx, SQL_SET_VERIFIED,
				  KONTOR_PARAMS(P_BYTES(v->digest, SHA256_SIZE), P_UINT(v->file.safefile_id)), &changed,
				  err);
	if (!code && changed == 0)
		code = kontor_fail(err, KONTOR_E_CONFLICT, "safefile %llu is %s, not " STATE_WRITING,
				   (unsigned long long)v->file.safefile_id, v->file.state);
	if (!code)
		code = kontor_approval_request(tx,
					       &(struct kontor_approval_new){.approval_id = v->approval_id,
									     .subject_kind = SAFEFILE_SUBJECT,
									     .subject_id = v->file.safefile_id,
									     .digest = v->digest,
									     .summary = v->summary,
									     .needed = SAFEFILE_APPROVALS,
									     .excluded = v->file.user},
					       err);
	return code ? code : put_result(v, tx, err);
}

int create_finish(void *self, kontor_job *job, struct kontor_error *err)
{
	const struct safefile_plugin *plugin = self;
	struct verified *v = kontor_arena_alloc(kontor_job_arena(job), sizeof(*v));
	if (!v)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	v->job = job;
	int code = job_file(job, &v->file, err);
	if (!code)
		code = stored_parts_load(kontor_job_db(job), v->file.safefile_id, kontor_job_arena(job), &v->parts,
					 &v->parts_len, err);
	if (!code)
		code = stored_digest(&v->file, v->parts, v->parts_len, v->digest, err);
	if (!code)
		code = kontor_id_next(plugin->host, "default", &v->approval_id, err);
	if (code)
		return code;
	summarize(v);
	code = kontor_db_transaction(kontor_job_db(job), set_verified, v, err);
	if (!code)
		kontor_log(KONTOR_LOG_INFO, "safefile verified", "safefile=%llu payments=%llu parts=%zu",
			   (unsigned long long)v->file.safefile_id, (unsigned long long)v->file.payments, v->parts_len);
	return code;
}

/* ---- taking it back ---- */

struct deletion {
	const struct stored_file *file;
	bool more;
};

static int delete_some(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct deletion *deletion = arg;
	uint64_t deleted = 0;
	int code = kontor_db_exec(tx, SQL_DELETE_PAYMENTS,
				  KONTOR_PARAMS(P_UINT(deletion->file->safefile_id), P_UINT(UNDO_ROWS)), &deleted, err);
	deletion->more = deleted == UNDO_ROWS;
	return code;
}

static int delete_rows(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct stored_file *file = arg;
	int code = kontor_db_exec(tx, SQL_FORGET_PARTS, KONTOR_PARAMS(P_UINT(file->safefile_id)), NULL, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_FORGET_TOTALS, KONTOR_PARAMS(P_UINT(file->safefile_id)), NULL, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_END_PLANNING,
				      KONTOR_PARAMS(P_STRING(file->state), P_UINT(file->safefile_id)), NULL, err);
	return code;
}

/* The rows of what could not be paid stay, so that a safefile which failed because of them can be looked at. */
int create_undo(void *self, kontor_job *job, struct kontor_error *err)
{
	const struct safefile_plugin *plugin = self;
	struct stored_file file;
	int code = job_file(job, &file, err);
	if (!code)
		code = payout_unbatch(plugin->host, file.safefile_id, err);
	if (!code)
		code = safefile_folder_remove(&file, err);
	struct deletion deletion = {&file, true};
	while (!code && deletion.more)
		code = kontor_db_transaction(kontor_job_db(job), delete_some, &deletion, err);
	if (code)
		return code;
	snprintf(file.state, sizeof(file.state), "%s", kontor_job_undo_code(job) ? STATE_FAILED : STATE_CANCELLED);
	return kontor_db_transaction(kontor_job_db(job), delete_rows, &file, err);
}
