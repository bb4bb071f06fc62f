/* SPDX-License-Identifier: Apache-2.0
 *
 * The report of a window's payouts: payout.report_payouts.
 */
#ifndef PAYOUT_REPORT_PAYOUTS_H
#define PAYOUT_REPORT_PAYOUTS_H

#include "kontor/method.h"
#include "kontor/report.h"

#define PAYOUT_REPORT_KIND "payout.report_payouts"

int payout_report(void *self, kontor_request *request);
int payout_report_plan(void *self, kontor_job *job, struct kontor_error *err);
int payout_report_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err);
int payout_report_finish(void *self, kontor_job *job, struct kontor_error *err);

#endif
