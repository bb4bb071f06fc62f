/* SPDX-License-Identifier: Apache-2.0
 *
 * Amounts: decimal major units in files, int64 minor units everywhere else. Grammar and limits: CONTRACT, "Amount in
 * files".
 */
#include <stdio.h>

#include "kontor/money.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The parts of `-?(0|[1-9][0-9]*)(\.[0-9]+)?`. */
struct amount_parts {
	bool negative;
	struct kontor_text whole, decimals;
};

static bool split_amount(struct kontor_text text, struct amount_parts *parts)
{
	const char *p = text.data, *end = text.data + text.size;
	parts->negative = p < end && *p == '-';
	if (parts->negative)
		p++;
	const char *whole = p;
	while (p < end && is_digit(*p))
		p++;
	parts->whole = (struct kontor_text){whole, (size_t)(p - whole)};
	if (parts->whole.size == 0 || (parts->whole.size > 1 && whole[0] == '0'))
		return false;
	parts->decimals = (struct kontor_text){p, 0};
	if (p == end)
		return true;
	if (*p++ != '.')
		return false;
	const char *decimals = p;
	while (p < end && is_digit(*p))
		p++;
	parts->decimals = (struct kontor_text){decimals, (size_t)(p - decimals)};
	return parts->decimals.size > 0 && p == end;
}

static bool all_zero(struct kontor_text digits)
{
	for (size_t i = 0; i < digits.size; i++)
		if (digits.data[i] != '0')
			return false;
	return true;
}

/* Appends digits to *minor; false when it reaches KONTOR_AMOUNT_LIMIT. */
static bool append_digits(struct kontor_text digits, int64_t *minor)
{
	for (size_t i = 0; i < digits.size; i++) {
		*minor = *minor * 10 + (digits.data[i] - '0');
		if (*minor >= KONTOR_AMOUNT_LIMIT)
			return false;
	}
	return true;
}

enum kontor_amount_fault kontor_amount_parse(struct kontor_text text, unsigned exponent, int64_t *ret_minor)
{
	struct amount_parts parts;
	if (!text.data || !split_amount(text, &parts))
		return KONTOR_AMOUNT_SYNTAX;
	if (parts.negative && all_zero(parts.whole) && all_zero(parts.decimals))
		return KONTOR_AMOUNT_MINUS_0;
	if (parts.decimals.size > exponent)
		return KONTOR_AMOUNT_DECIMALS;
	int64_t minor = 0;
	if (!append_digits(parts.whole, &minor) || !append_digits(parts.decimals, &minor))
		return KONTOR_AMOUNT_RANGE;
	for (size_t i = parts.decimals.size; i < exponent; i++)
		if (!append_digits(KONTOR_TEXT("0"), &minor))
			return KONTOR_AMOUNT_RANGE;
	*ret_minor = parts.negative ? -minor : minor;
	return KONTOR_AMOUNT_OK;
}

const char *kontor_amount_explain(enum kontor_amount_fault fault, const struct kontor_currency *currency, char *buffer,
				  size_t size)
{
	char example[24];
	int64_t sample = 1250;
	for (unsigned i = 2; i < currency->exponent; i++)
		sample *= 10;
	kontor_amount_format(sample, currency->exponent, example);
	switch (fault) {
	case KONTOR_AMOUNT_OK:
		snprintf(buffer, size, "the amount is fine");
		break;
	case KONTOR_AMOUNT_SYNTAX:
		snprintf(buffer, size,
			 "an amount is written like %s: digits, an optional minus in front, a point before decimals; "
			 "no plus, blank, separator, exponent or leading zero",
			 example);
		break;
	case KONTOR_AMOUNT_MINUS_0:
		snprintf(buffer, size, "minus zero is not an amount; write 0");
		break;
	case KONTOR_AMOUNT_DECIMALS:
		if (currency->exponent == 0)
			snprintf(buffer, size, "%s has no decimals; write %s", currency->code, example);
		else
			snprintf(buffer, size, "%s has at most %u decimals, as in %s", currency->code,
				 (unsigned)currency->exponent, example);
		break;
	case KONTOR_AMOUNT_RANGE:
		snprintf(buffer, size, "the amount is too big: it must be below 10^16 minor units of %s",
			 currency->code);
		break;
	}
	return buffer;
}

char *kontor_amount_format(int64_t minor, unsigned exponent, char *out)
{
	uint64_t magnitude = minor < 0 ? 0 - (uint64_t)minor : (uint64_t)minor;
	char reversed[24];
	size_t length = 0;
	for (unsigned digit = 0; magnitude || digit <= exponent; digit++) {
		if (digit == exponent && exponent > 0)
			reversed[length++] = '.';
		reversed[length++] = (char)('0' + magnitude % 10);
		magnitude /= 10;
	}
	if (minor < 0)
		reversed[length++] = '-';
	for (size_t i = 0; i < length; i++)
		out[i] = reversed[length - 1 - i];
	out[length] = '\0';
	return out;
}

bool kontor_amount_add(int64_t *sum, int64_t minor)
{
	int64_t result;
	if (__builtin_add_overflow(*sum, minor, &result))
		return false;
	*sum = result;
	return true;
}
