/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes pain.001.001.09 (ISO 20022, customer credit transfer initiation): one message with one PmtInf per currency.
 * The bytes are a pure function of the message and its payments.
 */
#ifndef SAFEFILE_PAIN001_H
#define SAFEFILE_PAIN001_H

#include "payment.h"
#include "profile.h"
#include "write.h"

#define PAIN001_NAMESPACE "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
#define PAIN001_ID_LIMIT 35                            /* Max35Text */
#define PAIN001_SUM_LIMIT INT64_C(1000000000000000000) /* DecimalNumber: 18 digits */

struct pain001_message {
	const struct profile *profile;
	const char *message_id;
	int64_t created_ms;
	const char *execution_date;          /* 2026-11-23 */
	const struct currency_total *totals; /* one PmtInf each, in this order */
	size_t totals_len;
};

/* MsgId and PmtInfId: region, safefile id in Crockford's base32 (13 characters), part, and for a PmtInf its currency:
 * letters and digits only, 19 and 22 characters. out >= PAIN001_ID_LIMIT + 1. */
void pain001_message_id(const char *region, uint64_t safefile_id, unsigned part_no, char *out);
void pain001_block_id(const char *message_id, const char *currency, char *out);

/* Payments come in the order of the totals' currencies. INTERNAL when they are not the ones that the totals count: then
 * nothing may be made of the file. `out` is open and is left open. */
int pain001_write(struct data_file *out, const struct pain001_message *message, struct payment_source *payments,
		  struct kontor_error *err);

#endif
