/* SPDX-License-Identifier: Apache-2.0
 *
 * The run of a window, method and job payout.run:
 *
 *   plan    marks the window `settling`, cuts the shops into ranges of about chunk_items items
 *   chunk   one range: reads, computes and stores its payouts, carries, ledger and control totals in one transaction
 *   finish  compares the control totals; balanced: the payouts become visible and the window `settled`
 *   undo    takes all of it back, range by range; a balanced or unbalanced (failed_control) run stays
 *
 * Job payout.manual, which settlement submits when a manual-settlement upload is accepted, is the same for the items
 * that the upload claims: no carry-in, no minimum, and it neither waits for a window nor settles one.
 */
#ifndef PAYOUT_RUN_H
#define PAYOUT_RUN_H

#include "payout.h"
#include "run_record.h"

#define RUN_JOB_KIND "payout.run"
#define RUN_MANUAL_JOB_KIND "payout.manual"

int payout_run(void *self, kontor_request *request);

int run_plan(void *self, kontor_job *job, struct kontor_error *err);
int run_manual_plan(void *self, kontor_job *job, struct kontor_error *err);
int run_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err);
int run_finish(void *self, kontor_job *job, struct kontor_error *err);
int run_undo(void *self, kontor_job *job, struct kontor_error *err);

/* Removes what the chunks stored and opens the carries that they used, one chunk a transaction; safe to repeat. *run is
 * read again. BUSY when it has become
 * balanced, or somebody else took it back. */
int run_take_back(kontor_conn *conn, struct run_record *run, struct kontor_error *err);

#endif
