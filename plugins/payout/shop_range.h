/* SPDX-License-Identifier: Apache-2.0
 *
 * One chunk of a run: a range of shops is read and computed before, and stored in, one transaction.
 */
#ifndef PAYOUT_SHOP_RANGE_H
#define PAYOUT_SHOP_RANGE_H

#include "control_totals.h"
#include "kontor/host.h"
#include "kontor/ids.h"
#include "kontor/job.h"
#include "shop_rules.h"
#include "shop_table.h"

struct shop_range {
	uint64_t run_id;
	uint64_t upload_id; /* of a manual run: only the items that it claims, no carries, no minimum; else 0 */
	const char *region;
	uint32_t window_no, chunk_no;
	uint64_t shop_from, shop_to; /* both inclusive */
	bool has_claims;             /* the window has claimed items, which are not this run's */
	struct rule_set rules;       /* of the run's plan */
};

/* An open carry that the range uses up. */
struct range_carry {
	uint64_t shop_user_id, from_run;
	char currency[4];
};

struct range_result {
	struct shop_table shops;
	struct shop_rules rules;
	struct range_carry *carries;
	size_t carries_len, carries_capacity;
	struct payout_figures *figures; /* of shops.entries, in their order */
	struct control_totals totals;
	uint64_t items;
	struct kontor_id_range payout_ids; /* set by the caller: shops.len of them */
	uint64_t ledger_tx_id;             /* set by the caller */
};

/* Streams the range's items, open carries and rules. job (may be NULL): KONTOR_JOB_STOPPED when it should stop. */
int range_read(kontor_conn *conn, const struct shop_range *range, const kontor_job *job, struct range_result *result,
	       struct kontor_error *err);
/* Payouts and totals of what was read. host: for the currencies' payment units. */
int range_compute(const kontor_host *host, const struct shop_range *range, struct range_result *result,
		  struct kontor_error *err);
/* Stores payouts, carries, the chunk's control totals and its ledger transaction. BUSY when a carry was used up by
 * another run since it was read: read again. */
int range_store(kontor_conn *tx, const struct shop_range *range, const struct range_result *result,
		struct kontor_error *err);
void range_result_free(struct range_result *result);

#endif
