/* SPDX-License-Identifier: Apache-2.0
 *
 * The same tables and statements in SQLite. It knows what the plugin's schema makes; and as long as it is open, it says
 * of each statement what the answer has to be.
 */
#ifndef SIMULATION_SQL_REFERENCE_H
#define SIMULATION_SQL_REFERENCE_H

#include "sql_server.h"

enum sql_reference_move {
	SQL_REFERENCE_RESET, /* to the tables as they were when it was opened */
	SQL_REFERENCE_KEEP,
	SQL_REFERENCE_BRING_BACK,
	SQL_REFERENCE_BEGIN,
	SQL_REFERENCE_COMMIT,
	SQL_REFERENCE_ROLLBACK,
};

/* With the server's clock and identity. *ret_handle is the reference's. Ends the program when anything fails: it would
 * be a fault of the simulation. */
struct sql_reference *sql_reference_open(struct sql_server *server, const struct kontor_schema_step *schema,
					 size_t schema_len, const char *trim, sqlite3 **ret_handle);
struct sql_reference *sql_reference_close(struct sql_reference *reference); /* NULL is fine; returns NULL */
void sql_reference_run(struct sql_reference *reference, const struct statement *statement, struct answer *ret_answer);
void sql_reference_move(struct sql_reference *reference, enum sql_reference_move move);

#endif
