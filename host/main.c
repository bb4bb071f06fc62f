/* SPDX-License-Identifier: Apache-2.0
 *
 * kontord: runs the plugins of one unit. Start reading here, then lifecycle.c (stages), front.c (requests), lanes.c
 * (jobs).
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "accounts.h"
#include "args.h"
#include "crash.h"
#include "describe.h"
#include "fault_filter.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "lifecycle.h"
#include "unit_stages.h"

/* Bigger blocks, as an upload's rows, go back to the system once they are freed. glibc by itself raises this limit to
 * the biggest block that was ever freed, and a unit keeps what each of its threads once needed. */
#define BIG_BLOCK (4 << 20)

static int print_problems(const struct unit *unit, size_t problems)
{
	const struct unit_config *config = unit->config;
	config_print_problems(config->config, stderr);
	fprintf(stderr, "kontord: the configuration of unit %s has %zu problem%s\n", unit->args->unit, problems,
		problems == 1 ? "" : "s");
	return 1;
}

static int run_check(const struct unit *unit)
{
	printf("kontord: the configuration of unit %s is fine (%zu plugins)\n", unit->args->unit,
	       unit_plugins_count(unit));
	return 0;
}

static int run_dump_config(const struct unit *unit)
{
	unit_config_dump(unit->config, stdout);
	const struct unit_config *config = unit->config;
	for (size_t i = 0; i < unit->plugins_len; i++) {
		const struct kontor_plugin *api = &unit_plugin_at(unit, i)->api;
		const struct config_table tables[] = {plugin_table, {api->conf, api->conf_len}};
		config_dump_block(config->config, "plugin", api->name, tables, 2, stdout);
	}
	return 0;
}

static int run_migrate(struct unit *unit)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (unit_database_migrate(unit, &err)) {
		fprintf(stderr, "kontord: %s\n", err.message);
		return kontor_code_outcome(err.code) == KONTOR_OUTCOME_NOTHING ? 3 : 1;
	}
	const struct unit_config *config = unit->config;
	printf("kontord: database %s is up to date for unit %s\n", config->database.name, unit->args->unit);
	return 0;
}

static int run_dump_plugin(const struct args *args)
{
	struct loaded_plugin *plugin;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (loader_open(args->plugin_file, &plugin, &err)) {
		fprintf(stderr, "kontord: %s\n", err.message);
		return 1;
	}
	if (args->mode == MODE_DESCRIBE_PLUGIN)
		describe_plugin(&plugin->api, stdout);
	else
		loader_dump(plugin, stdout);
	loader_close(plugin);
	return 0;
}

static int run_list_units(const struct args *args)
{
	char folder[4096];
	snprintf(folder, sizeof(folder), "%s/units", args->conf_folder);
	struct config *config = config_new();
	for (const char **name = config_names(config->arena, folder); *name; name++)
		puts(*name);
	config_free(config);
	return 0;
}

/* The modes that need the unit's configuration and plugins. */
static int run_unit_mode(const struct args *args)
{
	struct unit *unit = calloc(1, sizeof(*unit));
	if (!unit)
		return 1;
	unit->started_ms = kontor_now_ms();
	size_t problems = unit_configure(unit, args);
	const struct unit_config *config = unit->config;
	kontor_log_setup(unit_config_log_level(config), args->unit);
	accounts_warn(config);
	fault_config_warn(config);
	int code;
	if (problems)
		code = print_problems(unit, problems);
	else if (args->mode == MODE_CHECK)
		code = run_check(unit);
	else if (args->mode == MODE_DUMP_CONFIG)
		code = run_dump_config(unit);
	else if (args->mode == MODE_MIGRATE)
		code = run_migrate(unit);
	else {
		crash_install(args->unit);
		mallopt(M_MMAP_THRESHOLD, BIG_BLOCK);
		code = unit_run(unit);
	}
	unit_unconfigure(unit);
	free(unit);
	return code;
}

int main(int argc, char **argv)
{
	struct args args = args_parse(argc, argv);
	switch (args.mode) {
	case MODE_WRONG_USAGE:
		return 2;
	case MODE_HELP:
		args_help();
		return 0;
	case MODE_VERSION:
		printf("kontord %s, plugin ABI %d.%d\n", KONTOR_VERSION, KONTOR_ABI_MAJOR, KONTOR_ABI_MINOR);
		return 0;
	case MODE_DESCRIBE:
		describe_host(stdout);
		return 0;
	case MODE_DUMP_PLUGIN:
	case MODE_DESCRIBE_PLUGIN:
		return run_dump_plugin(&args);
	case MODE_LIST_UNITS:
		return run_list_units(&args);
	default:
		return run_unit_mode(&args);
	}
}
