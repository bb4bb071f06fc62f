/* SPDX-License-Identifier: Apache-2.0
 *
 * How often a client may try again: a tenth of its calls, so that callers do not keep an overloaded service overloaded,
 * with a floor that a tool of few calls can live on. A token bucket that may be overdrawn: the wait says until when.
 * One thread at a time. Not installed.
 */
#ifndef KONTOR_RETRY_BUDGET_H
#define KONTOR_RETRY_BUDGET_H

#include <stdint.h>

struct retry_budget {
	int64_t tokens_milli; /* below 0: what is promised to those who wait */
	uint64_t calls;       /* of the client, as they were counted last */
	int64_t counted_ms;
};

void retry_budget_init(struct retry_budget *budget, int64_t now_ms);
/* Takes one retry. Milliseconds to wait before it; 0: at once. calls: all that this client has made so far. */
uint32_t retry_budget_take(struct retry_budget *budget, uint64_t calls, int64_t now_ms);
/* The retry that was taken is not made: nobody may wait that long. */
void retry_budget_give_back(struct retry_budget *budget);

#endif
