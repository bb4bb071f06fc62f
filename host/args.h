/* SPDX-License-Identifier: Apache-2.0
 *
 * kontord's command line.
 */
#ifndef KONTORD_ARGS_H
#define KONTORD_ARGS_H

#include <stddef.h>

enum mode {
	MODE_RUN,
	MODE_CHECK,
	MODE_DUMP_CONFIG,
	MODE_DUMP_PLUGIN,
	MODE_DESCRIBE,
	MODE_DESCRIBE_PLUGIN,
	MODE_LIST_UNITS,
	MODE_MIGRATE,
	MODE_VERSION,
	MODE_HELP,
	MODE_WRONG_USAGE, /* said on stderr already */
};

struct args {
	enum mode mode;
	const char *unit;
	const char *conf_folder, *runtime_folder, *state_folder, *plugin_folder;
	const char *plugin_file;                                     /* --dump-plugin, --describe-plugin */
	const char *admin_socket, *admin_user, *admin_password_file; /* --migrate; NULL: as configured */
};

struct args args_parse(int argc, char **argv);
void args_help(void);

/* One option of the command line. */
struct args_row {
	const char *name, *value; /* value: what it takes, NULL for none */
	enum mode mode;           /* MODE_RUN: does not change the mode */
	size_t offset;            /* in struct args, of the value */
	const char *help;
};
const struct args_row *args_row(size_t index); /* NULL behind the last one */

#endif
