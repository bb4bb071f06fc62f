/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids as text: Douglas Crockford, "Base 32", https://www.crockford.com/base32.html.
 */
#include "kontor/ids.h"

#include <string.h>

#define DIGITS 13
#define CHECK_MODULUS 37

/* The first 32 are the digits; the last five only check. */
static const char symbols[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";

char *kontor_id_format(uint64_t id, char *out)
{
	out[DIGITS] = symbols[id % CHECK_MODULUS];
	out[DIGITS + 1] = 0;
	for (int i = DIGITS - 1; i >= 0; i--) {
		out[i] = symbols[id % 32];
		id /= 32;
	}
	return out;
}

/* -1: it is none. */
static int symbol_value(char symbol)
{
	char upper = symbol >= 'a' && symbol <= 'z' ? (char)(symbol - 'a' + 'A') : symbol;
	if (upper == 'O')
		return 0;
	if (upper == 'I' || upper == 'L')
		return 1;
	const char *found = upper ? strchr(symbols, upper) : NULL;
	return found ? (int)(found - symbols) : -1;
}

/* The values of the symbols, without hyphens. False: not DIGITS + 1 symbols. */
static bool read_symbols(struct kontor_text text, int *values)
{
	size_t len = 0;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '-')
			continue;
		int value = symbol_value(text.data[i]);
		if (value < 0 || len == DIGITS + 1)
			return false;
		values[len++] = value;
	}
	return len == DIGITS + 1;
}

bool kontor_id_parse(struct kontor_text text, uint64_t *ret_id)
{
	int values[DIGITS + 1];
	uint64_t id = 0;
	if (!read_symbols(text, values))
		return false;
	if (values[0] >= 8) /* 13 digits hold 65 bits */
		return false;
	for (int i = 0; i < DIGITS; i++) {
		if (values[i] >= 32)
			return false;
		id = id * 32 + (uint64_t)values[i];
	}
	if (id == 0 || id % CHECK_MODULUS != (uint64_t)values[DIGITS])
		return false;
	*ret_id = id;
	return true;
}
