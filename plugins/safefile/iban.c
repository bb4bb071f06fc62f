/* SPDX-License-Identifier: Apache-2.0 */
#include "iban.h"

enum { IBAN_MIN = 15, IBAN_MAX = 34, BIC_SHORT = 8, BIC_LONG = 11 };

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ISO 7064: the country and check digits move to the end, letters count as 10..35, the number mod 97 must be 1. */
static unsigned mod_97(struct kontor_text iban)
{
	unsigned rest = 0;
	for (size_t i = 0; i < iban.size; i++) {
		char c = iban.data[(i + 4) % iban.size];
		rest = is_digit(c) ? (rest * 10 + (unsigned)(c - '0')) % 97
				   : (rest * 100 + (unsigned)(c - 'A' + 10)) % 97;
	}
	return rest;
}

enum iban_fault iban_check(struct kontor_text iban)
{
	if (!iban.data || iban.size < IBAN_MIN || iban.size > IBAN_MAX)
		return IBAN_SYNTAX;
	for (size_t i = 0; i < iban.size; i++) {
		char c = iban.data[i];
		bool fits = i < 2 ? is_upper(c) : i < 4 ? is_digit(c) : is_upper(c) || is_digit(c);
		if (!fits)
			return IBAN_SYNTAX;
	}
	/* 00, 01 and 99 are congruent to 97, 98 and 02: no bank issues them, a typing error makes them. */
	unsigned digits = (unsigned)(iban.data[2] - '0') * 10 + (unsigned)(iban.data[3] - '0');
	if (digits < 2 || digits > 98 || mod_97(iban) != 1)
		return IBAN_CHECK_DIGITS;
	return IBAN_OK;
}

bool bic_valid(struct kontor_text bic)
{
	if (!bic.data || (bic.size != BIC_SHORT && bic.size != BIC_LONG))
		return false;
	for (size_t i = 0; i < bic.size; i++) {
		char c = bic.data[i];
		if (!is_upper(c) && !(is_digit(c) && i != 4 && i != 5))
			return false;
	}
	return true;
}
