/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of pain.001.001.09 that a safefile consists of, as a table for the verifier. Children stand in the schema's
 * order (xs:sequence). Source: pain.001.001.09.xsd.
 */
#ifndef SAFEFILE_PAIN001_GRAMMAR_H
#define SAFEFILE_PAIN001_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

enum pain001_field {
	FIELD_NONE, /* has elements, no text */
	FIELD_MESSAGE_ID,
	FIELD_CREATED,
	FIELD_COUNT,
	FIELD_SUM,
	FIELD_INITIATOR,
	FIELD_BLOCK_ID,
	FIELD_METHOD,
	FIELD_BLOCK_COUNT,
	FIELD_BLOCK_SUM,
	FIELD_DATE,
	FIELD_DEBTOR,
	FIELD_DEBTOR_IBAN,
	FIELD_DEBTOR_BIC,
	FIELD_CHARGES,
	FIELD_E2E,
	FIELD_AMOUNT,
	FIELD_BIC,
	FIELD_BANK_CODE,
	FIELD_NAME,
	FIELD_TOWN,
	FIELD_COUNTRY,
	FIELD_IBAN,
	FIELD_ACCOUNT,
};

struct pain001_element {
	const char *name;
	int parent; /* index in the table, -1 for the root */
	enum pain001_field field;
	bool required, repeats;
};

enum {
	ELEMENT_PMT_INF = 9,
	ELEMENT_TRANSACTION = 25,
};

static const struct pain001_element pain001_grammar[] = {
	[0] = {"Document", -1, FIELD_NONE, true, false},
	[1] = {"CstmrCdtTrfInitn", 0, FIELD_NONE, true, false},
	[2] = {"GrpHdr", 1, FIELD_NONE, true, false},
	[3] = {"MsgId", 2, FIELD_MESSAGE_ID, true, false},
	[4] = {"CreDtTm", 2, FIELD_CREATED, true, false},
	[5] = {"NbOfTxs", 2, FIELD_COUNT, true, false},
	[6] = {"CtrlSum", 2, FIELD_SUM, true, false},
	[7] = {"InitgPty", 2, FIELD_NONE, true, false},
	[8] = {"Nm", 7, FIELD_INITIATOR, true, false},
	[ELEMENT_PMT_INF] = {"PmtInf", 1, FIELD_NONE, true, true},
	[10] = {"PmtInfId", 9, FIELD_BLOCK_ID, true, false},
	[11] = {"PmtMtd", 9, FIELD_METHOD, true, false},
	[12] = {"NbOfTxs", 9, FIELD_BLOCK_COUNT, true, false},
	[13] = {"CtrlSum", 9, FIELD_BLOCK_SUM, true, false},
	[14] = {"ReqdExctnDt", 9, FIELD_NONE, true, false},
	[15] = {"Dt", 14, FIELD_DATE, true, false},
	[16] = {"Dbtr", 9, FIELD_NONE, true, false},
	[17] = {"Nm", 16, FIELD_DEBTOR, true, false},
	[18] = {"DbtrAcct", 9, FIELD_NONE, true, false},
	[19] = {"Id", 18, FIELD_NONE, true, false},
	[20] = {"IBAN", 19, FIELD_DEBTOR_IBAN, true, false},
	[21] = {"DbtrAgt", 9, FIELD_NONE, true, false},
	[22] = {"FinInstnId", 21, FIELD_NONE, true, false},
	[23] = {"BICFI", 22, FIELD_DEBTOR_BIC, true, false},
	[24] = {"ChrgBr", 9, FIELD_CHARGES, true, false},
	[ELEMENT_TRANSACTION] = {"CdtTrfTxInf", 9, FIELD_NONE, true, true},
	[26] = {"PmtId", 25, FIELD_NONE, true, false},
	[27] = {"EndToEndId", 26, FIELD_E2E, true, false},
	[28] = {"Amt", 25, FIELD_NONE, true, false},
	[29] = {"InstdAmt", 28, FIELD_AMOUNT, true, false},
	[30] = {"CdtrAgt", 25, FIELD_NONE, false, false},
	[31] = {"FinInstnId", 30, FIELD_NONE, true, false},
	[32] = {"BICFI", 31, FIELD_BIC, false, false},
	[33] = {"ClrSysMmbId", 31, FIELD_NONE, false, false},
	[34] = {"MmbId", 33, FIELD_BANK_CODE, true, false},
	[35] = {"Cdtr", 25, FIELD_NONE, true, false},
	[36] = {"Nm", 35, FIELD_NAME, true, false},
	[37] = {"PstlAdr", 35, FIELD_NONE, false, false},
	[38] = {"TwnNm", 37, FIELD_TOWN, true, false},
	[39] = {"Ctry", 37, FIELD_COUNTRY, true, false},
	[40] = {"CdtrAcct", 25, FIELD_NONE, true, false},
	[41] = {"Id", 40, FIELD_NONE, true, false},
	[42] = {"IBAN", 41, FIELD_IBAN, false, false},
	[43] = {"Othr", 41, FIELD_NONE, false, false},
	[44] = {"Id", 43, FIELD_ACCOUNT, true, false},
};

enum { PAIN001_ELEMENTS = sizeof(pain001_grammar) / sizeof(pain001_grammar[0]), PAIN001_DEPTH = 8 };
_Static_assert(PAIN001_ELEMENTS <= 64, "the verifier keeps the children it has seen in 64 bits");

#endif
