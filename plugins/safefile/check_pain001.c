/* SPDX-License-Identifier: Apache-2.0 */
#include "check_pain001.h"

#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iban.h"
#include "kontor/time.h"
#include "pain001_grammar.h"

enum {
	TEXT_LIMIT = 512, /* bytes of one value; the longest of the grammar are names of 140 characters */
	E2E_SIZE = 36,
	READ_BYTES = 1 << 16,
};

struct open_element {
	int index;     /* in pain001_grammar */
	int last;      /* index of the last child, -1: none yet */
	uint64_t seen; /* bit i: child i of the grammar was there */
};

struct checker {
	const char *name;
	const struct pain001_message *message;
	struct payment_source *payments;
	struct kontor_error *err;
	int code;                 /* the first failure; nothing is looked at after it */
	struct kontor_error what; /* the last fault, without its place */
	xmlParserCtxtPtr parser;

	struct open_element open[PAIN001_DEPTH];
	int depth;
	char text[TEXT_LIMIT];
	size_t text_size;

	struct payment found; /* the transaction that is being read */
	char amount[TEXT_LIMIT];
	size_t block; /* which of the message's totals the open PmtInf must be */
	uint64_t block_count, count, expected_count;
	int64_t block_sum;
	__int128 group_sum, sum; /* CtrlSum of GrpHdr and the sum of all payments, in units of 10^-group_exponent */
	unsigned group_exponent;

	char (*ids)[E2E_SIZE];
	size_t ids_size;
};

/* Keeps what c->what says, with its place, if it is the first fault. */
static int keep_fault(struct checker *c)
{
	char place[96] = "";
	if (c->code)
		return c->code;
	if (c->depth > 3 && c->open[3].index == ELEMENT_TRANSACTION)
		snprintf(place, sizeof(place), ", payment %llu%s%s", (unsigned long long)c->count + 1,
			 *c->found.e2e_id ? " " : "", c->found.e2e_id);
	c->code = kontor_fail(c->err, KONTOR_E_CONFLICT, "%s line %d%s: %s", c->name, xmlSAX2GetLineNumber(c->parser),
			      place, c->what.message);
	xmlStopParser(c->parser);
	return c->code;
}

/* return fault(c, "InstdAmt is %s", text); */
#define fault(c, ...) (kontor_fail(&(c)->what, KONTOR_E_CONFLICT, __VA_ARGS__), keep_fault(c))

/* ---- values ----------------------------------------------------------------------------------------------------- */

static int expect(struct checker *c, const char *what, const char *expected)
{
	if (strcmp(c->text, expected) != 0)
		return fault(c, "%s is \"%.80s\", the database says \"%.80s\"", what, c->text, expected);
	return 0;
}

/* `(0|[1-9][0-9]*)(\.[0-9]+)?` in units of 10^-exponent. Not the SDK's parser: sums have up to 18 digits. */
static int decimal(struct checker *c, const char *what, const char *text, unsigned exponent, __int128 *ret)
{
	size_t whole = strspn(text, "0123456789");
	size_t fraction = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
	size_t length = whole + (text[whole] == '.' ? 1 + fraction : 0);
	if (whole == 0 || text[length] || (text[whole] == '.' && fraction == 0))
		return fault(c, "%s \"%.40s\" is not a decimal number", what, text);
	if (whole > 1 && text[0] == '0')
		return fault(c, "%s \"%.40s\" has leading zeros", what, text);
	if (whole + fraction > 18)
		return fault(c, "%s \"%.40s\" has more than 18 digits", what, text);
	if (fraction > exponent)
		return fault(c, "%s \"%.40s\" has %zu decimals, %u are allowed", what, text, fraction, exponent);
	__int128 value = 0;
	for (size_t i = 0; i < length; i++)
		if (text[i] != '.')
			value = value * 10 + (text[i] - '0');
	for (size_t i = fraction; i < exponent; i++)
		value *= 10;
	*ret = value;
	return 0;
}

static int expect_count(struct checker *c, const char *what, uint64_t expected)
{
	uint64_t value;
	if (!kontor_parse_uint(kontor_text_of(c->text), &value))
		return fault(c, "%s \"%.40s\" is not a count without leading zeros", what, c->text);
	if (value != expected)
		return fault(c, "%s is %.40s, the database says %llu", what, c->text, (unsigned long long)expected);
	return 0;
}

static unsigned exponent_of(const struct checker *c, const char *currency)
{
	const struct profile_currency *found = profile_currency(c->message->profile, currency);
	return found ? found->exponent : 0;
}

static const struct currency_total *block_total(const struct checker *c)
{
	return &c->message->totals[c->block];
}

static int expect_block_sum(struct checker *c)
{
	const struct currency_total *total = block_total(c);
	__int128 value = 0;
	int code = decimal(c, "CtrlSum", c->text, exponent_of(c, total->currency), &value);
	if (!code && value != total->amount_minor)
		code = fault(c, "CtrlSum of %s is %.40s, the database says %lld minor units", total->currency, c->text,
			     (long long)total->amount_minor);
	return code;
}

/* Compared with the payments that were read, at the end of the file. */
static int take_group_sum(struct checker *c)
{
	return decimal(c, "CtrlSum of GrpHdr", c->text, c->group_exponent, &c->group_sum);
}

static int keep(struct checker *c, const char *what, char *out, size_t size)
{
	if (c->text_size >= size)
		return fault(c, "%s is longer than %zu characters", what, size - 1);
	memcpy(out, c->text, c->text_size + 1);
	return 0;
}

static int expect_block_id(struct checker *c)
{
	char id[PAIN001_ID_LIMIT + 1];
	pain001_block_id(c->message->message_id, block_total(c)->currency, id);
	return expect(c, "PmtInfId", id);
}

static int expect_created(struct checker *c)
{
	int64_t ms;
	if (kontor_time_parse(kontor_text_of(c->text), &ms) != KONTOR_TIME_OK || ms != c->message->created_ms)
		return fault(c, "CreDtTm \"%.40s\" is not the time at which the safefile was created", c->text);
	return 0;
}

static int take_header_value(struct checker *c, enum pain001_field field)
{
	const struct profile *profile = c->message->profile;
	switch (field) {
	case FIELD_MESSAGE_ID:
		return expect(c, "MsgId", c->message->message_id);
	case FIELD_CREATED:
		return expect_created(c);
	case FIELD_COUNT:
		return expect_count(c, "NbOfTxs of GrpHdr", c->expected_count);
	case FIELD_SUM:
		return take_group_sum(c);
	case FIELD_BLOCK_ID:
		return expect_block_id(c);
	case FIELD_METHOD:
		return expect(c, "PmtMtd", "TRF");
	case FIELD_BLOCK_COUNT:
		return expect_count(c, "NbOfTxs of PmtInf", block_total(c)->payments);
	case FIELD_BLOCK_SUM:
		return expect_block_sum(c);
	case FIELD_DATE:
		return expect(c, "ReqdExctnDt", c->message->execution_date);
	case FIELD_INITIATOR:
	case FIELD_DEBTOR:
		return expect(c, "the debtor's name", profile->debtor_name);
	case FIELD_DEBTOR_IBAN:
		return expect(c, "the debtor's IBAN", profile->debtor_iban);
	case FIELD_DEBTOR_BIC:
		return expect(c, "the debtor's BIC", profile->debtor_bic);
	default:
		return expect(c, "ChrgBr", profile->charge_bearer);
	}
}

static int take_value(struct checker *c, enum pain001_field field)
{
	struct payment *p = &c->found;
	switch (field) {
	case FIELD_E2E:
		return keep(c, "EndToEndId", p->e2e_id, sizeof(p->e2e_id));
	case FIELD_AMOUNT:
		return keep(c, "InstdAmt", c->amount, sizeof(c->amount));
	case FIELD_BIC:
		return keep(c, "BICFI", p->bic, sizeof(p->bic));
	case FIELD_BANK_CODE:
		return keep(c, "MmbId", p->bank_code, sizeof(p->bank_code));
	case FIELD_NAME:
		return keep(c, "the creditor's name", p->name, c->message->profile->name_limit + 1);
	case FIELD_TOWN:
		return keep(c, "TwnNm", p->town, sizeof(p->town));
	case FIELD_COUNTRY:
		return keep(c, "Ctry", p->country, sizeof(p->country));
	case FIELD_IBAN:
		return keep(c, "IBAN", p->iban, sizeof(p->iban));
	case FIELD_ACCOUNT:
		return keep(c, "the account", p->account, sizeof(p->account));
	default:
		return take_header_value(c, field);
	}
}

/* ---- one transaction ---- */

/* EPC217-08, written down a second time on purpose. */
static int in_charset(struct checker *c, const char *what, const char *value)
{
	size_t good = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ ");
	size_t size = strlen(value);
	if (value[good])
		return fault(c, "%s has a character outside of the charset " PROFILE_CHARSET_EPC217 " at position %zu",
			     what, good + 1);
	if (size && (value[0] == '/' || value[size - 1] == '/' || strstr(value, "//")))
		return fault(c, "%s begins or ends with a slash or has two together", what);
	if (size && (value[0] == ' ' || value[size - 1] == ' '))
		return fault(c, "%s begins or ends with a blank", what);
	return 0;
}

static const char *last_four(const char *account)
{
	size_t length = strlen(account);
	return account + (length > 4 ? length - 4 : 0);
}

static int check_rules(struct checker *c)
{
	struct payment *p = &c->found;
	__int128 amount = 0;
	const struct profile_currency *currency = profile_currency(c->message->profile, p->currency);
	if (!currency)
		return fault(c, "the profile does not pay the currency \"%.3s\"", p->currency);
	if (strcmp(p->currency, block_total(c)->currency) != 0)
		return fault(c, "InstdAmt is in %s inside of the PmtInf of %s", p->currency, block_total(c)->currency);
	if (decimal(c, "InstdAmt", c->amount, currency->exponent, &amount))
		return c->code;
	if (amount <= 0)
		return fault(c, "InstdAmt is %.40s: only positive amounts are paid", c->amount);
	p->amount_minor = (int64_t)amount;
	if (in_charset(c, "EndToEndId", p->e2e_id) || in_charset(c, "the creditor's name", p->name) ||
	    in_charset(c, "the town", p->town) || in_charset(c, "the account", p->account) ||
	    in_charset(c, "the bank code", p->bank_code))
		return c->code;
	if (*p->iban && iban_check(kontor_text_of(p->iban)) != IBAN_OK)
		return fault(c, "the IBAN that ends in %s is not valid (ISO 7064 MOD 97-10)", last_four(p->iban));
	if (*p->bic && !bic_valid(kontor_text_of(p->bic)))
		return fault(c, "the BIC \"%s\" is not valid", p->bic);
	if (!*p->iban == !*p->account)
		return fault(c, "CdtrAcct must have either an IBAN or another account");
	if (*p->account && !*p->bic && !*p->bank_code)
		return fault(c, "an account that is no IBAN needs its bank");
	return 0;
}

static int compare(struct checker *c, const char *what, const char *found, const char *expected)
{
	if (strcmp(found, expected) != 0)
		return fault(c, "%s is \"%.80s\", the database says \"%.80s\"", what, found, expected);
	return 0;
}

static int compare_account(struct checker *c, const char *what, const char *found, const char *expected)
{
	if (strcmp(found, expected) != 0)
		return fault(c, "the %s ends in \"%s\", the database has another one that ends in \"%s\"", what,
			     last_four(found), last_four(expected));
	return 0;
}

static int compare_with_row(struct checker *c)
{
	const struct payment *p = &c->found, *row = NULL;
	int code = c->payments->next(c->payments->arg, &row, c->err);
	if (code < 0) {
		c->code = code;
		xmlStopParser(c->parser);
		return code;
	}
	if (code == 0)
		return fault(c, "the database has no further payment for this file");
	/* Without a town there is no PstlAdr, and the country of the row has no place. */
	bool address = *row->town && *row->country;
	if (compare(c, "EndToEndId", p->e2e_id, row->e2e_id) || compare(c, "Ccy", p->currency, row->currency) ||
	    compare(c, "the creditor's name", p->name, row->name) ||
	    compare(c, "TwnNm", p->town, address ? row->town : "") ||
	    compare(c, "Ctry", p->country, address ? row->country : "") || compare(c, "BICFI", p->bic, row->bic) ||
	    compare(c, "MmbId", p->bank_code, row->bank_code) || compare_account(c, "IBAN", p->iban, row->iban) ||
	    compare_account(c, "account", p->account, row->account))
		return c->code;
	if (p->amount_minor != row->amount_minor)
		return fault(c, "InstdAmt is %.40s %s, the database says %lld minor units", c->amount, p->currency,
			     (long long)row->amount_minor);
	return 0;
}

static int remember_id(struct checker *c)
{
	if (c->count == c->ids_size) {
		size_t size = c->ids_size ? c->ids_size * 2 : 1024;
		void *more = realloc(c->ids, size * sizeof(*c->ids));
		if (!more)
			return fault(c, "out of memory for %zu end-to-end ids", size);
		c->ids = more;
		c->ids_size = size;
	}
	memcpy(c->ids[c->count], c->found.e2e_id, E2E_SIZE);
	return 0;
}

static void end_transaction(struct checker *c)
{
	if (check_rules(c) || compare_with_row(c) || remember_id(c))
		return;
	if (!kontor_amount_add(&c->block_sum, c->found.amount_minor)) {
		fault(c, "the sum of the block exceeds 63 bits");
		return;
	}
	c->count++;
	c->block_count++;
}

static void end_block(struct checker *c)
{
	const struct currency_total *total = block_total(c);
	if (c->block_count != total->payments)
		fault(c, "PmtInf of %s has %llu payments, its NbOfTxs says %llu", total->currency,
		      (unsigned long long)c->block_count, (unsigned long long)total->payments);
	else if (c->block_sum != total->amount_minor)
		fault(c, "the payments in %s add up to %lld minor units, CtrlSum says %lld", total->currency,
		      (long long)c->block_sum, (long long)total->amount_minor);
	__int128 scaled = c->block_sum;
	for (unsigned e = exponent_of(c, total->currency); e < c->group_exponent; e++)
		scaled *= 10;
	c->sum += scaled;
	c->block++;
}

/* ---- elements: libxml2 calls these ------------------------------------------------------------------------------- */

static int find_child(int parent, const char *name)
{
	for (int i = 0; i < PAIN001_ELEMENTS; i++)
		if (pain001_grammar[i].parent == parent && strcmp(pain001_grammar[i].name, name) == 0)
			return i;
	return -1;
}

static int enter(struct checker *c, const char *name)
{
	struct open_element *parent = c->depth ? &c->open[c->depth - 1] : NULL;
	int index = find_child(parent ? parent->index : -1, name);
	if (index < 0 || c->depth == PAIN001_DEPTH || (!parent && c->count))
		return fault(c, "element <%.40s> has no place in <%s>", name,
			     parent ? pain001_grammar[parent->index].name : "the file");
	if (parent) {
		bool again = index == parent->last && pain001_grammar[index].repeats;
		if (index <= parent->last && !again)
			return fault(c, "element <%s> stands after <%s> or is there twice", name,
				     pain001_grammar[parent->last].name);
		parent->last = index;
		parent->seen |= UINT64_C(1) << index;
	}
	c->open[c->depth++] = (struct open_element){index, -1, 0};
	c->text_size = 0;
	return 0;
}

static void start_block(struct checker *c)
{
	c->block_count = 0;
	c->block_sum = 0;
	if (c->block >= c->message->totals_len)
		fault(c, "there are more PmtInf than the %zu of the database", c->message->totals_len);
}

static int take_currency(struct checker *c, int count, const xmlChar **attributes)
{
	/* SAX2 gives five pointers an attribute: name, prefix, namespace, value, end of the value. */
	if (count != 1 || strcmp((const char *)attributes[0], "Ccy") != 0)
		return fault(c, "InstdAmt needs the attribute Ccy and no other");
	size_t size = (size_t)(attributes[4] - attributes[3]);
	if (size != 3)
		return fault(c, "Ccy is not three letters");
	memcpy(c->found.currency, attributes[3], 3);
	c->found.currency[3] = '\0';
	return 0;
}

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespaces,
		     const xmlChar **namespace_list, int attributes, int defaulted, const xmlChar **attribute_list)
{
	struct checker *c = arg;
	(void)prefix, (void)namespaces, (void)namespace_list, (void)defaulted;
	if (c->code)
		return;
	if (!uri || strcmp((const char *)uri, PAIN001_NAMESPACE) != 0) {
		fault(c, "element <%.40s> is not in the namespace " PAIN001_NAMESPACE, (const char *)name);
		return;
	}
	if (enter(c, (const char *)name))
		return;
	int index = c->open[c->depth - 1].index;
	if (pain001_grammar[index].field == FIELD_AMOUNT)
		take_currency(c, attributes, attribute_list);
	else if (attributes)
		fault(c, "element <%s> has an attribute", pain001_grammar[index].name);
	else if (index == ELEMENT_TRANSACTION)
		c->found = (struct payment){0};
	else if (index == ELEMENT_PMT_INF)
		start_block(c);
}

static void on_text(void *arg, const xmlChar *text, int size)
{
	struct checker *c = arg;
	if (c->code || !c->depth)
		return;
	if (pain001_grammar[c->open[c->depth - 1].index].field == FIELD_NONE) {
		for (int i = 0; i < size; i++)
			if (!strchr(" \t\r\n", text[i])) {
				fault(c, "text outside of a value");
				return;
			}
		return;
	}
	if (c->text_size + (size_t)size >= sizeof(c->text)) {
		fault(c, "a value is longer than %d bytes", TEXT_LIMIT - 1);
		return;
	}
	memcpy(c->text + c->text_size, text, (size_t)size);
	c->text_size += (size_t)size;
}

static void require_children(struct checker *c, const struct open_element *element)
{
	for (int i = 0; i < PAIN001_ELEMENTS; i++)
		if (pain001_grammar[i].parent == element->index && pain001_grammar[i].required &&
		    !(element->seen >> i & 1))
			fault(c, "<%s> has no <%s>", pain001_grammar[element->index].name, pain001_grammar[i].name);
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct checker *c = arg;
	(void)name, (void)prefix, (void)uri;
	if (c->code || !c->depth)
		return;
	const struct open_element element = c->open[c->depth - 1];
	enum pain001_field field = pain001_grammar[element.index].field;
	if (field == FIELD_NONE) {
		require_children(c, &element);
	} else {
		c->text[c->text_size] = '\0';
		if (c->text_size == 0)
			fault(c, "<%s> is empty", pain001_grammar[element.index].name);
		else if (!c->code)
			take_value(c, field);
	}
	if (!c->code && element.index == ELEMENT_TRANSACTION)
		end_transaction(c);
	if (!c->code && element.index == ELEMENT_PMT_INF)
		end_block(c);
	c->depth--;
}

static void on_instruction(void *arg, const xmlChar *target, const xmlChar *data)
{
	(void)data;
	struct checker *c = arg;
	fault(c, "processing instruction <?%.40s", (const char *)target);
}

static void on_error(void *arg, xmlErrorPtr error)
{
	(void)arg, (void)error; /* parse_all() reports the parser's last error */
}

/* ---- the file ---- */

/* The files that Kontor writes have no markup that begins with "<!": neither a DOCTYPE (with its entities) nor comments
 * and CDATA, in which a bank's parser and ours could differ. Refused before the parser sees them. */
static bool has_declaration(const char *bytes, size_t size, char *last)
{
	bool found = false;
	for (size_t i = 0; i < size && !found; i++) {
		found = bytes[i] == '!' && *last == '<';
		*last = bytes[i];
	}
	return found;
}

static int parse_all(struct checker *c, int fd)
{
	char buffer[READ_BYTES], last = '\0';
	ssize_t n;
	while (!c->code && (n = read(fd, buffer, sizeof(buffer))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kontor_fail(c->err, KONTOR_E_STORAGE, "cannot read %s: %s", c->name, strerror(errno));
		if (has_declaration(buffer, (size_t)n, &last))
			return fault(c, "markup that begins with \"<!\" (a DOCTYPE, a comment or CDATA) is refused");
		if (xmlParseChunk(c->parser, buffer, (int)n, 0))
			break;
	}
	if (!c->code)
		xmlParseChunk(c->parser, buffer, 0, 1);
	if (!c->code && !c->parser->wellFormed) {
		const xmlError *error = xmlCtxtGetLastError(c->parser);
		size_t length = error && error->message ? strcspn(error->message, "\n") : 0;
		return fault(c, "is not well-formed XML: %.*s", (int)length, length ? error->message : "");
	}
	return c->code;
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, E2E_SIZE);
}

static int check_end(struct checker *c)
{
	const struct payment *missing = NULL;
	const struct currency_total *left = c->block < c->message->totals_len ? block_total(c) : NULL;
	if (left)
		return fault(c, "there is no PmtInf of %s", left->currency);
	int code = c->payments->next(c->payments->arg, &missing, c->err);
	if (code < 0)
		return code;
	if (code)
		return fault(c, "payment %s of the database is missing", missing->e2e_id);
	if (c->count != c->expected_count)
		return fault(c, "there are %llu payments, NbOfTxs says %llu", (unsigned long long)c->count,
			     (unsigned long long)c->expected_count);
	if (c->sum != c->group_sum)
		return fault(c, "CtrlSum of GrpHdr is not the sum of the payments");
	qsort(c->ids, c->count, E2E_SIZE, compare_ids);
	for (uint64_t i = 1; i < c->count; i++)
		if (memcmp(c->ids[i - 1], c->ids[i], E2E_SIZE) == 0)
			return fault(c, "EndToEndId %s is there twice", c->ids[i]);
	return 0;
}

int pain001_check(int fd, const char *name, const struct pain001_message *message, struct payment_source *payments,
		  struct kontor_error *err)
{
	struct checker *c = calloc(1, sizeof(*c));
	if (!c)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	c->name = name;
	c->message = message;
	c->payments = payments;
	c->err = err;
	for (size_t i = 0; i < message->totals_len; i++) {
		unsigned exponent = exponent_of(c, message->totals[i].currency);
		c->group_exponent = exponent > c->group_exponent ? exponent : c->group_exponent;
		c->expected_count += message->totals[i].payments;
	}
	xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
			     .startElementNs = on_start,
			     .endElementNs = on_end,
			     .characters = on_text,
			     .ignorableWhitespace = on_text,
			     .processingInstruction = on_instruction,
			     .serror = on_error};
	c->parser = xmlCreatePushParserCtxt(&sax, c, NULL, 0, NULL);
	int code = KONTOR_E_INTERNAL;
	if (!c->parser) {
		kontor_fail(err, KONTOR_E_INTERNAL, "libxml2 gives no parser");
	} else {
		xmlCtxtUseOptions(c->parser, XML_PARSE_NONET);
		code = parse_all(c, fd);
		if (!code)
			code = check_end(c);
		xmlFreeParserCtxt(c->parser);
	}
	free(c->ids);
	free(c);
	return code;
}
