/* SPDX-License-Identifier: Apache-2.0
 *
 * A payee as the shop wrote it -> the final values that the bank gets.
 */
#ifndef SAFEFILE_RESOLVE_H
#define SAFEFILE_RESOLVE_H

#include "kontor/text.h"
#include "payment.h"
#include "profile.h"

#define RESOLVE_REASON_SIZE 200

/* As `payout.payable` gives it; absent fields have data NULL. */
struct payee {
	struct kontor_text name, name_latin, country, iban, account, bank_code, bic, town;
};

/* Holds ICU's transliterator; one thread at a time. */
struct resolver;
int resolver_new(struct resolver **ret_resolver, struct kontor_error *err);
struct resolver *resolver_free(struct resolver *resolver); /* NULL is fine; returns NULL */

/* Fills name, country, town, iban, account, bank_code and bic of *payment. False: this payee cannot be paid by a file,
 * and reason (RESOLVE_REASON_SIZE bytes) says why and what to change; it shows four characters of an account at most.
 */
bool resolve_payee(struct resolver *resolver, const struct profile *profile, const struct payee *payee,
		   struct payment *payment, char *reason);

#endif
