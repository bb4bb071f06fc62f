/* SPDX-License-Identifier: Apache-2.0
 *
 * What the payout plugin asks of the settlement plugin (docs/architecture.md, "What the plugins say to each other").
 */
#ifndef PAYOUT_SETTLEMENT_CALLS_H
#define PAYOUT_SETTLEMENT_CALLS_H

#include "control_totals.h"
#include "kontor/host.h"

struct settlement_window {
	char state[17]; /* open closing closed settling settled */
	int64_t to_ms;  /* its end, the first instant of the next one */
	uint64_t run_id, items;
	uint64_t open_claims;         /* an upload that claims items and is not accepted yet; 0: none */
	char older_unsettled[16];     /* "2026-W44", or "" */
	struct control_totals totals; /* items and items_minor only, as counted when the window closed */
};

int settlement_window_get(kontor_host *host, const char *region, uint32_t window_no, struct settlement_window *ret,
			  struct kontor_error *err);
/* closed -> settling for this run, settling -> settled. Both may be repeated. */
int settlement_settle_begin(kontor_host *host, const char *region, uint32_t window_no, uint64_t run_id,
			    struct kontor_error *err);
int settlement_settle_end(kontor_host *host, const char *region, uint32_t window_no, uint64_t run_id,
			  struct kontor_error *err);
/* The manual run of this upload has balanced. May be repeated. */
int settlement_manual_end(kontor_host *host, const char *region, uint64_t upload_id, uint64_t run_id, uint64_t payouts,
			  struct kontor_error *err);

#endif
