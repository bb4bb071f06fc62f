/* SPDX-License-Identifier: Apache-2.0
 *
 * Money is an int64 in minor units plus an ISO 4217 code. |minor| < 10^16 in files and rows; sums are __int128.
 */
#ifndef KONTOR_MONEY_H
#define KONTOR_MONEY_H

#include "kontor/error.h"
#include "kontor/text.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KONTOR_AMOUNT_LIMIT INT64_C(10000000000000000) /* 10^16: |minor| of one row stays below */

struct kontor_currency {
	char code[4];          /* "SGD" */
	uint8_t exponent;      /* ISO 4217 minor digits: JPY 0, SGD 2, KWD 3 */
	uint32_t payment_unit; /* payouts are multiples of this many minor units: TWD, IDR 100, else 1 */
};

enum kontor_amount_fault {
	KONTOR_AMOUNT_OK,
	KONTOR_AMOUNT_SYNTAX,   /* not `-?(0|[1-9][0-9]*)(\.[0-9]+)?` */
	KONTOR_AMOUNT_MINUS_0,  /* "-0", "-0.00" */
	KONTOR_AMOUNT_DECIMALS, /* more decimals than the currency's exponent */
	KONTOR_AMOUNT_RANGE,    /* |minor| >= 10^16 */
};

/* Decimal major units, as in files, to minor units: "12.5" of SGD -> 1250. *ret_minor is touched only by OK. */
enum kontor_amount_fault kontor_amount_parse(struct kontor_text text, unsigned exponent, int64_t *ret_minor);
/* A sentence for the operator, with the rule that was broken; exponent and currency fill it. Returns buffer. */
const char *kontor_amount_explain(enum kontor_amount_fault fault, const struct kontor_currency *currency, char *buffer,
				  size_t size);
/* Minor units to decimal major units with exactly `exponent` digits ("12.50", "-0.05"); out >= 24 bytes; returns out.
 */
char *kontor_amount_format(int64_t minor, unsigned exponent, char *out);

/* Adds into *sum; false (sum untouched) when the result would not fit int64. */
bool kontor_amount_add(int64_t *sum, int64_t minor);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
