/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys: whose they are (users.conf), which are refused whatever stands there (revoked-keys), and the unit's own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kontor/keys.h"
#include "unit_config.h"

#define BLANKS " \t\r\n"

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct key_entry *)a)->key, ((const struct key_entry *)b)->key);
}

/* Of the same key, the one that was read first comes first. */
static int by_key_and_place(const void *a, const void *b)
{
	const struct key_entry *left = a, *right = b;
	int order = by_key(left, right);
	return order ? order : (left->user > right->user) - (left->user < right->user);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool unit_config_key_revoked(const struct unit_config *unit, const char *key)
{
	return unit->revoked_len && bsearch(&key, unit->revoked, unit->revoked_len, sizeof(*unit->revoked), by_text);
}

const struct user_entry *unit_config_key_user(const struct unit_config *unit, const char *key)
{
	const struct key_entry wanted = {.key = key};
	const struct key_entry *found =
		unit->keys_len ? bsearch(&wanted, unit->keys, unit->keys_len, sizeof(wanted), by_key) : NULL;
	return found && !unit_config_key_revoked(unit, key) ? found->user : NULL;
}

/* ---- users.conf -------------------------------------------------------------------------------------------------- */

static void add_user_keys(struct unit_config *unit, const struct user_entry *user)
{
	for (const char *const *key = user->keys; key && *key; key++) {
		if (kontor_key_valid(*key)) {
			unit->keys[unit->keys_len++] = (struct key_entry){*key, user};
			continue;
		}
		CONFIG_PROBLEM_AT(unit->config, "user", user->name, "keys",
				  "user \"%s\": '%s' is no public key: it must be the 40 characters of public-key in "
				  "NAME.key, in single quotes",
				  user->name, *key);
	}
}

static void judge_twins(struct unit_config *unit)
{
	for (size_t i = 1; i < unit->keys_len; i++) {
		const struct key_entry *first = &unit->keys[i - 1], *second = &unit->keys[i];
		if (strcmp(first->key, second->key) != 0)
			continue;
		if (first->user == second->user)
			CONFIG_PROBLEM_AT(unit->config, "user", second->user->name, "keys",
					  "user \"%s\" has the key '%s' twice: leave one out", second->user->name,
					  second->key);
		else
			CONFIG_PROBLEM_AT(unit->config, "user", second->user->name, "keys",
					  "users \"%s\" and \"%s\" have the same key '%s': each needs its own",
					  first->user->name, second->user->name, second->key);
	}
}

/* ---- revoked-keys ------------------------------------------------------------------------------------------------ */

/* A line is a key with anything behind it, or a comment. A key may begin with '#': its 40 characters tell. */
static void read_revoked_line(struct unit_config *unit, const char *path, unsigned number, char *line)
{
	struct config *config = unit->config;
	char *word = line + strspn(line, BLANKS);
	bool comment = word[0] == '#' || !word[0];
	word[strcspn(word, BLANKS)] = '\0';
	if (kontor_key_valid(word)) {
		const char **grown = config_alloc(config, (unit->revoked_len + 1) * sizeof(*grown));
		if (unit->revoked_len)
			memcpy(grown, unit->revoked, unit->revoked_len * sizeof(*grown));
		grown[unit->revoked_len++] = config_copy(config, word);
		unit->revoked = grown;
	} else if (!comment) {
		config_problem(config, path, number,
			       "'%s' is no public key: a line must be the 40 characters of public-key in NAME.key, or "
			       "a comment",
			       word);
	}
}

/* The file is not there until the first key is revoked. One that cannot be read stops the unit: it would let in whoever
 * stands there. */
static void read_revoked(struct unit_config *unit, const char *conf_folder)
{
	struct config *config = unit->config;
	const char *path = kontor_arena_format(config->arena, "%s/%s", conf_folder, REVOKED_KEYS_FILE);
	FILE *file = path ? fopen(path, "re") : NULL;
	if (!file && errno == ENOENT)
		return;
	if (!file) {
		config_problem(config, path, 0, "cannot be read: %s: give the unit's user the right to read it",
			       strerror(errno));
		return;
	}
	char *line = NULL;
	size_t room = 0;
	for (unsigned number = 1; getline(&line, &room, file) >= 0; number++)
		read_revoked_line(unit, path, number, line);
	if (ferror(file))
		config_problem(config, path, 0, "cannot be read to its end: %s: see the system's log", strerror(errno));
	free(line);
	fclose(file);
}

/* ---- the unit's own ---------------------------------------------------------------------------------------------- */

/* Whoever checks may lack the right to read it; the unit's user will have it. */
static void judge_own_key(struct unit_config *unit)
{
	const char *path = unit->options.key_file;
	struct kontor_key_pair pair;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (!path || !path[0] || (access(path, R_OK) != 0 && errno == EACCES))
		return;
	if (kontor_key_load(path, &pair, &err))
		CONFIG_PROBLEM_AT(unit->config, "", "", "key_file", "key_file: %s", err.message);
	explicit_bzero(&pair, sizeof(pair));
}

void unit_config_read_keys(struct unit_config *unit, const char *conf_folder)
{
	size_t len = 0;
	for (size_t i = 0; i < unit->users_len; i++)
		for (const char *const *key = unit->users[i].keys; key && *key; key++)
			len++;
	unit->keys = config_alloc(unit->config, (len + 1) * sizeof(*unit->keys));
	for (size_t i = 0; i < unit->users_len; i++)
		add_user_keys(unit, &unit->users[i]);
	qsort(unit->keys, unit->keys_len, sizeof(*unit->keys), by_key_and_place);
	judge_twins(unit);
	read_revoked(unit, conf_folder);
	if (unit->revoked_len)
		qsort(unit->revoked, unit->revoked_len, sizeof(*unit->revoked), by_text);
	judge_own_key(unit);
}
