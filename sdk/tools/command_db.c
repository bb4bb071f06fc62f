/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema is the host's: it knows the plugins. So these commands are `kontord --migrate`, found beside kontor.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

const char *host_path(char *buffer, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", buffer, size - 1);
	char *slash;
	if (length <= 0)
		return "kontord";
	buffer[length] = '\0';
	slash = strrchr(buffer, '/');
	if (!slash || (size_t)(slash - buffer) + sizeof("/kontord") > size)
		return "kontord";
	snprintf(slash, size - (size_t)(slash - buffer), "/kontord");
	return access(buffer, X_OK) == 0 ? buffer : "kontord";
}

static int run_migrate(struct cli *cli, const struct command_line *line)
{
	char path[PATH_MAX];
	const char *host = host_path(path, sizeof(path));
	char **arguments = calloc(line->rest_len + 3, sizeof(*arguments));
	char name[] = "kontord", migrate[] = "--migrate";
	(void)cli;
	if (!arguments) {
		complain("out of memory");
		return EXIT_REFUSED;
	}
	arguments[0] = name;
	arguments[1] = migrate;
	memcpy(arguments + 2, line->rest, line->rest_len * sizeof(*arguments));
	execvp(host, arguments);
	complain("%s: %s; is kontord installed?", host, strerror(errno));
	free(arguments);
	return EXIT_REFUSED;
}

static const struct command commands[] = {
	{.words = "db init",
	 .help = "Creates the database and all tables; flags go to kontord --migrate.",
	 .example = "kontor db init --unit all --admin-socket /run/mysqld/mysqld.sock --admin-user root",
	 .passes_through = true,
	 .run = run_migrate},
	{.words = "db migrate",
	 .help = "Brings the tables up to this version; flags go to kontord --migrate.",
	 .passes_through = true,
	 .run = run_migrate},
};

const struct command_group db_commands = {commands, sizeof(commands) / sizeof(commands[0])};
