/* SPDX-License-Identifier: Apache-2.0
 *
 * How a step ended, written down in one transaction. The row decides whether it is still this runner's to write: a step
 * that was concluded, taken over or (after an unknown outcome) turns out to be done is left alone.
 */
#include <stdio.h>
#include <string.h>

#include "backoff.h"
#include "job_statements.h"
#include "job_work.h"
#include "kontor/log.h"

#define DEFAULT_MAX_ATTEMPTS 8
#define BACKOFF_BASE_MS 200
#define BACKOFF_CAP_MS 30000
#define REASON_SIZE 400      /* of the last failure, in a dead letter */
#define AWAY_BACKOFF_MS 5000 /* something else is away: looked for again within this time */

enum ending { ENDS_RELEASED, ENDS_LATER, ENDS_RETRIED, ENDS_FAILED, ENDS_DEAD, ENDS_UNDONE };

struct settlement {
	kontor_job *job;
	const char *ended_as; /* "failed" or "dead" once that is written down; NULL: neither */
	char ended_why[JOB_TEXT_SIZE];
	enum ending ending;
	int code;
	char text[JOB_TEXT_SIZE];
	uint32_t delay_ms; /* ENDS_LATER */
};

/* The rows as they are now, locked. */
struct standing {
	bool ours;          /* the lease of this step */
	bool stage_is_ours; /* not cancelled meanwhile */
	bool woken;
	unsigned attempts;
	int64_t failing_ms; /* since the first of these */
};

/* ---- what the step's return value means ---- */

static void take_text(struct settlement *s, const char *text)
{
	snprintf(s->text, sizeof(s->text), "%s", text);
	if (kontor_text_utf8(kontor_text_of(s->text)))
		return;
	for (char *c = s->text; *c; c++) /* the column would refuse it, and the step could never end */
		if ((unsigned char)*c >= 0x80)
			*c = '?';
}

/* What an operator reads: which step, how often, why, and what to do. */
static void write_dead_letter(struct settlement *s, unsigned attempts)
{
	const struct job_lease *lease = &s->job->lease;
	char step[32], text[JOB_TEXT_SIZE];
	if (lease->is_chunk)
		snprintf(step, sizeof(step), "chunk %u", lease->chunk_no);
	else
		snprintf(step, sizeof(step), "%s", job_stage_name(s->job->stage));
	snprintf(text, sizeof(text),
		 "%s failed %u times in a row, at last with: %.*s; mend that, then: kontor jobs retry %llu", step,
		 attempts, REASON_SIZE, s->text, (unsigned long long)lease->job_id);
	take_text(s, text);
}

static void write_last_words(struct settlement *s)
{
	char text[JOB_TEXT_SIZE];
	snprintf(text, sizeof(text), "%.*s, then: kontor jobs retry %llu", REASON_SIZE, s->text,
		 (unsigned long long)s->job->lease.job_id);
	take_text(s, text);
}

static void decide_failure(struct settlement *s, int code, const struct kontor_error *failure)
{
	enum kontor_outcome outcome = kontor_code_outcome(code);
	s->code = code;
	take_text(s, failure->message[0] ? failure->message : kontor_code_name(code));
	s->ending = ENDS_RETRIED;
	if (s->job->stage == STAGE_UNDO)
		return; /* what was begun to be taken back is taken back, however long it takes */
	if (s->job->gives_up) {
		s->ending = ENDS_DEAD;
		write_last_words(s);
	} else if (s->job->worn_out) {
		s->ending = ENDS_DEAD;
		write_dead_letter(s, s->job->losses);
	} else if (s->job->failed || code <= -100 || outcome == KONTOR_OUTCOME_FINAL) {
		s->ending = ENDS_FAILED;
	} else if (outcome == KONTOR_OUTCOME_NOTHING) {
		s->ending = ENDS_LATER;
		s->delay_ms = backoff_ms(0, AWAY_BACKOFF_MS, AWAY_BACKOFF_MS);
	}
}

static void decide_bug(struct settlement *s, const char *what)
{
	const kontor_job *job = s->job;
	struct kontor_error failure = KONTOR_ERROR_INIT;
	kontor_fail(&failure, KONTOR_E_INTERNAL, "kind %s: its function for %s %s",
		    job->registration ? job->registration->kind.name : "?", job_stage_name(job->stage), what);
	decide_failure(s, KONTOR_E_INTERNAL, &failure);
	if (job->stage != STAGE_UNDO)
		s->ending = ENDS_FAILED;
}

static void decide(struct settlement *s, int rc, const struct kontor_error *failure)
{
	kontor_job *job = s->job;
	if (rc < 0) {
		decide_failure(s, rc, failure);
	} else if (rc == KONTOR_JOB_STOPPED) {
		s->ending = ENDS_RELEASED;
	} else if (rc == KONTOR_JOB_WAIT) {
		s->ending = ENDS_LATER;
		s->delay_ms = job->wait_ms;
		take_text(s, job->wait_reason);
	} else if (rc > 0) {
		decide_bug(s, "returned a positive value that is neither KONTOR_JOB_WAIT nor KONTOR_JOB_STOPPED");
	} else if (job->stage == STAGE_UNDO) {
		s->ending = ENDS_UNDONE;
	} else {
		decide_bug(s, "returned 0, but did not conclude the step (kontor_job_planned, kontor_chunk_done, "
			      "kontor_job_done)");
	}
}

/* ---- writing it down ---- */

static int lock_chunk(kontor_conn *tx, const struct job_lease *lease, struct standing *ret, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(tx, KONTOR_READ_ALL, SQL_CHUNK_LOCK_STEP,
				 KONTOR_PARAMS(P_UINT(lease->job_id), P_UINT(lease->chunk_no)), &rows, err);
	if (rc)
		return rc;
	ret->ours = false;
	if (kontor_rows_next(rows, err) == 1) {
		ret->ours = kontor_rows_uint(rows, 0) == lease->epoch && kontor_rows_int(rows, 1);
		ret->attempts = (unsigned)kontor_rows_uint(rows, 2);
		ret->failing_ms = kontor_rows_int(rows, 3);
	}
	kontor_rows_close(rows);
	return 0;
}

static int lock_step(kontor_conn *tx, const kontor_job *job, struct standing *ret, struct kontor_error *err)
{
	const struct job_lease *lease = &job->lease;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(tx, KONTOR_READ_ALL, SQL_JOB_LOCK_STEP, KONTOR_PARAMS(P_UINT(lease->job_id)), &rows,
				 err);
	if (rc)
		return rc;
	*ret = (struct standing){0};
	if (kontor_rows_next(rows, err) == 1) {
		ret->ours = kontor_rows_uint(rows, 0) == lease->epoch && kontor_rows_int(rows, 2);
		ret->stage_is_ours = !strcmp(kontor_rows_string(rows, 1), job_stage_name(job->stage));
		ret->attempts = (unsigned)kontor_rows_uint(rows, 3);
		ret->failing_ms = kontor_rows_int(rows, 4);
		ret->woken = kontor_rows_uint(rows, 5) != job->wakes;
	}
	kontor_rows_close(rows);
	return lease->is_chunk ? lock_chunk(tx, lease, ret, err) : 0;
}

static int release(kontor_conn *tx, const struct job_lease *lease, struct kontor_error *err)
{
	if (lease->is_chunk)
		return kontor_db_exec(tx, SQL_CHUNK_RELEASE,
				      KONTOR_PARAMS(P_UINT(lease->job_id), P_UINT(lease->chunk_no)), NULL, err);
	return kontor_db_exec(tx, SQL_JOB_RELEASE, KONTOR_PARAMS(P_UINT(lease->job_id)), NULL, err);
}

static int run_later(kontor_conn *tx, const struct settlement *s, unsigned attempts, uint32_t delay_ms,
		     struct kontor_error *err)
{
	const struct job_lease *lease = &s->job->lease;
	if (!lease->is_chunk)
		return kontor_db_exec(tx, SQL_JOB_LATER,
				      KONTOR_PARAMS(P_INT(s->code), P_STRING(s->text), P_UINT(attempts),
						    P_UINT(delay_ms), P_UINT(lease->job_id)),
				      NULL, err);
	int rc = kontor_db_exec(
		tx, SQL_CHUNK_LATER,
		KONTOR_PARAMS(P_UINT(attempts), P_UINT(delay_ms), P_UINT(lease->job_id), P_UINT(lease->chunk_no)), NULL,
		err);
	return rc ? rc
		  : kontor_db_exec(tx, SQL_JOB_SHOWS_WAIT,
				   KONTOR_PARAMS(P_INT(s->code), P_STRING(s->text), P_UINT(lease->job_id)), NULL, err);
}

static int fail_job(kontor_conn *tx, struct settlement *s, const char *outcome, const char *why,
		    struct kontor_error *err)
{
	int rc = kontor_db_exec(
		tx, SQL_JOB_TO_UNDO,
		KONTOR_PARAMS(P_STRING(outcome), P_INT(s->code), P_STRING(why), P_UINT(s->job->lease.job_id)), NULL,
		err);
	s->ended_as = outcome;
	snprintf(s->ended_why, sizeof(s->ended_why), "%s", why);
	return rc ? rc : release(tx, &s->job->lease, err);
}

static int retry_step(kontor_conn *tx, struct settlement *s, const struct standing *row, struct kontor_error *err)
{
	const struct kontor_job_registration *registration = s->job->registration;
	unsigned limit = registration && registration->kind.max_attempts ? registration->kind.max_attempts
									 : DEFAULT_MAX_ATTEMPTS;
	unsigned attempts = row->attempts + 1;
	bool in_vain = attempts >= limit && row->failing_ms >= s->job->patience_ms;
	if (in_vain && s->job->stage != STAGE_UNDO) {
		struct settlement letter = *s;
		write_dead_letter(&letter, attempts);
		return fail_job(tx, s, "dead", letter.text, err);
	}
	return run_later(tx, s, attempts, row->woken ? 0 : backoff_ms(row->attempts, BACKOFF_BASE_MS, BACKOFF_CAP_MS),
			 err);
}

static int settle(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct settlement *s = arg;
	struct standing row;
	s->ended_as = NULL;
	int rc = lock_step(tx, s->job, &row, err);
	if (rc || !row.ours)
		return rc;
	if (!row.stage_is_ours || s->ending == ENDS_RELEASED)
		return release(tx, &s->job->lease, err);
	switch (s->ending) {
	case ENDS_LATER: /* a step that waits has not failed, so what comes is not in a row with what was before */
		return run_later(tx, s, s->code ? row.attempts : 0, row.woken ? 0 : s->delay_ms, err);
	case ENDS_RETRIED:
		return retry_step(tx, s, &row, err);
	case ENDS_FAILED:
		return fail_job(tx, s, "failed", s->text, err);
	case ENDS_DEAD:
		return fail_job(tx, s, "dead", s->text, err);
	default:
		return kontor_db_exec(tx, SQL_JOB_UNDONE, KONTOR_PARAMS(P_UINT(s->job->lease.job_id)), NULL, err);
	}
}

/* Nobody may be looking at the job: a dead one is a line that monitoring of the log finds. */
static void log_end(const struct settlement *s)
{
	const kontor_job *job = s->job;
	bool dead = strcmp(s->ended_as, "dead") == 0;
	kontor_log_plugin(job->registration ? job->registration->plugin : NULL);
	kontor_log(dead ? KONTOR_LOG_ERROR : KONTOR_LOG_INFO, dead ? "a job is dead" : "a job failed",
		   "job_id=%llu kind=%s reason=%s", (unsigned long long)job->lease.job_id,
		   job->registration ? job->registration->kind.name : "?", KONTOR_QUOTED(s->ended_why));
	kontor_log_plugin(NULL);
}

int job_settle(kontor_job *job, kontor_conn *conn, int rc, const struct kontor_error *failure, struct kontor_error *err)
{
	if (rc == 0 && job->concluded)
		return 0;
	struct settlement s = {.job = job};
	decide(&s, rc, failure);
	rc = kontor_db_transaction(conn, settle, &s, err);
	/* Perhaps written: the next try finds out, for then the row is no longer ours. */
	if (rc == KONTOR_E_UNKNOWN_OUTCOME)
		rc = kontor_db_transaction(conn, settle, &s, err);
	if (rc == 0 && s.ended_as)
		log_end(&s);
	return rc;
}
