/* SPDX-License-Identifier: Apache-2.0
 *
 * One payment of a safefile with its final values: as it stands in safefile_payment and, byte for byte, in the bank's
 * file. Strings that are not there are empty.
 */
#ifndef SAFEFILE_PAYMENT_H
#define SAFEFILE_PAYMENT_H

#include <stdint.h>

#include "kontor/error.h"

/* Lengths are those of pain.001.001.09 (Max35Text, Max34Text, ...), plus a NUL. */
struct payment {
	uint64_t payout_id;
	uint64_t shop_user_id;
	uint32_t attempt;
	char currency[4];
	int64_t amount_minor;
	char e2e_id[36];
	char name[141];
	char country[3];
	char town[36];
	char iban[35];
	char account[35];
	char bank_code[36];
	char bic[12];
};

struct currency_total {
	char currency[4];
	uint64_t payments;
	int64_t amount_minor;
};

/* Payments one after the other, in the order of the file. 1: *ret_payment is valid until the next call; 0: no more. */
struct payment_source {
	int (*next)(void *arg, const struct payment **ret_payment, struct kontor_error *err);
	void *arg;
};

#endif
