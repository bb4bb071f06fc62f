/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of a simulated server: rows in memory, as they are now and as they were at the moments that a run may go back
 * to. Names, types, defaults and keys come from SQLite, which has applied the plugin's own schema.
 */
#ifndef SIMULATION_SQL_TABLE_H
#define SIMULATION_SQL_TABLE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQL_TABLES 4u
#define SQL_COLUMNS 10u
#define SQL_ROWS 32u
#define SQL_KEYS 4u
#define SQL_NAME 32u
#define SQL_TEXT ((size_t)1 << 20) /* bytes of all texts that a run writes */

enum sql_type { SQL_NULL, SQL_NUMBER, SQL_STRING };

struct sql_value {
	enum sql_type type;
	int64_t number;
	const char *text; /* not ended by a NUL */
	size_t size;
};

struct sql_rows {
	size_t len;
	struct sql_value cells[SQL_ROWS][SQL_COLUMNS];
};

enum sql_moment {
	SQL_FRESH,  /* after the schema, when a run begins */
	SQL_PAST,   /* a dump, or what a lagging replica has */
	SQL_BEFORE, /* the transaction */
	SQL_MOMENTS
};

struct sql_table {
	char name[SQL_NAME];
	struct sql_column {
		char name[SQL_NAME];
		enum sql_type type;
		struct sql_value usual; /* when an INSERT does not name it; null: it must */
	} columns[SQL_COLUMNS];
	size_t columns_len;
	unsigned keys[SQL_KEYS]; /* of unique columns, a bit each */
	size_t keys_len;
	struct sql_rows now, moments[SQL_MOMENTS];
};

struct sql_tables {
	struct sql_table tables[SQL_TABLES];
	size_t len;
	char text[SQL_TEXT];
	size_t text_len, text_fresh;
};

/* All tables of the database, and what stands in them; it is what SQL_FRESH goes back to. Ends the program when
 * something does not fit. */
void sql_tables_load(struct sql_tables *tables, sqlite3 *handle);
struct sql_table *sql_tables_find(struct sql_tables *tables, const char *name, size_t name_len);
void sql_tables_keep(struct sql_tables *tables, enum sql_moment moment);
void sql_tables_go_back(struct sql_tables *tables, enum sql_moment moment);

/* False: a row has that key already. The texts are copied. */
bool sql_table_insert(struct sql_tables *tables, struct sql_table *table, const struct sql_value *cells);
/* A cell that belongs to no key. */
void sql_table_set(struct sql_tables *tables, struct sql_table *table, size_t row, size_t column,
		   const struct sql_value *value);
void sql_table_remove(struct sql_table *table, size_t row);

/* 0: the same. Numbers before texts. */
int sql_value_compare(const struct sql_value *a, const struct sql_value *b);

_Noreturn void sql_give_up(const char *what, const char *sql, const char *why);

#endif
