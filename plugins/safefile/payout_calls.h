/* SPDX-License-Identifier: Apache-2.0
 *
 * What safefile asks of the payout plugin (docs/architecture.md, "What the plugins say to each other").
 */
#ifndef SAFEFILE_PAYOUT_CALLS_H
#define SAFEFILE_PAYOUT_CALLS_H

#include "kontor/host.h"

#define PAYOUT_PAGE 2000 /* rows of one payable or batch */
#define PAYOUT_UNBATCH_PAGE 10000

struct payout_run {
	uint64_t run_id, ready;
	char region[3];
	uint32_t window;
};

/* By run_id, or by region and window when run_id is 0. NOT_FOUND, or CONFLICT while the run is not balanced. */
int payout_run_for_file(kontor_host *host, uint64_t run_id, const char *region, uint32_t window,
			struct payout_run *ret_run, struct kontor_error *err);
/* One page of {rows, next?}; after: `next` of the page before, NULL for the first. The caller frees *ret_page. */
int payout_payable(kontor_host *host, uint64_t run_id, uint64_t safefile_id, const msgpack_object *after,
		   kontor_body **ret_page, struct kontor_error *err);
/* At most PAYOUT_PAGE payouts, all or nothing; those that this safefile already has are fine. */
int payout_batch(kontor_host *host, uint64_t run_id, uint64_t safefile_id, const uint64_t *payouts, size_t len,
		 struct kontor_error *err);
/* All payouts of a safefile are ready again. */
int payout_unbatch(kontor_host *host, uint64_t safefile_id, struct kontor_error *err);

#endif
