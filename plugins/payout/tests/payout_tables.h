/* SPDX-License-Identifier: Apache-2.0
 *
 * For the tests of this plugin that need MariaDB: its tables, one session, and short statements.
 */
#ifndef PAYOUT_TABLES_H
#define PAYOUT_TABLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "test_database.h"

extern const struct kontor_schema_step payout_schema[];
extern const size_t payout_schema_len;

static kontor_db *db;
static kontor_conn *conn;

static void sql(const char *statement)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_db_exec(conn, statement, KONTOR_NO_PARAMS, NULL, &err))
		fail_msg("%.80s: %s", statement, err.message);
}

static int64_t sql_int(const char *statement)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	int64_t value = -1;
	if (kontor_db_query_int(conn, statement, KONTOR_NO_PARAMS, &value, &err))
		fail_msg("%.80s: %s", statement, err.message);
	return value;
}

static int open_tables(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	db = test_database_open();
	if (kontor_db_acquire(db, &conn, &err))
		fail_msg("%s", err.message);
	for (size_t i = 0; i < payout_schema_len; i++)
		sql(payout_schema[i].sql);
	return 0;
}

static int close_tables(void **state)
{
	(void)state;
	kontor_db_release(conn);
	db = test_database_close(db);
	return 0;
}

static void empty_tables(void)
{
	static const char *const tables[] = {
		"DELETE FROM payee",          "DELETE FROM run",
		"DELETE FROM run_chunk",      "DELETE FROM payout",
		"DELETE FROM payout_attempt", "DELETE FROM payout_event",
		"DELETE FROM carry",          "DELETE FROM ledger_tx",
		"DELETE FROM ledger_entry",
	};
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		sql(tables[i]);
}

#endif
