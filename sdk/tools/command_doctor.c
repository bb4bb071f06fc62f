/* SPDX-License-Identifier: Apache-2.0
 *
 * For three o'clock in the morning: everything that can be looked at without changing anything, and of each finding why
 * it matters and what to do.
 */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

#define STATUS_MS 1500
#define EXAMINE_MS 8000 /* it asks the database, which may be away */

void finding(struct findings *findings, const char *unit, const char *why, const char *cure, const char *format, ...)
{
	char text[1100];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(findings->rows, json_pack("{s:s?, s:s, s:s, s:s}", "unit", unit, "finding", text, "why",
							why, "cure", cure));
}

/* ---- what the units say of themselves ---- */

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* What idgen says of itself: ids are what every other plugin needs first. */
static void examine_ids(const char *unit, const json_t *plugin, struct findings *findings)
{
	const json_t *own = json_object_get(plugin, "status");
	const char *problem = text(own, "problem"), *quarantine = text(own, "quarantine");
	if (quarantine && quarantine[0])
		finding(findings, unit, "its ids might have been issued before",
			"kontor id stats; docs/id-generation.md", "idgen is in quarantine: %s", quarantine);
	else if (problem && problem[0])
		finding(findings, unit, "it issues no ids, so nothing new can be written", "kontor id stats",
			"idgen: %s", problem);
}

/* Below, at or above 0, as a is older than b, the same, or newer. */
static int compare_versions(const char *a, const char *b)
{
	while (*a || *b) {
		char *a_end, *b_end;
		unsigned long a_part = strtoul(a, &a_end, 10), b_part = strtoul(b, &b_end, 10);
		if (a_part != b_part)
			return a_part < b_part ? -1 : 1;
		if (a_end == a && b_end == b) /* no numbers: different, and nobody knows which way */
			return strcmp(a, b);
		a = a_end + (*a_end == '.');
		b = b_end + (*b_end == '.');
	}
	return 0;
}

static void examine_version(const struct unit_answer *unit, struct findings *findings)
{
	const char *version = text(unit->reply, "version");
	int order = version ? compare_versions(version, KONTOR_VERSION) : 0;
	if (order < 0)
		finding(findings, unit->name, "after a crash it comes back as the installed version",
			"kontord --migrate, then restart the unit",
			"it runs version %s, older than %s, which is installed", version, KONTOR_VERSION);
	if (order > 0)
		finding(findings, unit->name, "after a crash it comes back as the older version, on newer tables",
			"install its version again", "it runs version %s, newer than %s, which is installed", version,
			KONTOR_VERSION);
}

static void examine_status(const struct unit_answer *unit, struct findings *findings)
{
	size_t i;
	json_t *plugin;
	const char *state = text(unit->reply, "state");
	if (state && strcmp(state, "ready") != 0)
		finding(findings, unit->name, "its calls are refused meanwhile", "wait, or see its log", "it is %s",
			state);
	examine_version(unit, findings);
	json_array_foreach(json_object_get(unit->reply, "plugins"), i, plugin)
	{
		const char *name = text(plugin, "name");
		if (name && strcmp(name, "idgen") == 0)
			examine_ids(unit->name, plugin, findings);
	}
}

static void take_rows(const struct unit_answer *unit, struct findings *findings)
{
	size_t i;
	json_t *row;
	json_array_foreach(json_object_get(unit->reply, "rows"), i, row)
	{
		json_t *copy = json_pack("{s:s}", "unit", unit->name);
		json_object_update(copy, row);
		json_array_append_new(findings->rows, copy);
	}
}

/* What the unit found at itself; the next answer of `examined`, which are those of the units that told their status. */
static void take_examined(const struct unit_answer *unit, struct findings *findings)
{
	if (unit->reply)
		take_rows(unit, findings);
	else
		finding(findings, unit->name, "its database and jobs were not looked at",
			"an operator or admin of users.conf may look", "it did not let us examine it: %s",
			unit->error.message);
}

static void examine_units(const struct cli *cli, struct findings *findings)
{
	struct unit_answers status = {NULL, 0}, examined = {NULL, 0};
	if (units_find(cli, NULL, &status) != EXIT_DONE)
		finding(findings, NULL, "nothing is served from here", "systemctl start kontord@UNIT",
			"no unit has a socket in %s", cli->runtime_folder);
	units_ask(cli, &status, "kontor.status", STATUS_MS);
	units_find_again(&status, &examined);
	units_ask(cli, &examined, "kontor.examine", EXAMINE_MS);
	for (size_t i = 0, k = 0; i < status.len; i++) {
		const struct unit_answer *unit = &status.all[i];
		if (!unit->reply) {
			finding(findings, unit->name, "its plugins are not served, and its jobs stand still",
				"systemctl status kontord@UNIT, and its log", "it does not answer: %s",
				unit->error.message);
			continue;
		}
		examine_status(unit, findings);
		if (k < examined.len)
			take_examined(&examined.all[k++], findings);
	}
	units_free(&status);
	units_free(&examined);
}

/* ---- */

static void print_findings(const struct findings *findings)
{
	size_t i;
	json_t *row;
	json_array_foreach(findings->rows, i, row)
	{
		const char *unit = text(row, "unit");
		printf("%s%s%s\n    why: %s\n    do:  %s\n", unit ? unit : "", unit ? ": " : "", text(row, "finding"),
		       text(row, "why"), text(row, "cure"));
	}
	if (json_array_size(findings->rows) == 0)
		puts("nothing was found");
}

static int run_doctor(struct cli *cli, const struct command_line *line)
{
	size_t i;
	json_t *row;
	struct findings findings = {json_array()};
	examine_configuration(cli, command_line_value(line, "--plugins"), &findings);
	examine_files(cli, &findings);
	examine_clock(&findings);
	examine_units(cli, &findings);
	if (cli->json)
		json_array_foreach(findings.rows, i, row) print_answer(cli, json_incref(row));
	else
		print_findings(&findings);
	int code = json_array_size(findings.rows) ? EXIT_REFUSED : EXIT_DONE;
	json_decref(findings.rows);
	return code;
}

static const struct command_arg doctor_args[] = {
	{"--plugins", ARG_TEXT, false, NULL,
	 "folder of the plugins, when it is neither the installed one nor that of the build"},
};

static const struct command commands[] = {
	{.words = "doctor",
	 .help = "Looks for trouble: configuration, units, database, jobs, ids, disks, clocks, keys. Changes nothing.",
	 .example = "kontor doctor --json",
	 COMMAND_ARGS(doctor_args),
	 .run = run_doctor},
};

const struct command_group doctor_commands = {commands, sizeof(commands) / sizeof(commands[0])};
