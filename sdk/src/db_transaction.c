/* SPDX-License-Identifier: Apache-2.0
 *
 * A transaction is a function that may run again.
 */
#include <mysqld_error.h>
#include <string.h>
#include <time.h>

#include "backoff.h"
#include "db_session.h"

#define RUN_LIMIT 10
#define RUN_BACKOFF_MS 5
#define RUN_BACKOFF_CAP_MS 500
#define ASIDE_LIMIT 1000

bool kontor_db_in_transaction(const kontor_conn *conn)
{
	return conn->in_transaction;
}

static int command(kontor_conn *conn, const char *sql, struct kontor_error *err)
{
	if (mysql_query(conn->mysql, sql))
		return session_failed(conn, mysql_errno(conn->mysql), mysql_error(conn->mysql), sql, err);
	return 0;
}

static void end(kontor_conn *conn)
{
	conn->in_transaction = false;
	conn->rerun = false;
	conn->aside.fn = NULL;
	conn->doom = (struct kontor_error)KONTOR_ERROR_INIT;
}

static void rollback(kontor_conn *conn)
{
	/* With a half-read result in the way no command can be sent; without a connection the server rolls back itself.
	 */
	if (conn->stream || conn->lost || mysql_query(conn->mysql, "ROLLBACK"))
		conn->lost = true;
	end(conn);
}

/* After an error that says "not committed" the transaction runs again; after any other nobody knows. */
static int commit(kontor_conn *conn, bool *ret_again, struct kontor_error *err)
{
	if (!mysql_query(conn->mysql, "COMMIT")) {
		end(conn);
		session_wakes_done(conn);
		return 0;
	}
	unsigned number = mysql_errno(conn->mysql);
	int rc = session_failed(conn, number, mysql_error(conn->mysql), "COMMIT", err);
	if (session_error_means_rerun(number)) {
		*ret_again = true;
		rollback(conn);
		return rc;
	}
	conn->lost = true;
	end(conn);
	session_wakes_done(conn);
	return kontor_fail(
		err, KONTOR_E_UNKNOWN_OUTCOME,
		"database: the session was lost during COMMIT (error %u): the transaction is either whole or not there",
		number);
}

int kontor_db_step_aside(kontor_conn *tx, kontor_db_aside_function aside, const void *arg, size_t arg_size,
			 struct kontor_error *err)
{
	if (!tx->in_transaction || arg_size > KONTOR_DB_ASIDE_SIZE)
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "kontor_db_step_aside must be called in a transaction, with at most %d bytes",
				   KONTOR_DB_ASIDE_SIZE);
	if (tx->doom.code) /* it rolls back for another reason, which comes first */
		return kontor_fail(err, tx->doom.code, "%s", tx->doom.message);
	tx->aside.fn = aside;
	memcpy(tx->aside.arg, arg, arg_size);
	session_doom(tx, KONTOR_E_BUSY, "database: the transaction begins again");
	return kontor_fail(err, tx->doom.code, "%s", tx->doom.message);
}

/* ret_aside->fn: what has to happen before fn runs again; NULL when it did not step aside. */
static int run_once(kontor_conn *conn, kontor_tx_function fn, void *arg, bool *ret_again,
		    struct session_aside *ret_aside, struct kontor_error *err)
{
	*ret_again = false;
	ret_aside->fn = NULL;
	int rc = session_ready(conn, err);
	if (rc)
		return rc;
	rc = command(conn, "START TRANSACTION", err);
	if (rc) {
		*ret_again = conn->lost;
		return rc;
	}
	conn->in_transaction = true;
	conn->fenced = false;
	conn->wakes.len = 0;
	conn->wakes.all = false;
	rc = fn(conn, arg, err);
	if (conn->stream && !conn->doom.code)
		session_doom(conn, KONTOR_E_INTERNAL, "database: a transaction's function left a streaming read open");
	if (rc == 0 && !conn->doom.code && !conn->fenced && conn->before_commit)
		rc = conn->before_commit(conn, conn->before_commit_arg, err);
	if (rc == 0 && !conn->doom.code)
		return commit(conn, ret_again, err);
	*ret_again = conn->rerun;
	if (!conn->rerun)
		*ret_aside = conn->aside;
	if (rc == 0)
		rc = kontor_fail(err, conn->doom.code, "%s", conn->doom.message);
	rollback(conn);
	return rc;
}

static void pause_ms(uint32_t ms)
{
	struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&pause, NULL);
}

/* Runs it, and as often as it steps aside; *ret_again: the server rolled it back. */
static int run_through(kontor_conn *conn, kontor_tx_function fn, void *arg, bool *ret_again, struct kontor_error *err)
{
	struct session_aside aside;
	for (unsigned steps = 0; steps < ASIDE_LIMIT; steps++) {
		int rc = run_once(conn, fn, arg, ret_again, &aside, err);
		if (!aside.fn)
			return rc;
		rc = aside.fn(conn, aside.arg, err);
		if (rc)
			return rc;
	}
	return kontor_fail(err, KONTOR_E_BUSY,
			   "database: a transaction had to begin again %d times for what must be committed before it; "
			   "try again",
			   ASIDE_LIMIT);
}

int kontor_db_transaction(kontor_conn *conn, kontor_tx_function fn, void *arg, struct kontor_error *err)
{
	if (conn->in_transaction)
		return kontor_fail(err, KONTOR_E_INTERNAL, "database: a transaction is already open on this session");
	for (unsigned run = 1;; run++) {
		bool again = false;
		int rc = run_through(conn, fn, arg, &again, err);
		if (!again || run == RUN_LIMIT)
			return rc;
		pause_ms(backoff_ms(run, RUN_BACKOFF_MS, RUN_BACKOFF_CAP_MS));
	}
}

int kontor_db_transact(kontor_db *db, kontor_tx_function fn, void *arg, struct kontor_error *err)
{
	kontor_conn *conn = NULL;
	int rc = kontor_db_acquire(db, &conn, err);
	if (rc)
		return rc;
	rc = kontor_db_transaction(conn, fn, arg, err);
	kontor_db_release(conn);
	return rc;
}
