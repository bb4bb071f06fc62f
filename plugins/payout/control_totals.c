/* SPDX-License-Identifier: Apache-2.0 */
#include "control_totals.h"

#include <stdio.h>
#include <string.h>

#include "kontor/money.h"

struct control_line *control_line_of(struct control_totals *totals, const char *currency)
{
	for (size_t i = 0; i < totals->len; i++)
		if (!strcmp(totals->lines[i].currency, currency))
			return &totals->lines[i];
	if (totals->len == CONTROL_CURRENCIES)
		return NULL;
	struct control_line *line = &totals->lines[totals->len++];
	*line = (struct control_line){0};
	snprintf(line->currency, sizeof(line->currency), "%s", currency);
	return line;
}

const struct control_line *control_line_find(const struct control_totals *totals, const char *currency)
{
	for (size_t i = 0; i < totals->len; i++)
		if (!strcmp(totals->lines[i].currency, currency))
			return &totals->lines[i];
	return NULL;
}

bool control_add_payout(struct control_line *line, uint64_t items, const struct payout_figures *figures)
{
	line->payouts++;
	int64_t *paid = figures->state == PAYOUT_HELD ? &line->held_minor : &line->payouts_minor;
	return kontor_amount_add(&line->items, (int64_t)items) &&
	       kontor_amount_add(&line->items_minor, figures->gross_minor) &&
	       kontor_amount_add(&line->carry_in_minor, figures->carry_in_minor) &&
	       kontor_amount_add(paid, figures->net_minor) &&
	       kontor_amount_add(&line->carried_minor, figures->carry_out_minor) &&
	       kontor_amount_add(&line->fees_minor, figures->fees_minor);
}

bool control_add_line(struct control_line *line, const struct control_line *other)
{
	return kontor_amount_add(&line->payouts, other->payouts) && kontor_amount_add(&line->items, other->items) &&
	       kontor_amount_add(&line->items_minor, other->items_minor) &&
	       kontor_amount_add(&line->carry_in_minor, other->carry_in_minor) &&
	       kontor_amount_add(&line->payouts_minor, other->payouts_minor) &&
	       kontor_amount_add(&line->held_minor, other->held_minor) &&
	       kontor_amount_add(&line->carried_minor, other->carried_minor) &&
	       kontor_amount_add(&line->fees_minor, other->fees_minor) &&
	       kontor_amount_add(&line->reserve_minor, other->reserve_minor);
}

bool control_line_balanced(const struct control_line *line)
{
	__int128 in = (__int128)line->items_minor + line->carry_in_minor;
	__int128 out = (__int128)line->payouts_minor + line->held_minor + line->carried_minor + line->fees_minor +
		       line->reserve_minor;
	return in == out;
}

bool control_line_equal(const struct control_line *a, const struct control_line *b)
{
	return !strcmp(a->currency, b->currency) && a->payouts == b->payouts && a->items == b->items &&
	       a->items_minor == b->items_minor && a->carry_in_minor == b->carry_in_minor &&
	       a->payouts_minor == b->payouts_minor && a->held_minor == b->held_minor &&
	       a->carried_minor == b->carried_minor && a->fees_minor == b->fees_minor &&
	       a->reserve_minor == b->reserve_minor;
}
