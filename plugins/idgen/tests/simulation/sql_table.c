/* SPDX-License-Identifier: Apache-2.0 */
#include "sql_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sql_give_up(const char *what, const char *sql, const char *why)
{
	fprintf(stderr, "simulation: %s: %s\n  %s\n", what, why, sql);
	exit(3);
}

int sql_value_compare(const struct sql_value *a, const struct sql_value *b)
{
	if (a->type != b->type || a->type == SQL_NULL)
		return a->type < b->type ? -1 : 1;
	if (a->type == SQL_NUMBER)
		return a->number < b->number ? -1 : a->number > b->number;
	int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
	return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static struct sql_value own(struct sql_tables *tables, const struct sql_value *value)
{
	struct sql_value copy = *value;
	if (value->type != SQL_STRING)
		return copy;
	if (tables->text_len + value->size > SQL_TEXT)
		sql_give_up("text", "all that a run writes", "too much");
	copy.text = memcpy(tables->text + tables->text_len, value->text, value->size);
	tables->text_len += value->size;
	return copy;
}

static void check_type(const struct sql_table *table, size_t column, const struct sql_value *value)
{
	if (value->type != table->columns[column].type)
		sql_give_up("value of another type", table->name, table->columns[column].name);
}

static bool same_key(unsigned key, const struct sql_value *a, const struct sql_value *b)
{
	for (size_t i = 0; i < SQL_COLUMNS; i++)
		if (key >> i & 1 && sql_value_compare(&a[i], &b[i]) != 0)
			return false;
	return true;
}

bool sql_table_insert(struct sql_tables *tables, struct sql_table *table, const struct sql_value *cells)
{
	struct sql_rows *rows = &table->now;
	for (size_t key = 0; key < table->keys_len; key++)
		for (size_t row = 0; row < rows->len; row++)
			if (same_key(table->keys[key], rows->cells[row], cells))
				return false;
	if (rows->len == SQL_ROWS)
		sql_give_up("INSERT", table->name, "too many rows");
	for (size_t i = 0; i < table->columns_len; i++) {
		check_type(table, i, &cells[i]);
		rows->cells[rows->len][i] = own(tables, &cells[i]);
	}
	rows->len++;
	return true;
}

void sql_table_set(struct sql_tables *tables, struct sql_table *table, size_t row, size_t column,
		   const struct sql_value *value)
{
	struct sql_value *cell = &table->now.cells[row][column];
	check_type(table, column, value);
	if (sql_value_compare(cell, value) != 0)
		*cell = own(tables, value);
}

void sql_table_remove(struct sql_table *table, size_t row)
{
	struct sql_rows *rows = &table->now;
	rows->len--;
	memmove(rows->cells[row], rows->cells[row + 1], (rows->len - row) * sizeof(rows->cells[0]));
}

/* ---- moments ---------------------------------------------------------------------------------------------------- */

static void copy_rows(struct sql_rows *to, const struct sql_rows *from)
{
	to->len = from->len;
	memcpy(to->cells, from->cells, from->len * sizeof(from->cells[0]));
}

void sql_tables_keep(struct sql_tables *tables, enum sql_moment moment)
{
	for (size_t i = 0; i < tables->len; i++)
		copy_rows(&tables->tables[i].moments[moment], &tables->tables[i].now);
}

void sql_tables_go_back(struct sql_tables *tables, enum sql_moment moment)
{
	for (size_t i = 0; i < tables->len; i++)
		copy_rows(&tables->tables[i].now, &tables->tables[i].moments[moment]);
	if (moment == SQL_FRESH)
		tables->text_len = tables->text_fresh;
}

struct sql_table *sql_tables_find(struct sql_tables *tables, const char *name, size_t name_len)
{
	for (size_t i = 0; i < tables->len; i++)
		if (strlen(tables->tables[i].name) == name_len && memcmp(tables->tables[i].name, name, name_len) == 0)
			return &tables->tables[i];
	return NULL;
}

/* ---- loading ---------------------------------------------------------------------------------------------------- */

/* `sql` has at most one parameter, a name. */
static sqlite3_stmt *ask(sqlite3 *handle, const char *sql, const char *name)
{
	sqlite3_stmt *compiled = NULL;
	if (sqlite3_prepare_v2(handle, sql, -1, &compiled, NULL))
		sql_give_up("load", sql, sqlite3_errmsg(handle));
	if (name)
		sqlite3_bind_text(compiled, 1, name, -1, SQLITE_TRANSIENT);
	return compiled;
}

static struct sql_value cell_of(sqlite3_stmt *compiled, int column)
{
	struct sql_value value = {.type = SQL_NULL};
	if (sqlite3_column_type(compiled, column) == SQLITE_INTEGER) {
		value.type = SQL_NUMBER;
		value.number = sqlite3_column_int64(compiled, column);
	} else if (sqlite3_column_type(compiled, column) == SQLITE_TEXT) {
		value.type = SQL_STRING;
		value.text = (const char *)sqlite3_column_text(compiled, column);
		value.size = (size_t)sqlite3_column_bytes(compiled, column);
	}
	return value;
}

/* 'text' or a number. */
static struct sql_value literal(struct sql_tables *tables, const char *text)
{
	struct sql_value value = {.type = SQL_NULL};
	if (!text)
		return value;
	if (text[0] == '\'') {
		value = (struct sql_value){.type = SQL_STRING, .text = text + 1, .size = strlen(text) - 2};
		return own(tables, &value);
	}
	return (struct sql_value){.type = SQL_NUMBER, .number = strtoll(text, NULL, 10)};
}

static void load_columns(struct sql_tables *tables, struct sql_table *table, sqlite3 *handle)
{
	sqlite3_stmt *info = ask(handle, "SELECT name, type, dflt_value FROM pragma_table_info(?)", table->name);
	while (sqlite3_step(info) == SQLITE_ROW) {
		if (table->columns_len == SQL_COLUMNS)
			sql_give_up("load", table->name, "too many columns");
		struct sql_column *column = &table->columns[table->columns_len++];
		snprintf(column->name, sizeof(column->name), "%s", (const char *)sqlite3_column_text(info, 0));
		column->type = strstr((const char *)sqlite3_column_text(info, 1), "INT") ? SQL_NUMBER : SQL_STRING;
		column->usual = literal(tables, (const char *)sqlite3_column_text(info, 2));
	}
	sqlite3_finalize(info);
}

static void load_keys(struct sql_table *table, sqlite3 *handle)
{
	sqlite3_stmt *indexes = ask(handle, "SELECT name FROM pragma_index_list(?) WHERE \"unique\" = 1", table->name);
	while (sqlite3_step(indexes) == SQLITE_ROW) {
		if (table->keys_len == SQL_KEYS)
			sql_give_up("load", table->name, "too many keys");
		sqlite3_stmt *columns = ask(handle, "SELECT cid FROM pragma_index_info(?)",
					    (const char *)sqlite3_column_text(indexes, 0));
		while (sqlite3_step(columns) == SQLITE_ROW)
			table->keys[table->keys_len] |= 1u << sqlite3_column_int(columns, 0);
		table->keys_len++;
		sqlite3_finalize(columns);
	}
	sqlite3_finalize(indexes);
}

static void load_rows(struct sql_tables *tables, struct sql_table *table, sqlite3 *handle)
{
	char sql[64];
	snprintf(sql, sizeof(sql), "SELECT * FROM %s", table->name);
	sqlite3_stmt *rows = ask(handle, sql, NULL);
	while (sqlite3_step(rows) == SQLITE_ROW) {
		struct sql_value cells[SQL_COLUMNS];
		for (size_t i = 0; i < table->columns_len; i++)
			cells[i] = cell_of(rows, (int)i);
		sql_table_insert(tables, table, cells);
	}
	sqlite3_finalize(rows);
}

void sql_tables_load(struct sql_tables *tables, sqlite3 *handle)
{
	sqlite3_stmt *names = ask(handle, "SELECT name FROM sqlite_master WHERE type = 'table'", NULL);
	while (sqlite3_step(names) == SQLITE_ROW) {
		if (tables->len == SQL_TABLES)
			sql_give_up("load", "all tables", "too many");
		struct sql_table *table = &tables->tables[tables->len++];
		snprintf(table->name, sizeof(table->name), "%s", (const char *)sqlite3_column_text(names, 0));
		load_columns(tables, table, handle);
		load_keys(table, handle);
		load_rows(tables, table, handle);
	}
	sqlite3_finalize(names);
	tables->text_fresh = tables->text_len;
	sql_tables_keep(tables, SQL_FRESH);
}
