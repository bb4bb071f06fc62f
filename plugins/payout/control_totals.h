/* SPDX-License-Identifier: Apache-2.0
 *
 * Control totals of a run or a chunk: one line per currency, int64 minor units, every addition checked. Pure.
 */
#ifndef PAYOUT_CONTROL_TOTALS_H
#define PAYOUT_CONTROL_TOTALS_H

#include <stddef.h>

#include "arithmetic.h"

#define CONTROL_CURRENCIES 32 /* twice what a region can accept: its list may have changed */

struct control_line {
	char currency[4];
	int64_t items, items_minor, carry_in_minor;
	int64_t payouts; /* rows, of every state */
	int64_t payouts_minor, held_minor, carried_minor, fees_minor, reserve_minor;
};

struct control_totals {
	struct control_line lines[CONTROL_CURRENCIES];
	size_t len;
};

/* The currency's line, a new one if there is none; NULL past CONTROL_CURRENCIES. */
struct control_line *control_line_of(struct control_totals *totals, const char *currency);
/* NULL when there is none. */
const struct control_line *control_line_find(const struct control_totals *totals, const char *currency);

/* All return false when a sum does not fit int64. */
bool control_add_payout(struct control_line *line, uint64_t items, const struct payout_figures *figures);
bool control_add_line(struct control_line *line, const struct control_line *other);

/* items + carry_in = payouts + held + carried + fees + reserve */
bool control_line_balanced(const struct control_line *line);
bool control_line_equal(const struct control_line *a, const struct control_line *b);

#endif
