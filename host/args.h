/* SPDX-License-Identifier: Apache-2.0
 *
 * kontord's command line.
 */
#ifndef KONTORD_ARGS_H
#define KONTORD_ARGS_H

enum mode {
	MODE_RUN,
	MODE_CHECK,
	MODE_DUMP_CONFIG,
	MODE_DUMP_PLUGIN,
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
	const char *plugin_file;                                     /* --dump-plugin */
	const char *admin_socket, *admin_user, *admin_password_file; /* --migrate; NULL: as configured */
};

struct args args_parse(int argc, char **argv);
void args_help(void);

#endif
