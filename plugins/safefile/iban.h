/* SPDX-License-Identifier: Apache-2.0
 *
 * Account and bank identifiers of ISO 20022: IBAN (ISO 13616) and BIC (ISO 9362).
 */
#ifndef SAFEFILE_IBAN_H
#define SAFEFILE_IBAN_H

#include <stdbool.h>

#include "kontor/text.h"

enum iban_fault {
	IBAN_OK,
	IBAN_SYNTAX,       /* not [A-Z]{2}[0-9]{2}[A-Z0-9]{11,30} */
	IBAN_CHECK_DIGITS, /* ISO 7064 MOD 97-10 does not give 1 */
};

enum iban_fault iban_check(struct kontor_text iban);
/* [A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?, as BICFIDec2014Identifier of the XSD. */
bool bic_valid(struct kontor_text bic);

#endif
