/* SPDX-License-Identifier: Apache-2.0 */
#include "end_to_end.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define ID_DIGITS 13 /* 13 x 5 bits hold 63 */
/* A prime above the 21 positions: a wrong character and a swap of neighbours are noticed, but for those whose values
 * differ by 31 (0-4 for V-Z). */
#define CHECK_MODULUS 31

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* A region may hold I, L, O, U, which Crockford's digits leave out: the sum counts 0-9 as 0-9 and A-Z as 10-35. */
static int character_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	return -1;
}

/* -1: a character that an id cannot hold. */
static int check_digit(const char *id)
{
	int sum = 0;
	for (int i = 0; i < END_TO_END_LENGTH - 1; i++) {
		int value = character_value(id[i]);
		if (value < 0)
			return -1;
		sum += value * (i + 1);
	}
	return sum % CHECK_MODULUS;
}

char *end_to_end_format(const char *region, uint32_t window_no, uint64_t payout_id, unsigned attempt, char *out)
{
	assert(attempt >= 1 && attempt <= END_TO_END_ATTEMPTS);
	char digits[ID_DIGITS + 1] = "";
	for (int i = ID_DIGITS - 1; i >= 0; i--) {
		digits[i] = crockford[payout_id % 32];
		payout_id /= 32;
	}
	snprintf(out, END_TO_END_LENGTH + 1, "%.2s%04u%s%02u", region, window_no % 10000, digits, attempt % 100);
	out[END_TO_END_LENGTH - 1] = crockford[check_digit(out)];
	out[END_TO_END_LENGTH] = '\0';
	return out;
}

bool end_to_end_valid(const char *id)
{
	if (strlen(id) != END_TO_END_LENGTH)
		return false;
	int digit = check_digit(id);
	return digit >= 0 && id[END_TO_END_LENGTH - 1] == crockford[digit];
}
