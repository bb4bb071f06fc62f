/* SPDX-License-Identifier: Apache-2.0
 *
 * A bank's profile: what conf/profiles/NAME.conf says. It is resolved once, when a safefile is created, and kept with
 * the safefile as JSON, so that a later change of the configuration cannot change bytes that people have approved.
 */
#ifndef SAFEFILE_PROFILE_H
#define SAFEFILE_PROFILE_H

#include "kontor/host.h"

#define PROFILE_FORMAT_PAIN001 "pain.001.001.09"
#define PROFILE_CHARSET_EPC217 "epc217"
#define PROFILE_TEXT_SIZE 2048

struct profile_currency {
	char code[4];
	unsigned exponent;
};

struct profile {
	char name[33];
	char format[24];
	char debtor_name[141];
	char debtor_iban[35];
	char debtor_bic[12];
	char charge_bearer[5];
	char charset[16];
	unsigned name_limit;   /* characters of a creditor's name */
	unsigned max_payments; /* of one data file */
	/* The region's currencies with their exponents: frozen too, since they decide how an amount is written. */
	size_t currencies_len;
	struct profile_currency currencies[KONTOR_REGION_CURRENCIES];
};

/* Reads and checks section `profile "NAME"`. NOT_FOUND for a profile that is not configured, CONFLICT naming the key
 * for a value that no file could be written with. */
int profile_resolve(const kontor_host *host, const char *name, const struct kontor_region *region,
		    struct profile *ret_profile, struct kontor_error *err);
/* The frozen form; text >= PROFILE_TEXT_SIZE. */
int profile_to_text(const struct profile *profile, char *text, size_t size, struct kontor_error *err);
int profile_from_text(struct kontor_text text, struct profile *ret_profile, struct kontor_error *err);
/* NULL when the profile does not pay that currency. */
const struct profile_currency *profile_currency(const struct profile *profile, const char *code);

#endif
