/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of an upload: it counts as a whole from one transaction on, perhaps after another user's approval; or nothing
 * of it stays.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "job_work.h"
#include "kontor/approval.h"
#include "kontor/ids.h"
#include "kontor/money.h"
#include "upload_file.h"
#include "upload_statements.h"
#include "upload_totals.h"

#define APPROVAL_SUBJECT "upload"
/* Every vote wakes the job: this is only how soon a lost wake-up is made good. */
#define APPROVAL_WAIT_MS 60000
#define SUMMARY_SIZE 500

struct ending {
	kontor_job *job;
	struct upload_file file;
	struct upload_totals totals;
	uint8_t digest[EVP_MAX_MD_SIZE]; /* of what is approved: the file and its totals */
	char summary[SUMMARY_SIZE];
	uint64_t approval_id;
	const char *state; /* that the upload ends in */
};

static int write_result(const struct ending *ending, kontor_conn *tx, struct kontor_error *err)
{
	const void *result;
	size_t size;
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for an upload's result");
	kontor_write_map(w);
	kontor_put_uint(w, "upload_id", ending->file.upload.upload_id);
	kontor_put_string(w, "state", ending->state);
	kontor_put_uint(w, "rows", ending->file.rows);
	kontor_write_end(w);
	int rc = kontor_writer_finish(w, &result, &size, err);
	if (rc == 0)
		rc = kontor_job_done(tx, ending->job, result, size, err);
	kontor_writer_free(w);
	return rc;
}

static int change_state(kontor_conn *tx, const struct ending *ending, const char *sql,
			const struct kontor_param *params, struct kontor_error *err)
{
	uint64_t found = 0;
	int rc = kontor_db_exec(tx, sql, params, &found, err);
	if (rc == 0 && found == 0)
		rc = kontor_fail(err, KONTOR_E_CONFLICT, "upload %llu is not being imported any more",
				 (unsigned long long)ending->file.upload.upload_id);
	return rc;
}

static int accept_upload(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct ending *ending = arg;
	const struct upload_file *file = &ending->file;
	int rc = 0;
	if (file->kind->accept)
		rc = file->kind->accept(file->self, tx, &file->upload, err);
	if (rc == 0)
		rc = change_state(tx, ending, SQL_ACCEPT,
				  KONTOR_PARAMS(P_INT(kontor_now_ms()), P_UINT(file->upload.upload_id)), err);
	return rc ? rc : write_result(ending, tx, err);
}

static int end_dry_run(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct ending *ending = arg;
	int rc = change_state(tx, ending, SQL_END_DRY_RUN, KONTOR_PARAMS(P_UINT(ending->file.upload.upload_id)), err);
	return rc ? rc : write_result(ending, tx, err);
}

/* SHA-256 of the file's hash and of each total as text: the approval is void as soon as one of them differs. */
static int digest_totals(struct ending *ending, struct kontor_error *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool good = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
		    EVP_DigestUpdate(md, ending->file.sha256, UPLOAD_SHA256_SIZE);
	for (size_t i = 0; i < ending->totals.len && good; i++) {
		const struct upload_total *cell = &ending->totals.cells[i];
		char line[128];
		int size = snprintf(line, sizeof(line), "%s %s %llu %lld\n", kontor_verdict_name(cell->verdict),
				    cell->currency, (unsigned long long)cell->rows, (long long)cell->amount_minor);
		good = EVP_DigestUpdate(md, line, (size_t)size);
	}
	good = good && EVP_DigestFinal_ex(md, ending->digest, NULL);
	EVP_MD_CTX_free(md);
	return good ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "SHA-256 failed");
}

/* Appends to the summary. What does not fit is left out, and dots say so. */
static void __attribute__((format(printf, 2, 3))) say(struct ending *ending, const char *format, ...)
{
	static const char dots[] = " ...";
	size_t length = strlen(ending->summary), room = sizeof(ending->summary) - length - (sizeof(dots) - 1);
	va_list args;
	if (length >= sizeof(dots) && strcmp(ending->summary + length - (sizeof(dots) - 1), dots) == 0)
		return;
	va_start(args, format);
	int size = vsnprintf(ending->summary + length, room, format, args);
	va_end(args);
	if (size < 0 || (size_t)size >= room)
		memcpy(ending->summary + length, dots, sizeof(dots));
}

/* " (SGD 12.50, JPY -300)": the sums of one verdict, nothing where its rows have no amounts. */
static void say_sums(struct ending *ending, enum kontor_verdict verdict)
{
	const char *separator = " (";
	for (size_t i = 0; i < ending->totals.len; i++) {
		const struct upload_total *cell = &ending->totals.cells[i];
		if (cell->verdict != verdict || !cell->currency[0])
			continue;
		const struct kontor_currency *currency =
			kontor_currency_find(kontor_job_host(ending->job), kontor_text_of(cell->currency));
		char amount[32];
		if (currency)
			say(ending, "%s%s %s", separator, cell->currency,
			    kontor_amount_format(cell->amount_minor, currency->exponent, amount));
		else
			say(ending, "%s%s %lld minor units", separator, cell->currency, (long long)cell->amount_minor);
		separator = ", ";
	}
	if (separator[0] == ',')
		say(ending, ")");
}

/* "manual-settlement SG june.csv: 12 rows ok (SGD 120.00, JPY 500), 3 rows held (SGD 7.10)" */
static void summarise(struct ending *ending)
{
	const struct upload_file *file = &ending->file;
	uint64_t counts[KONTOR_VERDICT_COUNT];
	size_t size = sizeof(ending->summary);
	upload_totals_counts(&ending->totals, counts);
	int length = snprintf(ending->summary, size, "%s %s %.200s", file->upload.kind, file->upload.region->code,
			      file->name);
	while (!kontor_text_utf8((struct kontor_text){ending->summary, (size_t)length}))
		ending->summary[--length] = '\0'; /* %.200s may have cut a character */
	const char *separator = ": ";
	for (enum kontor_verdict verdict = 0; verdict < KONTOR_VERDICT_COUNT; verdict++) {
		if (counts[verdict] == 0)
			continue;
		say(ending, "%s%llu row%s %s", separator, (unsigned long long)counts[verdict],
		    counts[verdict] == 1 ? "" : "s", kontor_verdict_name(verdict));
		say_sums(ending, verdict);
		separator = ", ";
	}
}

static int request_approval(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct ending *ending = arg;
	struct kontor_approval_new request = {.approval_id = ending->approval_id,
					      .subject_kind = APPROVAL_SUBJECT,
					      .subject_id = ending->file.upload.upload_id,
					      .digest = ending->digest,
					      .summary = ending->summary,
					      .needed = 1,
					      .excluded = ending->file.user,
					      .wakes_job_id = kontor_job_id(ending->job)};
	int rc = kontor_approval_request(tx, &request, err);
	if (rc == 0)
		rc = change_state(tx, ending, SQL_WAIT_FOR_APPROVAL,
				  KONTOR_PARAMS(P_UINT(ending->file.upload.upload_id)), err);
	return rc;
}

/* 0 = given; KONTOR_JOB_WAIT = asked for, not yet decided. */
static int get_approval(struct ending *ending, struct kontor_error *err)
{
	unsigned long long upload_id = ending->file.upload.upload_id;
	kontor_conn *conn = kontor_job_db(ending->job);
	enum kontor_approval_state state = KONTOR_APPROVAL_NONE;
	int rc = digest_totals(ending, err);
	if (rc == 0)
		rc = kontor_approval_state(conn, APPROVAL_SUBJECT, upload_id, ending->digest, &state, err);
	if (rc || state == KONTOR_APPROVAL_GIVEN)
		return rc;
	if (state == KONTOR_APPROVAL_REFUSED)
		return kontor_job_fail(ending->job, err, KONTOR_E_DENIED, "another user refused upload %llu",
				       upload_id);
	if (state == KONTOR_APPROVAL_NONE) {
		summarise(ending);
		rc = kontor_id_next(kontor_job_host(ending->job), "default", &ending->approval_id, err);
		if (rc == 0)
			rc = kontor_db_transaction(conn, request_approval, ending, err);
		if (rc)
			return rc;
	}
	return kontor_job_wait(ending->job, APPROVAL_WAIT_MS,
			       "upload %llu waits for the approval of another user than %s", upload_id,
			       ending->file.user);
}

/* Every row has a verdict: if the sums say otherwise, nothing may be accepted. */
static int check_totals(struct ending *ending, struct kontor_error *err)
{
	int rc = upload_totals_load(kontor_job_db(ending->job), ending->file.upload.upload_id, &ending->totals, err);
	if (rc)
		return rc;
	uint64_t judged = upload_totals_rows(&ending->totals);
	if (judged == ending->file.rows)
		return 0;
	return kontor_job_fail(ending->job, err, KONTOR_E_INTERNAL,
			       "upload %llu has %llu rows, but verdicts for %llu: nothing was accepted, report this",
			       (unsigned long long)ending->file.upload.upload_id, (unsigned long long)ending->file.rows,
			       (unsigned long long)judged);
}

int upload_finish(void *self, kontor_job *job, struct kontor_error *err)
{
	struct ending ending = {.job = job};
	struct upload_file *file = &ending.file;
	kontor_conn *conn = kontor_job_db(job);
	uint64_t counts[KONTOR_VERDICT_COUNT];
	int rc = upload_file_load(self, job, file, err);
	if (rc == 0)
		rc = check_totals(&ending, err);
	if (rc)
		return rc;
	if (file->upload.dry_run) {
		ending.state = "dry_run";
		rc = upload_file_delete_bytes(conn, file->upload.upload_id, err);
		return rc ? rc : kontor_db_transaction(conn, end_dry_run, &ending, err);
	}
	upload_totals_counts(&ending.totals, counts);
	if (file->kind->needs_approval && file->kind->needs_approval(file->self, &file->upload, counts))
		rc = get_approval(&ending, err);
	if (rc)
		return rc;
	ending.state = "accepted";
	return kontor_db_transaction(conn, accept_upload, &ending, err);
}

struct undone {
	uint64_t upload_id;
	int code;
	const char *state, *reason;
};

static int end_undone(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct undone *undone = arg;
	/* A refused one's decision stays: it is why. */
	int rc = undone->code == KONTOR_E_DENIED ? 0
						 : kontor_approval_void(tx, APPROVAL_SUBJECT, undone->upload_id, err);
	return rc ? rc
		  : kontor_db_exec(tx, SQL_END_UNDONE,
				   KONTOR_PARAMS(P_STRING(undone->state), P_INT(undone->code), P_STRING(undone->reason),
						 P_UINT(undone->upload_id)),
				   NULL, err);
}

/* Nothing of the file counts any more, and nothing of a cancelled upload stays but its own row. Of a refused or failed
 * one the rejects and totals stay: they say what was wrong with it. Of a dead one, with which nothing is wrong, the
 * bytes stay, for upload_restart(); no other trace, so that the next life begins with nothing. */
int upload_undo(void *self, kontor_job *job, struct kontor_error *err)
{
	struct upload_file file;
	kontor_conn *conn = kontor_job_db(job);
	int code = kontor_job_undo_code(job);
	int rc = upload_file_load(self, job, &file, err);
	if (rc == KONTOR_E_NOT_FOUND)
		return 0;
	if (rc == 0 && file.kind->undo && !file.upload.dry_run)
		rc = file.kind->undo(file.self, conn, &file.upload, err);

	uint64_t upload_id = file.upload.upload_id;
	bool speaks = code != 0 && !job->dead;
	if (rc == 0 && !speaks)
		rc = upload_file_delete(conn, SQL_DELETE_REJECTS, upload_id, err);
	if (rc == 0 && !speaks)
		rc = upload_file_delete(conn, SQL_DELETE_TOTALS, upload_id, err);
	if (rc == 0 && !job->dead)
		rc = upload_file_delete_bytes(conn, upload_id, err);
	if (rc)
		return rc;
	struct undone undone = {
		.upload_id = upload_id,
		.code = code,
		.state = code == 0                 ? "cancelled"
			 : code == KONTOR_E_DENIED ? "refused"
						   : "failed",
		.reason = kontor_job_undo_reason(job),
	};
	return kontor_db_transaction(conn, end_undone, &undone, err);
}
