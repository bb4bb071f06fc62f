/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "kontor/region.h"
#include "payout.h"
#include "shop_range.h"
#include "statements.h"

#define STOP_CHECK_ROWS 4096 /* asks whether to stop once per so many streamed rows: about a millisecond */

static int out_of_memory(const struct shop_range *range, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_INTERNAL,
			   "shops %llu to %llu: out of memory; make the plugin's chunk_items smaller",
			   (unsigned long long)range->shop_from, (unsigned long long)range->shop_to);
}

static int read_items(kontor_conn *conn, const struct shop_range *range, const kontor_job *job,
		      struct range_result *result, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	const char *sql = range->upload_id ? SQL_ITEMS_OF_UPLOAD : range->has_claims ? SQL_ITEMS_UNCLAIMED : SQL_ITEMS;
	int code = kontor_db_query(conn, KONTOR_READ_STREAM, sql,
				   KONTOR_PARAMS(P_STRING(range->region),
						 P_UINT(range->upload_id ? range->upload_id : range->window_no),
						 P_UINT(range->shop_from), P_UINT(range->shop_to)),
				   &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		if (!shop_table_add_item(&result->shops, kontor_rows_uint(rows, 0), kontor_rows_text(rows, 1),
					 (int)kontor_rows_int(rows, 2), kontor_rows_int(rows, 3))) {
			code = out_of_memory(range, err);
			break;
		}
		if (++result->items % STOP_CHECK_ROWS == 0 && job && kontor_job_stopping(job)) {
			code = KONTOR_JOB_STOPPED;
			break;
		}
	}
	kontor_rows_close(rows);
	return code;
}

static bool keep_carry(struct range_result *result, uint64_t shop_user_id, const char *currency, uint64_t from_run)
{
	if (result->carries_len == result->carries_capacity) {
		size_t capacity = result->carries_capacity ? result->carries_capacity * 2 : 256;
		struct range_carry *carries = realloc(result->carries, capacity * sizeof(*carries));
		if (!carries)
			return false;
		result->carries = carries;
		result->carries_capacity = capacity;
	}
	struct range_carry *carry = &result->carries[result->carries_len++];
	*carry = (struct range_carry){.shop_user_id = shop_user_id, .from_run = from_run};
	strncpy(carry->currency, currency, sizeof(carry->currency) - 1);
	return true;
}

static int read_carries(kontor_conn *conn, const struct shop_range *range, struct range_result *result,
			struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_STREAM, SQL_CARRIES_OPEN,
				   KONTOR_PARAMS(P_STRING(range->region), P_UINT(range->shop_from),
						 P_UINT(range->shop_to), P_UINT(range->run_id)),
				   &rows, err);
	if (code)
		return code;
	while ((code = kontor_rows_next(rows, err)) == 1) {
		uint64_t shop = kontor_rows_uint(rows, 0);
		if (!keep_carry(result, shop, kontor_rows_string(rows, 1), kontor_rows_uint(rows, 2)) ||
		    !shop_table_add_carry(&result->shops, shop, kontor_rows_text(rows, 1), kontor_rows_int(rows, 3))) {
			code = out_of_memory(range, err);
			break;
		}
	}
	kontor_rows_close(rows);
	return code;
}

int range_read(kontor_conn *conn, const struct shop_range *range, const kontor_job *job, struct range_result *result,
	       struct kontor_error *err)
{
	int code = read_items(conn, range, job, result, err);
	if (!code && !range->upload_id)
		code = read_carries(conn, range, result, err);
	if (!code)
		code = shop_rules_load(conn, range->region, &range->rules, range->shop_from, range->shop_to,
				       &result->rules, err);
	if (!code)
		shop_table_finish(&result->shops);
	return code;
}

static int compute_one(const kontor_host *host, const struct shop_entry *entry, const struct shop_terms *terms,
		       struct payout_figures *ret_figures, struct control_totals *totals, struct kontor_error *err)
{
	const struct kontor_currency *currency = kontor_currency_find(host, kontor_text_of(entry->currency));
	if (!currency)
		return kontor_fail(
			err, KONTOR_E_CONFLICT,
			"shop %llu has items in %s, which conf/currencies.conf does not list: add it and run again",
			(unsigned long long)entry->shop_user_id, entry->currency);
	struct control_line *line = control_line_of(totals, entry->currency);
	if (!line || !payout_compute(&entry->sums, terms, currency->payment_unit, ret_figures) ||
	    !control_add_payout(line, entry->sums.items, ret_figures))
		return kontor_fail(err, PAYOUT_E_RANGE,
				   "shop %llu, %s: a sum of the payout or of the chunk does not fit 63 bits",
				   (unsigned long long)entry->shop_user_id, entry->currency);
	return 0;
}

int range_compute(const kontor_host *host, const struct shop_range *range, struct range_result *result,
		  struct kontor_error *err)
{
	result->totals = (struct control_totals){0};
	result->figures = calloc(result->shops.len ? result->shops.len : 1, sizeof(*result->figures));
	if (!result->figures)
		return out_of_memory(range, err);
	for (size_t i = 0; i < result->shops.len; i++) {
		const struct shop_entry *entry = &result->shops.entries[i];
		struct shop_terms terms = shop_rules_terms(&result->rules, entry->shop_user_id, entry->currency);
		if (range->upload_id)
			terms.minimum_minor = 0;
		int code = compute_one(host, entry, &terms, &result->figures[i], &result->totals, err);
		if (code)
			return code;
	}
	return 0;
}

void range_result_free(struct range_result *result)
{
	shop_table_free(&result->shops);
	shop_rules_free(&result->rules);
	free(result->carries);
	free(result->figures);
	*result = (struct range_result){0};
}
