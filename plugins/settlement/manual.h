/* SPDX-License-Identifier: Apache-2.0
 *
 * Manual settlement: accepted uploads of kind manual-settlement, and the run that pays what each of them claims.
 */
#ifndef SETTLEMENT_MANUAL_H
#define SETTLEMENT_MANUAL_H

#include "settlement.h"

/* The job that computes the run; its kind is the payout plugin's. Params: run_id, upload_id, window_no. */
#define MANUAL_JOB_KIND "payout.manual"

struct manual {
	const char *region;
	uint64_t upload_id, run_id, job_id;
	uint32_t window; /* the oldest open one when the upload was accepted: the run belongs to it */
	char user[65];   /* whose upload it is */
	bool settled;    /* the run has balanced */
	uint64_t payouts;
};

/* Takes a new job id into manual->job_id and submits the run's job; in the caller's transaction. */
int manual_submit(const struct settlement *self, kontor_conn *tx, struct manual *manual, struct kontor_error *err);

#endif
