/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of people, programs and units by tcp. Making and revoking them needs no unit: what counts are files, which the
 * site's configuration management carries to its other machines.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "kontor/keys.h"
#include "kontor/text.h"
#include "kontor/time.h"
#include "output.h"
#include "units.h"

/* ---- keys generate ----------------------------------------------------------------------------------------------- */

static void print_generated(const struct cli *cli, const char *folder, const char *name, const char *key)
{
	if (cli->json) {
		char secret_file[PATH_MAX], public_file[PATH_MAX];
		snprintf(secret_file, sizeof(secret_file), "%s/%s.key_secret", folder, name);
		snprintf(public_file, sizeof(public_file), "%s/%s.key", folder, name);
		print_answer(cli, json_pack("{ssssssss}", "name", name, "public_key", key, "public_file", public_file,
					    "secret_file", secret_file));
		return;
	}
	printf("%s/%s.key         the public key, for anybody\n"
	       "%s/%s.key_secret  both keys: it stays on the machine of whoever calls, or of the unit (key_file)\n\n"
	       "users.conf of the units that it calls (correct the roles; single quotes, as the key has any "
	       "character):\n"
	       "  user \"%s\" { keys = {'%s'} roles = {\"viewer\"} }\n"
	       "if it is a unit's: datacenters/NAME.conf of those who call it by tcp:\n"
	       "  server_keys = {'%s'}\n",
	       folder, name, folder, name, name, key, key);
}

static int run_generate(struct cli *cli, const struct command_line *line)
{
	const char *name = command_line_value(line, "NAME"), *folder = command_line_value(line, "--out");
	struct kontor_key_pair pair;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (!kontor_name_valid(kontor_text_of(name))) {
		complain("'%s' is no name: it must be [a-z0-9][a-z0-9-]{0,31}", name);
		return EXIT_USAGE;
	}
	if (!folder)
		folder = ".";
	int rc = kontor_key_generate(&pair, &err);
	if (!rc)
		rc = kontor_key_save(&pair, folder, name, &err);
	explicit_bzero(pair.secret_key, sizeof(pair.secret_key));
	if (rc) {
		complain("%s", err.message);
		return EXIT_REFUSED;
	}
	print_generated(cli, folder, name, pair.public_key);
	return EXIT_DONE;
}

/* ---- keys revoke ------------------------------------------------------------------------------------------------- */

static int complain_file(const char *path, const char *what)
{
	complain("%s %s: %s", path, what, strerror(errno));
	return EXIT_REFUSED;
}

/* The whole file; an empty text when there is none. NULL: errno. */
static char *read_whole(int folder, const char *name, struct stat *ret_stat)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	*ret_stat = (struct stat){.st_mode = 0644, .st_uid = geteuid(), .st_gid = getegid()};
	if (fd < 0)
		return errno == ENOENT ? strdup("") : NULL;
	char *text = fstat(fd, ret_stat) == 0 ? calloc(1, (size_t)ret_stat->st_size + 1) : NULL;
	ssize_t length = text ? read(fd, text, (size_t)ret_stat->st_size) : -1;
	int error = errno;
	close(fd);
	if (text && length == ret_stat->st_size)
		return text;
	free(text);
	errno = error;
	return NULL;
}

/* In place of the old file, all of it or nothing. */
static bool replace_whole(int folder, const char *name, const struct stat *old, const char *text, const char *more)
{
	char fresh[NAME_MAX];
	snprintf(fresh, sizeof(fresh), ".%s.new", name);
	int fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file)
		return false;
	size_t length = strlen(text);
	bool ended = !length || text[length - 1] == '\n';
	bool kept = fchmod(fd, old->st_mode & 07777) == 0 && fchown(fd, old->st_uid, old->st_gid) == 0;
	bool written = kept && fputs(text, file) >= 0 && (ended || fputc('\n', file) >= 0) && fputs(more, file) >= 0 &&
		       fflush(file) == 0 && fsync(fd) == 0;
	int error = errno;
	if (fclose(file) == 0 && written)
		return renameat(folder, fresh, folder, name) == 0 && fsync(folder) == 0;
	unlinkat(folder, fresh, 0);
	errno = error;
	return false;
}

static bool is_listed(const char *text, const char *key)
{
	size_t size = strlen(key);
	for (const char *at = text; (at = strstr(at, key)); at += size)
		if ((at == text || at[-1] == '\n') && strchr(" \t\r\n", at[size]))
			return true;
	return false;
}

/* One revocation after the other: the folder is locked. */
static int append_revoked(int folder, const char *path, const char *key, bool *ret_new)
{
	struct stat old;
	char more[256], when[KONTOR_TIME_SIZE];
	struct passwd *account = getpwuid(getuid());
	snprintf(more, sizeof(more), "%s # revoked %s by %s\n", key, kontor_time_format(kontor_now_ms(), when),
		 account ? account->pw_name : "a user without a name");
	char *text = flock(folder, LOCK_EX) == 0 ? read_whole(folder, "revoked-keys", &old) : NULL;
	if (!text)
		return complain_file(path, "cannot be read");
	*ret_new = !is_listed(text, key);
	bool done = !*ret_new || replace_whole(folder, "revoked-keys", &old, text, more);
	free(text);
	return done ? EXIT_DONE : complain_file(path, "cannot be written");
}

/* A key as it is, or the file NAME.key that holds it. */
static int read_key(const char *text, char out[KONTOR_KEY_TEXT_SIZE])
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_key_valid(text)) {
		memcpy(out, text, KONTOR_KEY_TEXT_SIZE);
		return EXIT_DONE;
	}
	if (access(text, F_OK) != 0) {
		complain("\"%s\" is neither a public key (40 characters, in single quotes) nor a file NAME.key", text);
		return EXIT_USAGE;
	}
	if (kontor_key_load_public(text, out, &err) == 0)
		return EXIT_DONE;
	complain("%s", err.message);
	return EXIT_USAGE;
}

static int run_revoke(struct cli *cli, const struct command_line *line)
{
	char key[KONTOR_KEY_TEXT_SIZE], path[PATH_MAX];
	bool is_new = false;
	int code = read_key(command_line_value(line, "KEY"), key);
	if (code != EXIT_DONE)
		return code;
	snprintf(path, sizeof(path), "%s/revoked-keys", cli->conf_folder);
	int folder = open(cli->conf_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return complain_file(cli->conf_folder, "cannot be opened");
	code = append_revoked(folder, path, key, &is_new);
	close(folder);
	if (code != EXIT_DONE)
		return code;
	if (cli->json)
		print_answer(cli, json_pack("{sssssb}", "key", key, "file", path, "new", is_new));
	else
		printf("%s %s in %s; other machines refuse it once they have that file too, and were reloaded.\n", key,
		       is_new ? "now stands" : "stood already", path);
	return command_line_flag(line, "--no-reload") ? EXIT_DONE : units_reload(cli, NULL);
}

static const struct command_arg generate_args[] = {
	{"NAME", ARG_TEXT, true, NULL, "of the files, and of the user in the line that is printed"},
	{"--out", ARG_TEXT, false, NULL, "folder of the files (.)"},
};
static const struct command_arg revoke_args[] = {
	{"KEY", ARG_TEXT, true, NULL, "the public key, in single quotes, or the file NAME.key that holds it"},
	{"--no-reload", ARG_FLAG, false, NULL,
	 "only writes the file: the units of this machine are reloaded by other means"},
};

static const struct command commands[] = {
	{.words = "keys generate",
	 .help = "Makes a key pair for calls by tcp: NAME.key and NAME.key_secret.",
	 .example = "kontor keys generate billing --out /etc/kontor/keys",
	 COMMAND_ARGS(generate_args),
	 .run = run_generate},
	{.words = "keys list",
	 .help = "Lists the public keys that a unit knows, and when they connected.",
	 .run = run_single_page,
	 .method = "kontor.keys",
	 .columns = "user key state connections last_connected"},
	{.words = "keys revoke",
	 .help = "Writes a public key into CONF/revoked-keys, and reloads the units of this machine: it is refused at "
		 "once.",
	 .example = "kontor keys revoke 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID'",
	 COMMAND_ARGS(revoke_args),
	 .run = run_revoke},
};

const struct command_group keys_commands = {commands, sizeof(commands) / sizeof(commands[0])};
