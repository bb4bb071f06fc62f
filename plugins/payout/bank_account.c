/* SPDX-License-Identifier: Apache-2.0 */
#include "bank_account.h"

#include <string.h>

#define IBAN_MIN 15
#define IBAN_MAX 34
#define ACCOUNT_MAX 34

/* Total lengths by country: SWIFT IBAN registry, release 99. */
static const struct {
	char country[3];
	unsigned char length;
} iban_lengths[] = {
	{"AD", 24}, {"AE", 23}, {"AL", 28}, {"AT", 20}, {"AZ", 28}, {"BA", 20}, {"BE", 16}, {"BG", 22}, {"BH", 22},
	{"BI", 27}, {"BR", 29}, {"BY", 28}, {"CH", 21}, {"CR", 22}, {"CY", 28}, {"CZ", 24}, {"DE", 22}, {"DJ", 27},
	{"DK", 18}, {"DO", 28}, {"EE", 20}, {"EG", 29}, {"ES", 24}, {"FI", 18}, {"FK", 18}, {"FO", 18}, {"FR", 27},
	{"GB", 22}, {"GE", 22}, {"GI", 23}, {"GL", 18}, {"GR", 27}, {"GT", 28}, {"HN", 28}, {"HR", 21}, {"HU", 28},
	{"IE", 22}, {"IL", 23}, {"IQ", 23}, {"IS", 26}, {"IT", 27}, {"JO", 30}, {"KW", 30}, {"KZ", 20}, {"LB", 28},
	{"LC", 32}, {"LI", 21}, {"LT", 20}, {"LU", 20}, {"LV", 21}, {"LY", 25}, {"MC", 27}, {"MD", 24}, {"ME", 22},
	{"MK", 19}, {"MN", 20}, {"MR", 27}, {"MT", 31}, {"MU", 30}, {"NI", 28}, {"NL", 18}, {"NO", 15}, {"OM", 23},
	{"PK", 24}, {"PL", 28}, {"PS", 29}, {"PT", 25}, {"QA", 29}, {"RO", 24}, {"RS", 22}, {"RU", 33}, {"SA", 24},
	{"SC", 31}, {"SD", 18}, {"SE", 24}, {"SI", 19}, {"SK", 24}, {"SM", 27}, {"SO", 23}, {"ST", 25}, {"SV", 28},
	{"TL", 23}, {"TN", 24}, {"TR", 26}, {"UA", 29}, {"VA", 22}, {"VG", 24}, {"XK", 20}, {"YE", 30},
};

static bool upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool iban_structure(struct kontor_text iban)
{
	if (!iban.data || iban.size < IBAN_MIN || iban.size > IBAN_MAX)
		return false;
	if (!upper(iban.data[0]) || !upper(iban.data[1]) || !digit(iban.data[2]) || !digit(iban.data[3]))
		return false;
	for (size_t i = 4; i < iban.size; i++)
		if (!upper(iban.data[i]) && !digit(iban.data[i]))
			return false;
	return true;
}

/* A country that the registry does not have yet is judged by the check digits alone. */
static bool iban_length(struct kontor_text iban)
{
	for (size_t i = 0; i < sizeof(iban_lengths) / sizeof(iban_lengths[0]); i++)
		if (!memcmp(iban_lengths[i].country, iban.data, 2))
			return iban.size == iban_lengths[i].length;
	return true;
}

/* Letters count as 10 .. 35; the first four characters come last. */
static unsigned iban_remainder(struct kontor_text iban)
{
	unsigned remainder = 0;
	for (size_t i = 0; i < iban.size; i++) {
		char c = iban.data[(i + 4) % iban.size];
		if (digit(c))
			remainder = (remainder * 10 + (unsigned)(c - '0')) % 97;
		else
			remainder = (remainder * 100 + (unsigned)(c - 'A') + 10) % 97;
	}
	return remainder;
}

enum iban_fault iban_check(struct kontor_text iban)
{
	if (!iban_structure(iban))
		return IBAN_STRUCTURE;
	if (!iban_length(iban))
		return IBAN_LENGTH;
	return iban_remainder(iban) == 1 ? IBAN_OK : IBAN_CHECK;
}

const char *iban_explain(enum iban_fault fault)
{
	switch (fault) {
	case IBAN_STRUCTURE:
		return "an IBAN is two capital letters, two digits and 11 to 30 capital letters or digits, without "
		       "blanks";
	case IBAN_LENGTH:
		return "the IBAN is too long or too short for its country";
	case IBAN_CHECK:
		return "the IBAN's check digits do not fit: a character is wrong or two are swapped";
	case IBAN_OK:
		break;
	}
	return "the IBAN is fine";
}

bool bic_valid(struct kontor_text bic)
{
	if (!bic.data || (bic.size != 8 && bic.size != 11))
		return false;
	for (size_t i = 0; i < bic.size; i++)
		if (!upper(bic.data[i]) && (i < 6 || !digit(bic.data[i])))
			return false;
	return true;
}

bool account_valid(struct kontor_text account)
{
	if (!account.data || account.size < 1 || account.size > ACCOUNT_MAX)
		return false;
	for (size_t i = 0; i < account.size; i++) {
		char c = account.data[i];
		if (!upper(c) && !lower(c) && !digit(c) && c != '-')
			return false;
	}
	return true;
}

bool country_valid(struct kontor_text country)
{
	return country.data && country.size == 2 && upper(country.data[0]) && upper(country.data[1]);
}
