/* SPDX-License-Identifier: Apache-2.0
 *
 * One lane thread's work: claim a step, run the kind's function for it, write down how it ended.
 */
#include "job_runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_session.h"
#include "job_statements.h"
#include "job_work.h"
#include "kontor/log.h"

/* ---- making a runner ---- */

static int check_kinds(const struct kontor_job_runner_options *options, struct kontor_error *err)
{
	if (!options->kinds_len)
		return kontor_fail(err, KONTOR_E_INTERNAL, "lane %s: no job kind to work on", options->lane);
	for (size_t i = 0; i < options->kinds_len; i++) {
		const struct kontor_job_kind *kind = &options->kinds[i].kind;
		if (!kind->name || !kind->plan || !kind->finish)
			return kontor_fail(err, KONTOR_E_INTERNAL,
					   "plugin %s: job kind %s needs a name, plan and finish",
					   options->kinds[i].plugin, kind->name ? kind->name : "?");
	}
	return 0;
}

static char *build_statement(const char *begin, size_t kinds)
{
	char *sql = malloc(strlen(begin) + sizeof(SQL_FIND_END) + 2 * kinds);
	if (!sql)
		return NULL;
	char *end = stpcpy(sql, begin);
	for (size_t i = 0; i < kinds; i++)
		end = stpcpy(end, i ? ",?" : "?");
	stpcpy(end, SQL_FIND_END);
	return sql;
}

/* The statements that find work, with one placeholder per kind: other units have their own kinds in the same lane. */
static bool build_find(kontor_job_runner *runner)
{
	size_t kinds = runner->options.kinds_len;
	runner->sql_find[0] = build_statement(SQL_FIND_BEHIND_BEGIN, kinds);
	runner->sql_find[1] = build_statement(SQL_FIND_BEFORE_BEGIN, kinds);
	runner->find_params = calloc(kinds + 3, sizeof(*runner->find_params));
	if (!runner->sql_find[0] || !runner->sql_find[1] || !runner->find_params)
		return false;
	runner->find_params[0] = P_STRING(runner->lane);
	for (size_t i = 0; i < kinds; i++)
		runner->find_params[i + 2] = P_STRING(runner->options.kinds[i].kind.name);
	return true;
}

int kontor_job_runner_new(const struct kontor_job_runner_options *options, kontor_job_runner **ret_runner,
			  struct kontor_error *err)
{
	int rc = check_kinds(options, err);
	if (rc)
		return rc;
	kontor_job_runner *runner = calloc(1, sizeof(*runner));
	if (!runner)
		return kontor_fail(err, KONTOR_E_INTERNAL, "lane %s: out of memory", options->lane);
	runner->options = *options;
	snprintf(runner->lane, sizeof(runner->lane), "%s", options->lane);
	snprintf(runner->owner, sizeof(runner->owner), "%s", options->owner);
	runner->arena = kontor_arena_new(0);
	if (!runner->arena || !build_find(runner)) {
		kontor_job_runner_free(runner);
		return kontor_fail(err, KONTOR_E_INTERNAL, "lane %s: out of memory", options->lane);
	}
	*ret_runner = runner;
	return 0;
}

kontor_job_runner *kontor_job_runner_free(kontor_job_runner *runner)
{
	if (!runner)
		return NULL;
	job_unload(&runner->job);
	kontor_arena_free(runner->arena);
	free(runner->sql_find[0]);
	free(runner->sql_find[1]);
	free(runner->find_params);
	free(runner);
	return NULL;
}

/* ---- running ---- */

static int call_kind(kontor_job *job, struct kontor_error *err)
{
	const struct kontor_job_kind *kind = &job->registration->kind;
	void *self = job->registration->self;
	switch (job->stage) {
	case STAGE_PLAN:
		return kind->plan(self, job, err);
	case STAGE_CHUNKS:
		if (!kind->chunk)
			return kontor_job_fail(job, err, KONTOR_E_INTERNAL,
					       "kind %s has chunks, but no function for them", kind->name);
		return kind->chunk(self, job, &job->chunk, err);
	case STAGE_FINISH:
		return kind->finish(self, job, err);
	case STAGE_UNDO:
		return kind->undo ? kind->undo(self, job, err) : 0;
	}
	return KONTOR_E_INTERNAL;
}

/* Every transaction that the step makes on its session is fenced, also those that conclude nothing. */
static void run_claimed(kontor_job_runner *runner)
{
	kontor_job *job = &runner->job;
	job_lease_hold(&job->lease);
	kontor_log_plugin(job->registration->plugin);
	job->conn->before_commit = job_fence;
	job->conn->before_commit_arg = job;
	runner->step_rc = call_kind(job, &runner->step_err);
	job->conn->before_commit = NULL;
	kontor_log_plugin(NULL);
	job_lease_drop(&job->lease);
	kontor_arena_reset(runner->arena);
}

/* Writes down how the last step ended; if the database is away, the next call tries again before anything else. */
static int settle(kontor_job_runner *runner, kontor_conn *conn, struct kontor_error *err)
{
	int rc = job_settle(&runner->job, conn, runner->step_rc, &runner->step_err, err);
	runner->unsettled = rc != 0;
	return rc;
}

static int claim_and_run(kontor_job_runner *runner, kontor_conn **conn, struct kontor_error *err)
{
	int rc = job_claim(runner, *conn, err);
	if (rc != 1)
		return rc;
	if (runner->step_rc == 0)
		run_claimed(runner);
	job_unload(&runner->job);
	runner->unsettled = true;
	if ((*conn)->stream) { /* left open by the kind's function: this session can do nothing else */
		kontor_db_release(*conn);
		*conn = NULL;
		rc = kontor_db_acquire(kontor_host_db(runner->options.host), conn, err);
		if (rc)
			return rc;
	}
	rc = settle(runner, *conn, err);
	return rc ? rc : 1;
}

static int step(kontor_job_runner *runner, struct kontor_error *err)
{
	kontor_conn *conn = NULL;
	int rc = kontor_db_acquire(kontor_host_db(runner->options.host), &conn, err);
	if (rc)
		return rc;
	if (runner->unsettled)
		rc = settle(runner, conn, err);
	else if (runner->claim_in_doubt)
		rc = job_unclaim(runner, conn, err);
	if (!rc && !kontor_host_draining(runner->options.host))
		rc = claim_and_run(runner, &conn, err);
	kontor_db_release(conn);
	return rc;
}

int kontor_job_runner_step(kontor_job_runner *runner, struct kontor_error *err)
{
	session_quota_enter(runner->options.sessions);
	int rc = step(runner, err);
	session_quota_enter(NULL);
	return rc;
}
