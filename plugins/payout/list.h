/* SPDX-License-Identifier: Apache-2.0
 *
 * Payouts as people and services see them: payout.list, payout.get.
 */
#ifndef PAYOUT_LIST_H
#define PAYOUT_LIST_H

#include "kontor/method.h"

/* Where a page of a run begins. */
struct page_start {
	char currency[4];
	uint64_t shop_user_id;
};
/* After the payout of this id, 0 = at the front. BAD_REQUEST when the run has no such payout. */
int page_start_after(kontor_conn *conn, uint64_t run_id, uint64_t payout_id, struct page_start *ret,
		     struct kontor_error *err);

/* Puts the rows, each a map that `put` fills, as the reply's `rows`, and `next`, the payout id of the last one (its
 * column 0), when there are as many as the limit. Closes them. */
int put_page(kontor_request *request, kontor_rows *rows, int64_t limit,
	     void (*put)(kontor_writer *, const kontor_rows *));

/* Of a row of SQL_PAYOUT_COLUMNS: why it would not get into a payment file now; "" when it would. */
const char *payout_reason(const kontor_rows *rows);

int payout_list(void *self, kontor_request *request);
int payout_get(void *self, kontor_request *request);

#endif
