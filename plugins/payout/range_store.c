/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"
#include "payout.h"
#include "shop_range.h"
#include "statements.h"

/* Rows on their way into one statement, PAYOUT_BULK_ROWS at a time. */
struct bulk_sink {
	kontor_conn *tx;
	const char *sql;
	kontor_bulk *bulk;
	uint64_t affected;
};

static int sink_open(struct bulk_sink *sink, kontor_conn *tx, const char *sql, const char *columns,
		     struct kontor_error *err)
{
	*sink = (struct bulk_sink){.tx = tx, .sql = sql, .bulk = kontor_bulk_new(columns)};
	return sink->bulk ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "payout run: out of memory");
}

static int sink_flush(struct bulk_sink *sink, struct kontor_error *err)
{
	uint64_t affected = 0;
	int code = kontor_bulk_exec(sink->tx, sink->sql, sink->bulk, &affected, err);
	sink->affected += affected;
	kontor_bulk_clear(sink->bulk);
	return code;
}

static int sink_add(struct bulk_sink *sink, const struct kontor_param *params, struct kontor_error *err)
{
	int code = kontor_bulk_add(sink->bulk, params, err);
	if (!code && kontor_bulk_rows(sink->bulk) >= PAYOUT_BULK_ROWS)
		code = sink_flush(sink, err);
	return code;
}

/* Flushes what is left unless `code` says that something has failed; frees; returns the first failure. */
static int sink_close(struct bulk_sink *sink, int code, struct kontor_error *err)
{
	if (!code)
		code = sink_flush(sink, err);
	sink->bulk = kontor_bulk_free(sink->bulk);
	return code;
}

/* By primary key, so that exactly the carries that were added up are used up. */
static int store_carries_in(kontor_conn *tx, const struct shop_range *range, const struct range_result *result,
			    struct kontor_error *err)
{
	struct bulk_sink sink;
	int code = sink_open(&sink, tx, SQL_CARRY_CONSUME, "ususu", err);
	for (size_t i = 0; !code && i < result->carries_len; i++) {
		const struct range_carry *carry = &result->carries[i];
		code = sink_add(&sink,
				KONTOR_PARAMS(P_UINT(range->run_id), P_STRING(range->region),
					      P_UINT(carry->shop_user_id), P_STRING(carry->currency),
					      P_UINT(carry->from_run)),
				err);
	}
	code = sink_close(&sink, code, err);
	if (!code && sink.affected != result->carries_len)
		return kontor_fail(
			err, KONTOR_E_BUSY,
			"carries of shops %llu to %llu were used by another run meanwhile; the chunk runs again",
			(unsigned long long)range->shop_from, (unsigned long long)range->shop_to);
	return code;
}

static int store_payouts(kontor_conn *tx, const struct shop_range *range, const struct range_result *result,
			 struct kontor_error *err)
{
	struct bulk_sink sink;
	int code = sink_open(&sink, tx, SQL_PAYOUT_INSERT, "uusiusiiiiiiss", err);
	for (size_t i = 0; !code && i < result->shops.len; i++) {
		const struct shop_entry *entry = &result->shops.entries[i];
		const struct payout_figures *figures = &result->figures[i];
		code = sink_add(&sink,
				KONTOR_PARAMS(P_UINT(result->payout_ids.base + i * result->payout_ids.stride),
					      P_UINT(range->run_id), P_STRING(range->region), P_INT(range->window_no),
					      P_UINT(entry->shop_user_id), P_STRING(entry->currency),
					      P_INT((int64_t)entry->sums.items), P_INT(figures->gross_minor),
					      P_INT(figures->fees_minor), P_INT(figures->carry_in_minor),
					      P_INT(figures->net_minor), P_INT(figures->carry_out_minor),
					      P_STRING(payout_state_name(figures->state)), P_STRING(figures->reason)),
				err);
	}
	return sink_close(&sink, code, err);
}

static int store_carries_out(kontor_conn *tx, const struct shop_range *range, const struct range_result *result,
			     struct kontor_error *err)
{
	struct bulk_sink sink;
	int code = sink_open(&sink, tx, SQL_CARRY_INSERT, "susui", err);
	for (size_t i = 0; !code && i < result->shops.len; i++) {
		const struct shop_entry *entry = &result->shops.entries[i];
		if (result->figures[i].carry_out_minor == 0)
			continue;
		code = sink_add(&sink,
				KONTOR_PARAMS(P_STRING(range->region), P_UINT(entry->shop_user_id),
					      P_STRING(entry->currency), P_UINT(range->run_id),
					      P_INT(result->figures[i].carry_out_minor)),
				err);
	}
	return sink_close(&sink, code, err);
}

static int store_totals(kontor_conn *tx, const struct shop_range *range, const struct range_result *result,
			struct kontor_error *err)
{
	for (size_t i = 0; i < result->totals.len; i++) {
		const struct control_line *line = &result->totals.lines[i];
		int code = kontor_db_exec(
			tx, SQL_RUN_CHUNK_INSERT,
			KONTOR_PARAMS(P_UINT(range->run_id), P_UINT(range->chunk_no), P_STRING(line->currency),
				      P_UINT(range->shop_from), P_UINT(range->shop_to), P_INT(line->payouts),
				      P_INT(line->items), P_INT(line->items_minor), P_INT(line->carry_in_minor),
				      P_INT(line->payouts_minor), P_INT(line->held_minor), P_INT(line->carried_minor),
				      P_INT(line->fees_minor), P_INT(line->reserve_minor)),
			NULL, err);
		if (code)
			return code;
	}
	return 0;
}

static int store_ledger(kontor_conn *tx, const struct shop_range *range, const struct range_result *result,
			struct kontor_error *err)
{
	struct ledger ledger;
	int code = ledger_begin(&ledger, tx, result->ledger_tx_id, range->run_id, range->chunk_no, err);
	for (size_t i = 0; !code && i < result->shops.len; i++)
		code = ledger_add_payout(&ledger, result->shops.entries[i].shop_user_id,
					 result->shops.entries[i].currency, &result->figures[i], err);
	for (size_t i = 0; !code && i < result->totals.len; i++)
		code = ledger_add_totals(&ledger, &result->totals.lines[i], err);
	if (!code)
		code = ledger_store(&ledger, err);
	ledger_end(&ledger);
	return code;
}

int range_store(kontor_conn *tx, const struct shop_range *range, const struct range_result *result,
		struct kontor_error *err)
{
	if (result->shops.len == 0)
		return 0;
	int code = store_carries_in(tx, range, result, err);
	if (!code)
		code = store_payouts(tx, range, result, err);
	if (!code)
		code = store_carries_out(tx, range, result, err);
	if (!code)
		code = store_totals(tx, range, result, err);
	if (!code)
		code = store_ledger(tx, range, result, err);
	return code;
}
