/* SPDX-License-Identifier: Apache-2.0
 *
 * kontor/db.h as the plugin's code sees it, in front of the simulated servers. The rules are libkontor's: a session
 * that failed once stays broken until it is acquired anew, a transaction that was lost before its COMMIT runs again,
 * one that was lost in it has an unknown outcome.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "world.h"

#define TRANSACTION_RUNS 10

static struct memory *memory(void)
{
	return running_unit->place->memory;
}

static int fail_lost(kontor_conn *conn, struct kontor_error *err)
{
	conn->broken = true;
	return kontor_fail(err, KONTOR_E_UNAVAILABLE, "database: the session was lost");
}

int kontor_db_acquire(kontor_db *db, kontor_conn **ret_conn, struct kontor_error *err)
{
	(void)db;
	kontor_conn *conn = &memory()->conn;
	if (conn->used) {
		fprintf(stderr, "simulation: a second session at a time\n");
		exit(3);
	}
	if (unit_wish(WISH_CONNECT))
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "database: it does not answer");
	*conn = (kontor_conn){.used = true, .server_life = world_state(running_unit->server)->life};
	*ret_conn = conn;
	return 0;
}

void kontor_db_release(kontor_conn *conn)
{
	if (conn)
		conn->used = false;
}

unsigned kontor_db_errno(const kontor_conn *conn)
{
	return conn->mariadb_errno;
}

bool kontor_db_in_transaction(const kontor_conn *conn)
{
	return conn->in_transaction;
}

/* Leaves the answer in the memory's answer. */
static int run(kontor_conn *conn, const char *sql, const struct kontor_param *params, struct kontor_error *err)
{
	struct memory *m = memory();
	conn->mariadb_errno = 0;
	if (conn->broken)
		return fail_lost(conn, err);
	statement_set(&m->statement, sql, params);
	if (conn->in_transaction)
		world_run_in_transaction(running_unit);
	else if (unit_wish(WISH_STATEMENT))
		return fail_lost(conn, err);
	conn->mariadb_errno = m->answer.mariadb_errno;
	return m->answer.code ? kontor_fail(err, m->answer.code, "database: %.40s: refused", sql) : 0;
}

int kontor_db_exec(kontor_conn *conn, const char *sql, const struct kontor_param *params, uint64_t *ret_affected,
		   struct kontor_error *err)
{
	int code = run(conn, sql, params, err);
	if (!code && ret_affected)
		*ret_affected = memory()->answer.affected;
	return code;
}

static int begin_lost(kontor_conn *conn, struct kontor_error *err)
{
	return unit_wish(WISH_TRANSACTION) ? fail_lost(conn, err) : 0;
}

/* A kill in the transaction is one before it: nobody else sees a difference. */
int kontor_db_transaction(kontor_conn *conn, kontor_tx_function fn, void *arg, struct kontor_error *err)
{
	for (int run_number = 0; run_number < TRANSACTION_RUNS; run_number++) {
		int code = begin_lost(conn, err);
		if (code)
			return code;
		world_begin_transaction(running_unit);
		conn->in_transaction = true;
		code = fn(conn, arg, err);
		conn->in_transaction = false;
		enum transaction_end end = world_end_transaction(running_unit, code == 0);
		if (code)
			return code;
		if (end == TRANSACTION_AGAIN)
			continue;
		if (unit_wish(WISH_COMMITTED) || end == TRANSACTION_UNKNOWN) {
			conn->broken = true;
			return kontor_fail(err, KONTOR_E_UNKNOWN_OUTCOME, "database: lost in COMMIT");
		}
		return 0;
	}
	return fail_lost(conn, err);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

int kontor_db_query(kontor_conn *conn, enum kontor_read how, const char *sql, const struct kontor_param *params,
		    kontor_rows **ret_rows, struct kontor_error *err)
{
	(void)how;
	int code = run(conn, sql, params, err);
	if (code)
		return code;
	for (size_t i = 0; i < UNIT_ROWS; i++) {
		kontor_rows *rows = &memory()->rows[i];
		if (rows->used)
			continue;
		rows->used = true;
		rows->next = 0;
		answer_copy(&rows->answer, &memory()->answer);
		*ret_rows = rows;
		return 0;
	}
	fprintf(stderr, "simulation: too many open rows\n");
	exit(3);
}

int kontor_rows_next(kontor_rows *rows, struct kontor_error *err)
{
	(void)err;
	return rows->next++ < rows->answer.rows;
}

kontor_rows *kontor_rows_close(kontor_rows *rows)
{
	if (rows)
		rows->used = false;
	return NULL;
}

static const struct answer_cell *cell_of(const kontor_rows *rows, unsigned column)
{
	return &rows->answer.cells[(rows->next - 1) * rows->answer.columns + column];
}

bool kontor_rows_null(const kontor_rows *rows, unsigned column)
{
	return cell_of(rows, column)->null;
}

int64_t kontor_rows_int(const kontor_rows *rows, unsigned column)
{
	return cell_of(rows, column)->number;
}

uint64_t kontor_rows_uint(const kontor_rows *rows, unsigned column)
{
	return (uint64_t)cell_of(rows, column)->number;
}

struct kontor_text kontor_rows_text(const kontor_rows *rows, unsigned column)
{
	const struct answer_cell *cell = cell_of(rows, column);
	return (struct kontor_text){cell->null ? NULL : rows->answer.text + cell->text, cell->size};
}

const char *kontor_rows_string(const kontor_rows *rows, unsigned column)
{
	const struct kontor_text text = kontor_rows_text(rows, column);
	return text.data ? text.data : "";
}

int kontor_db_query_int(kontor_conn *conn, const char *sql, const struct kontor_param *params, int64_t *ret_value,
			struct kontor_error *err)
{
	int code = run(conn, sql, params, err);
	if (code)
		return code;
	if (!memory()->answer.rows)
		return KONTOR_E_NOT_FOUND;
	*ret_value = memory()->answer.cells[0].number;
	return 0;
}
