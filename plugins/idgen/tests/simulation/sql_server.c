/* SPDX-License-Identifier: Apache-2.0
 *
 * A server of tables in memory.
 */
#include "sql_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql_reference.h"
#include "sql_run.h"

/* ---- statements ----------------------------------------------------------------------------------------------- */

void statement_set(struct statement *statement, const char *sql, const struct kontor_param *params)
{
	statement->sql = sql;
	statement->params_len = 0;
	for (; params->type != KONTOR_P_END; params++) {
		if (statement->params_len == STATEMENT_PARAMS || params->size > STATEMENT_TEXT)
			sql_give_up("statement", sql, "too many or too long parameters");
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
static const struct sql_compiled *compiled_for(struct sql_server *server, const char *sql)
{
	for (size_t i = 0; i < server->cache_len; i++)
		if (server->cache[i].sql == sql)
			return server->cache[i].compiled;
	if (server->cache_len == SERVER_STATEMENTS)
		sql_give_up("statement", sql, "the cache is too small");
	struct sql_compiled *compiled = sql_compile(&server->tables, sql);
	server->cache[server->cache_len].sql = sql;
	server->cache[server->cache_len++].compiled = compiled;
	return compiled;
}

static bool same_cell(const struct answer *a, const struct answer *b, size_t number)
{
	const struct answer_cell *one = &a->cells[number], *other = &b->cells[number];
	return one->null == other->null && one->number == other->number && one->size == other->size &&
	       memcmp(a->text + one->text, b->text + other->text, one->size) == 0;
}

static void compare(const struct statement *statement, const struct answer *answer, const struct answer *reference)
{
	bool same = answer->code == reference->code && answer->mariadb_errno == reference->mariadb_errno &&
		    answer->affected == reference->affected && answer->rows == reference->rows &&
		    (!answer->rows || answer->columns == reference->columns);
	for (size_t i = 0; same && i < answer->rows * answer->columns; i++)
		same = same_cell(answer, reference, i);
	if (!same)
		sql_give_up("statement", statement->sql, "SQLite's answer is another one");
}

void sql_server_run(struct sql_server *server, const struct statement *statement, struct answer *ret_answer)
{
	static struct answer expected;
	sql_run(server, compiled_for(server, statement->sql), statement, ret_answer);
	if (!server->reference)
		return;
	sql_reference_run(server->reference, statement, &expected);
	compare(statement, ret_answer, &expected);
}

void answer_copy(struct answer *to, const struct answer *from)
{
	size_t cells = from->rows * from->columns;
	memcpy(to, from, offsetof(struct answer, cells));
	memcpy(to->cells, from->cells, cells * sizeof(from->cells[0]));
	memcpy(to->text, from->text, from->text_len);
}

/* ---- the whole server ----------------------------------------------------------------------------------------- */

static void move_reference(struct sql_server *server, enum sql_reference_move move)
{
	if (server->reference)
		sql_reference_move(server->reference, move);
}

void sql_server_begin(struct sql_server *server)
{
	sql_tables_keep(&server->tables, SQL_BEFORE);
	move_reference(server, SQL_REFERENCE_BEGIN);
}

void sql_server_end(struct sql_server *server, bool commit)
{
	if (!commit)
		sql_tables_go_back(&server->tables, SQL_BEFORE);
	move_reference(server, commit ? SQL_REFERENCE_COMMIT : SQL_REFERENCE_ROLLBACK);
}

void sql_server_reset(struct sql_server *server)
{
	sql_tables_go_back(&server->tables, SQL_FRESH);
	move_reference(server, SQL_REFERENCE_RESET);
}

void sql_server_keep(struct sql_server *server)
{
	sql_tables_keep(&server->tables, SQL_PAST);
	move_reference(server, SQL_REFERENCE_KEEP);
}

void sql_server_bring_back(struct sql_server *server)
{
	sql_tables_go_back(&server->tables, SQL_PAST);
	move_reference(server, SQL_REFERENCE_BRING_BACK);
}

/* What runs meet seldom: equal values, texts of which one begins with the other. */
static void compare_operations(struct sql_server *server)
{
	static const char *const selects[] = {
		"SELECT 1 < 1, 1 <= 1, 1 = 1, 1 >= 1, 1 > 1",
		"SELECT 1 < 2, 1 <= 2, 1 = 2, 1 >= 2, 1 > 2",
		"SELECT 2 < 1, 2 <= 1, 2 = 1, 2 >= 1, 2 > 1",
		"SELECT 'a' < 'ab', 'ab' < 'a', 'ab' < 'b', 'a' = 'a', 'a' = 'A', '' = '', '' < 'a'",
		"SELECT 1 AND 1, 1 AND 0, 0 AND 1, 1 + 2 + 3, GREATEST(1, 3, 2), GREATEST(3, 1), COALESCE(7, 8)",
		"SELECT CASE WHEN 1 THEN 2 ELSE 3 END, CASE WHEN 0 THEN 2 ELSE 3 END, (SELECT 5)",
	};
	static struct answer answer;
	for (size_t i = 0; i < sizeof(selects) / sizeof(selects[0]); i++) {
		struct statement statement = {.sql = selects[i]};
		sql_server_run(server, &statement, &answer);
	}
}

void sql_server_open(struct sql_server *server, const struct kontor_schema_step *schema, size_t schema_len,
		     const char *trim, bool compare_with_sqlite)
{
	sqlite3 *handle;
	snprintf(server->identity, sizeof(server->identity), "one");
	server->reference = sql_reference_open(server, schema, schema_len, trim, &handle);
	sql_tables_load(&server->tables, handle);
	if (compare_with_sqlite)
		compare_operations(server);
	else
		server->reference = sql_reference_close(server->reference);
}

void sql_server_close(struct sql_server *server)
{
	server->reference = sql_reference_close(server->reference);
}
