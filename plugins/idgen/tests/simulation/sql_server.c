/* SPDX-License-Identifier: Apache-2.0
 *
 * MariaDB's dialect, as far as idgen uses it, on SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql_dialect.h"
#include "sql_server.h"

static _Noreturn void give_up(const char *what, const char *sql, const char *why)
{
	fprintf(stderr, "simulation: %s: %s\n  %s\n", what, why, sql);
	exit(3);
}

/* ---- functions ------------------------------------------------------------------------------------------------- */

static void now_ms(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	const struct sql_server *server = sqlite3_user_data(context);
	sqlite3_result_int64(context, server->clock_ms);
}

static void identity(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void)argc;
	(void)argv;
	const struct sql_server *server = sqlite3_user_data(context);
	sqlite3_result_text(context, server->identity, -1, SQLITE_TRANSIENT);
}

static void reserved(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void)argc;
	struct sql_server *server = sqlite3_user_data(context);
	sqlite3_int64 kind = sqlite3_value_int64(argv[0]), slot = sqlite3_value_int64(argv[1]);
	if (kind < 0 || kind >= SERVER_KINDS || slot < 0 || slot >= SERVER_SLOTS)
		give_up("server_reserved()", "kind or slot", "out of range");
	uint64_t counter = (uint64_t)sqlite3_value_int64(argv[2]);
	if (counter > server->reserved[kind][slot])
		server->reserved[kind][slot] = counter;
}

/* ---- statements ----------------------------------------------------------------------------------------------- */

void statement_set(struct statement *statement, const char *sql, const struct kontor_param *params)
{
	statement->sql = sql;
	statement->params_len = 0;
	for (; params->type != KONTOR_P_END; params++) {
		if (statement->params_len == STATEMENT_PARAMS || params->size > STATEMENT_TEXT)
			give_up("statement", sql, "too many or too long parameters");
		struct statement_param *copy = &statement->params[statement->params_len++];
		copy->null = params->type == KONTOR_P_NULL;
		copy->text = params->type == KONTOR_P_TEXT || params->type == KONTOR_P_BYTES;
		copy->number = params->i;
		copy->size = copy->text ? params->size : 0;
		if (copy->text)
			memcpy(copy->bytes, params->data, params->size);
	}
}

/* Keyed by address: statements are constants. */
static sqlite3_stmt *compile(struct sql_server *server, const char *sql)
{
	for (size_t i = 0; i < server->cache_len; i++)
		if (server->cache[i].sql == sql)
			return server->cache[i].compiled;
	if (server->cache_len == SERVER_STATEMENTS)
		give_up("statement", sql, "the cache is too small");
	sqlite3_stmt *compiled = NULL;
	char *text = sql_translate(sql);
	if (sqlite3_prepare_v3(server->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &compiled, NULL))
		give_up("statement", text, sqlite3_errmsg(server->handle));
	free(text);
	server->cache[server->cache_len].sql = sql;
	server->cache[server->cache_len++].compiled = compiled;
	return compiled;
}

static void bind(sqlite3_stmt *compiled, const struct statement *statement)
{
	for (size_t i = 0; i < statement->params_len; i++) {
		const struct statement_param *param = &statement->params[i];
		if (param->null)
			sqlite3_bind_null(compiled, (int)i + 1);
		else if (param->text) /* MariaDB compares bytes and text alike */
			sqlite3_bind_text(compiled, (int)i + 1, param->bytes, (int)param->size, SQLITE_STATIC);
		else
			sqlite3_bind_int64(compiled, (int)i + 1, param->number);
	}
}

static void read_row(sqlite3_stmt *compiled, const struct statement *statement, struct answer *answer)
{
	answer->columns = (size_t)sqlite3_column_count(compiled);
	if ((answer->rows + 1) * answer->columns > ANSWER_CELLS)
		give_up("statement", statement->sql, "too many rows");
	for (size_t i = 0; i < answer->columns; i++) {
		struct answer_cell *cell = &answer->cells[answer->rows * answer->columns + i];
		int type = sqlite3_column_type(compiled, (int)i);
		*cell = (struct answer_cell){.null = type == SQLITE_NULL,
					     .number = type == SQLITE_INTEGER ? sqlite3_column_int64(compiled, (int)i)
									      : 0,
					     .text = answer->text_len};
		if (type == SQLITE_NULL || type == SQLITE_INTEGER)
			continue;
		cell->size = (size_t)sqlite3_column_bytes(compiled, (int)i);
		if (answer->text_len + cell->size + 1 > ANSWER_TEXT)
			give_up("statement", statement->sql, "too much text");
		memcpy(answer->text + answer->text_len, sqlite3_column_text(compiled, (int)i), cell->size);
		answer->text[answer->text_len + cell->size] = '\0';
		answer->text_len += cell->size + 1;
	}
	answer->rows++;
}

void sql_server_run(struct sql_server *server, const struct statement *statement, struct answer *ret_answer)
{
	sqlite3_stmt *compiled = compile(server, statement->sql);
	ret_answer->code = 0;
	ret_answer->mariadb_errno = 0;
	ret_answer->affected = 0;
	ret_answer->rows = ret_answer->columns = ret_answer->text_len = 0;
	bind(compiled, statement);
	int code;
	while ((code = sqlite3_step(compiled)) == SQLITE_ROW)
		read_row(compiled, statement, ret_answer);
	if (code == SQLITE_DONE && !sqlite3_stmt_readonly(compiled))
		ret_answer->affected = (uint64_t)sqlite3_changes(server->handle);
	else if (code != SQLITE_DONE) {
		int extended = sqlite3_extended_errcode(server->handle);
		if (extended != SQLITE_CONSTRAINT_PRIMARYKEY && extended != SQLITE_CONSTRAINT_UNIQUE)
			give_up("statement", statement->sql, sqlite3_errmsg(server->handle));
		ret_answer->code = KONTOR_E_CONFLICT;
		ret_answer->mariadb_errno = 1062;
	}
	sqlite3_reset(compiled);
}

void answer_copy(struct answer *to, const struct answer *from)
{
	size_t cells = from->rows * from->columns;
	memcpy(to, from, offsetof(struct answer, cells));
	memcpy(to->cells, from->cells, cells * sizeof(from->cells[0]));
	memcpy(to->text, from->text, from->text_len);
}

void sql_server_do(struct sql_server *server, const char *sql)
{
	char *message = NULL;
	if (sqlite3_exec(server->handle, sql, NULL, NULL, &message))
		give_up("statement of the simulation", sql, message);
}

/* ---- the whole server ----------------------------------------------------------------------------------------- */

static void list_tables(struct sql_server *server)
{
	sqlite3_stmt *compiled = NULL;
	sqlite3_prepare_v2(server->handle, "SELECT name FROM sqlite_master WHERE type = 'table'", -1, &compiled, NULL);
	while (sqlite3_step(compiled) == SQLITE_ROW && server->tables_len < SERVER_TABLES)
		server->tables[server->tables_len++] = strdup((const char *)sqlite3_column_text(compiled, 0));
	sqlite3_finalize(compiled);
}

static sqlite3_stmt *prepare(struct sql_server *server, const char *sql)
{
	sqlite3_stmt *compiled = NULL;
	if (sqlite3_prepare_v3(server->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &compiled, NULL))
		give_up("copy", sql, sqlite3_errmsg(server->handle));
	return compiled;
}

static void prepare_copy(struct sql_server *server, struct sql_copy *copy, const char *from, const char *to)
{
	char sql[256];
	for (size_t i = 0; i < server->tables_len; i++) {
		snprintf(sql, sizeof(sql), "DELETE FROM %s.%s", to, server->tables[i]);
		copy->remove[i] = prepare(server, sql);
		snprintf(sql, sizeof(sql), "INSERT INTO %s.%s SELECT * FROM %s.%s", to, server->tables[i], from,
			 server->tables[i]);
		copy->insert[i] = prepare(server, sql);
	}
}

/* "fresh" is what reset goes back to, "past" what was kept. */
static void make_copies(struct sql_server *server)
{
	sql_server_do(server, "ATTACH ':memory:' AS fresh; ATTACH ':memory:' AS past;");
	for (size_t i = 0; i < server->tables_len; i++) {
		const char *table = server->tables[i];
		char sql[256];
		snprintf(sql, sizeof(sql),
			 "CREATE TABLE fresh.%s AS SELECT * FROM main.%s; CREATE TABLE past.%s AS SELECT * FROM "
			 "main.%s;",
			 table, table, table, table);
		sql_server_do(server, sql);
	}
	prepare_copy(server, &server->reset, "fresh", "main");
	prepare_copy(server, &server->keep, "main", "past");
	prepare_copy(server, &server->bring_back, "past", "main");
}

static void run_prepared(struct sql_server *server, sqlite3_stmt *compiled)
{
	if (sqlite3_step(compiled) != SQLITE_DONE)
		give_up("copy", sqlite3_sql(compiled), sqlite3_errmsg(server->handle));
	sqlite3_reset(compiled);
}

static void run_copy(struct sql_server *server, struct sql_copy *copy)
{
	for (size_t i = 0; i < server->tables_len; i++) {
		run_prepared(server, copy->remove[i]);
		run_prepared(server, copy->insert[i]);
	}
}

void sql_server_reset(struct sql_server *server)
{
	run_copy(server, &server->reset);
}

void sql_server_keep(struct sql_server *server)
{
	run_copy(server, &server->keep);
}

void sql_server_bring_back(struct sql_server *server)
{
	run_copy(server, &server->bring_back);
}

static void finalize_copy(const struct sql_copy *copy)
{
	for (size_t i = 0; i < SERVER_TABLES; i++) {
		sqlite3_finalize(copy->remove[i]);
		sqlite3_finalize(copy->insert[i]);
	}
}

void sql_server_open(struct sql_server *server, const struct kontor_schema_step *schema, size_t schema_len,
		     const char *trim)
{
	*server = (struct sql_server){.identity = "one"};
	/* one thread; locks would be a tenth of a run's time */
	if (sqlite3_open_v2(":memory:", &server->handle,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
		give_up("open", ":memory:", "SQLite gives no database in memory");
	sqlite3_create_function(server->handle, "server_now_ms", 0, SQLITE_UTF8, server, now_ms, NULL, NULL);
	sqlite3_create_function(server->handle, "server_identity", 0, SQLITE_UTF8, server, identity, NULL, NULL);
	sqlite3_create_function(server->handle, "server_reserved", 3, SQLITE_UTF8, server, reserved, NULL, NULL);
	sql_server_do(server, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;");
	for (size_t i = 0; i < schema_len; i++) {
		char *text = sql_translate_schema(server->handle, schema[i].sql);
		sql_server_do(server, text);
		free(text);
	}
	sql_server_do(server, trim);
	list_tables(server);
	make_copies(server);
}

void sql_server_close(struct sql_server *server)
{
	for (size_t i = 0; i < server->cache_len; i++)
		sqlite3_finalize(server->cache[i].compiled);
	finalize_copy(&server->reset);
	finalize_copy(&server->keep);
	finalize_copy(&server->bring_back);
	for (size_t i = 0; i < server->tables_len; i++)
		free(server->tables[i]);
	sqlite3_close(server->handle);
	*server = (struct sql_server){0};
}
