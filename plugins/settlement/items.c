/* SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kontor/money.h"

const struct kontor_column item_columns[ITEM_COLUMNS] = {
	[ITEM_SHOP] = {"shop_user_id", true, "the seller's shop: 1 to 2^63-1"},
	[ITEM_ORDER] = {"order_id", true, "1 to 32 of A-Z a-z 0-9 _ -, compared byte by byte"},
	[ITEM_TYPE] = {"item_type", true, "order, refund, adjustment, fee, tax or voucher"},
	[ITEM_AMOUNT] = {"amount", true, "decimal major units; positive is owed to the seller"},
	[ITEM_CURRENCY] = {"currency", true, "ISO 4217 code that the region accepts"},
	[ITEM_OCCURRED] = {"occurred_at", true, "RFC 3339 with Z or an offset; decides the settlement window"},
	[ITEM_ID] = {"billing_item_id", false, "1 to 2^63-1; empty: an id is issued"},
	[ITEM_NOTE] = {"note", false, "free text of at most 500 bytes; not part of the facts"},
};

static const char *const type_names[] = {NULL, "order", "refund", "adjustment", "fee", "tax", "voucher"};
#define TYPE_COUNT (sizeof(type_names) / sizeof(type_names[0]))

const char *item_type_name(unsigned type)
{
	return type > 0 && type < TYPE_COUNT ? type_names[type] : "?";
}

void item_reset(struct item *item)
{
	item->verdict = KONTOR_VERDICT_OK;
	item->column = ITEM_NO_COLUMN;
	item->reason[0] = '\0';
	item->window = 0;
	item->late = false;
	if (!item->has_id)
		item->billing_item_id = 0;
}

void item_decide(struct item *item, enum kontor_verdict verdict, int column, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(item->reason, sizeof(item->reason), format, args);
	va_end(args);
	item->verdict = verdict;
	item->column = column;
}

/* ---- bad fields: the rule, then the value, shortened and printable ---- */

#define SHOWN_BYTES 40
#define SHOWN_SIZE (SHOWN_BYTES * 4 + 8)

/* Control characters as \xNN; UTF-8 stays and is never cut inside a character. */
static const char *shown(struct kontor_text value, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0, i = 0;
	for (; i < value.size && i < SHOWN_BYTES; i++) {
		unsigned char c = (unsigned char)value.data[i];
		if (c < 0x20 || c == 0x7f) {
			memcpy(out + used, (char[]){'\\', 'x', digits[c >> 4], digits[c & 15]}, 4);
			used += 4;
		} else
			out[used++] = (char)c;
	}
	if (i < value.size) {
		while (i > 0 && ((unsigned char)value.data[i] & 0xc0) == 0x80 && used > 0) {
			used--;
			i--;
		}
		memcpy(out + used, "...", 3);
		used += 3;
	}
	out[used] = '\0';
	return out;
}

struct field {
	struct item *item;
	const char *name;
	enum item_column column;
	struct kontor_text text;
};

static bool bad(const struct field *field, const char *rule)
{
	char value[SHOWN_SIZE];
	if (!field->text.data)
		item_decide(field->item, KONTOR_VERDICT_BAD_ROW, (int)field->column, "%s is missing: it %s",
			    field->name, rule);
	else if (field->text.size == 0)
		item_decide(field->item, KONTOR_VERDICT_BAD_ROW, (int)field->column, "%s is empty: it %s", field->name,
			    rule);
	else
		item_decide(field->item, KONTOR_VERDICT_BAD_ROW, (int)field->column, "%s %s, not \"%s\"", field->name,
			    rule, shown(field->text, value));
	return false;
}

static bool read_id(const struct field *field, uint64_t *ret_id)
{
	return kontor_parse_id(field->text, ret_id) ||
	       bad(field, "must be a whole number from 1 to 2^63-1 without sign, blanks or leading zeros");
}

static bool read_order(const struct field *field)
{
	const char *rule = "must be 1 to 32 characters of A-Z a-z 0-9 _ -";
	struct kontor_text text = field->text;
	if (!text.data || text.size == 0 || text.size >= ITEM_ORDER_SIZE)
		return bad(field, rule);
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
		      c == '-'))
			return bad(field, rule);
	}
	memcpy(field->item->order_id, text.data, text.size);
	field->item->order_id[text.size] = '\0';
	return true;
}

static bool read_type(const struct field *field)
{
	for (unsigned type = 1; type < TYPE_COUNT; type++) {
		if (kontor_text_is(field->text, type_names[type])) {
			field->item->type = type;
			return true;
		}
	}
	return bad(field, "must be one of order, refund, adjustment, fee, tax, voucher");
}

static const struct kontor_currency *read_currency(const struct field *field, const struct kontor_region *region)
{
	const struct kontor_currency *currency = field->text.data ? kontor_region_currency(region, field->text) : NULL;
	if (!currency) {
		char rule[160];
		int used = snprintf(rule, sizeof(rule), "must be one that %s accepts (", region->code);
		for (size_t i = 0; i < region->currencies_len; i++)
			used += snprintf(rule + used, sizeof(rule) - (size_t)used, "%s%s", i ? " " : "",
					 region->currencies[i]->code);
		snprintf(rule + used, sizeof(rule) - (size_t)used, ")");
		bad(field, rule);
		return NULL;
	}
	memcpy(field->item->currency, currency->code, sizeof(field->item->currency));
	return currency;
}

static bool read_amount(const struct field *field, const struct kontor_currency *currency, bool minor_units)
{
	int64_t *minor = &field->item->amount_minor;
	if (minor_units) {
		int64_t value;
		if (!field->text.data || !kontor_parse_int(field->text, &value) || value <= -KONTOR_AMOUNT_LIMIT ||
		    value >= KONTOR_AMOUNT_LIMIT)
			return bad(field, "must be an integer in minor units between -10^16 and 10^16");
		*minor = value;
		return true;
	}
	const char *rule =
		"must be a decimal number such as 12.50 or -3, without sign +, exponent, blanks or leading zeros";
	if (!field->text.data || field->text.size == 0)
		return bad(field, rule);
	enum kontor_amount_fault fault = kontor_amount_parse(field->text, currency->exponent, minor);
	if (fault == KONTOR_AMOUNT_OK)
		return true;
	if (fault == KONTOR_AMOUNT_SYNTAX)
		return bad(field, rule);
	char explained[120], value[SHOWN_SIZE];
	item_decide(field->item, KONTOR_VERDICT_BAD_ROW, (int)field->column, "%s \"%s\": %s", field->name,
		    shown(field->text, value), kontor_amount_explain(fault, currency, explained, sizeof(explained)));
	return false;
}

static bool not_in_future(const struct field *field, int64_t now_ms)
{
	int64_t occurred_ms = field->item->occurred_ms;
	if (occurred_ms <= now_ms + ITEM_FUTURE_LIMIT_MS)
		return true;
	char at[KONTOR_TIME_SIZE], clock[KONTOR_TIME_SIZE];
	item_decide(field->item, KONTOR_VERDICT_BAD_ROW, (int)field->column,
		    "%s %s is more than 24 hours ahead of the database's clock, %s", field->name,
		    kontor_time_format(occurred_ms, at), kontor_time_format(now_ms, clock));
	return false;
}

static bool read_occurred(const struct field *field, bool milliseconds)
{
	if (milliseconds)
		return (field->text.data && kontor_parse_int(field->text, &field->item->occurred_ms)) ||
		       bad(field, "must be milliseconds since 1970-01-01T00:00:00Z");
	if (!field->text.data || field->text.size == 0)
		return bad(field, "must be an RFC 3339 time such as 2026-11-02T09:30:00+08:00");
	enum kontor_time_fault fault = kontor_time_parse(field->text, &field->item->occurred_ms);
	if (fault == KONTOR_TIME_OK)
		return true;
	char value[SHOWN_SIZE];
	item_decide(field->item, KONTOR_VERDICT_BAD_ROW, (int)field->column, "%s \"%s\": %s", field->name,
		    shown(field->text, value), kontor_time_explain(fault));
	return false;
}

/* Line breaks and tabs are text that people write; other control characters would act on terminals and reports. */
static bool read_note(const struct field *field)
{
	struct kontor_text text = field->text;
	if (text.size > ITEM_NOTE_LIMIT)
		return bad(field, "must be at most 500 bytes");
	if (!kontor_text_utf8(text))
		return bad(field, "must be UTF-8");
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];
		if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f)
			return bad(field, "must have no control characters but line breaks and tabs");
	}
	return true;
}

static bool read_fields(struct item *item, const struct kontor_region *region, const struct item_fields *fields)
{
	struct field field[ITEM_COLUMNS];
	for (int i = 0; i < ITEM_COLUMNS; i++) {
		const char *name = fields->names ? fields->names[i] : item_columns[i].name;
		field[i] = (struct field){item, name, (enum item_column)i, fields->text[i]};
	}
	item->has_id = fields->text[ITEM_ID].size > 0;
	if (!read_id(&field[ITEM_SHOP], &item->shop_user_id) || !read_order(&field[ITEM_ORDER]) ||
	    !read_type(&field[ITEM_TYPE]))
		return false;
	const struct kontor_currency *currency = read_currency(&field[ITEM_CURRENCY], region);
	return currency && read_amount(&field[ITEM_AMOUNT], currency, fields->minor_units) &&
	       read_occurred(&field[ITEM_OCCURRED], fields->milliseconds) &&
	       not_in_future(&field[ITEM_OCCURRED], fields->now_ms) &&
	       (!item->has_id || read_id(&field[ITEM_ID], &item->billing_item_id)) &&
	       (fields->text[ITEM_NOTE].size == 0 || read_note(&field[ITEM_NOTE]));
}

int item_read(struct item *item, const struct kontor_region *region, const struct item_fields *fields,
	      kontor_arena *arena, struct kontor_error *err)
{
	item_reset(item);
	if (!read_fields(item, region, fields))
		return 0;
	item->note = (struct kontor_text){NULL, 0};
	struct kontor_text note = fields->text[ITEM_NOTE];
	if (note.size > 0) {
		char *copy = kontor_arena_copy(arena, note.data, note.size);
		if (!copy)
			return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the note of a billing item");
		item->note = (struct kontor_text){copy, note.size};
	}
	return item_identify(item, fields->key_only, err);
}

/* ---- comparing ---- */

static void describe_origin(const struct stored_item *stored, char *out, size_t size)
{
	if (!stored->upload_id)
		snprintf(out, size, "a service stored it");
	else
		snprintf(out, size, "from upload %" PRIu64 " line %" PRIu64 "%s", stored->upload_id, stored->line,
			 stored->accepted ? "" : ", which is not accepted yet");
}

static void describe_amount(int64_t minor, const char *code, const kontor_host *host, char *out, size_t size)
{
	const struct kontor_currency *currency = kontor_currency_find(host, kontor_text_of(code));
	char number[32];
	if (currency)
		snprintf(out, size, "%s %s", kontor_amount_format(minor, currency->exponent, number), code);
	else
		snprintf(out, size, "%" PRId64 " minor units of %s", minor, code);
}

/* The first fact in which they differ, as text of both. */
static int difference(const struct item *item, const struct stored_item *stored, const kontor_host *host, char *here,
		      char *there, size_t size)
{
	if (item->amount_minor != stored->amount_minor || strcmp(item->currency, stored->currency) != 0) {
		describe_amount(item->amount_minor, item->currency, host, here, size);
		describe_amount(stored->amount_minor, stored->currency, host, there, size);
		return strcmp(item->currency, stored->currency) ? ITEM_CURRENCY : ITEM_AMOUNT;
	}
	if (strcmp(item->order_id, stored->order_id) != 0) {
		snprintf(here, size, "%s", item->order_id);
		snprintf(there, size, "%s", stored->order_id);
		return ITEM_ORDER;
	}
	if (item->type != stored->type) {
		snprintf(here, size, "%s", item_type_name(item->type));
		snprintf(there, size, "%s", item_type_name(stored->type));
		return ITEM_TYPE;
	}
	if (item->occurred_ms != stored->occurred_ms) {
		kontor_time_format(item->occurred_ms, here);
		kontor_time_format(stored->occurred_ms, there);
		return ITEM_OCCURRED;
	}
	return ITEM_NO_COLUMN;
}

void item_compare(struct item *item, const struct stored_item *stored, const kontor_host *host)
{
	char origin[96], here[64], there[64];
	describe_origin(stored, origin, sizeof(origin));
	int column = difference(item, stored, host, here, there, sizeof(here));
	if (column == ITEM_NO_COLUMN) {
		item_decide(item, KONTOR_VERDICT_ALREADY_EXISTS, ITEM_NO_COLUMN, "is billing item %" PRIu64 " (%s)",
			    stored->billing_item_id, origin);
		item->billing_item_id = stored->billing_item_id;
		item->window = stored->window;
	} else {
		item_decide(item, KONTOR_VERDICT_CONFLICT, column,
			    "billing item %" PRIu64 " of shop %" PRIu64 " has %s %s (%s), here it is %s",
			    stored->billing_item_id, stored->shop_user_id, item_columns[column].name, there, origin,
			    here);
	}
}
