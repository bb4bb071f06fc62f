/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunks of the jobs payout.run and payout.manual: each settles one range of shops.
 */
#include "run.h"
#include "shop_range.h"

struct store {
	const struct shop_range *range;
	const struct range_result *result;
	kontor_chunk *chunk;
};

/* Effect and checkpoint in one transaction: killed before the commit, nothing happened; after it, the chunk is done. */
static int store_and_check_off(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct store *store = arg;
	int code = range_store(tx, store->range, store->result, err);
	if (!code)
		code = kontor_chunk_done(tx, store->chunk, NULL, 0, store->result->items, err);
	return code;
}

static int take_ids(kontor_host *host, struct range_result *result, struct kontor_error *err)
{
	if (result->shops.len == 0)
		return 0;
	int code = kontor_ids_take(host, "payout", (uint32_t)result->shops.len, &result->payout_ids, err);
	if (!code)
		code = kontor_id_next(host, "default", &result->ledger_tx_id, err);
	return code;
}

int run_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err)
{
	struct payout *payout = self;
	const msgpack_object *params = kontor_job_params(job), *input = kontor_chunk_input(chunk);
	struct shop_range range = {
		.run_id = kontor_get_uint(params, "run_id", 0),
		.upload_id = kontor_get_uint(params, "upload_id", 0),
		.region = kontor_job_region(job),
		.window_no = (uint32_t)kontor_get_uint(params, "window_no", 0),
		.chunk_no = kontor_chunk_no(chunk),
		.shop_from = kontor_get_uint(input, "shop_from", 0),
		.shop_to = kontor_get_uint(input, "shop_to", 0),
		.has_claims = kontor_get_bool(input, "has_claims", false),
		.rules = {kontor_get_uint(input, "rules_revision", 0), kontor_get_int(input, "rules_at_ms", 0)},
	};
	struct range_result result = {0};
	int code = range_read(kontor_job_db(job), &range, job, &result, err);
	if (!code)
		code = range_compute(payout->host, &range, &result, err);
	if (!code)
		code = take_ids(payout->host, &result, err);
	if (!code)
		code = kontor_db_transaction(kontor_job_db(job), store_and_check_off,
					     &(struct store){&range, &result, chunk}, err);
	range_result_free(&result);
	return code;
}
