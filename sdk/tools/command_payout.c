/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli.h"
#include "output.h"

/* Prints the totals; a run that does not balance is a failure. */
static int run_control(struct cli *cli, const struct command_line *line)
{
	struct table table;
	kontor_body *reply = NULL;
	kontor_writer *args = new_args();
	bool balanced = true;
	command_line_put(line, args);
	kontor_write_end(args);
	int code = call_reading(cli, line->command->method, args, &reply);
	kontor_writer_free(args);
	const msgpack_object *rows = reply ? kontor_get(kontor_body_map(reply), "rows") : NULL;
	if (rows && rows->type == MSGPACK_OBJECT_ARRAY) {
		table_begin(&table, cli, line->command->columns);
		table_page(&table, rows);
		table_end(&table);
		for (uint32_t i = 0; i < rows->via.array.size; i++)
			balanced = balanced && kontor_get_bool(&rows->via.array.ptr[i], "balanced", false);
	}
	if (code == EXIT_DONE && !balanced) {
		complain("the run is not balanced");
		code = EXIT_REFUSED;
	}
	kontor_body_free(reply);
	return code;
}

/* What people would expect otherwise; programs know `changed`. */
static int explain_hold(struct cli *cli, json_t *object)
{
	bool hold = json_is_true(json_object_get(object, "hold"));
	if (cli->json)
		return EXIT_DONE;
	if (!hold && !json_is_true(json_object_get(object, "changed")))
		fputs("kontor: the shop was not on hold: is the id right?\n", stderr);
	else if (hold)
		fputs("kontor: runs that are planned from now on hold its payouts; those that a run has computed stay "
		      "as "
		      "they are\n",
		      stderr);
	else
		fputs("kontor: runs that are planned from now on pay the shop; payouts that are held already stay held "
		      "(kontor payout list --region RG --window W --state held)\n",
		      stderr);
	return EXIT_DONE;
}

static const struct command_arg run_args[] = {
	{"--region", ARG_TEXT, true, "region", "the region, as SG"},
	{"--window", ARG_TEXT, true, "window", "a closed window, as 2026-W45"},
	{"--follow", ARG_FLAG, false, NULL, "wait for the end, with progress"},
};

#define RUN_OR_WINDOW_ARGS                                                                                             \
	{"--region", ARG_TEXT, false, "region", "with --window: the automatic run of that window"},                    \
		{"--window", ARG_TEXT, false, "window", "the window, as 2026-W45"},                                    \
	{                                                                                                              \
		"--run", ARG_ID, false, "run", "a run, instead of region and window"                                   \
	}

static const struct command_arg list_args[] = {
	RUN_OR_WINDOW_ARGS,
	{"--state", ARG_TEXT, false, "state", "only payouts in this state: ready, held, carried, zero, batched"},
};

static const struct command_arg control_args[] = {RUN_OR_WINDOW_ARGS};

static const struct command_arg show_args[] = {
	{"ID", ARG_ID, true, "payout_id", "the payout"},
};

static const struct command_arg hold_args[] = {
	{"SHOP", ARG_ID, true, "shop", "the shop's shop_user_id"},
	{"--region", ARG_TEXT, true, "region", "the region, as SG"},
};

static const struct command commands[] = {
	{.words = "payout run",
	 .help = "Computes one payout per shop and currency of a closed window.",
	 .example = "kontor payout run --region SG --window 2026-W45 --follow",
	 COMMAND_ARGS(run_args),
	 .run = run_job,
	 .method = "payout.run",
	 .changes = true},
	{.words = "payout list",
	 .help = "Lists the payouts of a balanced run.",
	 .example = "kontor payout list --region SG --window 2026-W45 --state carried",
	 COMMAND_ARGS(list_args),
	 .run = run_list,
	 .method = "payout.list",
	 .columns = "payout_id shop_user_id currency items gross_minor fees_minor carry_in_minor net_minor "
		    "carry_out_minor "
		    "state reason"},
	{.words = "payout show",
	 .help = "Shows a payout, its attempts and its history.",
	 COMMAND_ARGS(show_args),
	 .run = run_object,
	 .method = "payout.get"},
	{.words = "payout hold",
	 .help = "Holds the payouts that runs compute for a shop from now on; those of earlier runs stay as they are.",
	 .example = "kontor payout hold 880000000001 --region SG",
	 COMMAND_ARGS(hold_args),
	 .run = run_object,
	 .method = "settlement.hold",
	 .complete = explain_hold,
	 .changes = true},
	{.words = "payout release",
	 .help = "Ends a shop's hold for runs from now on; payouts that are held already stay held.",
	 COMMAND_ARGS(hold_args),
	 .run = run_object,
	 .method = "settlement.release",
	 .complete = explain_hold,
	 .changes = true},
	{.words = "payout control",
	 .help = "Shows a run's control totals: items + carry-in = payouts + held + carried + fees + reserve.",
	 .example = "kontor payout control --region SG --window 2026-W45",
	 COMMAND_ARGS(control_args),
	 .run = run_control,
	 .method = "payout.control",
	 .columns =
		 "currency items items_minor carry_in_minor payouts payouts_minor held_minor carried_minor fees_minor "
		 "reserve_minor balanced"},
};

const struct command_group payout_commands = {commands, sizeof(commands) / sizeof(commands[0])};
