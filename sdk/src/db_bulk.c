/* SPDX-License-Identifier: Apache-2.0
 *
 * Many rows in one execution (STMT_ATTR_ARRAY_SIZE, column-wise). Measured against LOAD DATA: the same speed, but
 * strict, and atomic as a statement when a key is double.
 */
#include <stdlib.h>
#include <string.h>

#include "db_session.h"

#define COLUMN_LIMIT 128

struct bulk_column {
	char letter;
	char *indicators; /* STMT_INDICATOR_NULL or _NONE, one per row */
	int64_t *numbers; /* letters i, u: values; letters s, b: offsets into bytes */
	unsigned long *lengths;
	char **pointers; /* made from the offsets when the statement runs, because bytes move while rows are added */
};

struct kontor_bulk {
	size_t columns_len;
	size_t rows_len, rows_size;
	char *bytes;
	size_t bytes_len, bytes_size;
	struct bulk_column columns[];
};

static bool is_number(char letter)
{
	return letter == 'i' || letter == 'u';
}

kontor_bulk *kontor_bulk_new(const char *columns)
{
	size_t len = strlen(columns);
	if (!len || len > COLUMN_LIMIT || strspn(columns, "iusb") != len)
		return NULL;
	kontor_bulk *bulk = calloc(1, sizeof(*bulk) + len * sizeof(bulk->columns[0]));
	if (!bulk)
		return NULL;
	bulk->columns_len = len;
	for (size_t i = 0; i < len; i++)
		bulk->columns[i].letter = columns[i];
	return bulk;
}

kontor_bulk *kontor_bulk_free(kontor_bulk *bulk)
{
	if (!bulk)
		return NULL;
	for (size_t i = 0; i < bulk->columns_len; i++) {
		free(bulk->columns[i].indicators);
		free(bulk->columns[i].numbers);
		free(bulk->columns[i].lengths);
		free(bulk->columns[i].pointers);
	}
	free(bulk->bytes);
	free(bulk);
	return NULL;
}

void kontor_bulk_clear(kontor_bulk *bulk)
{
	bulk->rows_len = 0;
	bulk->bytes_len = 0;
}

size_t kontor_bulk_rows(const kontor_bulk *bulk)
{
	return bulk->rows_len;
}

/* ---- adding ---- */

static bool resize(void *array_pointer, size_t count, size_t element)
{
	void **array = array_pointer;
	void *moved = realloc(*array, count * element);
	if (moved)
		*array = moved;
	return moved != NULL;
}

static bool reserve_row(kontor_bulk *bulk)
{
	if (bulk->rows_len < bulk->rows_size)
		return true;
	size_t size = bulk->rows_size ? bulk->rows_size * 2 : 256;
	for (size_t i = 0; i < bulk->columns_len; i++) {
		struct bulk_column *column = &bulk->columns[i];
		if (!resize(&column->indicators, size, sizeof(*column->indicators)) ||
		    !resize(&column->numbers, size, sizeof(*column->numbers)))
			return false;
		if (!is_number(column->letter) && (!resize(&column->lengths, size, sizeof(*column->lengths)) ||
						   !resize(&column->pointers, size, sizeof(*column->pointers))))
			return false;
	}
	bulk->rows_size = size;
	return true;
}

static bool reserve_bytes(kontor_bulk *bulk, size_t more)
{
	size_t size = bulk->bytes_size ? bulk->bytes_size : 4096;
	while (size < bulk->bytes_len + more)
		size *= 2;
	if (size == bulk->bytes_size)
		return true;
	if (!resize(&bulk->bytes, size, 1))
		return false;
	bulk->bytes_size = size;
	return true;
}

static bool type_matches(char letter, enum kontor_param_type type)
{
	switch (letter) {
	case 'i':
		return type == KONTOR_P_INT;
	case 'u':
		return type == KONTOR_P_UINT;
	case 's':
		return type == KONTOR_P_TEXT;
	default:
		return type == KONTOR_P_BYTES;
	}
}

int kontor_bulk_add(kontor_bulk *bulk, const struct kontor_param *params, struct kontor_error *err)
{
	size_t row = bulk->rows_len, bytes = 0;
	for (size_t i = 0; i < bulk->columns_len; i++) {
		if (params[i].type != KONTOR_P_NULL && !type_matches(bulk->columns[i].letter, params[i].type))
			return kontor_fail(
				err, KONTOR_E_INTERNAL,
				"database: parameter %zu of a bulk row does not match its column's letter '%c'", i + 1,
				bulk->columns[i].letter);
		bytes += params[i].size;
	}
	if (params[bulk->columns_len].type != KONTOR_P_END)
		return kontor_fail(err, KONTOR_E_INTERNAL, "database: a bulk row has more than %zu parameters",
				   bulk->columns_len);
	if (!reserve_row(bulk) || !reserve_bytes(bulk, bytes + 1))
		return kontor_fail(err, KONTOR_E_INTERNAL, "database: out of memory for %zu rows", row);
	for (size_t i = 0; i < bulk->columns_len; i++) {
		struct bulk_column *column = &bulk->columns[i];
		const struct kontor_param *param = &params[i];
		bool null = param->type == KONTOR_P_NULL;
		column->indicators[row] = null ? STMT_INDICATOR_NULL : STMT_INDICATOR_NONE;
		if (is_number(column->letter)) {
			column->numbers[row] = null ? 0 : param->i;
			continue;
		}
		column->numbers[row] = (int64_t)bulk->bytes_len;
		column->lengths[row] = null ? 0 : param->size;
		if (!null && param->size)
			memcpy(bulk->bytes + bulk->bytes_len, param->data, param->size);
		bulk->bytes_len += column->lengths[row];
	}
	bulk->rows_len++;
	return 0;
}

/* ---- running ---- */

static void bind_bulk_column(kontor_bulk *bulk, struct bulk_column *column, MYSQL_BIND *bind)
{
	bind->u.indicator = column->indicators;
	if (is_number(column->letter)) {
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->is_unsigned = column->letter == 'u';
		bind->buffer = column->numbers;
		return;
	}
	for (size_t row = 0; row < bulk->rows_len; row++)
		column->pointers[row] = bulk->bytes + column->numbers[row];
	bind->buffer_type = column->letter == 's' ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
	bind->buffer = column->pointers;
	bind->length = column->lengths;
}

static int exec(kontor_conn *conn, const char *sql, kontor_bulk *bulk, uint64_t *ret_affected, struct kontor_error *err)
{
	struct db_statement *statement = NULL;
	int rc = session_ready(conn, err);
	if (rc || (rc = statement_get(conn, sql, &statement, err)))
		return rc;
	if (mysql_stmt_param_count(statement->stmt) != bulk->columns_len)
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "database: `%.60s...` has %lu parameters, the bulk %zu columns", sql,
				   mysql_stmt_param_count(statement->stmt), bulk->columns_len);
	MYSQL_BIND *binds = session_binds(conn, bulk->columns_len, err);
	if (!binds)
		return KONTOR_E_INTERNAL;
	for (size_t i = 0; i < bulk->columns_len; i++)
		bind_bulk_column(bulk, &bulk->columns[i], &binds[i]);
	rc = statement_execute(conn, statement, (unsigned)bulk->rows_len, err);
	if (!rc && ret_affected)
		*ret_affected = mysql_stmt_affected_rows(statement->stmt);
	return rc;
}

struct lone_bulk {
	const char *sql;
	kontor_bulk *bulk;
	uint64_t *ret_affected;
};

static int exec_alone(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct lone_bulk *alone = arg;
	return exec(tx, alone->sql, alone->bulk, alone->ret_affected, err);
}

int kontor_bulk_exec(kontor_conn *conn, const char *sql, kontor_bulk *bulk, uint64_t *ret_affected,
		     struct kontor_error *err)
{
	struct lone_bulk alone = {sql, bulk, ret_affected};
	if (ret_affected)
		*ret_affected = 0;
	if (!bulk->rows_len)
		return 0;
	if (conn->before_commit && !conn->in_transaction)
		return kontor_db_transaction(conn, exec_alone, &alone, err);
	return exec(conn, sql, bulk, ret_affected, err);
}
