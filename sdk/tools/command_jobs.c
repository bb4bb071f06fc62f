/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "job_board.h"
#include "kontor/text.h"
#include "output.h"

static int run_follow(struct cli *cli, const struct command_line *line)
{
	struct follow follow = {.what = "job"};
	kontor_body *job = NULL;
	kontor_parse_id(kontor_text_of(command_line_value(line, "ID")), &follow.job_id);
	int code = follow_job(cli, &follow, &job);
	if (job)
		print_answer(cli, json_of("", kontor_body_map(job)));
	kontor_body_free(job);
	return code;
}

static const struct command_arg list_args[] = {
	{"--state", ARG_TEXT, false, "state",
	 "only jobs in this state: queued, running, waiting, done, failed, cancelled, dead"},
	{"--kind", ARG_TEXT, false, "kind", "only jobs of this kind, as payout.run"},
	{"--lane", ARG_TEXT, false, "lane",
	 "only jobs of this lane: interactive, upload, settle, file, report, compare, review"},
	{"--user", ARG_TEXT, false, "user", "only jobs that this user asked for"},
	{"--all", ARG_FLAG, false, NULL,
	 "all that have ended too, not only the newest ones; --json and --state list all"},
};

static const struct command_arg job_args[] = {
	{"ID", ARG_ID, true, "job_id", "the job"},
};

static const struct command commands[] = {
	{.words = "jobs list",
	 .help = "Shows the lanes, the jobs that have not ended, and the newest that have.",
	 .example = "kontor jobs list --state dead",
	 COMMAND_ARGS(list_args),
	 .run = run_board,
	 .method = "jobs.list"},
	{.words = "jobs show",
	 .help = "Shows a job: state, progress, error, result.",
	 COMMAND_ARGS(job_args),
	 .run = run_object,
	 .method = "jobs.get"},
	{.words = "jobs follow",
	 .help = "Follows a job to its end; the exit code is the job's.",
	 COMMAND_ARGS(job_args),
	 .run = run_follow},
	{.words = "jobs cancel",
	 .help = "Asks a job to stop and to take back what it did.",
	 COMMAND_ARGS(job_args),
	 .run = run_object,
	 .method = "jobs.cancel",
	 .changes = true},
	{.words = "jobs retry",
	 .help = "Starts a failed or dead job again; a dead upload from the bytes that it keeps.",
	 COMMAND_ARGS(job_args),
	 .run = run_object,
	 .method = "jobs.retry",
	 .changes = true},
};

const struct command_group jobs_commands = {commands, sizeof(commands) / sizeof(commands[0])};
