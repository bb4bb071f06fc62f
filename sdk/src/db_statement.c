/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared statements: kept by a session, keyed by their text; parameters bound from kontor_param.
 */
#include <errmsg.h>
#include <stdlib.h>
#include <string.h>

#include "db_session.h"

#define PARAM_LIMIT 4096

/* ---- the session's statements ---- */

/* FNV-1a */
static uint64_t hash_of(const char *sql)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (const unsigned char *c = (const unsigned char *)sql; *c; c++)
		hash = (hash ^ *c) * UINT64_C(1099511628211);
	return hash;
}

static void statement_free(struct db_statement *statement)
{
	if (statement->stmt)
		mysql_stmt_close(statement->stmt);
	free(statement->sql);
	free(statement);
}

void statements_close(kontor_conn *conn)
{
	for (size_t i = 0; i < STATEMENT_BUCKETS; i++) {
		while (conn->statements[i]) {
			struct db_statement *statement = conn->statements[i];
			conn->statements[i] = statement->next;
			statement_free(statement);
		}
	}
	conn->statements_len = 0;
}

static void evict_least_recently_used(kontor_conn *conn)
{
	struct db_statement **oldest = NULL;
	for (size_t i = 0; i < STATEMENT_BUCKETS; i++)
		for (struct db_statement **at = &conn->statements[i]; *at; at = &(*at)->next)
			if (!oldest || (*at)->last_used < (*oldest)->last_used)
				oldest = at;
	if (!oldest)
		return;
	struct db_statement *statement = *oldest;
	*oldest = statement->next;
	statement_free(statement);
	conn->statements_len--;
}

static int statement_prepare(kontor_conn *conn, const char *sql, uint64_t hash, struct db_statement **ret_statement,
			     struct kontor_error *err)
{
	struct db_statement *statement = calloc(1, sizeof(*statement));
	if (!statement || !(statement->sql = strdup(sql)) || !(statement->stmt = mysql_stmt_init(conn->mysql))) {
		if (statement)
			statement_free(statement);
		return kontor_fail(err, KONTOR_E_INTERNAL, "database: out of memory");
	}
	statement->hash = hash;
	if (mysql_stmt_prepare(statement->stmt, sql, strlen(sql))) {
		int rc = session_failed(conn, mysql_stmt_errno(statement->stmt), mysql_stmt_error(statement->stmt), sql,
					err);
		statement_free(statement);
		return rc;
	}
	*ret_statement = statement;
	return 0;
}

int statement_get(kontor_conn *conn, const char *sql, struct db_statement **ret_statement, struct kontor_error *err)
{
	uint64_t hash = hash_of(sql);
	struct db_statement **bucket = &conn->statements[hash % STATEMENT_BUCKETS];
	for (struct db_statement *at = *bucket; at; at = at->next) {
		if (at->hash == hash && !strcmp(at->sql, sql)) {
			at->last_used = ++conn->statement_clock;
			*ret_statement = at;
			return 0;
		}
	}
	struct db_statement *statement = NULL;
	int rc = statement_prepare(conn, sql, hash, &statement, err);
	if (!statement)
		return rc;
	if (conn->statements_len >= STATEMENT_LIMIT)
		evict_least_recently_used(conn);
	statement->last_used = ++conn->statement_clock;
	statement->next = *bucket;
	*bucket = statement;
	conn->statements_len++;
	*ret_statement = statement;
	return 0;
}

/* ---- parameters ---- */

MYSQL_BIND *session_binds(kontor_conn *conn, size_t count, struct kontor_error *err)
{
	if (count > conn->binds_size) {
		MYSQL_BIND *binds = realloc(conn->binds, count * sizeof(*binds));
		if (!binds) {
			kontor_fail(err, KONTOR_E_INTERNAL, "database: out of memory");
			return NULL;
		}
		conn->binds = binds;
		conn->binds_size = count;
	}
	memset(conn->binds, 0, count * sizeof(*conn->binds));
	return conn->binds;
}

static void bind_param(MYSQL_BIND *bind, const struct kontor_param *param)
{
	switch (param->type) {
	case KONTOR_P_INT:
	case KONTOR_P_UINT:
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->is_unsigned = param->type == KONTOR_P_UINT;
		bind->buffer = (void *)&param->i;
		break;
	case KONTOR_P_TEXT:
	case KONTOR_P_BYTES:
		bind->buffer_type = param->type == KONTOR_P_TEXT ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
		bind->buffer = (void *)param->data;
		bind->buffer_length = param->size;
		bind->length_value = param->size;
		bind->length = &bind->length_value;
		break;
	case KONTOR_P_NULL:
	case KONTOR_P_END:
		bind->buffer_type = MYSQL_TYPE_NULL;
		break;
	}
}

static int bind_params(kontor_conn *conn, const struct kontor_param *params, struct kontor_error *err)
{
	size_t count = 0;
	while (params[count].type != KONTOR_P_END && count <= PARAM_LIMIT)
		count++;
	MYSQL_BIND *binds = session_binds(conn, count ? count : 1, err);
	if (!binds)
		return KONTOR_E_INTERNAL;
	for (size_t i = 0; i < count; i++)
		bind_param(&binds[i], &params[i]);
	return (int)count;
}

/* ---- running ---- */

int statement_execute(kontor_conn *conn, struct db_statement *statement, unsigned array_size, struct kontor_error *err)
{
	MYSQL_STMT *stmt = statement->stmt;
	/* The array size goes first: Connector/C reads it when it takes over the bindings. */
	if (array_size != statement->array_size) {
		mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &array_size);
		statement->array_size = array_size;
	}
	if ((mysql_stmt_param_count(stmt) && mysql_stmt_bind_param(stmt, conn->binds)) || mysql_stmt_execute(stmt))
		return session_failed(conn, mysql_stmt_errno(stmt), mysql_stmt_error(stmt), statement->sql, err);
	return 0;
}

static int run(kontor_conn *conn, const char *sql, const struct kontor_param *params,
	       struct db_statement **ret_statement, struct kontor_error *err)
{
	struct db_statement *statement = NULL;
	int rc = session_ready(conn, err);
	if (!rc)
		rc = statement_get(conn, sql, &statement, err);
	if (!statement)
		return rc;
	int count = bind_params(conn, params, err);
	if (count < 0)
		return count;
	unsigned long expected = mysql_stmt_param_count(statement->stmt);
	if ((unsigned long)count != expected)
		return kontor_fail(err, KONTOR_E_INTERNAL, "database: `%.60s...` has %lu parameters, but %d were given",
				   sql, expected, count);
	rc = statement_execute(conn, statement, 0, err);
	if (!rc)
		*ret_statement = statement;
	return rc;
}

static int exec(kontor_conn *conn, const char *sql, const struct kontor_param *params, uint64_t *ret_affected,
		struct kontor_error *err)
{
	struct db_statement *statement = NULL;
	int rc = run(conn, sql, params, &statement, err);
	if (!statement)
		return rc;
	if (ret_affected)
		*ret_affected = mysql_stmt_affected_rows(statement->stmt);
	if (mysql_stmt_field_count(statement->stmt))
		mysql_stmt_free_result(statement->stmt);
	return 0;
}

struct lone_statement {
	const char *sql;
	const struct kontor_param *params;
	uint64_t *ret_affected;
};

static int exec_alone(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct lone_statement *statement = arg;
	return exec(tx, statement->sql, statement->params, statement->ret_affected, err);
}

int kontor_db_exec(kontor_conn *conn, const char *sql, const struct kontor_param *params, uint64_t *ret_affected,
		   struct kontor_error *err)
{
	struct lone_statement statement = {sql, params, ret_affected};
	if (conn->before_commit && !conn->in_transaction)
		return kontor_db_transaction(conn, exec_alone, &statement, err);
	return exec(conn, sql, params, ret_affected, err);
}

int kontor_db_query(kontor_conn *conn, enum kontor_read how, const char *sql, const struct kontor_param *params,
		    kontor_rows **ret_rows, struct kontor_error *err)
{
	struct db_statement *statement = NULL;
	int rc = run(conn, sql, params, &statement, err);
	if (!statement)
		return rc;
	if (!mysql_stmt_field_count(statement->stmt))
		return kontor_fail(err, KONTOR_E_INTERNAL, "database: `%.60s...` has no result to read", sql);
	return rows_open(conn, how, statement, ret_rows, err);
}

int kontor_db_query_int(kontor_conn *conn, const char *sql, const struct kontor_param *params, int64_t *ret_value,
			struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, sql, params, &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	int64_t value = rc == 1 ? kontor_rows_int(rows, 0) : 0;
	int more = rc == 1 ? kontor_rows_next(rows, err) : rc; /* tells of a value that is no integer */
	kontor_rows_close(rows);
	if (rc == 0)
		return kontor_fail(err, KONTOR_E_NOT_FOUND, "%s", "");
	if (more < 0)
		return more;
	*ret_value = value;
	return 0;
}
