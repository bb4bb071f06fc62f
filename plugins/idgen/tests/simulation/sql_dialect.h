/* SPDX-License-Identifier: Apache-2.0
 *
 * MariaDB's dialect, as far as idgen uses it, in SQLite's. What is not translated is an error of SQLite and ends the
 * simulation, so nothing is skipped by accident.
 */
#ifndef SIMULATION_SQL_DIALECT_H
#define SIMULATION_SQL_DIALECT_H

#include <sqlite3.h>

/* The caller frees both. */
char *sql_translate(const char *sql);
/* Of a schema step; looks at the tables that are there. */
char *sql_translate_schema(sqlite3 *handle, const char *sql);

#endif
