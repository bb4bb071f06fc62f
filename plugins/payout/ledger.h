/* SPDX-License-Identifier: Apache-2.0
 *
 * Double entry, one ledger transaction per chunk of a run (a transaction per payout made storing payouts three times
 * slower: 200,000 took 2.9 s more):
 *
 *   debit clearing       what the items bring         credit payable        each shop's net payout
 *   debit carry_forward  carries that are used up     credit held           each shop's net payout on hold
 *                                                     credit carry_forward  what is carried on
 *                                                     credit commission     fees
 *
 * A negative amount is written on the other side.
 */
#ifndef PAYOUT_LEDGER_H
#define PAYOUT_LEDGER_H

#include "control_totals.h"
#include "kontor/db.h"

/* Legs of one transaction while they are collected. */
struct ledger {
	kontor_conn *tx;
	kontor_bulk *legs;
	uint64_t ledger_tx_id;
	uint32_t len;
	struct ledger_side {
		char currency[4];
		__int128 debit, credit;
	} sides[CONTROL_CURRENCIES];
	size_t sides_len;
};

/* Stores the head of the transaction for (run, chunk); ledger_end() is always needed. tx: the open transaction. */
int ledger_begin(struct ledger *ledger, kontor_conn *tx, uint64_t ledger_tx_id, uint64_t run_id, uint32_t chunk_no,
		 struct kontor_error *err);
/* The leg of one payout. */
int ledger_add_payout(struct ledger *ledger, uint64_t shop_user_id, const char *currency,
		      const struct payout_figures *figures, struct kontor_error *err);
/* The legs that a currency has once per chunk. */
int ledger_add_totals(struct ledger *ledger, const struct control_line *line, struct kontor_error *err);
/* Stores the rest; INTERNAL when debit and credit of a currency differ, and nothing must be committed. */
int ledger_store(struct ledger *ledger, struct kontor_error *err);
void ledger_end(struct ledger *ledger);

#endif
