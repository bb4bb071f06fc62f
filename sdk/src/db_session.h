/* SPDX-License-Identifier: Apache-2.0
 *
 * A session as the database code sees it. db.c makes and breaks sessions, db_statement.c prepares and runs statements,
 * db_rows.c reads results, db_bulk.c binds arrays, db_transaction.c runs transactions.
 */
#ifndef KONTOR_DB_SESSION_H
#define KONTOR_DB_SESSION_H

#include <mysql.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kontor/db.h"
#include "session_quota.h"

#define STATEMENT_BUCKETS 128
#define STATEMENT_LIMIT 256 /* prepared statements kept by a session; the server allows 16,382 in all by default */

/* A prepared statement, found again by its text. */
struct db_statement {
	MYSQL_STMT *stmt;
	char *sql;
	uint64_t hash;
	uint64_t last_used;
	unsigned array_size; /* as last told to Connector/C; 0 = one row of parameters */
	struct db_statement *next;
};

#define WAKES_LIMIT 4
#define WAKE_NAME_SIZE 33

/* Lanes that get new work by the open transaction. */
struct session_wakes {
	unsigned len;
	bool all; /* also when there are more than fit */
	char lanes[WAKES_LIMIT][WAKE_NAME_SIZE];
};

/* What kontor_db_step_aside() was asked to run. */
struct session_aside {
	kontor_db_aside_function fn; /* NULL: nothing */
	alignas(max_align_t) unsigned char arg[KONTOR_DB_ASIDE_SIZE];
};

struct kontor_conn {
	kontor_db *db;
	MYSQL *mysql; /* NULL: not connected */
	struct kontor_conn *next_idle;
	int64_t idle_since_ms;
	struct session_ticket ticket;

	struct db_statement *statements[STATEMENT_BUCKETS];
	unsigned statements_len;
	uint64_t statement_clock;
	MYSQL_BIND *binds; /* of the statement that runs */
	size_t binds_size;

	kontor_rows *stream; /* open unbuffered result: nothing else may run */
	unsigned last_errno;
	bool lost; /* the server has gone or must not be trusted: connect anew before the next use */
	bool in_transaction;
	bool rerun; /* the open transaction was rolled back by the server, or is lost: run it again */
	/* Runs before the COMMIT of each transaction that is not `fenced` yet; a job's steps are fenced by it. A
	 * statement outside of a transaction gets one of its own, to be fenced too. NULL: none. */
	kontor_tx_function before_commit;
	void *before_commit_arg;
	bool fenced;
	struct session_wakes wakes;
	struct session_aside aside;
	struct kontor_error doom; /* code != 0: the open transaction must not commit, whatever its function returns */
};

/* Ready for a statement: connects when the session was lost (never inside a transaction), refuses while a stream is
 * open or the transaction is doomed. */
int session_ready(kontor_conn *conn, struct kontor_error *err);
/* Closes the connection and forgets its statements. */
void session_disconnect(kontor_conn *conn);
/* Turns an error of Connector/C into ours, and notes what it does to the session and its transaction. `sql` is named by
 * its first words. */
int session_failed(kontor_conn *conn, unsigned number, const char *message, const char *sql, struct kontor_error *err);
/* The open transaction rolls back even when its function returns 0. For effects that must not stand without their
 * fence. */
void session_doom(kontor_conn *conn, int code, const char *message);
bool session_error_means_lost(unsigned number);
/* job_lane.c: wakes the lanes, here and in other units, once the open transaction has been committed (or nobody knows);
 * without one at once. lane NULL: all. */
void session_wake(kontor_conn *tx, const char *lane);
void session_wakes_done(kontor_conn *conn);
/* The server rolled back the transaction, or half of it: only ROLLBACK and a new run are right. */
bool session_error_means_rerun(unsigned number);

/* Prepares `sql` or finds it prepared. */
int statement_get(kontor_conn *conn, const char *sql, struct db_statement **ret_statement, struct kontor_error *err);
/* Executes with array_size rows of conn->binds (0: one row, not an array). */
int statement_execute(kontor_conn *conn, struct db_statement *statement, unsigned array_size, struct kontor_error *err);
void statements_close(kontor_conn *conn);
/* conn->binds with room for `count`, zeroed. */
MYSQL_BIND *session_binds(kontor_conn *conn, size_t count, struct kontor_error *err);

/* Takes over the result of a statement that was executed. */
int rows_open(kontor_conn *conn, enum kontor_read how, struct db_statement *statement, kontor_rows **ret_rows,
	      struct kontor_error *err);
/* The session of this stream is going: its rows end here. */
void rows_abandon(kontor_rows *rows);

#endif
