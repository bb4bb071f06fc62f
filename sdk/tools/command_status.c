/* SPDX-License-Identifier: Apache-2.0
 *
 * How the units are, here and where the datacenter's file says. One unit: everything that it says. Several: what an
 * operator compares, in tables.
 */
#include <stdio.h>
#include <stdlib.h>

#include "output.h"
#include "units.h"

#define ASK_MS 1500 /* kontor.status runs in the unit's front: who needs longer is ill */

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

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value ? value : "";
}

static long long number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

/* ---- several units, for people ---- */

static void print_units(const struct unit_answers *units)
{
	printf("%-16s %-9s %8s %-9s %10s %-9s %-10s %s\n", "unit", "state", "pid", "version", "uptime_s", "database",
	       "datacenter", "endpoint");
	for (size_t i = 0; i < units->len; i++) {
		const struct unit_answer *unit = &units->all[i];
		if (unit->reply)
			printf("%-16s %-9s %8lld %-9s %10lld %-9s %-10s %s\n", text(unit->reply, "unit"),
			       text(unit->reply, "state"), number(unit->reply, "pid"), text(unit->reply, "version"),
			       number(unit->reply, "uptime_s"), text(json_object_get(unit->reply, "database"), "state"),
			       text(unit->reply, "datacenter"), unit->endpoint);
		else
			printf("%-16s %-9s %s\n", unit->name, "silent", unit->error.message);
	}
}

static void print_plugins(const struct unit_answer *unit)
{
	size_t i;
	json_t *plugin;
	json_array_foreach(json_object_get(unit->reply, "plugins"), i, plugin)
	{
		const char *state = json_is_true(json_object_get(plugin, "leaving"))    ? "leaving"
				    : !json_is_true(json_object_get(plugin, "well"))    ? "ill"
				    : !json_is_true(json_object_get(plugin, "enabled")) ? "disabled"
											: "well";
		printf("%-16s %-12s %-9s %-9s %7lld %7lld %7lld %10lld %8lld %8lld\n", unit->name, text(plugin, "name"),
		       text(plugin, "version"), state, number(plugin, "workers"), number(plugin, "running"),
		       number(plugin, "queued"), number(plugin, "requests"), number(plugin, "errors"),
		       number(plugin, "busy"));
	}
}

static void print_lanes(const struct unit_answer *unit)
{
	size_t i;
	json_t *lane;
	json_array_foreach(json_object_get(unit->reply, "lanes"), i, lane)
		printf("%-16s %-12s %7lld %7lld %11lld %7lld %7lld\n", unit->name, text(lane, "lane"),
		       number(lane, "threads"), number(lane, "busy"), number(lane, "connections"),
		       number(lane, "connections_held"), number(lane, "connections_most"));
}

/* Of idgen: how many milliseconds of ids each layout has reserved. */
static void print_windows(const struct unit_answer *unit)
{
	size_t i;
	json_t *plugin;
	json_array_foreach(json_object_get(unit->reply, "plugins"), i, plugin)
	{
		json_t *own = json_object_get(plugin, "status");
		char *shown = own && json_object_size(own) ? json_dumps(own, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
		if (shown)
			printf("%-16s %-12s %s\n", unit->name, text(plugin, "name"), shown);
		free(shown);
	}
}

static void print_all(const struct unit_answers *units)
{
	print_units(units);
	printf("\n%-16s %-12s %-9s %-9s %7s %7s %7s %10s %8s %8s\n", "unit", "plugin", "version", "state", "workers",
	       "running", "queued", "requests", "errors", "busy");
	for (size_t i = 0; i < units->len; i++)
		print_plugins(&units->all[i]);
	printf("\n%-16s %-12s %7s %7s %11s %7s %7s\n", "unit", "lane", "threads", "busy", "connections", "held",
	       "at most");
	for (size_t i = 0; i < units->len; i++)
		print_lanes(&units->all[i]);
	printf("\n%-16s %-12s %s\n", "unit", "plugin", "what it says of itself");
	for (size_t i = 0; i < units->len; i++)
		print_windows(&units->all[i]);
	puts("\nkontor -e ipc://RUNTIME/UNIT.sock status shows all of one unit, its counters too");
}

/* ---- */

static void print_lines(const struct cli *cli, const struct unit_answers *units)
{
	for (size_t i = 0; i < units->len; i++) {
		const struct unit_answer *unit = &units->all[i];
		json_t *shown = unit->reply ? json_incref(unit->reply)
					    : json_pack("{s:s, s:s, s:s}", "unit", unit->name, "state", "silent",
							"error", unit->error.message);
		json_object_set_new(shown, "endpoint", json_string(unit->endpoint));
		print_answer(cli, shown);
	}
}

static int run_status(struct cli *cli, const struct command_line *line)
{
	struct unit_answers units;
	if (cli->endpoint)
		return run_object(cli, line);
	int code = units_find_everywhere(cli, &units);
	if (code == EXIT_DONE) {
		units_ask(cli, &units, line->command->method, ASK_MS);
		units_drop_doubles(&units);
	}
	if (code == EXIT_DONE && cli->json)
		print_lines(cli, &units);
	else if (code == EXIT_DONE)
		print_all(&units);
	if (code == EXIT_DONE && !units_answered(&units))
		code = EXIT_RETRY;
	units_free(&units);
	return code;
}

static const struct command commands[] = {
	{.words = "status",
	 .help = "Shows units, plugins, workers, lanes, counters, the database, and the id windows left.",
	 .example = "kontor status --json",
	 .run = run_status,
	 .method = "kontor.status",
	 .complete = lift_plugins},
};

const struct command_group status_commands = {commands, sizeof(commands) / sizeof(commands[0])};
