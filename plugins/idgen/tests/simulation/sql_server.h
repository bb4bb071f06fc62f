/* SPDX-License-Identifier: Apache-2.0
 *
 * A database server of the simulation: the plugin's own schema and statements, run in memory, with a clock,
 * an identity and a past that the simulation decides on.
 */
#ifndef SIMULATION_SQL_SERVER_H
#define SIMULATION_SQL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kontor/db.h"
#include "sql_compile.h"

#define STATEMENT_PARAMS 8u
#define STATEMENT_TEXT 192u /* longest text parameter */
#define ANSWER_CELLS 128u
#define ANSWER_TEXT 2048u
#define SERVER_STATEMENTS 128u
#define SERVER_KINDS 4u
#define SERVER_SLOTS 64u

/* A statement on its way to a server, with copies of its parameters. */
struct statement {
	const char *sql;
	size_t params_len;
	struct statement_param {
		bool null, text;
		int64_t number;
		size_t size;
		char bytes[STATEMENT_TEXT];
	} params[STATEMENT_PARAMS];
};

struct answer_cell {
	bool null;
	int64_t number;
	size_t text, size; /* in the answer's text */
};

struct answer {
	int code; /* 0 or an error of kontor_db_exec() */
	unsigned mariadb_errno;
	uint64_t affected;
	size_t rows, columns, text_len;
	struct answer_cell cells[ANSWER_CELLS];
	char text[ANSWER_TEXT];
};

struct sql_reference;

struct sql_server {
	int64_t clock_ms;  /* what NOW(3) says, since 1970; set before each statement */
	char identity[64]; /* changes when another machine answers under the same address */
	struct sql_tables tables;
	struct {
		const char *sql;
		const struct sql_compiled *compiled;
	} cache[SERVER_STATEMENTS];
	size_t cache_len;
	struct sql_reference *reference; /* NULL: answers are not compared */
	/* Called after each UPDATE that names the column, with the row as it is then; may be NULL. */
	void (*changed)(struct sql_server *server, const struct sql_table *table, const struct sql_value *row,
			size_t column);
	/* the highest counter that any statement reserved, by kind and slot; going back to the past does not lower it
	 */
	uint64_t reserved[SERVER_KINDS][SERVER_SLOTS];
};

/* Into zeroed memory. Applies the schema, then `trim`, statements that make the tables small; reset goes back to that.
 * compare_with_sqlite: the program ends when it has another answer to a statement. */
void sql_server_open(struct sql_server *server, const struct kontor_schema_step *schema, size_t schema_len,
		     const char *trim, bool compare_with_sqlite);
void sql_server_close(struct sql_server *server);
void sql_server_reset(struct sql_server *server);
/* Remembers all tables as they are (a dump, or what a lagging replica has); later brings them back. */
void sql_server_keep(struct sql_server *server);
void sql_server_bring_back(struct sql_server *server);
/* A transaction; one at a time. */
void sql_server_begin(struct sql_server *server);
void sql_server_end(struct sql_server *server, bool commit);

void statement_set(struct statement *statement, const char *sql, const struct kontor_param *params);
/* The one place where SQL is run. */
void sql_server_run(struct sql_server *server, const struct statement *statement, struct answer *ret_answer);
/* Copies what is used of it. */
void answer_copy(struct answer *to, const struct answer *from);

#endif
