/* SPDX-License-Identifier: Apache-2.0
 *
 * MariaDB's statements, as far as idgen uses them, as trees that are run without being read again. What is not known
 * here ends the program, so nothing is skipped by accident.
 */
#ifndef SIMULATION_SQL_COMPILE_H
#define SIMULATION_SQL_COMPILE_H

#include "sql_table.h"

#define SQL_ARGUMENTS 4u
#define SQL_SOURCES 2u
#define SQL_EXPRESSIONS 10u
#define SQL_ORDERS 2u

enum sql_operation {
	SQL_OP_VALUE,
	SQL_OP_PARAM,
	SQL_OP_COLUMN,
	SQL_OP_NOW,      /* the server's clock, in milliseconds */
	SQL_OP_IDENTITY, /* which server answers */
	SQL_OP_COUNT,    /* COUNT(*), as the only column */
	SQL_OP_COALESCE,
	SQL_OP_GREATEST,
	SQL_OP_CASE, /* condition, then, else */
	SQL_OP_SELECT,
	SQL_OP_ADD,
	SQL_OP_AND,
	SQL_OP_EQUAL,
	SQL_OP_LESS,
	SQL_OP_LESS_OR_EQUAL,
	SQL_OP_GREATER,
	SQL_OP_GREATER_OR_EQUAL,
};

struct sql_node {
	enum sql_operation operation;
	const struct sql_node *arguments[SQL_ARGUMENTS];
	size_t arguments_len;
	size_t source, column; /* or column: the parameter's number */
	struct sql_value value;
	const struct sql_compiled *select;
};

enum sql_verb { SQL_VERB_NOTHING, SQL_VERB_SELECT, SQL_VERB_INSERT, SQL_VERB_UPDATE, SQL_VERB_DELETE };

struct sql_compiled {
	enum sql_verb verb;
	const char *sql;
	struct sql_source {
		struct sql_table *table; /* NULL: one row without columns */
		const char *alias;
		size_t alias_len;
		const struct sql_node *on; /* of a LEFT JOIN, or NULL */
	} sources[SQL_SOURCES];
	size_t sources_len;
	const struct sql_node *expressions[SQL_EXPRESSIONS];
	size_t targets[SQL_EXPRESSIONS]; /* columns that get them */
	size_t expressions_len;
	const struct sql_node *where; /* or NULL */
	size_t orders[SQL_ORDERS];    /* columns */
	size_t orders_len;
};

/* The program's for ever: there are a few of them. `sql` must be so, too. */
struct sql_compiled *sql_compile(struct sql_tables *tables, const char *sql);

#endif
