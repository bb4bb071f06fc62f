/* SPDX-License-Identifier: Apache-2.0
 *
 * A database with one table, and a session of it for each test.
 */
#ifndef DB_FIXTURE_H
#define DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "test_database.h"

static kontor_db *db;
static kontor_conn *conn;
static struct kontor_error err;

static int64_t query_int(kontor_conn *c, const char *sql)
{
	int64_t value = -1;
	ok(kontor_db_query_int(c, sql, KONTOR_NO_PARAMS, &value, &err));
	return value;
}

static void exec(kontor_conn *c, const char *sql)
{
	ok(kontor_db_exec(c, sql, KONTOR_NO_PARAMS, NULL, &err));
}

/* Ends another session on the server, as a restart of the server or a broken network would. */
static void kill_session(kontor_conn *victim)
{
	int64_t id = query_int(victim, "SELECT CONNECTION_ID()");
	MYSQL *admin = test_database_admin();
	char sql[64];
	snprintf(sql, sizeof(sql), "KILL CONNECTION %lld", (long long)id);
	assert_int_equal(mysql_query(admin, sql), 0);
	mysql_close(admin);
	nanosleep(&(struct timespec){0, 20000000}, NULL);
}

static int group_setup(void **state)
{
	(void)state;
	db = test_database_open();
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	db = test_database_close(db);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	ok(kontor_db_acquire(db, &conn, &err));
	exec(conn, "CREATE OR REPLACE TABLE t(id BIGINT UNSIGNED PRIMARY KEY, amount BIGINT, name VARCHAR(100), data "
		   "LONGBLOB)");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kontor_db_release(conn);
	conn = NULL;
	return 0;
}

static const char SQL_INSERT[] = "INSERT INTO t(id, amount, name, data) VALUES (?, ?, ?, ?)";

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
