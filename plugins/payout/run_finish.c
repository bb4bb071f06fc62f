/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of a run. A balanced run is committed before the window is marked `settled`: the other way round a crash in
 * between would let the next window's run begin without this one's carries.
 */
#include "run.h"

#include "control.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "statements.h"

struct outcome {
	kontor_job *job;
	const struct run_record *run;
	uint64_t payouts, items;
};

static int changed_meanwhile(const struct run_record *run, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_BUSY, "payout run %llu was taken back while its totals were compared",
			   (unsigned long long)run->run_id);
}

static int store_balanced(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct outcome *outcome = arg;
	uint64_t changed = 0;
	int code =
		kontor_db_exec(tx, SQL_RUN_BALANCED,
			       KONTOR_PARAMS(P_UINT(outcome->payouts), P_UINT(outcome->items), P_INT(kontor_now_ms()),
					     P_UINT(outcome->run->run_id), P_UINT(outcome->run->generation)),
			       &changed, err);
	return code ? code : changed == 1 ? 0 : changed_meanwhile(outcome->run, err);
}

static int store_failed(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct outcome *outcome = arg;
	uint64_t changed = 0;
	int code = kontor_db_exec(
		tx, SQL_RUN_FAILED_CONTROL,
		KONTOR_PARAMS(P_INT(kontor_now_ms()), P_UINT(outcome->run->run_id), P_UINT(outcome->run->generation)),
		&changed, err);
	return code ? code : changed == 1 ? 0 : changed_meanwhile(outcome->run, err);
}

static int store_done(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct outcome *outcome = arg;
	const void *data;
	size_t size;
	kontor_writer *result = kontor_writer_new();
	if (!result)
		return kontor_fail(err, KONTOR_E_INTERNAL, "payout run: out of memory");
	kontor_write_map(result);
	kontor_put_uint(result, "run_id", outcome->run->run_id);
	kontor_put_string(result, "state", RUN_BALANCED);
	kontor_put_uint(result, "payouts", outcome->payouts);
	kontor_put_uint(result, "items", outcome->items);
	kontor_put_bool(result, "balanced", true);
	kontor_write_end(result);
	int code = kontor_writer_finish(result, &data, &size, err);
	if (!code)
		code = kontor_job_done(tx, outcome->job, data, size, err);
	kontor_writer_free(result);
	return code;
}

/* Compares the totals and makes the run balanced or failed_control. */
static int close_books(struct payout *payout, kontor_conn *conn, struct outcome *outcome, struct kontor_error *err)
{
	const struct run_record *run = outcome->run;
	struct settlement_window window;
	struct control_totals totals;
	int code = run->upload_id ? 0 : settlement_window_get(payout->host, run->region, run->window_no, &window, err);
	if (!code)
		code = control_check(conn, run, &window, &totals, err);
	if (code == PAYOUT_E_UNBALANCED) {
		struct kontor_error storing = KONTOR_ERROR_INIT;
		int failed = kontor_db_transaction(conn, store_failed, outcome, &storing);
		if (failed) {
			*err = storing;
			return failed;
		}
		kontor_log(KONTOR_LOG_ERROR, "payout run does not balance", "run_id=%llu reason=%s",
			   (unsigned long long)run->run_id, KONTOR_QUOTED(err->message));
	}
	if (code)
		return code;
	for (size_t i = 0; i < totals.len; i++) {
		outcome->payouts += (uint64_t)totals.lines[i].payouts;
		outcome->items += (uint64_t)totals.lines[i].items;
	}
	return kontor_db_transaction(conn, store_balanced, outcome, err);
}

int run_finish(void *self, kontor_job *job, struct kontor_error *err)
{
	struct payout *payout = self;
	kontor_conn *conn = kontor_job_db(job);
	struct run_record run;
	int code = run_by_id(conn, kontor_get_uint(kontor_job_params(job), "run_id", 0), &run, err);
	if (code)
		return code;
	struct outcome outcome = {.job = job, .run = &run};
	if (run_is(&run, RUN_BALANCED)) {
		outcome.payouts = run.payouts;
		outcome.items = run.items;
	} else {
		code = close_books(payout, conn, &outcome, err);
	}
	if (!code && run.upload_id)
		code = settlement_manual_end(payout->host, run.region, run.upload_id, run.run_id, outcome.payouts, err);
	else if (!code)
		code = settlement_settle_end(payout->host, run.region, run.window_no, run.run_id, err);
	if (!code)
		code = kontor_db_transaction(conn, store_done, &outcome, err);
	return code;
}
