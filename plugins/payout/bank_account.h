/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be known about a bank account from its digits alone. Pure.
 */
#ifndef PAYOUT_BANK_ACCOUNT_H
#define PAYOUT_BANK_ACCOUNT_H

#include "kontor/text.h"

enum iban_fault {
	IBAN_OK,
	IBAN_STRUCTURE, /* not [A-Z]{2}[0-9]{2}[A-Z0-9]{11,30} */
	IBAN_LENGTH,    /* not the length that its country uses */
	IBAN_CHECK,     /* ISO 13616: the check digits do not fit (mod 97) */
};
enum iban_fault iban_check(struct kontor_text iban);
const char *iban_explain(enum iban_fault fault);

/* ISO 9362: [A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})? */
bool bic_valid(struct kontor_text bic);
/* Account numbers and bank codes that are no IBAN: [A-Za-z0-9-]{1,34} */
bool account_valid(struct kontor_text account);
/* ISO 3166-1 alpha-2, by form: [A-Z]{2} */
bool country_valid(struct kontor_text country);

#endif
