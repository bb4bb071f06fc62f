/* SPDX-License-Identifier: Apache-2.0
 *
 * Control totals: what a run paid against what the settlement plugin counted when the window closed.
 */
#ifndef PAYOUT_CONTROL_H
#define PAYOUT_CONTROL_H

#include "control_totals.h"
#include "payout.h"
#include "run_record.h"
#include "settlement_calls.h"

/* Sums of the run's chunks. */
int control_of_chunks(kontor_conn *conn, uint64_t run_id, struct control_totals *ret, struct kontor_error *err);
/* 0, or PAYOUT_E_UNBALANCED with a message that names the currency and both sums. The chunks' sums must equal the
 * window's (without claimed items) and those of the stored payouts, each currency's equation must hold, and the ledger
 * must balance. A manual run is compared with what its upload claimed; window is not read then. *ret_totals: the
 * chunks' sums. */
int control_check(kontor_conn *conn, const struct run_record *run, const struct settlement_window *window,
		  struct control_totals *ret_totals, struct kontor_error *err);

int payout_control(void *self, kontor_request *request);

#endif
