/* SPDX-License-Identifier: Apache-2.0 */
#include "pain001.h"

#include <stdio.h>
#include <string.h>

#include "kontor/time.h"

/* The file that is written, and the first failure: elements after it write nothing. */
struct emitter {
	struct data_file *out;
	struct kontor_error *err;
	int code;
};

static void raw(struct emitter *e, const char *text)
{
	if (!e->code)
		e->code = data_file_write(e->out, text, strlen(text), e->err);
}

/* The only place where text becomes XML. */
static void escaped(struct emitter *e, const char *text)
{
	while (*text && !e->code) {
		size_t plain = strcspn(text, "&<>\"'");
		if (plain)
			e->code = data_file_write(e->out, text, plain, e->err);
		text += plain;
		switch (*text) {
		case '&':
			raw(e, "&amp;");
			break;
		case '<':
			raw(e, "&lt;");
			break;
		case '>':
			raw(e, "&gt;");
			break;
		case '"':
			raw(e, "&quot;");
			break;
		case '\'':
			raw(e, "&apos;");
			break;
		default:
			return;
		}
		text++;
	}
}

static void open_element(struct emitter *e, const char *name)
{
	raw(e, "<");
	raw(e, name);
	raw(e, ">");
}

static void close_element(struct emitter *e, const char *name)
{
	raw(e, "</");
	raw(e, name);
	raw(e, ">");
}

/* `path` is "Dbtr/Nm": the value inside of its elements. Nothing at all for an empty value. */
static void value(struct emitter *e, const char *path, const char *text)
{
	if (!*text)
		return;
	char names[4][24];
	size_t depth = 0;
	for (const char *p = path; *p && depth < 4; depth++) {
		size_t length = strcspn(p, "/");
		snprintf(names[depth], sizeof(names[depth]), "%.*s", (int)length, p);
		open_element(e, names[depth]);
		p += length + (p[length] == '/');
	}
	escaped(e, text);
	while (depth)
		close_element(e, names[--depth]);
}

static void count_value(struct emitter *e, const char *path, uint64_t count)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
	value(e, path, text);
}

/* ---- identifiers and sums --------------------------------------------------------------------------------------- */

void pain001_message_id(const char *region, uint64_t safefile_id, unsigned part_no, char *out)
{
	static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	char digits[14];
	for (int i = 12; i >= 0; i--, safefile_id >>= 5)
		digits[i] = crockford[safefile_id & 31];
	digits[13] = '\0';
	snprintf(out, PAIN001_ID_LIMIT + 1, "%.2s%sP%03u", region, digits, part_no);
}

void pain001_block_id(const char *message_id, const char *currency, char *out)
{
	snprintf(out, PAIN001_ID_LIMIT + 1, "%.31s%.3s", message_id, currency);
}

static unsigned exponent_of(const struct pain001_message *message, const char *currency)
{
	const struct profile_currency *found = profile_currency(message->profile, currency);
	return found ? found->exponent : 0;
}

/* CtrlSum of GrpHdr adds the amounts "irrespective of currencies": in units of the smallest minor unit among them. */
static int group_sum(const struct pain001_message *message, char *out, struct kontor_error *err)
{
	unsigned exponent = 0;
	for (size_t i = 0; i < message->totals_len; i++) {
		unsigned e = exponent_of(message, message->totals[i].currency);
		exponent = e > exponent ? e : exponent;
	}
	__int128 sum = 0;
	for (size_t i = 0; i < message->totals_len; i++) {
		__int128 amount = message->totals[i].amount_minor;
		for (unsigned e = exponent_of(message, message->totals[i].currency); e < exponent; e++)
			amount *= 10;
		sum += amount;
	}
	if (sum <= 0 || sum >= PAIN001_SUM_LIMIT)
		return kontor_fail(
			err, KONTOR_E_CONFLICT,
			"message %s: its control sum does not fit 18 digits: lower max_payments of the profile",
			message->message_id);
	kontor_amount_format((int64_t)sum, exponent, out);
	return 0;
}

/* ---- the skeleton, in the order that the schema wants ----------------------------------------------------------- */

static int write_header(struct emitter *e, const struct pain001_message *message)
{
	char sum[24] = "", time[KONTOR_TIME_SIZE];
	uint64_t payments = 0;
	for (size_t i = 0; i < message->totals_len; i++)
		payments += message->totals[i].payments;
	int code = group_sum(message, sum, e->err);
	if (code)
		return code;
	raw(e, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"" PAIN001_NAMESPACE "\">\n");
	raw(e, "<CstmrCdtTrfInitn>\n<GrpHdr>");
	value(e, "MsgId", message->message_id);
	value(e, "CreDtTm", kontor_time_format(message->created_ms, time));
	count_value(e, "NbOfTxs", payments);
	value(e, "CtrlSum", sum);
	value(e, "InitgPty/Nm", message->profile->debtor_name);
	raw(e, "</GrpHdr>\n");
	return e->code;
}

static void write_block_start(struct emitter *e, const struct pain001_message *message,
			      const struct currency_total *total)
{
	const struct profile *profile = message->profile;
	char id[PAIN001_ID_LIMIT + 1], sum[24];
	pain001_block_id(message->message_id, total->currency, id);
	raw(e, "<PmtInf>");
	value(e, "PmtInfId", id);
	value(e, "PmtMtd", "TRF");
	count_value(e, "NbOfTxs", total->payments);
	value(e, "CtrlSum", kontor_amount_format(total->amount_minor, exponent_of(message, total->currency), sum));
	value(e, "ReqdExctnDt/Dt", message->execution_date);
	value(e, "Dbtr/Nm", profile->debtor_name);
	value(e, "DbtrAcct/Id/IBAN", profile->debtor_iban);
	value(e, "DbtrAgt/FinInstnId/BICFI", profile->debtor_bic);
	value(e, "ChrgBr", profile->charge_bearer);
	raw(e, "\n");
}

/* An IBAN says where the bank is; other accounts need the bank's code, its BIC, or both. */
static void write_creditor_agent(struct emitter *e, const struct payment *payment)
{
	if (!*payment->bic && !*payment->bank_code)
		return;
	raw(e, "<CdtrAgt><FinInstnId>");
	value(e, "BICFI", payment->bic);
	value(e, "ClrSysMmbId/MmbId", payment->bank_code);
	raw(e, "</FinInstnId></CdtrAgt>");
}

static void write_creditor(struct emitter *e, const struct payment *payment)
{
	raw(e, "<Cdtr>");
	value(e, "Nm", payment->name);
	/* Since November 2026 an address needs town and country, or must not be there (CBPR+). */
	if (*payment->town && *payment->country) {
		raw(e, "<PstlAdr>");
		value(e, "TwnNm", payment->town);
		value(e, "Ctry", payment->country);
		raw(e, "</PstlAdr>");
	}
	raw(e, "</Cdtr>");
}

static void write_payment(struct emitter *e, const struct payment *payment, unsigned exponent)
{
	char amount[24];
	raw(e, "<CdtTrfTxInf>");
	value(e, "PmtId/EndToEndId", payment->e2e_id);
	raw(e, "<Amt><InstdAmt Ccy=\"");
	escaped(e, payment->currency);
	raw(e, "\">");
	escaped(e, kontor_amount_format(payment->amount_minor, exponent, amount));
	raw(e, "</InstdAmt></Amt>");
	write_creditor_agent(e, payment);
	write_creditor(e, payment);
	value(e, *payment->iban ? "CdtrAcct/Id/IBAN" : "CdtrAcct/Id/Othr/Id",
	      *payment->iban ? payment->iban : payment->account);
	raw(e, "</CdtTrfTxInf>\n");
}

static int differs(const struct pain001_message *message, const char *currency, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_INTERNAL,
			   "message %s: the payments in %s are not those that its totals count: nothing is written",
			   message->message_id, currency);
}

static int write_block(struct emitter *e, const struct pain001_message *message, const struct currency_total *total,
		       struct payment_source *payments)
{
	unsigned exponent = exponent_of(message, total->currency);
	int64_t sum = 0;
	write_block_start(e, message, total);
	for (uint64_t i = 0; i < total->payments && !e->code; i++) {
		const struct payment *payment;
		int code = payments->next(payments->arg, &payment, e->err);
		if (code < 0)
			return code;
		if (code == 0 || strcmp(payment->currency, total->currency) != 0 || payment->amount_minor <= 0 ||
		    !*payment->name || !kontor_amount_add(&sum, payment->amount_minor))
			return differs(message, total->currency, e->err);
		write_payment(e, payment, exponent);
	}
	if (!e->code && sum != total->amount_minor)
		return differs(message, total->currency, e->err);
	raw(e, "</PmtInf>\n");
	return e->code;
}

int pain001_write(struct data_file *out, const struct pain001_message *message, struct payment_source *payments,
		  struct kontor_error *err)
{
	struct emitter e = {out, err, 0};
	int code = write_header(&e, message);
	for (size_t i = 0; i < message->totals_len && !code; i++)
		code = write_block(&e, message, &message->totals[i], payments);
	if (code)
		return code;
	const struct payment *extra;
	code = payments->next(payments->arg, &extra, err);
	if (code)
		return code < 0 ? code : differs(message, extra->currency, err);
	raw(&e, "</CstmrCdtTrfInitn>\n</Document>\n");
	return e.code;
}
