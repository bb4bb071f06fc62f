/* SPDX-License-Identifier: Apache-2.0
 *
 * Results. Rows are always fetched unbuffered, one at a time, into one buffer per column that grows to the longest
 * value seen. KONTOR_READ_ALL copies them all at once, so that the session is free again; KONTOR_READ_STREAM hands out
 * each as it comes.
 */
#include <errmsg.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_session.h"

#define FIRST_BUFFER 256                   /* bytes of a text column's buffer at first */
#define READ_ALL_LIMIT ((size_t)512 << 20) /* bytes of a buffered result; bigger ones are to be streamed */
#define DIGITS_SIZE 24                     /* "-9223372036854775808" and a NUL */

struct column {
	bool integer;
	int64_t number;
	my_bool null, truncated;
	unsigned long length;
	char *buffer;
	size_t capacity; /* of buffer, with room for a NUL */
	char digits[DIGITS_SIZE];
};

struct cell {
	bool null;
	size_t size;
	union {
		int64_t number;
		size_t offset; /* into bytes, while they may still move */
		const char *data;
	};
};

struct kontor_rows {
	kontor_conn *conn; /* NULL: buffered, or the session is gone */
	struct db_statement *statement;
	unsigned columns_len;
	struct column *columns;
	bool *is_unsigned;
	MYSQL_BIND *binds;
	bool rebind;               /* a buffer moved */
	struct kontor_error fault; /* code != 0: reported by the next step instead of a row */

	struct cell *row;   /* the current one */
	struct cell *cells; /* all rows (or the one that streams) */
	size_t cells_size;
	size_t rows_len, position;
	char *bytes;
	size_t bytes_len, bytes_size;
};

/* ---- binding ---- */

static bool is_integer(const MYSQL_FIELD *field)
{
	switch (field->type) {
	case MYSQL_TYPE_TINY:
	case MYSQL_TYPE_SHORT:
	case MYSQL_TYPE_INT24:
	case MYSQL_TYPE_LONG:
	case MYSQL_TYPE_LONGLONG:
	case MYSQL_TYPE_YEAR:
		return true;
	default:
		return false;
	}
}

static void bind_column(MYSQL_BIND *bind, struct column *column, bool is_unsigned)
{
	bind->is_null = &column->null;
	bind->error = &column->truncated;
	if (column->integer) {
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->buffer = &column->number;
		bind->is_unsigned = is_unsigned;
	} else {
		bind->buffer_type = MYSQL_TYPE_STRING;
		bind->buffer = column->buffer;
		bind->buffer_length = column->capacity - 1;
		bind->length = &column->length;
	}
}

static int out_of_memory(struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_INTERNAL, "database: out of memory for a result");
}

static int bind_result(kontor_rows *rows, struct kontor_error *err)
{
	MYSQL_STMT *stmt = rows->statement->stmt;
	if (mysql_stmt_bind_result(stmt, rows->binds))
		return session_failed(rows->conn, mysql_stmt_errno(stmt), mysql_stmt_error(stmt), rows->statement->sql,
				      err);
	rows->rebind = false;
	return 0;
}

static int bind_columns(kontor_rows *rows, struct kontor_error *err)
{
	MYSQL_STMT *stmt = rows->statement->stmt;
	rows->columns_len = mysql_stmt_field_count(stmt);
	rows->columns = calloc(rows->columns_len, sizeof(*rows->columns));
	rows->is_unsigned = calloc(rows->columns_len, sizeof(*rows->is_unsigned));
	rows->binds = calloc(rows->columns_len, sizeof(*rows->binds));
	rows->cells = calloc(rows->columns_len, sizeof(*rows->cells));
	rows->cells_size = rows->columns_len;
	MYSQL_RES *metadata = mysql_stmt_result_metadata(stmt);
	if (!rows->columns || !rows->is_unsigned || !rows->binds || !rows->cells || !metadata) {
		mysql_free_result(metadata);
		return out_of_memory(err);
	}
	const MYSQL_FIELD *fields = mysql_fetch_fields(metadata);
	bool complete = true;
	for (unsigned i = 0; i < rows->columns_len; i++) {
		struct column *column = &rows->columns[i];
		column->integer = is_integer(&fields[i]);
		rows->is_unsigned[i] = (fields[i].flags & UNSIGNED_FLAG) != 0;
		if (!column->integer) {
			column->capacity = FIRST_BUFFER;
			column->buffer = malloc(column->capacity);
			complete = complete && column->buffer;
		}
		bind_column(&rows->binds[i], column, rows->is_unsigned[i]);
	}
	mysql_free_result(metadata);
	return complete ? bind_result(rows, err) : out_of_memory(err);
}

/* ---- fetching ---- */

/* Fetches a value again that did not fit, into a buffer that is big enough. */
static int fetch_long(kontor_rows *rows, unsigned index, struct kontor_error *err)
{
	MYSQL_STMT *stmt = rows->statement->stmt;
	struct column *column = &rows->columns[index];
	size_t capacity = column->length + column->length / 4 + 1;
	char *buffer = realloc(column->buffer, capacity);
	if (!buffer)
		return out_of_memory(err);
	column->buffer = buffer;
	column->capacity = capacity;
	bind_column(&rows->binds[index], column, false);
	rows->rebind = true;
	MYSQL_BIND again = rows->binds[index];
	if (mysql_stmt_fetch_column(stmt, &again, index, 0))
		return session_failed(rows->conn, mysql_stmt_errno(stmt), mysql_stmt_error(stmt), rows->statement->sql,
				      err);
	return 0;
}

/* 1: the columns hold the next row; 0: no more. */
static int fetch(kontor_rows *rows, struct kontor_error *err)
{
	int rc = rows->rebind ? bind_result(rows, err) : 0;
	if (rc)
		return rc;
	MYSQL_STMT *stmt = rows->statement->stmt;
	rc = mysql_stmt_fetch(stmt);
	if (rc == MYSQL_NO_DATA)
		return 0;
	if (rc && rc != MYSQL_DATA_TRUNCATED)
		return session_failed(rows->conn, mysql_stmt_errno(stmt), mysql_stmt_error(stmt), rows->statement->sql,
				      err);
	for (unsigned i = 0; i < rows->columns_len; i++) {
		struct column *column = &rows->columns[i];
		if (column->integer || column->null)
			continue;
		if (column->length >= column->capacity && (rc = fetch_long(rows, i, err)))
			return rc;
		column->buffer[column->length] = '\0';
	}
	return 1;
}

/* The columns as cells that borrow the columns' buffers. */
static void show_columns(kontor_rows *rows)
{
	rows->row = rows->cells;
	for (unsigned i = 0; i < rows->columns_len; i++) {
		const struct column *column = &rows->columns[i];
		struct cell *cell = &rows->row[i];
		cell->null = column->null;
		cell->size = column->length;
		if (column->integer)
			cell->number = column->number;
		else
			cell->data = column->buffer;
	}
}

/* ---- buffered ---- */

static bool reserve(void **array, size_t *size, size_t needed, size_t element)
{
	if (needed <= *size)
		return true;
	size_t grown = *size ? *size : 64;
	while (grown < needed)
		grown *= 2;
	void *moved = realloc(*array, grown * element);
	if (!moved)
		return false;
	*array = moved;
	*size = grown;
	return true;
}

static int keep_row(kontor_rows *rows, struct kontor_error *err)
{
	size_t first = rows->rows_len * rows->columns_len, bytes = 0;
	for (unsigned i = 0; i < rows->columns_len; i++)
		if (!rows->columns[i].integer && !rows->columns[i].null)
			bytes += rows->columns[i].length + 1;
	if (rows->bytes_len + bytes + first * sizeof(struct cell) > READ_ALL_LIMIT)
		return kontor_fail(err, KONTOR_E_TOO_BIG,
				   "database: `%.60s...` gives more than %zu MiB: stream it, or ask for less",
				   rows->statement->sql, READ_ALL_LIMIT >> 20);
	void *cells = rows->cells, *data = rows->bytes;
	bool fits = reserve(&cells, &rows->cells_size, first + rows->columns_len, sizeof(struct cell));
	rows->cells = cells;
	fits = fits && reserve(&data, &rows->bytes_size, rows->bytes_len + bytes, 1);
	rows->bytes = data;
	if (!fits)
		return out_of_memory(err);
	for (unsigned i = 0; i < rows->columns_len; i++) {
		const struct column *column = &rows->columns[i];
		struct cell *cell = &rows->cells[first + i];
		*cell = (struct cell){.null = column->null, .size = column->length};
		if (column->integer) {
			cell->number = column->number;
		} else if (!column->null) {
			cell->offset = rows->bytes_len;
			memcpy(rows->bytes + rows->bytes_len, column->buffer, column->length + 1);
			rows->bytes_len += column->length + 1;
		}
	}
	rows->rows_len++;
	return 0;
}

static int read_all(kontor_rows *rows, struct kontor_error *err)
{
	int rc;
	while ((rc = fetch(rows, err)) == 1) {
		rc = keep_row(rows, err);
		if (rc)
			break;
	}
	mysql_stmt_free_result(rows->statement->stmt);
	rows->conn = NULL;
	if (rc)
		return rc;
	for (size_t i = 0; i < rows->rows_len * rows->columns_len; i++) {
		struct cell *cell = &rows->cells[i];
		if (!rows->columns[i % rows->columns_len].integer)
			cell->data = cell->null ? NULL : rows->bytes + cell->offset;
	}
	return 0;
}

/* ---- opening, stepping, closing ---- */

int rows_open(kontor_conn *conn, enum kontor_read how, struct db_statement *statement, kontor_rows **ret_rows,
	      struct kontor_error *err)
{
	kontor_rows *rows = calloc(1, sizeof(*rows));
	if (!rows) {
		mysql_stmt_free_result(statement->stmt);
		return out_of_memory(err);
	}
	rows->conn = conn;
	rows->statement = statement;
	conn->stream = rows;
	int rc = bind_columns(rows, err);
	if (!rc && how == KONTOR_READ_ALL) {
		rc = read_all(rows, err);
		conn->stream = NULL;
	}
	if (rc) {
		kontor_rows_close(rows);
		return rc;
	}
	*ret_rows = rows;
	return 0;
}

void rows_abandon(kontor_rows *rows)
{
	rows->conn = NULL;
	rows->row = NULL;
	kontor_fail(&rows->fault, KONTOR_E_UNAVAILABLE,
		    "database: the session was closed while a result was being read");
}

kontor_rows *kontor_rows_close(kontor_rows *rows)
{
	if (!rows)
		return NULL;
	if (rows->conn) {
		mysql_stmt_free_result(rows->statement->stmt);
		rows->conn->stream = NULL;
	}
	for (unsigned i = 0; rows->columns && i < rows->columns_len; i++)
		free(rows->columns[i].buffer);
	free(rows->columns);
	free(rows->is_unsigned);
	free(rows->binds);
	free(rows->cells);
	free(rows->bytes);
	free(rows);
	return NULL;
}

int kontor_rows_next(kontor_rows *rows, struct kontor_error *err)
{
	if (rows->fault.code)
		return kontor_fail(err, rows->fault.code, "%s", rows->fault.message);
	if (!rows->conn) { /* buffered: all rows are here */
		bool more = rows->position < rows->rows_len;
		rows->row = more ? &rows->cells[rows->position * rows->columns_len] : NULL;
		rows->position += more;
		return more;
	}
	int rc = fetch(rows, err);
	if (rc == 1)
		show_columns(rows);
	else
		rows->row = NULL;
	return rc;
}

/* ---- values ---- */

static const struct cell *cell_of(const kontor_rows *rows, unsigned column)
{
	return rows->row && column < rows->columns_len && !rows->row[column].null ? &rows->row[column] : NULL;
}

bool kontor_rows_null(const kontor_rows *rows, unsigned column)
{
	return cell_of(rows, column) == NULL;
}

/* SUM() and the like come as DECIMAL, which is text on the wire. A value that is no integer of 64 bits must not pass
 * for 0: the next kontor_rows_next() reports it. */
static void note_misread(const kontor_rows *rows, unsigned column)
{
	kontor_fail(&((kontor_rows *)rows)->fault, KONTOR_E_STORAGE,
		    "database: column %u of a result was read as an integer, but does not hold a 64-bit integer: CAST "
		    "it in the "
		    "statement",
		    column + 1);
}

int64_t kontor_rows_int(const kontor_rows *rows, unsigned column)
{
	const struct cell *cell = cell_of(rows, column);
	int64_t value = 0;
	if (!cell)
		return 0;
	if (rows->columns[column].integer)
		return cell->number;
	if (!kontor_parse_int((struct kontor_text){cell->data, cell->size}, &value))
		note_misread(rows, column);
	return value;
}

uint64_t kontor_rows_uint(const kontor_rows *rows, unsigned column)
{
	const struct cell *cell = cell_of(rows, column);
	uint64_t value = 0;
	if (!cell)
		return 0;
	if (rows->columns[column].integer)
		return (uint64_t)cell->number;
	if (!kontor_parse_uint((struct kontor_text){cell->data, cell->size}, &value))
		note_misread(rows, column);
	return value;
}

struct kontor_text kontor_rows_text(const kontor_rows *rows, unsigned column)
{
	const struct cell *cell = cell_of(rows, column);
	if (!cell)
		return (struct kontor_text){NULL, 0};
	if (!rows->columns[column].integer)
		return (struct kontor_text){cell->data, cell->size};
	struct column *number = &rows->columns[column];
	int length = rows->is_unsigned[column]
			     ? snprintf(number->digits, DIGITS_SIZE, "%" PRIu64, (uint64_t)cell->number)
			     : snprintf(number->digits, DIGITS_SIZE, "%" PRId64, cell->number);
	return (struct kontor_text){number->digits, (size_t)length};
}

const char *kontor_rows_string(const kontor_rows *rows, unsigned column)
{
	struct kontor_text text = kontor_rows_text(rows, column);
	return text.data ? text.data : "";
}
