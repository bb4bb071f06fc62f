/* SPDX-License-Identifier: Apache-2.0 */
#include "manual_row.h"

#include <string.h>

#include <openssl/evp.h>

#include "kontor/money.h"

const struct kontor_column manual_columns[MANUAL_COLUMNS] = {
	[MANUAL_SHOP] = {"shop_user_id", true,
			 "the seller's shop, 1 to 2^63-1: an id alone can name another shop's order"},
	[MANUAL_ITEM] = {"billing_item_id", true, "the item that is settled now, 1 to 2^63-1"},
	[MANUAL_AMOUNT] = {"amount", false, "decimal major units; when given, the item must have it"},
	[MANUAL_CURRENCY] = {"currency", false, "ISO 4217 code; when given, the item must have it"},
};

#define MOST_DECIMALS 4 /* of any currency of ISO 4217 */

static bool read_id(struct kontor_row *row, enum manual_column column, uint64_t *ret_id)
{
	if (kontor_parse_id(row->fields[column], ret_id))
		return true;
	kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, (int)column,
			  "%s must be a whole number from 1 to 2^63-1 without sign, blanks or leading zeros",
			  manual_columns[column].name);
	return false;
}

static bool read_currency(const struct kontor_upload *upload, struct kontor_row *row, struct manual_row *wanted)
{
	if (row->fields[MANUAL_CURRENCY].size == 0)
		return true;
	wanted->currency = kontor_region_currency(upload->region, row->fields[MANUAL_CURRENCY]);
	if (!wanted->currency)
		kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, MANUAL_CURRENCY,
				  "currency must be one that %s accepts (ISO 4217, three capital letters)",
				  upload->region->code);
	return wanted->currency != NULL;
}

/* Without a currency only the form can be checked; the item says later how many decimals there may be. */
static bool read_amount(struct kontor_row *row, struct manual_row *wanted)
{
	struct kontor_text text = row->fields[MANUAL_AMOUNT];
	int64_t minor;
	if (text.size == 0)
		return true;
	static const struct kontor_currency unknown = {"ISO", MOST_DECIMALS, 1};
	const struct kontor_currency *currency = wanted->currency ? wanted->currency : &unknown;
	enum kontor_amount_fault fault = kontor_amount_parse(text, currency->exponent, &minor);
	if (fault == KONTOR_AMOUNT_RANGE && !wanted->currency)
		fault = KONTOR_AMOUNT_OK;
	if (fault == KONTOR_AMOUNT_DECIMALS && !wanted->currency) {
		kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, MANUAL_AMOUNT,
				  "amount has more decimals than any currency (%d)", MOST_DECIMALS);
		return false;
	}
	if (fault != KONTOR_AMOUNT_OK) {
		char explained[120];
		kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, MANUAL_AMOUNT, "amount: %s",
				  kontor_amount_explain(fault, currency, explained, sizeof(explained)));
		return false;
	}
	wanted->amount = text;
	if (wanted->currency) {
		row->amount_minor = minor;
		memcpy(row->currency, wanted->currency->code, sizeof(row->currency));
	}
	return true;
}

/* Shop and item fill the key. The facts only decide what is said of a row that repeats another. */
static int identify(const struct manual_row *wanted, struct kontor_identity *ret_identity, struct kontor_error *err)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char facts[64];
	size_t size = wanted->amount.size < 48 ? wanted->amount.size : 48;
	memset(facts, 0, sizeof(facts));
	if (size)
		memcpy(facts, wanted->amount.data, size);
	if (wanted->currency)
		memcpy(facts + 48, wanted->currency->code, sizeof(wanted->currency->code));
	if (!EVP_Digest(facts, sizeof(facts), digest, NULL, EVP_sha256(), NULL))
		return kontor_fail(err, KONTOR_E_INTERNAL, "OpenSSL cannot compute SHA-256");
	memcpy(ret_identity->key, &wanted->shop_user_id, 8);
	memcpy(ret_identity->key + 8, &wanted->billing_item_id, 8);
	memcpy(ret_identity->facts, digest, KONTOR_IDENTITY_SIZE);
	return 0;
}

int manual_identify(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
		    struct kontor_identity *ret_identity, struct kontor_error *err)
{
	(void)self;
	struct manual_row *wanted = kontor_arena_alloc(arena, sizeof(*wanted));
	if (!wanted)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a row of manual-settlement");
	*wanted = (struct manual_row){0};
	if (!read_id(row, MANUAL_SHOP, &wanted->shop_user_id) || !read_id(row, MANUAL_ITEM, &wanted->billing_item_id) ||
	    !read_currency(upload, row, wanted) || !read_amount(row, wanted))
		return 0;
	row->parsed = wanted;
	return identify(wanted, ret_identity, err);
}
