/* SPDX-License-Identifier: Apache-2.0 */
#include "retry_budget.h"

#define TOKEN 1000          /* in thousandths */
#define TOKENS_PER_CALL 100 /* a tenth of one */
#define TOKENS_PER_MS 10    /* 10 retries in a second, however few calls there are */
#define TOKENS_LIMIT 100000 /* 100 retries at once: as many calls as may be in flight when a unit is lost */

void retry_budget_init(struct retry_budget *budget, int64_t now_ms)
{
	*budget = (struct retry_budget){.tokens_milli = TOKENS_LIMIT, .counted_ms = now_ms};
}

uint32_t retry_budget_take(struct retry_budget *budget, uint64_t calls, int64_t now_ms)
{
	uint64_t fresh_calls = calls - budget->calls;
	int64_t passed_ms = now_ms - budget->counted_ms;
	/* what would overflow is far beyond the limit */
	budget->tokens_milli += fresh_calls < TOKENS_LIMIT ? (int64_t)fresh_calls * TOKENS_PER_CALL : TOKENS_LIMIT;
	budget->tokens_milli += passed_ms < TOKENS_LIMIT ? passed_ms * TOKENS_PER_MS : TOKENS_LIMIT;
	if (budget->tokens_milli > TOKENS_LIMIT)
		budget->tokens_milli = TOKENS_LIMIT;
	budget->calls = calls;
	budget->counted_ms = now_ms;
	budget->tokens_milli -= TOKEN;
	return budget->tokens_milli >= 0 ? 0 : (uint32_t)((TOKENS_PER_MS - 1 - budget->tokens_milli) / TOKENS_PER_MS);
}

void retry_budget_give_back(struct retry_budget *budget)
{
	budget->tokens_milli += TOKEN;
}
