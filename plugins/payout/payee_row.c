/* SPDX-License-Identifier: Apache-2.0 */
#include "payee_row.h"

#include <string.h>

#include <openssl/evp.h>

#include "bank_account.h"

const struct kontor_column payee_columns[PAYEE_COLUMNS] = {
	[PAYEE_SHOP] = {"shop_user_id", true, "the shop, [1-9][0-9]* up to 2^63-1"},
	[PAYEE_NAME] = {"name", true, "name of the account's owner, 1 to 140 characters"},
	[PAYEE_COUNTRY] = {"country", true, "the owner's country, ISO 3166-1 alpha-2"},
	[PAYEE_CURRENCY] = {"currency", true, "currency that is paid there, ISO 4217"},
	[PAYEE_IBAN] = {"iban", false, "IBAN without blanks; either this, or account and bank_code"},
	[PAYEE_ACCOUNT] = {"account", false, "account number, [A-Za-z0-9-]{1,34}; with bank_code"},
	[PAYEE_BANK_CODE] = {"bank_code", false, "the bank's national clearing code, [A-Za-z0-9-]{1,34}; with account"},
	[PAYEE_BIC] = {"bic", false, "the bank's BIC, 8 or 11 characters"},
	[PAYEE_TOWN] = {"town", false, "the owner's town, up to 35 characters"},
	[PAYEE_NAME_LATIN] = {"name_latin", false,
			      "the name in Latin letters, for banks that take no others; up to 140 characters"},
};

/* ---- texts ------------------------------------------------------------------------------------------------------ */

/* Characters of valid UTF-8. */
static size_t characters(struct kontor_text text)
{
	size_t count = 0;
	for (size_t i = 0; i < text.size; i++)
		count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
	return count;
}

/* C0, DEL, and C1, which UTF-8 writes as C2 80 .. C2 9F. */
static bool has_control(struct kontor_text text)
{
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];
		unsigned char next = i + 1 < text.size ? (unsigned char)text.data[i + 1] : 0;
		if (c < 0x20 || c == 0x7F || (c == 0xC2 && next >= 0x80 && next < 0xA0))
			return true;
	}
	return false;
}

/* Nothing but blanks; the no-break space (C2 A0) and the ideographic one (E3 80 80) look as empty as any. */
static bool blank(struct kontor_text text)
{
	for (size_t i = 0; i < text.size;) {
		if (text.data[i] == ' ')
			i++;
		else if (i + 2 <= text.size && !memcmp(text.data + i, "\xC2\xA0", 2))
			i += 2;
		else if (i + 3 <= text.size && !memcmp(text.data + i, "\xE3\x80\x80", 3))
			i += 3;
		else
			return false;
	}
	return true;
}

static bool bad(struct kontor_row *row, enum payee_column column, const char *reason)
{
	kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, (int)column, "%s", reason);
	return false;
}

/* A field of an optional column; an empty one is not given. */
static struct kontor_text optional(const struct kontor_row *row, enum payee_column column)
{
	return row->fields[column].size ? row->fields[column] : (struct kontor_text){0};
}

static bool check_text(struct kontor_row *row, enum payee_column column, struct kontor_text text, size_t limit)
{
	if (has_control(text))
		return bad(row, column, "holds a control character (a tab, a line break or the like)");
	if (blank(text))
		return bad(row, column, "holds nothing but blanks");
	if (characters(text) <= limit)
		return true;
	kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, (int)column, "is longer than %zu characters", limit);
	return false;
}

/* ---- the row ---- */

static bool read_key(const struct kontor_upload *upload, struct kontor_row *row, struct payee *payee)
{
	if (!kontor_parse_id(row->fields[PAYEE_SHOP], &payee->shop_user_id))
		return bad(row, PAYEE_SHOP,
			   "a shop is a whole number from 1 to 9223372036854775807, without zeros in front");
	const struct kontor_currency *currency = kontor_region_currency(upload->region, row->fields[PAYEE_CURRENCY]);
	if (!currency) {
		kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, PAYEE_CURRENCY,
				  "region %s does not accept this currency (codes are ISO 4217, three capital letters)",
				  upload->region->code);
		return false;
	}
	memcpy(payee->currency, currency->code, sizeof(payee->currency));
	return true;
}

static bool read_owner(struct kontor_row *row, struct payee *payee)
{
	payee->name = row->fields[PAYEE_NAME];
	payee->country = row->fields[PAYEE_COUNTRY];
	payee->town = optional(row, PAYEE_TOWN);
	payee->name_latin = optional(row, PAYEE_NAME_LATIN);
	if (payee->name.size == 0)
		return bad(row, PAYEE_NAME, "is empty: nobody can be paid without a name");
	if (!check_text(row, PAYEE_NAME, payee->name, PAYEE_NAME_LIMIT))
		return false;
	if (!country_valid(payee->country))
		return bad(row, PAYEE_COUNTRY, "a country is two capital letters (ISO 3166-1 alpha-2)");
	if (payee->town.data && !check_text(row, PAYEE_TOWN, payee->town, PAYEE_TOWN_LIMIT))
		return false;
	return !payee->name_latin.data || check_text(row, PAYEE_NAME_LATIN, payee->name_latin, PAYEE_NAME_LIMIT);
}

static bool read_account(struct kontor_row *row, struct payee *payee)
{
	payee->iban = optional(row, PAYEE_IBAN);
	payee->account = optional(row, PAYEE_ACCOUNT);
	payee->bank_code = optional(row, PAYEE_BANK_CODE);
	payee->bic = optional(row, PAYEE_BIC);
	if (payee->iban.data && (payee->account.data || payee->bank_code.data))
		return bad(row, PAYEE_IBAN, "give an IBAN, or account and bank_code, but not both");
	if (payee->iban.data) {
		enum iban_fault fault = iban_check(payee->iban);
		if (fault != IBAN_OK)
			return bad(row, PAYEE_IBAN, iban_explain(fault));
	} else if (!payee->account.data && !payee->bank_code.data) {
		return bad(row, PAYEE_IBAN, "there is no account: give an IBAN, or account and bank_code");
	} else if (!payee->account.data) {
		return bad(row, PAYEE_ACCOUNT, "a bank_code needs an account beside it");
	} else if (!payee->bank_code.data) {
		return bad(row, PAYEE_BANK_CODE, "an account needs a bank_code beside it");
	} else if (!account_valid(payee->account)) {
		return bad(row, PAYEE_ACCOUNT, "an account is 1 to 34 letters, digits or '-', without blanks");
	} else if (!account_valid(payee->bank_code)) {
		return bad(row, PAYEE_BANK_CODE, "a bank_code is 1 to 34 letters, digits or '-', without blanks");
	}
	if (payee->bic.data && !bic_valid(payee->bic))
		return bad(row, PAYEE_BIC,
			   "a BIC is six capital letters, two capital letters or digits, and three more or none");
	return true;
}

/* All rows of such a file would be bad, which is a wrong header rather than many wrong rows. */
static bool header_fits(const struct kontor_upload *upload)
{
	return upload->has_column[PAYEE_IBAN] ||
	       (upload->has_column[PAYEE_ACCOUNT] && upload->has_column[PAYEE_BANK_CODE]);
}

/* Whether a second row for the same shop and currency says the same. Texts are within their limits here. */
static int hash_facts(const struct payee *payee, uint8_t *ret_facts, struct kontor_error *err)
{
	const struct kontor_text texts[] = {payee->name,    payee->name_latin, payee->country, payee->iban,
					    payee->account, payee->bank_code,  payee->bic,     payee->town};
	char facts[2048];
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t used = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint16_t size = (uint16_t)texts[i].size;
		if (sizeof(facts) - used < sizeof(size) + size)
			return kontor_fail(err, KONTOR_E_INTERNAL, "a payee's texts are longer than their limits");
		memcpy(facts + used, &size, sizeof(size));
		if (size)
			memcpy(facts + used + sizeof(size), texts[i].data, size);
		used += sizeof(size) + size;
	}
	if (!EVP_Digest(facts, used, digest, NULL, EVP_sha256(), NULL))
		return kontor_fail(err, KONTOR_E_INTERNAL, "OpenSSL cannot compute SHA-256");
	memcpy(ret_facts, digest, KONTOR_IDENTITY_SIZE);
	return 0;
}

int payee_identify(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
		   struct kontor_identity *ret_identity, struct kontor_error *err)
{
	(void)self;
	if (!header_fits(upload))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "the header lacks a column: a payees file needs iban, or account and bank_code");
	struct payee *payee = kontor_arena_alloc(arena, sizeof(*payee));
	if (!payee)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a row of payees");
	if (!read_key(upload, row, payee) || !read_owner(row, payee) || !read_account(row, payee))
		return 0;
	row->parsed = payee;
	/* Shop and currency fit into the key as they are. Of several rows for one account the first counts; the facts
	 * only decide what is said of the others. */
	*ret_identity = (struct kontor_identity){0};
	memcpy(ret_identity->key, &payee->shop_user_id, sizeof(payee->shop_user_id));
	memcpy(ret_identity->key + sizeof(payee->shop_user_id), payee->currency, 3);
	return hash_facts(payee, ret_identity->facts, err);
}

bool payee_same(const struct payee *a, const struct payee *b)
{
	return kontor_text_equal(a->name, b->name) && kontor_text_equal(a->name_latin, b->name_latin) &&
	       kontor_text_equal(a->country, b->country) && kontor_text_equal(a->iban, b->iban) &&
	       kontor_text_equal(a->account, b->account) && kontor_text_equal(a->bank_code, b->bank_code) &&
	       kontor_text_equal(a->bic, b->bic) && kontor_text_equal(a->town, b->town);
}
