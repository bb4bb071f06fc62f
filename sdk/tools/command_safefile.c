/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli.h"
#include "kontor/text.h"
#include "output.h"
#include "verify.h"

#define PAGE_ROWS 1000

/* One more page of what a safefile could not pay, behind the last one that is there. */
static int add_unpayable_page(struct cli *cli, const json_t *safefile, json_t *unpayable)
{
	const char *id_keys[] = {"safefile_id", "after"};
	const json_t *ids[] = {json_object_get(safefile, "safefile_id"),
			       json_object_get(json_array_get(unpayable, json_array_size(unpayable) - 1), "payout_id")};
	kontor_writer *args = new_args();
	kontor_body *reply = NULL;
	for (int i = 0; i < 2; i++)
		kontor_put_string(args, id_keys[i], json_string_value(ids[i]));
	kontor_put_int(args, "limit", PAGE_ROWS);
	kontor_write_end(args);
	int code = call_reading(cli, "safefile.unpayable", args, &reply);
	kontor_writer_free(args);
	const msgpack_object *rows = reply ? kontor_get(kontor_body_map(reply), "rows") : NULL;
	if (code == EXIT_DONE && (!rows || rows->type != MSGPACK_OBJECT_ARRAY || rows->via.array.size == 0)) {
		complain("safefile.unpayable answered fewer rows than safefile.get counts");
		code = EXIT_REFUSED;
	}
	for (uint32_t i = 0; code == EXIT_DONE && i < rows->via.array.size; i++)
		json_array_append_new(unpayable, json_of("", &rows->via.array.ptr[i]));
	kontor_body_free(reply);
	return code;
}

/* `unpayable` is complete, however long. */
static int complete_unpayable(struct cli *cli, json_t *safefile)
{
	json_t *unpayable = json_object_get(safefile, "unpayable");
	json_int_t total = json_integer_value(json_object_get(safefile, "unpayable_total"));
	int code = EXIT_DONE;
	while (code == EXIT_DONE && json_array_size(unpayable) > 0 && (json_int_t)json_array_size(unpayable) < total)
		code = add_unpayable_page(cli, safefile, unpayable);
	return code;
}

/* Approves what is open for this safefile, and shows the approval. */
static int run_approve(struct cli *cli, const struct command_line *line)
{
	kontor_body *reply = NULL;
	kontor_writer *args = new_args();
	kontor_put_string(args, "subject_kind", "safefile");
	command_line_put(line, args);
	kontor_write_end(args);
	int code = call_changing(cli, "approval.give", args, &reply);
	kontor_writer_free(args);
	if (code == EXIT_DONE)
		print_answer(cli, json_of("", kontor_body_map(reply)));
	kontor_body_free(reply);
	return code;
}

static int run_verify(struct cli *cli, const struct command_line *line)
{
	json_t *report = NULL;
	int code = verify_safefile(command_line_value(line, "PATH"), command_line_value(line, "--public-key"),
				   command_line_value(line, "--after"), &report);
	if (code == EXIT_DONE)
		print_answer(cli, report);
	return code;
}

#define FOLLOW_ARG                                                                                                     \
	{                                                                                                              \
		"--follow", ARG_FLAG, false, NULL, "wait for the end, with progress"                                   \
	}

static const struct command_arg create_args[] = {
	{"--region", ARG_TEXT, false, "region", "with --window: the automatic run of that window"},
	{"--window", ARG_TEXT, false, "window", "the window, as 2026-W45"},
	{"--run", ARG_ID, false, "run_id", "a run, instead of region and window"},
	{"--profile", ARG_TEXT, true, "profile", "the bank's profile, as pain001"},
	FOLLOW_ARG,
};

static const struct command_arg list_args[] = {
	{"--region", ARG_TEXT, false, "region", "only of this region"},
	{"--window", ARG_TEXT, false, "window", "only of this window"},
	{"--profile", ARG_TEXT, false, "profile", "only of this profile"},
};

static const struct command_arg one_args[] = {
	{"ID", ARG_ID, true, "safefile_id", "the safefile"},
};

static const struct command_arg approve_args[] = {
	{"ID", ARG_ID, true, "subject_id", "the safefile"},
};

static const struct command_arg publish_args[] = {
	{"ID", ARG_ID, true, "safefile_id", "the safefile"},
	FOLLOW_ARG,
};

static const struct command_arg verify_args[] = {
	{"PATH", ARG_TEXT, true, NULL, "folder of the published safefile"},
	{"--public-key", ARG_TEXT, true, NULL, "the signer's Ed25519 public key, PEM"},
	{"--after", ARG_TEXT, false, NULL, "folder of the safefile that must be the one before it in its profile"},
};

static const struct command commands[] = {
	{.words = "safefile create",
	 .help = "Makes the payment file of a balanced run, and verifies it.",
	 .example = "kontor safefile create --region SG --window 2026-W45 --profile pain001 --follow",
	 COMMAND_ARGS(create_args),
	 .run = run_job,
	 .method = "safefile.create",
	 .changes = true,
	 .result_method = "safefile.get",
	 .result_arg = "safefile_id",
	 .complete = complete_unpayable},
	{.words = "safefile list",
	 .help = "Lists safefiles.",
	 COMMAND_ARGS(list_args),
	 .run = run_list,
	 .method = "safefile.list",
	 .columns = "safefile_id state region window profile payments total_minor path"},
	{.words = "safefile show",
	 .help = "Shows a safefile: files, sums, approvals, and what could not be paid.",
	 COMMAND_ARGS(one_args),
	 .run = run_object,
	 .method = "safefile.get",
	 .complete = complete_unpayable},
	{.words = "safefile approve",
	 .help = "Approves a safefile as it is now; two different users must.",
	 .example = "kontor safefile approve 38685362216961 --as alice",
	 COMMAND_ARGS(approve_args),
	 .run = run_approve},
	{.words = "safefile publish",
	 .help = "Signs and publishes a safefile that two users have approved.",
	 COMMAND_ARGS(publish_args),
	 .run = run_job,
	 .method = "safefile.publish",
	 .changes = true,
	 .result_method = "safefile.get",
	 .result_arg = "safefile_id",
	 .complete = complete_unpayable},
	{.words = "safefile cancel",
	 .help = "Takes a safefile back before it is published; its payouts are ready again.",
	 COMMAND_ARGS(one_args),
	 .run = run_job,
	 .method = "safefile.cancel",
	 .changes = true,
	 .result_method = "safefile.get",
	 .result_arg = "safefile_id",
	 .follows = true,
	 .complete = complete_unpayable},
	{.words = "safefile verify",
	 .help = "Checks a published safefile's signature and files; works offline.",
	 .example = "kontor safefile verify /srv/safefiles/pain001/SG-2026-W45-17 --public-key safefile.pub",
	 COMMAND_ARGS(verify_args),
	 .run = run_verify},
};

const struct command_group safefile_commands = {commands, sizeof(commands) / sizeof(commands[0])};
