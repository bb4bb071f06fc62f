/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking a run back, chunk by chunk as it was stored. A runner that was paused for so long that the run has started
 * again meanwhile is stopped by the run's generation.
 */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>

#include "statements.h"

struct stored_range {
	uint32_t chunk_no;
	char currency[4];
	uint64_t shop_from, shop_to;
};

struct removal {
	const struct run_record *run;
	struct stored_range *ranges; /* by chunk; one per chunk and currency */
	size_t len, first, end;      /* first .. end-1: of the chunk that is removed now */
};

static int load_ranges(kontor_conn *conn, struct removal *removal, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	size_t capacity = 0;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_CHUNKS_OF_RUN,
				   KONTOR_PARAMS(P_UINT(removal->run->run_id)), &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		if (removal->len == capacity) {
			capacity = capacity ? capacity * 2 : 64;
			struct stored_range *ranges = realloc(removal->ranges, capacity * sizeof(*ranges));
			if (!ranges) {
				code = kontor_fail(err, KONTOR_E_INTERNAL, "payout run: out of memory");
				break;
			}
			removal->ranges = ranges;
		}
		struct stored_range *range = &removal->ranges[removal->len++];
		*range = (struct stored_range){
			.chunk_no = (uint32_t)kontor_rows_uint(rows, 0),
			.shop_from = kontor_rows_uint(rows, 2),
			.shop_to = kontor_rows_uint(rows, 3),
		};
		snprintf(range->currency, sizeof(range->currency), "%s", kontor_rows_string(rows, 1));
	}
	kontor_rows_close(rows);
	return code;
}

/* Locks the run, so that it cannot start again while this transaction removes. */
static int require_generation(kontor_conn *tx, const struct run_record *run, struct kontor_error *err)
{
	int64_t generation = -1;
	int code = kontor_db_query_int(tx, SQL_RUN_LOCK, KONTOR_PARAMS(P_UINT(run->run_id)), &generation, err);
	if (code && code != KONTOR_E_NOT_FOUND)
		return code;
	if (code || generation != run->generation)
		return kontor_fail(err, KONTOR_E_BUSY, "payout run %llu has started again meanwhile",
				   (unsigned long long)run->run_id);
	return 0;
}

static int remove_range(kontor_conn *tx, const struct run_record *run, const struct stored_range *range,
			struct kontor_error *err)
{
	struct kontor_param run_id = P_UINT(run->run_id), region = P_STRING(run->region);
	struct kontor_param currency = P_STRING(range->currency);
	struct kontor_param from = P_UINT(range->shop_from), to = P_UINT(range->shop_to);
	int code = kontor_db_exec(tx, SQL_PAYOUT_DELETE, KONTOR_PARAMS(run_id, currency, from, to), NULL, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_CARRY_DELETE, KONTOR_PARAMS(region, from, to, run_id, currency), NULL,
				      err);
	if (!code)
		code = kontor_db_exec(tx, SQL_CARRY_REOPEN, KONTOR_PARAMS(region, run_id, from, to, currency), NULL,
				      err);
	if (!code)
		code = kontor_db_exec(tx, SQL_RUN_CHUNK_DELETE,
				      KONTOR_PARAMS(run_id, P_UINT(range->chunk_no), currency), NULL, err);
	return code;
}

static int remove_chunk(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct removal *removal = arg;
	const struct run_record *run = removal->run;
	struct kontor_param run_id = P_UINT(run->run_id), chunk_no = P_UINT(removal->ranges[removal->first].chunk_no);
	int code = require_generation(tx, run, err);
	for (size_t i = removal->first; !code && i < removal->end; i++)
		code = remove_range(tx, run, &removal->ranges[i], err);
	if (!code)
		code = kontor_db_exec(tx, SQL_LEDGER_ENTRIES_DELETE, KONTOR_PARAMS(run_id, chunk_no), NULL, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_LEDGER_TX_DELETE, KONTOR_PARAMS(run_id, chunk_no), NULL, err);
	return code;
}

int run_take_back(kontor_conn *conn, struct run_record *run, struct kontor_error *err)
{
	uint64_t changed = 0;
	int code = kontor_db_exec(conn, SQL_RUN_TAKE_BACK, KONTOR_PARAMS(P_UINT(run->run_id), P_UINT(run->generation)),
				  &changed, err);
	if (code)
		return code;
	if (changed != 1)
		return kontor_fail(err, KONTOR_E_BUSY, "payout run %llu is balanced or was taken back meanwhile",
				   (unsigned long long)run->run_id);
	code = run_by_id(conn, run->run_id, run, err);
	struct removal removal = {.run = run};
	if (!code)
		code = load_ranges(conn, &removal, err);
	while (!code && removal.first < removal.len) {
		uint32_t chunk_no = removal.ranges[removal.first].chunk_no;
		for (removal.end = removal.first; removal.end < removal.len; removal.end++)
			if (removal.ranges[removal.end].chunk_no != chunk_no)
				break;
		code = kontor_db_transaction(conn, remove_chunk, &removal, err);
		removal.first = removal.end;
	}
	free(removal.ranges);
	return code;
}

int run_undo(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	kontor_conn *conn = kontor_job_db(job);
	struct run_record run;
	int code = run_by_id(conn, kontor_get_uint(kontor_job_params(job), "run_id", 0), &run, err);
	if (code) /* a manual run that ended before it was planned has no row */
		return code == KONTOR_E_NOT_FOUND ? 0 : code;
	/* A balanced run only misses its window's last state, and one that did not balance is kept to be looked at;
	 * `payout run` (`settlement manual`) goes on with either. */
	if (run_is(&run, RUN_BALANCED) || run_is(&run, RUN_FAILED_CONTROL))
		return 0;
	return run_take_back(conn, &run, err);
}
