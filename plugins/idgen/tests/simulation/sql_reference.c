/* SPDX-License-Identifier: Apache-2.0 */
#include "sql_reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql_dialect.h"

struct sql_copy {
	sqlite3_stmt *remove[SQL_TABLES], *insert[SQL_TABLES];
};

struct sql_reference {
	sqlite3 *handle;
	struct {
		const char *sql;
		sqlite3_stmt *compiled;
	} cache[SERVER_STATEMENTS];
	size_t cache_len;
	char *tables[SQL_TABLES];
	size_t tables_len;
	struct sql_copy reset, keep, bring_back;
};

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

/* ---- statements ----------------------------------------------------------------------------------------------- */

/* Keyed by address: statements are constants. */
static sqlite3_stmt *compile(struct sql_reference *reference, const char *sql)
{
	for (size_t i = 0; i < reference->cache_len; i++)
		if (reference->cache[i].sql == sql)
			return reference->cache[i].compiled;
	if (reference->cache_len == SERVER_STATEMENTS)
		sql_give_up("statement", sql, "the cache is too small");
	sqlite3_stmt *compiled = NULL;
	char *text = sql_translate(sql);
	if (sqlite3_prepare_v3(reference->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &compiled, NULL))
		sql_give_up("statement", text, sqlite3_errmsg(reference->handle));
	free(text);
	reference->cache[reference->cache_len].sql = sql;
	reference->cache[reference->cache_len++].compiled = compiled;
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
		sql_give_up("statement", statement->sql, "too many rows");
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
			sql_give_up("statement", statement->sql, "too much text");
		memcpy(answer->text + answer->text_len, sqlite3_column_text(compiled, (int)i), cell->size);
		answer->text[answer->text_len + cell->size] = '\0';
		answer->text_len += cell->size + 1;
	}
	answer->rows++;
}

void sql_reference_run(struct sql_reference *reference, const struct statement *statement, struct answer *ret_answer)
{
	sqlite3_stmt *compiled = compile(reference, statement->sql);
	ret_answer->code = 0;
	ret_answer->mariadb_errno = 0;
	ret_answer->affected = 0;
	ret_answer->rows = ret_answer->columns = ret_answer->text_len = 0;
	bind(compiled, statement);
	int code;
	while ((code = sqlite3_step(compiled)) == SQLITE_ROW)
		read_row(compiled, statement, ret_answer);
	if (code == SQLITE_DONE && !sqlite3_stmt_readonly(compiled))
		ret_answer->affected = (uint64_t)sqlite3_changes(reference->handle);
	else if (code != SQLITE_DONE) {
		int extended = sqlite3_extended_errcode(reference->handle);
		if (extended != SQLITE_CONSTRAINT_PRIMARYKEY && extended != SQLITE_CONSTRAINT_UNIQUE)
			sql_give_up("statement", statement->sql, sqlite3_errmsg(reference->handle));
		ret_answer->code = KONTOR_E_CONFLICT;
		ret_answer->mariadb_errno = 1062;
	}
	sqlite3_reset(compiled);
}

/* ---- all tables ----------------------------------------------------------------------------------------------- */

static void do_all(struct sql_reference *reference, const char *sql)
{
	char *message = NULL;
	if (sqlite3_exec(reference->handle, sql, NULL, NULL, &message))
		sql_give_up("statement of the simulation", sql, message);
}

static void list_tables(struct sql_reference *reference)
{
	sqlite3_stmt *compiled = NULL;
	sqlite3_prepare_v2(reference->handle, "SELECT name FROM sqlite_master WHERE type = 'table'", -1, &compiled,
			   NULL);
	while (sqlite3_step(compiled) == SQLITE_ROW && reference->tables_len < SQL_TABLES)
		reference->tables[reference->tables_len++] = strdup((const char *)sqlite3_column_text(compiled, 0));
	sqlite3_finalize(compiled);
}

static sqlite3_stmt *prepare(struct sql_reference *reference, const char *sql)
{
	sqlite3_stmt *compiled = NULL;
	if (sqlite3_prepare_v3(reference->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &compiled, NULL))
		sql_give_up("copy", sql, sqlite3_errmsg(reference->handle));
	return compiled;
}

static void prepare_copy(struct sql_reference *reference, struct sql_copy *copy, const char *from, const char *to)
{
	char sql[256];
	for (size_t i = 0; i < reference->tables_len; i++) {
		snprintf(sql, sizeof(sql), "DELETE FROM %s.%s", to, reference->tables[i]);
		copy->remove[i] = prepare(reference, sql);
		snprintf(sql, sizeof(sql), "INSERT INTO %s.%s SELECT * FROM %s.%s", to, reference->tables[i], from,
			 reference->tables[i]);
		copy->insert[i] = prepare(reference, sql);
	}
}

/* "fresh" is what reset goes back to, "past" what was kept. */
static void make_copies(struct sql_reference *reference)
{
	do_all(reference, "ATTACH ':memory:' AS fresh; ATTACH ':memory:' AS past;");
	for (size_t i = 0; i < reference->tables_len; i++) {
		const char *table = reference->tables[i];
		char sql[256];
		snprintf(sql, sizeof(sql),
			 "CREATE TABLE fresh.%s AS SELECT * FROM main.%s; CREATE TABLE past.%s AS SELECT * FROM "
			 "main.%s;",
			 table, table, table, table);
		do_all(reference, sql);
	}
	prepare_copy(reference, &reference->reset, "fresh", "main");
	prepare_copy(reference, &reference->keep, "main", "past");
	prepare_copy(reference, &reference->bring_back, "past", "main");
}

static void run_prepared(struct sql_reference *reference, sqlite3_stmt *compiled)
{
	if (sqlite3_step(compiled) != SQLITE_DONE)
		sql_give_up("copy", sqlite3_sql(compiled), sqlite3_errmsg(reference->handle));
	sqlite3_reset(compiled);
}

static void run_copy(struct sql_reference *reference, struct sql_copy *copy)
{
	for (size_t i = 0; i < reference->tables_len; i++) {
		run_prepared(reference, copy->remove[i]);
		run_prepared(reference, copy->insert[i]);
	}
}

static void finalize_copy(const struct sql_copy *copy)
{
	for (size_t i = 0; i < SQL_TABLES; i++) {
		sqlite3_finalize(copy->remove[i]);
		sqlite3_finalize(copy->insert[i]);
	}
}

struct sql_reference *sql_reference_open(struct sql_server *server, const struct kontor_schema_step *schema,
					 size_t schema_len, const char *trim, sqlite3 **ret_handle)
{
	struct sql_reference *reference = calloc(1, sizeof(*reference));
	if (sqlite3_open(":memory:", &reference->handle))
		sql_give_up("open", ":memory:", "SQLite gives no database in memory");
	sqlite3_create_function(reference->handle, "server_now_ms", 0, SQLITE_UTF8, server, now_ms, NULL, NULL);
	sqlite3_create_function(reference->handle, "server_identity", 0, SQLITE_UTF8, server, identity, NULL, NULL);
	do_all(reference, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;");
	for (size_t i = 0; i < schema_len; i++) {
		char *text = sql_translate_schema(reference->handle, schema[i].sql);
		do_all(reference, text);
		free(text);
	}
	do_all(reference, trim);
	list_tables(reference);
	make_copies(reference);
	*ret_handle = reference->handle;
	return reference;
}

void sql_reference_move(struct sql_reference *reference, enum sql_reference_move move)
{
	switch (move) {
	case SQL_REFERENCE_RESET:
		run_copy(reference, &reference->reset);
		break;
	case SQL_REFERENCE_KEEP:
		run_copy(reference, &reference->keep);
		break;
	case SQL_REFERENCE_BRING_BACK:
		run_copy(reference, &reference->bring_back);
		break;
	case SQL_REFERENCE_BEGIN:
		do_all(reference, "BEGIN");
		break;
	case SQL_REFERENCE_COMMIT:
		do_all(reference, "COMMIT");
		break;
	case SQL_REFERENCE_ROLLBACK:
		do_all(reference, "ROLLBACK");
		break;
	}
}

struct sql_reference *sql_reference_close(struct sql_reference *reference)
{
	if (!reference)
		return NULL;
	for (size_t i = 0; i < reference->cache_len; i++)
		sqlite3_finalize(reference->cache[i].compiled);
	finalize_copy(&reference->reset);
	finalize_copy(&reference->keep);
	finalize_copy(&reference->bring_back);
	for (size_t i = 0; i < reference->tables_len; i++)
		free(reference->tables[i]);
	sqlite3_close(reference->handle);
	free(reference);
	return NULL;
}
