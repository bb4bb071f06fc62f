/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <stdio.h>
#include <string.h>

#include "kontor/time.h"
#include "payout.h"
#include "statements.h"

#define ACCOUNT_CLEARING "clearing"
#define ACCOUNT_CARRY "carry_forward"
#define ACCOUNT_COMMISSION "commission"
#define ACCOUNT_PAYABLE "payable"
#define ACCOUNT_HELD "held"

int ledger_begin(struct ledger *ledger, kontor_conn *tx, uint64_t ledger_tx_id, uint64_t run_id, uint32_t chunk_no,
		 struct kontor_error *err)
{
	*ledger = (struct ledger){.tx = tx, .ledger_tx_id = ledger_tx_id, .legs = kontor_bulk_new("uisusii")};
	if (!ledger->legs)
		return kontor_fail(err, KONTOR_E_INTERNAL, "ledger: out of memory");
	return kontor_db_exec(
		tx, SQL_LEDGER_TX_INSERT,
		KONTOR_PARAMS(P_UINT(ledger_tx_id), P_UINT(run_id), P_UINT(chunk_no), P_INT(kontor_now_ms())), NULL,
		err);
}

static struct ledger_side *side_of(struct ledger *ledger, const char *currency)
{
	for (size_t i = 0; i < ledger->sides_len; i++)
		if (!strcmp(ledger->sides[i].currency, currency))
			return &ledger->sides[i];
	if (ledger->sides_len == CONTROL_CURRENCIES)
		return NULL;
	struct ledger_side *side = &ledger->sides[ledger->sides_len++];
	snprintf(side->currency, sizeof(side->currency), "%s", currency);
	return side;
}

static int flush(struct ledger *ledger, struct kontor_error *err)
{
	int code = kontor_bulk_exec(ledger->tx, SQL_LEDGER_ENTRY_INSERT, ledger->legs, NULL, err);
	kontor_bulk_clear(ledger->legs);
	return code;
}

/* A leg of `debit` minor units, negative ones are a credit. INT64_MIN has no other side; no figure comes near it:
 * amounts are < 10^16 and a sum that large is refused by payout_compute() or as a payout of the bank. */
static int add_leg(struct ledger *ledger, const char *account, uint64_t shop_user_id, const char *currency,
		   int64_t debit, struct kontor_error *err)
{
	if (debit == 0)
		return 0;
	struct ledger_side *side = side_of(ledger, currency);
	if (!side || debit == INT64_MIN)
		return kontor_fail(err, PAYOUT_E_RANGE, "ledger account %s: too many currencies, or too large a sum",
				   account);
	int64_t debit_minor = debit > 0 ? debit : 0, credit_minor = debit < 0 ? -debit : 0;
	side->debit += debit_minor;
	side->credit += credit_minor;
	int code = kontor_bulk_add(ledger->legs,
				   KONTOR_PARAMS(P_UINT(ledger->ledger_tx_id), P_INT(ledger->len++), P_STRING(account),
						 P_UINT(shop_user_id), P_STRING(currency), P_INT(debit_minor),
						 P_INT(credit_minor)),
				   err);
	if (!code && kontor_bulk_rows(ledger->legs) >= PAYOUT_BULK_ROWS)
		code = flush(ledger, err);
	return code;
}

/* The same leg on the credit side. */
static int add_credit(struct ledger *ledger, const char *account, uint64_t shop_user_id, const char *currency,
		      int64_t credit, struct kontor_error *err)
{
	if (credit == INT64_MIN)
		return kontor_fail(err, PAYOUT_E_RANGE, "ledger account %s: too large a sum", account);
	return add_leg(ledger, account, shop_user_id, currency, -credit, err);
}

int ledger_add_payout(struct ledger *ledger, uint64_t shop_user_id, const char *currency,
		      const struct payout_figures *figures, struct kontor_error *err)
{
	const char *account = figures->state == PAYOUT_HELD ? ACCOUNT_HELD : ACCOUNT_PAYABLE;
	return add_credit(ledger, account, shop_user_id, currency, figures->net_minor, err);
}

int ledger_add_totals(struct ledger *ledger, const struct control_line *line, struct kontor_error *err)
{
	int code = add_leg(ledger, ACCOUNT_CLEARING, 0, line->currency, line->items_minor, err);
	if (!code)
		code = add_leg(ledger, ACCOUNT_CARRY, 0, line->currency, line->carry_in_minor, err);
	if (!code)
		code = add_credit(ledger, ACCOUNT_CARRY, 0, line->currency, line->carried_minor, err);
	if (!code)
		code = add_credit(ledger, ACCOUNT_COMMISSION, 0, line->currency, line->fees_minor, err);
	return code;
}

int ledger_store(struct ledger *ledger, struct kontor_error *err)
{
	for (size_t i = 0; i < ledger->sides_len; i++)
		if (ledger->sides[i].debit != ledger->sides[i].credit)
			return kontor_fail(err, KONTOR_E_INTERNAL,
					   "ledger transaction %llu: debit and credit in %s differ by %lld minor units",
					   (unsigned long long)ledger->ledger_tx_id, ledger->sides[i].currency,
					   (long long)(ledger->sides[i].debit - ledger->sides[i].credit));
	return flush(ledger, err);
}

void ledger_end(struct ledger *ledger)
{
	ledger->legs = kontor_bulk_free(ledger->legs);
}
