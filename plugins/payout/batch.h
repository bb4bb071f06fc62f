/* SPDX-License-Identifier: Apache-2.0
 *
 * What a payment file asks of the payouts (internal methods, docs/architecture.md): which run, which payouts can be
 * paid and to whom, and moving them into the file and out again.
 */
#ifndef PAYOUT_BATCH_H
#define PAYOUT_BATCH_H

#include "kontor/method.h"

#define PAYABLE_LIMIT 2000  /* payouts of one page, and of one batch */
#define UNBATCH_LIMIT 10000 /* payouts of one transaction */

int payout_run_for_file(void *self, kontor_request *request);
int payout_payable(void *self, kontor_request *request);
int payout_batch(void *self, kontor_request *request);
int payout_unbatch(void *self, kontor_request *request);

#endif
