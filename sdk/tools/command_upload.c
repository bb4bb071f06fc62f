/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "kontor/text.h"
#include "kontor/upload.h"
#include "out_file.h"
#include "output.h"
#include "rejects.h"
#include "upload_send.h"
#include "upload_table.h"

static int read_upload(struct cli *cli, uint64_t upload_id, kontor_body **ret_upload)
{
	kontor_writer *args = new_args();
	kontor_put_uint(args, "upload_id", upload_id);
	kontor_write_end(args);
	int code = call_reading(cli, "upload.get", args, ret_upload);
	kontor_writer_free(args);
	return code;
}

static bool waits(const msgpack_object *upload)
{
	char state[24];
	kontor_get_string(upload, "state", state, sizeof(state));
	return strcmp(state, "waiting_approval") == 0;
}

/* An upload that waits for another user's approval is as far as it gets by itself. */
static bool waits_for_approval(struct cli *cli, void *arg)
{
	kontor_body *upload = NULL;
	bool waiting = read_upload(cli, *(uint64_t *)arg, &upload) == EXIT_DONE && waits(kontor_body_map(upload));
	kontor_body_free(upload);
	return waiting;
}

static uint64_t count_rejects(const msgpack_object *upload)
{
	const msgpack_object *verdicts = kontor_get(upload, "verdicts");
	uint64_t rejects = 0;
	for (int v = 0; v < KONTOR_VERDICT_COUNT; v++)
		if (kontor_verdict_rejects((enum kontor_verdict)v))
			rejects += kontor_get_uint(kontor_get(verdicts, kontor_verdict_name((enum kontor_verdict)v)),
						   "rows", 0);
	return rejects;
}

/* For people the verdicts are a table; takes the object. */
static void print_upload(const struct cli *cli, json_t *object, const msgpack_object *upload)
{
	const msgpack_object *verdicts = kontor_get(upload, "verdicts");
	if (!cli->json)
		json_object_del(object, "verdicts");
	print_answer(cli, object);
	if (cli->json || !verdicts || verdicts->via.map.size == 0)
		return;
	if (kontor_get_bool(upload, "dry_run", false))
		printf("\nThis was a dry run: nothing is stored, these are the verdicts that the rows would get.\n\n");
	else
		putchar('\n');
	upload_table_print(stdout, verdicts);
}

static int run_show(struct cli *cli, const struct command_line *line)
{
	uint64_t upload_id = 0;
	kontor_body *upload = NULL;
	kontor_parse_id(kontor_text_of(command_line_value(line, "ID")), &upload_id);
	int code = read_upload(cli, upload_id, &upload);
	if (code == EXIT_DONE)
		print_upload(cli, json_of("", kontor_body_map(upload)), kontor_body_map(upload));
	kontor_body_free(upload);
	return code;
}

/* Prints the upload, saves its rejects, and gives the command's exit code. */
static int show_end(struct cli *cli, const struct command_line *line, const struct upload_sent *sent,
		    struct out_file *rejects_file, int code)
{
	kontor_body *upload = NULL;
	int read_code = read_upload(cli, sent->upload_id, &upload);
	if (read_code != EXIT_DONE)
		return read_code;
	const msgpack_object *map = kontor_body_map(upload);
	uint64_t rejects = count_rejects(map);
	json_t *object = json_of("", map);
	json_object_set_new(object, "repeated", json_boolean(sent->repeated));
	print_upload(cli, object, map);
	if (code == EXIT_DONE)
		code = rejects_save(cli, sent->upload_id, rejects_file);
	if (waits(map))
		fprintf(stderr,
			"kontor: it counts once another user approves it: kontor approval list --state pending\n");
	if (rejects > 0 && !rejects_file->path && !cli->json)
		fprintf(stderr, "kontor: which rows were rejected, and why: kontor upload rejects %llu\n",
			(unsigned long long)sent->upload_id);
	if (code == EXIT_DONE && rejects > 0 && command_line_flag(line, "--strict")) {
		complain("%llu rows were rejected, and --strict was asked for", (unsigned long long)rejects);
		code = EXIT_REFUSED;
	}
	kontor_body_free(upload);
	return code;
}

static void print_sent(struct cli *cli, const struct upload_sent *sent)
{
	char state[24];
	json_t *object = json_object();
	const msgpack_object *map = kontor_body_map(sent->body);
	const msgpack_object *job_id = kontor_get(map, "job_id"), *upload_id = kontor_get(map, "upload_id");
	kontor_get_string(map, "state", state, sizeof(state));
	if (job_id)
		json_object_set_new(object, "job_id", json_of("job_id", job_id));
	if (upload_id)
		json_object_set_new(object, "upload_id", json_of("upload_id", upload_id));
	json_object_set_new(object, "state", json_string(sent->repeated ? state : "queued"));
	json_object_set_new(object, "repeated", json_boolean(sent->repeated));
	print_answer(cli, object);
}

static int run_upload(struct cli *cli, const struct command_line *line)
{
	struct upload_sent sent = {0};
	struct out_file rejects;
	kontor_body *job = NULL;
	bool follows = command_line_flag(line, "--follow") || command_line_flag(line, "--strict") ||
		       command_line_value(line, "--rejects");
	int code = out_file_open(command_line_value(line, "--rejects"), "nothing was uploaded", &rejects);
	if (code == EXIT_DONE)
		code = upload_send(cli, line, &sent);
	if (code == EXIT_DONE && !follows)
		print_sent(cli, &sent);
	else if (code == EXIT_DONE) {
		struct follow follow = {
			.job_id = sent.job_id, .what = "rows", .enough = waits_for_approval, .arg = &sent.upload_id};
		if (follow.job_id)
			code = follow_job(cli, &follow, &job);
		if (code != EXIT_RETRY && code != EXIT_UNKNOWN)
			code = show_end(cli, line, &sent, &rejects, code);
	}
	out_file_close(&rejects);
	kontor_body_free(job);
	kontor_body_free(sent.body);
	return code;
}

/* For programs the rows as objects, for people the CSV that goes back to whoever made the file. */
static int run_rejects(struct cli *cli, const struct command_line *line)
{
	uint64_t upload_id = 0;
	kontor_parse_id(kontor_text_of(command_line_value(line, "ID")), &upload_id);
	return cli->json ? run_list(cli, line) : rejects_write(cli, upload_id, stdout);
}

static const struct command_arg upload_args[] = {
	{"FILE", ARG_TEXT, true, NULL, "CSV, plain, gzip or zstd; - is stdin"},
	{"--kind", ARG_TEXT, true, "kind", "billing-items, payees, shop-rules or manual-settlement"},
	{"--region", ARG_TEXT, true, "region", "the region, as SG"},
	{"--dry-run", ARG_FLAG, false, "dry_run", "only say what would happen"},
	{"--again", ARG_FLAG, false, "again", "although the same bytes were uploaded before"},
	{"--resume", ARG_ID, false, NULL,
	 "go on with this upload: send what is missing of the file, or tell what became of it"},
	{"--follow", ARG_FLAG, false, NULL, "wait for the end, with progress"},
	{"--strict", ARG_FLAG, false, NULL, "exit 1 when a row was rejected; waits for the end"},
	{"--rejects", ARG_TEXT, false, NULL,
	 "write rejected rows into this file, or replace it, readable by its owner alone; waits for the end"},
};

static const struct command_arg list_args[] = {
	{"--region", ARG_TEXT, false, "region", "only of this region"},
};

static const struct command_arg one_args[] = {
	{"ID", ARG_ID, true, "upload_id", "the upload"},
};

static const struct command commands[] = {
	{.words = "upload",
	 .help = "Uploads a file of rows; each row gets a verdict.",
	 .example = "kontor upload items.csv.gz --kind billing-items --region SG --rejects rejects.csv --follow",
	 COMMAND_ARGS(upload_args),
	 .run = run_upload},
	{.words = "upload list",
	 .help = "Lists uploads.",
	 COMMAND_ARGS(list_args),
	 .run = run_list,
	 .method = "upload.list",
	 .columns = "upload_id region kind state rows user created name error"},
	{.words = "upload show",
	 .help = "Shows an upload: state, verdicts, sums.",
	 COMMAND_ARGS(one_args),
	 .run = run_show,
	 .method = "upload.get"},
	{.words = "upload rejects",
	 .help = "Prints the rejected rows as CSV, with line, column, verdict and reason; while the job runs, those so "
		 "far.",
	 COMMAND_ARGS(one_args),
	 .run = run_rejects,
	 .method = "upload.rejects"},
};

const struct command_group upload_commands = {commands, sizeof(commands) / sizeof(commands[0])};
