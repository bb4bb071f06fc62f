/* SPDX-License-Identifier: Apache-2.0 */
#include "arithmetic.h"

static bool fits(__int128 value)
{
	return value >= INT64_MIN && value <= INT64_MAX;
}

/* Once per payout, so that a thousand small orders are not rounded a thousand times. */
static __int128 commission(__int128 commissionable, uint32_t commission_ppm)
{
	if (commissionable <= 0)
		return 0;
	return (commissionable * commission_ppm + COMMISSION_SCALE / 2) / COMMISSION_SCALE;
}

bool payout_compute(const struct shop_sums *sums, const struct shop_terms *terms, uint32_t payment_unit,
		    struct payout_figures *ret)
{
	__int128 fees = commission(sums->commissionable, terms->commission_ppm);
	__int128 due = sums->gross - fees + sums->carry_in;
	__int128 net = 0;
	enum payout_state state = PAYOUT_CARRIED;
	const char *reason = "";

	if (due == 0) {
		state = PAYOUT_ZERO;
	} else if (due < 0) {
		reason = "negative";
	} else if (due < terms->minimum_minor) {
		reason = "below_minimum";
	} else {
		net = due - due % payment_unit;
		state = terms->hold ? PAYOUT_HELD : PAYOUT_READY;
		/* CONTRACT calls a payout that rounds down to nothing ready; payout.payable leaves it out. */
		reason = net == 0 ? "below_payment_unit" : terms->hold ? "hold" : "";
	}
	if (!fits(sums->gross) || !fits(fees) || !fits(sums->carry_in) || !fits(due))
		return false;
	*ret = (struct payout_figures){
		.gross_minor = (int64_t)sums->gross,
		.fees_minor = (int64_t)fees,
		.carry_in_minor = (int64_t)sums->carry_in,
		.net_minor = (int64_t)net,
		.carry_out_minor = (int64_t)(due - net),
		.state = state,
		.reason = reason,
	};
	return true;
}

const char *payout_state_name(enum payout_state state)
{
	static const char *const names[] = {
		[PAYOUT_READY] = "ready",
		[PAYOUT_HELD] = "held",
		[PAYOUT_CARRIED] = "carried",
		[PAYOUT_ZERO] = "zero",
	};
	return names[state];
}
