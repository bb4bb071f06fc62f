/* SPDX-License-Identifier: Apache-2.0
 *
 * One row of a payees file: its columns, and what each may hold. Pure.
 */
#ifndef PAYOUT_PAYEE_ROW_H
#define PAYOUT_PAYEE_ROW_H

#include "kontor/upload.h"

enum payee_column {
	PAYEE_SHOP,
	PAYEE_NAME,
	PAYEE_COUNTRY,
	PAYEE_CURRENCY,
	PAYEE_IBAN,
	PAYEE_ACCOUNT,
	PAYEE_BANK_CODE,
	PAYEE_BIC,
	PAYEE_TOWN,
	PAYEE_NAME_LATIN,
	PAYEE_COLUMNS
};
extern const struct kontor_column payee_columns[PAYEE_COLUMNS];

#define PAYEE_NAME_LIMIT 140 /* characters: Max140Text of ISO 20022 */
#define PAYEE_TOWN_LIMIT 35  /* characters: Max35Text */

/* Where a shop is paid. Texts are borrowed from the row; what is not given is absent (data NULL). */
struct payee {
	uint64_t shop_user_id;
	char currency[4];
	struct kontor_text name, name_latin, country, iban, account, bank_code, bic, town;
};

/* row->parsed (a struct payee) and the identity (shop and currency; an upload has one region), or BAD_ROW.
 * As identify() of struct kontor_upload_kind. An empty optional field is one that is not given. */
int payee_identify(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
		   struct kontor_identity *ret_identity, struct kontor_error *err);

/* Whether both would be paid the same way: any difference, also in town or BIC, is a change. */
bool payee_same(const struct payee *a, const struct payee *b);

#endif
