/* SPDX-License-Identifier: Apache-2.0
 *
 * By replacing words.
 */
#include "sql_dialect.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTHING "SELECT 0 WHERE 0"

static const struct {
	const char *mariadb, *sqlite;
} words[] = {
	{"CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)", "server_now_ms()"},
	{"INSERT IGNORE", "INSERT OR IGNORE"},
	{"GREATEST(", "MAX("},
	{"LEAST(", "MIN("},
	{" FOR UPDATE", ""},
	{") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4", ")"},
	{" CHARACTER SET ascii COLLATE ascii_bin", ""},
};

/* Statements about the server itself, by how they begin. */
static const struct {
	const char *begin, *sqlite;
} whole[] = {
	{"SELECT IF(@@global.wsrep_on", "SELECT server_identity()"},
	{"SET SESSION", NOTHING},
};

static char *replace_all(char *text, const char *from, const char *to)
{
	char *at;
	while ((at = strstr(text, from))) {
		size_t before = (size_t)(at - text), size = strlen(text) + strlen(to) + 1;
		char *longer = malloc(size);
		snprintf(longer, size, "%.*s%s%s", (int)before, text, to, at + strlen(from));
		free(text);
		text = longer;
	}
	return text;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

char *sql_translate(const char *sql)
{
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (begins(sql, whole[i].begin))
			return strdup(whole[i].sqlite);
	char *text = strdup(sql);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		text = replace_all(text, words[i].mariadb, words[i].sqlite);
	return text;
}

/* ---- ALTER TABLE ------------------------------------------------------------------------------------------------ */

struct script {
	char text[4096];
	size_t used;
};

static void add(struct script *script, const char *words_, size_t len)
{
	if (script->used + len + 1 > sizeof(script->text)) {
		fprintf(stderr, "simulation: a step of the schema is too long\n");
		exit(3);
	}
	memcpy(script->text + script->used, words_, len);
	script->used += len;
	script->text[script->used] = '\0';
}

static void add_text(struct script *script, const char *text)
{
	add(script, text, strlen(text));
}

static char *definition_of(sqlite3 *handle, const char *table)
{
	sqlite3_stmt *compiled = NULL;
	sqlite3_prepare_v2(handle, "SELECT sql FROM sqlite_master WHERE name = ?", -1, &compiled, NULL);
	sqlite3_bind_text(compiled, 1, table, -1, SQLITE_STATIC);
	char *sql = sqlite3_step(compiled) == SQLITE_ROW ? strdup((const char *)sqlite3_column_text(compiled, 0))
							 : strdup("");
	sqlite3_finalize(compiled);
	return sql;
}

/* SQLite cannot change a primary key: the table is made anew without one, and gets it as an index. */
static void rebuild(struct script *script, sqlite3 *handle, const char *table)
{
	char *made = replace_all(definition_of(handle, table), " PRIMARY KEY", "");
	add_text(script, "ALTER TABLE ");
	add_text(script, table);
	add_text(script, " RENAME TO before; ");
	add_text(script, made);
	add_text(script, "; INSERT INTO ");
	add_text(script, table);
	add_text(script, " SELECT * FROM before; DROP TABLE before; ");
	free(made);
}

static void add_action(struct script *script, sqlite3 *handle, const char *table, const char *action, size_t len)
{
	static const char column[] = "ADD COLUMN IF NOT EXISTS ", key[] = "ADD PRIMARY KEY ",
			  drop[] = "DROP PRIMARY KEY";
	if (begins(action, drop)) {
		rebuild(script, handle, table);
	} else if (begins(action, key)) {
		add_text(script, "CREATE UNIQUE INDEX ");
		add_text(script, table);
		add_text(script, "_key ON ");
		add_text(script, table);
		add(script, action + sizeof(key) - 1, len - (sizeof(key) - 1));
		add_text(script, "; ");
	} else if (begins(action, column)) {
		static const char first[] = " FIRST";
		if (len > sizeof(first) && memcmp(action + len - (sizeof(first) - 1), first, sizeof(first) - 1) == 0)
			len -= sizeof(first) - 1;
		add_text(script, "ALTER TABLE ");
		add_text(script, table);
		add_text(script, " ADD COLUMN ");
		add(script, action + sizeof(column) - 1, len - (sizeof(column) - 1));
		add_text(script, "; ");
	} else {
		fprintf(stderr, "simulation: the schema says \"%.*s\", which is not translated yet\n", (int)len,
			action);
		exit(3);
	}
}

char *sql_translate_schema(sqlite3 *handle, const char *sql)
{
	char *text = sql_translate(sql), table[64];
	if (sscanf(text, "ALTER TABLE %63s", table) != 1)
		return text;
	struct script script = {.used = 0};
	/* columns first: the table that is made anew has them */
	for (int round = 0; round < 2; round++) {
		const char *action = strstr(text, table) + strlen(table);
		while (*action) {
			action += strspn(action, " \t\n,");
			size_t len = 0;
			for (int depth = 0; action[len] && (depth || action[len] != ','); len++)
				depth += (action[len] == '(') - (action[len] == ')');
			if (len && begins(action, "ADD COLUMN") == (round == 0))
				add_action(&script, handle, table, action, len);
			action += len;
		}
		if (round == 0 && sqlite3_exec(handle, script.text, NULL, NULL, NULL))
			break; /* it is said again when the whole script is run */
		if (round == 0)
			script.used = 0;
	}
	script.text[script.used] = '\0';
	free(text);
	return strdup(script.text);
}
