/* SPDX-License-Identifier: Apache-2.0
 *
 * MariaDB through Connector/C: a pool of sessions, prepared statements, array binding, streaming reads, and the rules
 * of a transaction.
 *
 * Sessions: READ COMMITTED, strict mode, UTC, utf8mb4, autocommit. Never unique_checks=0: with a duplicate key in the
 * input, LOAD DATA then lost 99,999 of 100,000 rows without an error (MariaDB 10.11.19).
 */
#ifndef KONTOR_DB_H
#define KONTOR_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kontor/error.h"
#include "kontor/text.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kontor_db kontor_db;     /* pool; any thread */
typedef struct kontor_conn kontor_conn; /* session; one thread at a time */

struct kontor_db_options {
	const char *socket; /* unix socket, or NULL for host and port */
	const char *host;
	unsigned port;
	const char *user;          /* NULL: the process's user */
	const char *password_file; /* its first line; NULL: none */
	const char *database;
	const char *tls_ca; /* PEM file; NULL: no TLS (refused for a host that is not loopback) */
	unsigned connect_timeout_ms;
};

/* Opens nothing yet: sessions are made when they are first acquired, so a unit can start before its database. */
int kontor_db_open(const struct kontor_db_options *options, kontor_db **ret_db, struct kontor_error *err);
kontor_db *kontor_db_close(kontor_db *db); /* all sessions must be released; NULL is fine; returns NULL */

/* A session that has answered just now; reconnects as needed. UNAVAILABLE when the server cannot be reached. */
int kontor_db_acquire(kontor_db *db, kontor_conn **ret_conn, struct kontor_error *err);
/* Rolls back what is open; a broken session is dropped. NULL is fine. */
void kontor_db_release(kontor_conn *conn);

/* ---- parameters --------------------------------------------------------------------------------------------- */

enum kontor_param_type { KONTOR_P_END, KONTOR_P_INT, KONTOR_P_UINT, KONTOR_P_TEXT, KONTOR_P_BYTES, KONTOR_P_NULL };

struct kontor_param {
	enum kontor_param_type type;
	union {
		int64_t i;
		uint64_t u;
	};
	const void *data; /* borrowed during the call */
	size_t size;
};

static inline struct kontor_param kontor_param_int(int64_t value)
{
	struct kontor_param p = {KONTOR_P_INT, {0}, NULL, 0};
	p.i = value;
	return p;
}
static inline struct kontor_param kontor_param_uint(uint64_t value)
{
	struct kontor_param p = {KONTOR_P_UINT, {0}, NULL, 0};
	p.u = value;
	return p;
}
static inline struct kontor_param kontor_param_text(struct kontor_text text)
{
	struct kontor_param p = {text.data ? KONTOR_P_TEXT : KONTOR_P_NULL, {0}, text.data, text.size};
	return p;
}
static inline struct kontor_param kontor_param_bytes(const void *data, size_t size)
{
	struct kontor_param p = {data ? KONTOR_P_BYTES : KONTOR_P_NULL, {0}, data, size};
	return p;
}

/* KONTOR_PARAMS(P_STRING(region), P_UINT(window)); P_STRING(NULL) binds NULL. KONTOR_NO_PARAMS for none. */
#define P_INT(value) kontor_param_int(value)
#define P_UINT(value) kontor_param_uint(value)
#define P_STRING(string) kontor_param_text(kontor_text_of(string))
#define P_TEXT(text) kontor_param_text(text)
#define P_BYTES(data, size) kontor_param_bytes((data), (size))
#define P_NULL ((struct kontor_param){KONTOR_P_NULL, {0}, NULL, 0})
#define KONTOR_PARAMS(...) ((const struct kontor_param[]){__VA_ARGS__, {KONTOR_P_END, {0}, NULL, 0}})
#define KONTOR_NO_PARAMS ((const struct kontor_param[]){{KONTOR_P_END, {0}, NULL, 0}})

/* ---- statements --------------------------------------------------------------------------------------------- */

/* `sql` is a constant (prepared once per session and kept, keyed by its text). On failure: CONFLICT for a duplicate
 * key (1062), STORAGE or UNAVAILABLE else; the message names the table's key or the statement's first words, never
 * parameters. ret_affected (NULL is fine): rows changed, as found rows for UPDATE (a row that already had the value
 * counts). */
int kontor_db_exec(kontor_conn *conn, const char *sql, const struct kontor_param *params, uint64_t *ret_affected,
		   struct kontor_error *err);
/* Error number of the session's last failed statement (1062 duplicate key, 1213 deadlock, ...), 0 if it did not fail.
 */
unsigned kontor_db_errno(const kontor_conn *conn);

typedef struct kontor_rows kontor_rows;

enum kontor_read {
	KONTOR_READ_ALL,    /* buffered: other statements may run while the rows are read */
	KONTOR_READ_STREAM, /* unbuffered: nothing else on this session until kontor_rows_close() */
};

int kontor_db_query(kontor_conn *conn, enum kontor_read how, const char *sql, const struct kontor_param *params,
		    kontor_rows **ret_rows, struct kontor_error *err);
/* 1: a row; 0: no more; negative: failed (only when streaming). Values are borrowed until the next call. */
int kontor_rows_next(kontor_rows *rows, struct kontor_error *err);
kontor_rows *kontor_rows_close(kontor_rows *rows); /* NULL is fine; returns NULL */
bool kontor_rows_null(const kontor_rows *rows, unsigned column);
/* Also of DECIMAL, as SUM() gives. 0 for NULL. If the value is no 64-bit integer: 0, and the next kontor_rows_next()
 * fails. */
int64_t kontor_rows_int(const kontor_rows *rows, unsigned column);
uint64_t kontor_rows_uint(const kontor_rows *rows, unsigned column);
struct kontor_text kontor_rows_text(const kontor_rows *rows, unsigned column); /* absent for NULL; NUL-terminated */
const char *kontor_rows_string(const kontor_rows *rows, unsigned column);      /* "" for NULL */

/* The first row's integer column; KONTOR_E_NOT_FOUND (no message) when there is no row. */
int kontor_db_query_int(kontor_conn *conn, const char *sql, const struct kontor_param *params, int64_t *ret_value,
			struct kontor_error *err);

/* ---- many rows in one statement: array binding ---------------------------------------------------------------- */

typedef struct kontor_bulk kontor_bulk;

/* columns: one letter each: 'i' int64, 'u' uint64, 's' text, 'b' bytes. */
kontor_bulk *kontor_bulk_new(const char *columns);
kontor_bulk *kontor_bulk_free(kontor_bulk *bulk); /* NULL is fine; returns NULL */
void kontor_bulk_clear(kontor_bulk *bulk);
size_t kontor_bulk_rows(const kontor_bulk *bulk);
/* Copies one row; the parameters must match the letters (or be P_NULL). INTERNAL when out of memory. */
int kontor_bulk_add(kontor_bulk *bulk, const struct kontor_param *params, struct kontor_error *err);
/* One execution for all rows. INSERT is atomic as a statement: after CONFLICT (1062) no row of it is there. The server
 * runs UPDATE and DELETE row by row, so these belong in a transaction. 0 rows: nothing. */
int kontor_bulk_exec(kontor_conn *conn, const char *sql, kontor_bulk *bulk, uint64_t *ret_affected,
		     struct kontor_error *err);

/* ---- transactions --------------------------------------------------------------------------------------------- */

/* A transaction is a function: it may run several times and has no effect but through `tx`. Outputs that it writes
 * into `arg` are set anew on each run. */
typedef int (*kontor_tx_function)(kontor_conn *tx, void *arg, struct kontor_error *err);

/* START TRANSACTION, fn, COMMIT. A non-zero return of fn rolls back and is returned. After 1213, 1205 or 1047, or a
 * session lost before COMMIT, the whole function runs again on ROLLBACK (at most 10 times, jittered). A session lost
 * during COMMIT gives KONTOR_E_UNKNOWN_OUTCOME: the caller reads its own mark (key, chunk) on a new session to learn
 * what happened. Must not be nested. */
int kontor_db_transaction(kontor_conn *conn, kontor_tx_function fn, void *arg, struct kontor_error *err);
/* The same on a session of its own, acquired and released here. */
int kontor_db_transact(kontor_db *db, kontor_tx_function fn, void *arg, struct kontor_error *err);
bool kontor_db_in_transaction(const kontor_conn *conn);
/* For a transaction's function that cannot go on before something else is committed, whose locks this transaction must
 * not hold: returns a negative code that the function has to return at once. The transaction rolls back, `aside` runs
 * on the same session outside of any transaction (it may open one), and unless it fails the whole function runs again.
 * So a step needs no second session. `arg` is copied, at most KONTOR_DB_ASIDE_SIZE bytes. A function that asks a
 * thousand times in a row ends with BUSY. */
#define KONTOR_DB_ASIDE_SIZE 64
typedef int (*kontor_db_aside_function)(kontor_conn *conn, void *arg, struct kontor_error *err);
int kontor_db_step_aside(kontor_conn *tx, kontor_db_aside_function aside, const void *arg, size_t arg_size,
			 struct kontor_error *err);

/* ---- schema ------------------------------------------------------------------------------------------------- */

struct kontor_schema_step {
	const char *name; /* "settlement/001-windows#1": file and number of the statement in it */
	const char *sql;  /* one statement that may run twice (IF NOT EXISTS) */
};

/* The SDK's own tables: job, job_chunk, idempotency, approval, audit, schema_step. */
extern const struct kontor_schema_step kontor_sdk_schema[];
extern const size_t kontor_sdk_schema_len;

/* Applies what is missing, in order; each step is claimed and recorded in schema_step by compare-and-set. Needs rights
 * to create tables. */
int kontor_schema_migrate(kontor_conn *conn, const struct kontor_schema_step *steps, size_t len,
			  struct kontor_error *err);
/* 0 when the database has exactly these steps of `owner` ("settlement"), else UNAVAILABLE with both versions and what
 * to run. */
int kontor_schema_check(kontor_conn *conn, const char *owner, const struct kontor_schema_step *steps, size_t len,
			struct kontor_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
