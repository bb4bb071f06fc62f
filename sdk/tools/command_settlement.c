/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#define REGION_ARG                                                                                                     \
	{                                                                                                              \
		"--region", ARG_TEXT, true, "region", "the region, as SG"                                              \
	}

static const struct command_arg windows_args[] = {REGION_ARG};

static const struct command_arg close_args[] = {
	REGION_ARG,
	{"--window", ARG_TEXT, false, "window", "the window, as 2026-W45; else the oldest open one that has ended"},
	{"--early", ARG_FLAG, false, "early", "close it although it has not ended"},
	{"--wait", ARG_FLAG, false, "wait", "wait for uploads that hold items of it and are not accepted yet"},
	{"--follow", ARG_FLAG, false, NULL, "wait for the end, with progress"},
};

static const struct command_arg find_args[] = {
	REGION_ARG,
	{"--order", ARG_TEXT, false, "order", "items of this order"},
	{"--item", ARG_ID, false, "item", "the item with this billing_item_id"},
	{"--shop", ARG_ID, false, "shop", "items of this shop"},
};

static const struct command_arg manual_args[] = {
	REGION_ARG,
	{"--upload", ARG_ID, true, "upload", "an accepted upload of kind manual-settlement"},
	{"--follow", ARG_FLAG, false, NULL, "wait for the end, with progress"},
};

static const struct command commands[] = {
	{.words = "settlement windows",
	 .help = "Lists a region's settlement windows.",
	 .example = "kontor settlement windows --region SG",
	 COMMAND_ARGS(windows_args),
	 .run = run_list,
	 .method = "settlement.windows",
	 .columns = "window state items late uploads_open runs from to"},
	{.words = "settlement close",
	 .help = "Closes a window: no item can get into it any more.",
	 .example = "kontor settlement close --region SG --window 2026-W45 --follow",
	 COMMAND_ARGS(close_args),
	 .run = run_job,
	 .method = "settlement.close",
	 .changes = true,
	 .when_unknown = "kontor settlement windows tells; the same command again with --window does nothing twice, "
			 "without it, it might close the next window"},
	{.words = "settlement manual",
	 .help = "Shows the run that pays what a manual-settlement upload claims; goes on if it had ended too early.",
	 .example = "kontor settlement manual --region SG --upload 1234567890123456789 --follow",
	 COMMAND_ARGS(manual_args),
	 .run = run_job,
	 .method = "settlement.manual",
	 .changes = true},
	{.words = "settlement find",
	 .help = "Finds billing items by order, item or shop.",
	 .example = "kontor settlement find --region SG --shop 880000000001",
	 COMMAND_ARGS(find_args),
	 .run = run_list,
	 .method = "settlement.find",
	 .columns = "billing_item_id shop_user_id order_id item_type amount_minor currency occurred_at window state"},
};

const struct command_group settlement_commands = {commands, sizeof(commands) / sizeof(commands[0])};
