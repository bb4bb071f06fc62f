/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATION_SQL_RUN_H
#define SIMULATION_SQL_RUN_H

#include "sql_compile.h"
#include "sql_server.h"

/* On the server's tables as they are now. An answer of more than one kind of error there is not: a key that exists. */
void sql_run(struct sql_server *server, const struct sql_compiled *compiled, const struct statement *statement,
	     struct answer *ret_answer);

#endif
