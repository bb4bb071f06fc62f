/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports: a job writes one, this command fetches it. The file is there as a whole or not at all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "cli.h"
#include "out_file.h"
#include "output.h"

static int write_piece(const struct out_file *target, const msgpack_object *reply)
{
	struct kontor_text frame = kontor_get_text(reply, "data");
	uint64_t bytes = kontor_get_uint(reply, "bytes", 0);
	char *plain = bytes <= 64u << 20 ? malloc(bytes + 1) : NULL;
	size_t size = plain ? ZSTD_decompress(plain, bytes, frame.data, frame.size) : 0;
	bool whole = plain && !ZSTD_isError(size) && size == bytes;
	if (!whole)
		complain("a piece of the report cannot be unpacked: ask for the report again");
	else if (fwrite(plain, 1, size, target->out) != size)
		complain("%s could not be written: %s; make room, then ask for the report again", target->path,
			 strerror(errno));
	whole = whole && !ferror(target->out);
	free(plain);
	return whole ? EXIT_DONE : EXIT_REFUSED;
}

static int fetch(struct cli *cli, uint64_t job_id, const struct out_file *target)
{
	uint64_t next = 0;
	bool more = true;
	int code = EXIT_DONE;
	while (code == EXIT_DONE && more) {
		kontor_body *reply = NULL;
		kontor_writer *args = new_args();
		kontor_put_uint(args, "job_id", job_id);
		kontor_put_uint(args, "offset", next);
		kontor_write_end(args);
		code = call_reading(cli, "jobs.output", args, &reply);
		kontor_writer_free(args);
		more = code == EXIT_DONE && kontor_get(kontor_body_map(reply), "next");
		if (more) {
			next = kontor_get_uint(kontor_body_map(reply), "next", 0);
			code = write_piece(target, kontor_body_map(reply));
		}
		kontor_body_free(reply);
	}
	return code;
}

static int start(struct cli *cli, const struct command_line *line, uint64_t *ret_job_id)
{
	kontor_body *reply = NULL;
	kontor_writer *args = new_args();
	command_line_put(line, args);
	kontor_write_end(args);
	int code = call_changing(cli, line->command->method, args, &reply);
	kontor_writer_free(args);
	if (code == EXIT_DONE)
		*ret_job_id = kontor_get_uint(kontor_body_map(reply), "job_id", 0);
	kontor_body_free(reply);
	return code;
}

static void print_result(const struct cli *cli, uint64_t job_id, const char *path, const msgpack_object *job)
{
	const msgpack_object *result = kontor_get(job, "result");
	json_t *object = json_object();
	json_object_set_new(object, "job_id", json_sprintf("%llu", (unsigned long long)job_id));
	json_object_set_new(object, "state", json_string("done"));
	json_object_set_new(object, "rows", json_integer((json_int_t)kontor_get_uint(result, "rows", 0)));
	json_object_set_new(object, "path", json_string(path));
	print_answer(cli, object);
}

/* An empty report surprises who takes the window for that of the items. */
static void explain_empty(const struct cli *cli, const struct command_line *line, const msgpack_object *job)
{
	bool rejects = strcmp(line->command->method, "upload.report_rejects") == 0;
	if (!cli->json && rejects && kontor_get_uint(kontor_get(job, "result"), "rows", 0) == 0)
		fprintf(stderr,
			"kontor: no row was rejected of an upload that began during %s; when each began: "
			"kontor upload list --region %s\n",
			command_line_value(line, "--window"), command_line_value(line, "--region"));
}

static int run_report(struct cli *cli, const struct command_line *line)
{
	const char *path = command_line_value(line, "--out");
	struct out_file target;
	kontor_body *job = NULL;
	struct follow follow = {.what = line->command->words};
	int code = out_file_open(path, "no report was asked for", &target);
	if (code == EXIT_DONE)
		code = start(cli, line, &follow.job_id);
	if (code == EXIT_DONE)
		code = follow_job(cli, &follow, &job);
	if (code == EXIT_DONE)
		code = fetch(cli, follow.job_id, &target);
	if (code == EXIT_DONE)
		code = out_file_save(&target, NULL);
	if (code == EXIT_DONE) {
		print_result(cli, follow.job_id, path, kontor_body_map(job));
		explain_empty(cli, line, kontor_body_map(job));
	}
	kontor_body_free(job);
	out_file_close(&target);
	return code;
}

static const struct command_arg report_args[] = {
	{"--region", ARG_TEXT, true, "region", "two letters, as SG"},
	{"--window", ARG_TEXT, true, "window", "the week, as 2026-W45"},
	{"--out", ARG_TEXT, true, NULL,
	 "the CSV file to write, or to replace; it is there when it is whole, readable by its owner alone"},
};

#define WHEN_UNKNOWN                                                                                                   \
	"the report may be under way (kontor jobs list); the same command again makes another one, nothing else"

static const struct command commands[] = {
	{.words = "report items",
	 .help = "Writes the billing items of a window that count.",
	 .example = "kontor report items --region SG --window 2026-W45 --out items.csv",
	 COMMAND_ARGS(report_args),
	 .run = run_report,
	 .method = "settlement.report_items",
	 .changes = true,
	 .when_unknown = WHEN_UNKNOWN},
	{.words = "report payouts",
	 .help = "Writes the payouts of a window's run.",
	 COMMAND_ARGS(report_args),
	 .run = run_report,
	 .method = "payout.report_payouts",
	 .changes = true,
	 .when_unknown = WHEN_UNKNOWN},
	{.words = "report rejects",
	 .help = "Writes what was rejected so far of the uploads that began during a window; of payees, until their "
		 "bytes are deleted (upload_keep_days), and without the rows, which hold bank accounts.",
	 COMMAND_ARGS(report_args),
	 .run = run_report,
	 .method = "upload.report_rejects",
	 .changes = true,
	 .when_unknown = WHEN_UNKNOWN},
};

const struct command_group report_commands = {commands, sizeof(commands) / sizeof(commands[0])};
