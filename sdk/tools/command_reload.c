/* SPDX-License-Identifier: Apache-2.0
 *
 * A new configuration for units that run. Each judges it alone; what it says is shown with the file and line it is
 * about.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "units.h"

/* A reload waits for plugins that leave: drain_timeout, 20 s unless configured. */
#define RELOAD_MS 120000

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value ? value : "";
}

static void print_rows(const json_t *rows)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		const char *place = text(row, "place");
		printf("  %-8s %s%s%s\n", text(row, "verdict"), place, place[0] ? ": " : "", text(row, "message"));
	}
}

static void print_unit(const struct unit_answer *unit)
{
	const json_t *rows = json_object_get(unit->reply, "rows");
	const char *name = unit->reply ? text(unit->reply, "unit") : unit->name;
	if (!unit->reply)
		printf("%s: %s\n", name, unit->error.message);
	else if (!json_is_true(json_object_get(unit->reply, "taken")))
		printf("%s: refused, the old configuration stays\n", name);
	else if (json_array_size(rows) == 0)
		printf("%s: nothing has changed\n", name);
	else
		printf("%s: taken\n", name);
	print_rows(rows);
}

static bool has_failed(const json_t *rows)
{
	size_t i;
	json_t *row;
	json_array_foreach((json_t *)rows, i, row) if (strcmp(text(row, "verdict"), "failed") == 0) return true;
	return false;
}

/* Refused or failed comes before: did not answer. */
static int exit_code_of_unit(const struct unit_answer *unit, int code)
{
	if (!unit->reply)
		return code == EXIT_REFUSED ? code : exit_code_of(unit->error.code);
	if (!json_is_true(json_object_get(unit->reply, "taken")) || has_failed(json_object_get(unit->reply, "rows")))
		return EXIT_REFUSED;
	return code;
}

int units_reload(const struct cli *cli, const char *const *names)
{
	struct unit_answers units = {NULL, 0};
	int code = units_find(cli, names, &units);
	if (code != EXIT_DONE) {
		units_free(&units);
		return code;
	}
	units_ask(cli, &units, "kontor.reload", RELOAD_MS);
	for (size_t i = 0; i < units.len; i++) {
		const struct unit_answer *unit = &units.all[i];
		if (cli->json)
			print_answer(cli, unit->reply ? json_incref(unit->reply)
						      : json_pack("{s:s, s:b, s:s}", "unit", unit->name, "taken", 0,
								  "error", unit->error.message));
		else
			print_unit(unit);
		code = exit_code_of_unit(unit, code);
	}
	units_free(&units);
	return code;
}

static int run_reload(struct cli *cli, const struct command_line *line)
{
	const char **names = calloc(line->rest_len + 2, sizeof(*names));
	if (!names) {
		complain("out of memory");
		return EXIT_REFUSED;
	}
	names[0] = command_line_value(line, "UNIT");
	memcpy(names + 1, line->rest, line->rest_len * sizeof(*names));
	int code = units_reload(cli, names);
	free(names);
	return code;
}

static const struct command_arg reload_args[] = {
	{"UNIT", ARG_TEXT, false, NULL, "only these; all that have a socket in the runtime folder unless given"},
};

static const struct command commands[] = {
	{.words = "reload",
	 .help = "Makes the units of this machine (or only the named ones) read their configuration again.",
	 .example = "kontor reload settlement payout",
	 .run = run_reload,
	 .method = "kontor.reload",
	 COMMAND_ARGS(reload_args),
	 .more_operands = true},
};

const struct command_group reload_commands = {commands, sizeof(commands) / sizeof(commands[0])};
