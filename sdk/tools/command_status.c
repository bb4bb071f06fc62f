/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static const struct command commands[] = {
	{.words = "status",
	 .help = "Shows units, plugins, workers, lanes, counters, the database, and the id windows left.",
	 .example = "kontor status --json",
	 .run = run_object,
	 .method = "kontor.status"},
};

const struct command_group status_commands = {commands, sizeof(commands) / sizeof(commands[0])};
