/* SPDX-License-Identifier: Apache-2.0
 *
 * For C tests that need MariaDB: a fresh database on the server of tests/lib/with-mariadb.
 */
#ifndef TEST_DATABASE_H
#define TEST_DATABASE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <mysql.h>

#include "kontor/db.h"

/* The call, which was given the test's own `err`, must succeed. */
#define ok(call)                                                                                                       \
	do {                                                                                                           \
		int ok_rc = (call);                                                                                    \
		if (ok_rc)                                                                                             \
			fail_msg("%s: %d %s", #call, ok_rc, err.message);                                              \
	} while (0)

static char test_database_name[64];

static MYSQL *test_database_admin(void)
{
	const char *socket = getenv("KONTOR_TEST_SOCKET");
	if (!socket) {
		fprintf(stderr, "KONTOR_TEST_SOCKET is not set: run this test under tests/lib/with-mariadb\n");
		exit(2);
	}
	MYSQL *admin = mysql_init(NULL);
	if (!mysql_real_connect(admin, NULL, "root", NULL, NULL, 0, socket, 0)) {
		fprintf(stderr, "test database: %s\n", mysql_error(admin));
		exit(2);
	}
	return admin;
}

/* Creates an empty database of this process and opens a pool on it. */
static kontor_db *test_database_open(void)
{
	MYSQL *admin = test_database_admin();
	char sql[160];
	snprintf(test_database_name, sizeof(test_database_name), "t_%d", (int)getpid());
	snprintf(sql, sizeof(sql), "CREATE OR REPLACE DATABASE %s CHARACTER SET utf8mb4", test_database_name);
	if (mysql_query(admin, sql)) {
		fprintf(stderr, "test database: %s\n", mysql_error(admin));
		exit(2);
	}
	mysql_close(admin);
	struct kontor_db_options options = {
		.socket = getenv("KONTOR_TEST_SOCKET"), .user = "root", .database = test_database_name};
	kontor_db *db = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_db_open(&options, &db, &err)) {
		fprintf(stderr, "test database: %s\n", err.message);
		exit(2);
	}
	return db;
}

static kontor_db *test_database_close(kontor_db *db)
{
	kontor_db_close(db);
	MYSQL *admin = test_database_admin();
	char sql[160];
	snprintf(sql, sizeof(sql), "DROP DATABASE IF EXISTS %s", test_database_name);
	mysql_query(admin, sql);
	mysql_close(admin);
	return NULL;
}

/* Until a session of this test's database waits for a row that another one has locked; false: none did for a minute.
 * The server renews the table that says so only when nobody has read it for 0.1 s. */
__attribute__((unused)) static bool test_database_wait_for_a_waiter(kontor_conn *conn)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	int64_t waiters = 0;
	for (int i = 0; i < 400 && !waiters; i++) {
		nanosleep(&(struct timespec){0, 150000000}, NULL);
		if (kontor_db_query_int(conn,
					"SELECT COUNT(*) FROM information_schema.INNODB_TRX t "
					"JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id "
					"WHERE t.trx_state = 'LOCK WAIT' AND p.DB = DATABASE()",
					KONTOR_NO_PARAMS, &waiters, &err))
			return false;
	}
	return waiters > 0;
}

#endif
