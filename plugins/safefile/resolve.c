/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/ustring.h>
#include <unicode/utrans.h>

#include "charset.h"
#include "iban.h"

static const char TRANSLITERATION[] = "Any-Latin; Latin-ASCII";

enum {
	SOURCE_BYTES = 1024, /* a name or town in UTF-8; payees are limited to 140 characters */
	SOURCE_UNITS = 1024, /* UTF-16 units, with room to grow: one Han character becomes up to 7 letters */
	LATIN_BYTES = 4096,
	TOWN_LIMIT = 35, /* Max35Text */
};

struct resolver {
	UTransliterator *latin;
};

int resolver_new(struct resolver **ret_resolver, struct kontor_error *err)
{
	UErrorCode status = U_ZERO_ERROR;
	UChar id[sizeof(TRANSLITERATION)];
	u_uastrcpy(id, TRANSLITERATION);
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	if (!resolver)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	resolver->latin = utrans_openU(id, -1, UTRANS_FORWARD, NULL, 0, NULL, &status);
	if (U_FAILURE(status)) {
		resolver_free(resolver);
		return kontor_fail(err, KONTOR_E_INTERNAL, "ICU cannot open the transliteration \"%s\": %s",
				   TRANSLITERATION, u_errorName(status));
	}
	*ret_resolver = resolver;
	return 0;
}

struct resolver *resolver_free(struct resolver *resolver)
{
	if (resolver && resolver->latin)
		utrans_close(resolver->latin);
	free(resolver);
	return NULL;
}

static bool is_ascii(struct kontor_text text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] >= 0x80)
			return false;
	return true;
}

/* UTF-8 of any script -> Latin letters, as far as ICU can; what it cannot stays as it is. False: too long. */
static bool to_latin(struct resolver *resolver, struct kontor_text text, char *out)
{
	if (text.size >= SOURCE_BYTES)
		return false;
	if (is_ascii(text)) {
		memcpy(out, text.data, text.size);
		out[text.size] = '\0';
		return true;
	}
	UErrorCode status = U_ZERO_ERROR;
	UChar units[SOURCE_UNITS];
	int32_t length = 0;
	u_strFromUTF8(units, SOURCE_UNITS, &length, text.data, (int32_t)text.size, &status);
	int32_t end = length;
	if (U_SUCCESS(status))
		utrans_transUChars(resolver->latin, units, &length, SOURCE_UNITS, 0, &end, &status);
	if (U_SUCCESS(status))
		u_strToUTF8(out, LATIN_BYTES, NULL, units, length, &status);
	return U_SUCCESS(status) && status != U_STRING_NOT_TERMINATED_WARNING;
}

/* Text of any script -> the bank's charset, at most `limit` characters. False: nothing readable is left. */
static bool to_bank(struct resolver *resolver, struct kontor_text text, size_t limit, char *out)
{
	char latin[LATIN_BYTES];
	if (!text.data || !to_latin(resolver, text, latin))
		return false;
	charset_epc217_convert(latin, limit, out);
	return charset_has_alphanumeric(out);
}

/* An identifier is taken as it is or not at all: a converted account number would be another account. */
static bool take_identifier(struct kontor_text text, char *out, size_t size)
{
	if (text.size >= size)
		return false;
	memcpy(out, text.data, text.size);
	out[text.size] = '\0';
	return strlen(out) == text.size && charset_epc217_valid(out) && charset_has_alphanumeric(out);
}

static bool present(struct kontor_text text)
{
	return text.data && text.size;
}

static const char *last_four(struct kontor_text account)
{
	return account.data + (account.size > 4 ? account.size - 4 : 0);
}

static bool refuse(char *reason, const char *why)
{
	snprintf(reason, RESOLVE_REASON_SIZE, "%s", why);
	return false;
}

static bool resolve_account(const struct payee *payee, struct payment *payment, char *reason)
{
	if (present(payee->iban)) {
		enum iban_fault fault = iban_check(payee->iban);
		if (fault != IBAN_OK) {
			snprintf(reason, RESOLVE_REASON_SIZE, "the IBAN that ends in %.4s %s", last_four(payee->iban),
				 fault == IBAN_SYNTAX ? "is not two letters, two digits and 11 to 30 letters or digits"
						      : "has wrong check digits (ISO 7064 MOD 97-10)");
			return false;
		}
		return take_identifier(payee->iban, payment->iban, sizeof(payment->iban));
	}
	if (!present(payee->account))
		return refuse(reason, "the payee has neither an IBAN nor an account");
	if (!take_identifier(payee->account, payment->account, sizeof(payment->account))) {
		snprintf(reason, RESOLVE_REASON_SIZE,
			 "the account that ends in %.4s is longer than 34 characters or outside of the bank's charset",
			 is_ascii(payee->account) ? last_four(payee->account) : "?");
		return false;
	}
	if (!present(payee->bank_code) && !present(payee->bic))
		return refuse(reason, "an account that is no IBAN needs a bank_code or a bic");
	if (present(payee->bank_code) &&
	    !take_identifier(payee->bank_code, payment->bank_code, sizeof(payment->bank_code)))
		return refuse(reason, "the bank_code is longer than 35 characters or outside of the bank's charset");
	return true;
}

static void clear_values(struct payment *payment)
{
	payment->name[0] = payment->country[0] = payment->town[0] = '\0';
	payment->iban[0] = payment->account[0] = payment->bank_code[0] = payment->bic[0] = '\0';
}

bool resolve_payee(struct resolver *resolver, const struct profile *profile, const struct payee *payee,
		   struct payment *payment, char *reason)
{
	clear_values(payment);
	struct kontor_text name = present(payee->name_latin) ? payee->name_latin : payee->name;
	if (!to_bank(resolver, name, profile->name_limit, payment->name))
		return refuse(reason,
			      "no letter or digit of the name is left in the bank's charset " PROFILE_CHARSET_EPC217
			      ": upload the payee with a name_latin");
	if (present(payee->country) && payee->country.size == 2)
		memcpy(payment->country, payee->country.data, 2);
	payment->country[2] = '\0';
	if (!resolve_account(payee, payment, reason))
		return false;
	if (present(payee->bic)) {
		if (!bic_valid(payee->bic))
			return refuse(reason, "the bic is not 8 or 11 characters of ISO 9362");
		memcpy(payment->bic, payee->bic.data, payee->bic.size);
		payment->bic[payee->bic.size] = '\0';
	}
	/* A town that the charset cannot carry is left out, with the whole address: banks take a payment without one.
	 */
	if (!to_bank(resolver, payee->town, TOWN_LIMIT, payment->town))
		payment->town[0] = '\0';
	return true;
}
