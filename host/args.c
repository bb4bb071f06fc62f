/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line as one table: parser and --help.
 */
#include "args.h"

#include <stdio.h>
#include <string.h>

#include "kontor/text.h"

#define CONF_FOLDER "/etc/kontor"
#define RUNTIME_FOLDER "/run/kontor"
#define STATE_FOLDER "/var/lib/kontor"

static const struct args_row rows[] = {
	{"--unit", "NAME", MODE_RUN, offsetof(struct args, unit), "unit to run: CONF/units/NAME.conf"},
	{"--conf", "FOLDER", MODE_RUN, offsetof(struct args, conf_folder), "configuration (" CONF_FOLDER ")"},
	{"--runtime", "FOLDER", MODE_RUN, offsetof(struct args, runtime_folder),
	 "sockets and locks (" RUNTIME_FOLDER ")"},
	{"--state", "FOLDER", MODE_RUN, offsetof(struct args, state_folder), "files that are kept (" STATE_FOLDER ")"},
	{"--plugins", "FOLDER", MODE_RUN, offsetof(struct args, plugin_folder), "plugins (" KONTOR_PLUGIN_FOLDER ")"},
	{"--check", NULL, MODE_CHECK, 0, "report every error of the configuration, touch nothing; exit 0 or 1"},
	{"--dump-config", NULL, MODE_DUMP_CONFIG, 0, "print the values in force and where each comes from"},
	{"--dump-plugin", "FILE", MODE_DUMP_PLUGIN, offsetof(struct args, plugin_file), "print what a plugin offers"},
	{"--describe", NULL, MODE_DESCRIBE, 0, "print all options and built-in services as JSON"},
	{"--describe-plugin", "FILE", MODE_DESCRIBE_PLUGIN, offsetof(struct args, plugin_file),
	 "print all of what a plugin offers as JSON"},
	{"--list-units", NULL, MODE_LIST_UNITS, 0, "print the names of the configured units"},
	{"--migrate", NULL, MODE_MIGRATE, 0, "make the database and the tables of the unit, and exit"},
	{"--admin-socket", "PATH", MODE_RUN, offsetof(struct args, admin_socket), "for --migrate: the server's socket"},
	{"--admin-user", "USER", MODE_RUN, offsetof(struct args, admin_user),
	 "for --migrate: a user who may create tables"},
	{"--admin-password-file", "FILE", MODE_RUN, offsetof(struct args, admin_password_file),
	 "for --migrate: the password is the file's first line"},
	{"--version", NULL, MODE_VERSION, 0, "print the version"},
	{"--help", NULL, MODE_HELP, 0, "print this"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

const struct args_row *args_row(size_t index)
{
	return index < ROWS ? &rows[index] : NULL;
}

void args_help(void)
{
	puts("usage: kontord --unit NAME [OPTION...]\n"
	     "Runs the plugins of one unit; without another mode it starts and serves until SIGTERM.\n");
	for (size_t i = 0; i < ROWS; i++) {
		char left[40];
		snprintf(left, sizeof(left), "%s %s", rows[i].name, rows[i].value ? rows[i].value : "");
		printf("  %-28s %s\n", left, rows[i].help);
	}
	puts("\nexamples:\n"
	     "  kontord --unit all --check\n"
	     "  kontord --unit payout --dump-config\n"
	     "  kontord --unit all --migrate --admin-user root\n"
	     "  kontord --unit all --conf ./conf --runtime /tmp/k --state /tmp/k/state --plugins build/plugins");
}

static struct args wrong_usage(const char *argument, const char *problem, const char *hint)
{
	fprintf(stderr, "kontord: %s %s", argument, problem);
	if (hint)
		fprintf(stderr, "; did you mean %s?", hint);
	fputs("\nsee kontord --help\n", stderr);
	return (struct args){.mode = MODE_WRONG_USAGE};
}

static const char *nearest_option(const char *name)
{
	const char *names[ROWS];
	for (size_t i = 0; i < ROWS; i++)
		names[i] = rows[i].name;
	return kontor_text_nearest(kontor_text_of(name), names, ROWS);
}

struct args args_parse(int argc, char **argv)
{
	struct args args = {.mode = MODE_RUN,
			    .conf_folder = CONF_FOLDER,
			    .runtime_folder = RUNTIME_FOLDER,
			    .state_folder = STATE_FOLDER,
			    .plugin_folder = KONTOR_PLUGIN_FOLDER};
	for (int i = 1; i < argc; i++) {
		size_t length = strcspn(argv[i], "=");
		const struct args_row *row = NULL;
		for (size_t r = 0; r < ROWS && !row; r++)
			if (strlen(rows[r].name) == length && memcmp(rows[r].name, argv[i], length) == 0)
				row = &rows[r];
		if (!row)
			return wrong_usage(argv[i], "is not known", nearest_option(argv[i]));
		const char *value = argv[i][length] ? argv[i] + length + 1 : NULL;
		if (!row->value && value)
			return wrong_usage(row->name, "takes no value", NULL);
		if (row->value && !value && i + 1 < argc)
			value = argv[++i];
		if (row->value && !value)
			return wrong_usage(row->name, "needs a value", NULL);
		if (row->mode != MODE_RUN)
			args.mode = row->mode;
		if (row->value)
			memcpy((char *)&args + row->offset, &value, sizeof(value));
	}
	bool needs_unit = args.mode == MODE_RUN || args.mode == MODE_CHECK || args.mode == MODE_DUMP_CONFIG ||
			  args.mode == MODE_MIGRATE;
	if (needs_unit && !args.unit)
		return wrong_usage("--unit NAME", "is missing", NULL);
	return args;
}
