/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of a payout (CONTRACT, "Arithmetic"): pure, exact, in minor units.
 */
#ifndef PAYOUT_ARITHMETIC_H
#define PAYOUT_ARITHMETIC_H

#include <stdbool.h>
#include <stdint.h>

#define COMMISSION_SCALE 1000000 /* commission_percent has four decimals: 100 % is 1,000,000 */

/* The rules of one shop and currency that are in force at the window's end. All zero: no rule. */
struct shop_terms {
	uint32_t commission_ppm; /* commission_percent x 10,000: 0 .. COMMISSION_SCALE */
	int64_t minimum_minor;   /* minimum_payout; 0 = none */
	bool hold;
};

/* What a run found for one shop and currency. Sums of many int64 do not fit an int64 for sure. */
struct shop_sums {
	uint64_t items;
	__int128 gross;          /* items of every type */
	__int128 commissionable; /* order and refund items */
	__int128 carry_in;       /* open carries of earlier runs */
};

enum payout_state { PAYOUT_READY, PAYOUT_HELD, PAYOUT_CARRIED, PAYOUT_ZERO };

struct payout_figures {
	int64_t gross_minor, fees_minor, carry_in_minor, net_minor, carry_out_minor;
	enum payout_state state;
	const char *reason; /* "", "hold", "negative", "below_minimum", "below_payment_unit" */
};

/* payment_unit: minor units that a payout is a multiple of, >= 1. false (ret untouched): a figure does not fit int64.
 * Always: gross + carry_in = net + carry_out + fees. */
bool payout_compute(const struct shop_sums *sums, const struct shop_terms *terms, uint32_t payment_unit,
		    struct payout_figures *ret);

/* "ready", as in the table. */
const char *payout_state_name(enum payout_state state);

#endif
