/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

/* What a plugin says of itself (idgen: the id window that is left) stands under its name: for people, because a table
 * of all plugins has no room for it. */
static int lift_plugins(struct cli *cli, json_t *status)
{
	size_t i;
	json_t *plugin;
	if (cli->json)
		return EXIT_DONE;
	json_array_foreach(json_object_get(status, "plugins"), i, plugin)
	{
		json_t *own = json_object_get(plugin, "status");
		if (own)
			json_object_set(status, json_string_value(json_object_get(plugin, "name")), own);
	}
	return EXIT_DONE;
}

static const struct command commands[] = {
	{.words = "status",
	 .help = "Shows units, plugins, workers, lanes, counters, the database, and the id windows left.",
	 .example = "kontor status --json",
	 .run = run_object,
	 .method = "kontor.status",
	 .complete = lift_plugins},
};

const struct command_group status_commands = {commands, sizeof(commands) / sizeof(commands[0])};
