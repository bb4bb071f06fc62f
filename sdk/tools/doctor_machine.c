/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be seen of this machine without asking a unit.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"

#define LINES_LIMIT 50 /* of one unit's check */

static bool ends_with(const char *name, const char *suffix)
{
	size_t length = strlen(name), size = strlen(suffix);
	return length > size && strcmp(name + length - size, suffix) == 0;
}

/* Calls a function for each file of a folder whose name ends so; a folder that is not there has none. */
struct visit {
	void (*file)(const struct visit *visit, const char *name, const char *path);
	const struct cli *cli;
	const char *plugin_folder;
	struct findings *findings;
};

static void visit_folder(const struct visit *visit, const char *folder, const char *sub, const char *suffix)
{
	char path[PATH_MAX], file[PATH_MAX];
	struct dirent **entries = NULL;
	snprintf(path, sizeof(path), "%s%s", folder, sub);
	int count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		if (name[0] != '.' && ends_with(name, suffix) &&
		    snprintf(file, sizeof(file), "%s/%s", path, name) < (int)sizeof(file))
			visit->file(visit, name, file);
		free(entries[i]);
	}
	free(entries);
}

/* ---- the configuration ---- */

/* In a build folder the plugins are beside the folder of the programs, not where kontord looks by itself. NULL: they
 * are not there. */
static const char *built_plugins(char buffer[PATH_MAX])
{
	char program[PATH_MAX];
	const char *host = host_path(program, sizeof(program)), *slash = strrchr(host, '/');
	struct stat st;
	if (!slash || snprintf(buffer, PATH_MAX, "%.*s/../plugins", (int)(slash - host), host) >= PATH_MAX)
		return NULL;
	return stat(buffer, &st) == 0 && S_ISDIR(st.st_mode) ? buffer : NULL;
}

/* The child's side of check_unit(). */
static void exec_check(const struct visit *visit, const char *unit, int out)
{
	char program[PATH_MAX];
	dup2(out, STDERR_FILENO);
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
	execlp(host_path(program, sizeof(program)), "kontord", "--check", "--unit", unit, "--conf",
	       visit->cli->conf_folder, "--runtime", visit->cli->runtime_folder,
	       visit->plugin_folder ? "--plugins" : NULL, visit->plugin_folder, NULL);
	dprintf(STDERR_FILENO, "kontord cannot be run: %s\n", strerror(errno));
	_exit(127);
}

static void report_check(const struct visit *visit, const char *unit, FILE *output)
{
	char *line = NULL;
	size_t room = 0;
	for (int lines = 0; lines < LINES_LIMIT && getline(&line, &room, output) > 0; lines++) {
		line[strcspn(line, "\n")] = '\0';
		/* Its last line counts the others; log lines are warnings that a start gives as well. */
		if (strncmp(line, "kontord: the configuration of unit", 34) != 0 && line[0] != '<')
			finding(visit->findings, unit, "the unit refuses to start or to reload with it",
				"correct that line", "%s", line);
	}
	free(line);
}

static void check_unit(const struct visit *visit, const char *name, const char *path)
{
	char unit[NAME_MAX + 1];
	int ends[2];
	(void)path;
	snprintf(unit, sizeof(unit), "%.*s", (int)(strlen(name) - strlen(".conf")), name);
	if (pipe(ends))
		return;
	pid_t child = fork();
	if (child == 0)
		exec_check(visit, unit, ends[1]);
	close(ends[1]);
	FILE *output = fdopen(ends[0], "r");
	int status = 0;
	if (output)
		report_check(visit, unit, output);
	if (child > 0)
		waitpid(child, &status, 0);
	if (output)
		fclose(output);
	if (child < 0 || WIFSIGNALED(status))
		finding(visit->findings, unit, "nobody knows whether the unit would start",
			"kontord --check --unit NAME", "its configuration could not be checked");
}

void examine_configuration(const struct cli *cli, const char *plugin_folder, struct findings *findings)
{
	char built[PATH_MAX];
	const struct visit visit = {check_unit, cli, plugin_folder ? plugin_folder : built_plugins(built), findings};
	struct stat st;
	if (stat(cli->conf_folder, &st))
		finding(findings, NULL, "no unit can start or reload", "--conf FOLDER names another one", "%s: %s",
			cli->conf_folder, strerror(errno));
	visit_folder(&visit, cli->conf_folder, "/units", ".conf");
}

/* ---- files ---- */

static void check_key(const struct visit *visit, const char *name, const char *path)
{
	struct stat st;
	(void)name;
	if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		finding(visit->findings, NULL, "who reads it can call in its owner's name",
			"chmod 600, and a new key if it may have been read",
			"%s: mode %04o lets others at a secret key", path, st.st_mode & 07777);
}

static void check_socket(const struct visit *visit, const char *name, const char *path)
{
	struct stat st;
	(void)name;
	if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
		finding(visit->findings, NULL, "every account of the machine reaches the unit", "chmod 660",
			"%s: mode %04o", path, st.st_mode & 07777);
}

void examine_files(const struct cli *cli, struct findings *findings)
{
	struct visit visit = {check_key, cli, NULL, findings};
	visit_folder(&visit, cli->conf_folder, "", ".key_secret");
	visit_folder(&visit, cli->conf_folder, "/keys", ".key_secret");
	visit.file = check_socket;
	visit_folder(&visit, cli->runtime_folder, "", ".sock");
}

/* ---- clock ---- */

void examine_clock(struct findings *findings)
{
	struct timex clock = {.modes = 0}; /* reads only */
	if (adjtimex(&clock) == TIME_ERROR || (clock.status & STA_UNSYNC))
		finding(findings, NULL, "ids tell their time, and a clock that jumps back stops them",
			"run chronyd or ntpd, here or on the host of this virtual machine",
			"the kernel says that nobody keeps this machine's clock");
}
