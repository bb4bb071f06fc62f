/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids as text, and what an id of each layout tells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/ids.h"

#define SYMBOLS "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#define CHECK_SYMBOLS SYMBOLS "*~$=U"
#define LENGTH (KONTOR_ID_TEXT_SIZE - 1)

static bool parses(const char *text, uint64_t *ret_id)
{
	return kontor_id_parse(kontor_text_of(text), ret_id);
}

static uint64_t some_id(int i)
{
	static const uint64_t fixed[] = {1, 31, 32, 36, 37, 1234, UINT64_C(1) << 53, INT64_MAX - 1, INT64_MAX};
	if (i < (int)(sizeof(fixed) / sizeof(fixed[0])))
		return fixed[i];
	uint64_t mixed = (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15); /* spread over all bits */
	return (mixed ^ mixed >> 29) >> 1;
}
#define IDS 500

static void test_published_examples(void **state)
{
	(void)state;
	/* number, digits, check symbol: 1234 is "16J" + "D" in the packages that implement Crockford's page; the others
	 * follow from its text by hand: value modulo 37, the symbols after Z being * ~ $ = U. */
	static const struct {
		uint64_t id;
		const char *text;
	} examples[] = {
		{1234, "000000000016JD"}, {1, "00000000000011"},         {31, "000000000000ZZ"}, {32, "0000000000010*"},
		{33, "0000000000011~"},   {34, "0000000000012$"},        {35, "0000000000013="}, {36, "0000000000014U"},
		{37, "00000000000150"},   {INT64_MAX, "7ZZZZZZZZZZZZ5"},
	};
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		char text[KONTOR_ID_TEXT_SIZE];
		uint64_t id = 0;
		assert_ptr_equal(kontor_id_format(examples[i].id, text), text);
		assert_string_equal(text, examples[i].text);
		assert_true(parses(text, &id));
		assert_true(id == examples[i].id);
	}
}

static void test_text_and_back(void **state)
{
	(void)state;
	for (int i = 0; i < IDS; i++) {
		char text[KONTOR_ID_TEXT_SIZE];
		uint64_t id = 0;
		assert_int_equal(strlen(kontor_id_format(some_id(i), text)), LENGTH);
		assert_true(parses(text, &id));
		assert_true(id == some_id(i));
	}
}

static void test_texts_sort_as_ids_do(void **state)
{
	(void)state;
	for (int i = 1; i < IDS; i++) {
		char a[KONTOR_ID_TEXT_SIZE], b[KONTOR_ID_TEXT_SIZE];
		int order = strcmp(kontor_id_format(some_id(i - 1), a), kontor_id_format(some_id(i), b));
		assert_true((order < 0) == (some_id(i - 1) < some_id(i)));
	}
}

static void test_every_wrong_symbol_is_found(void **state)
{
	(void)state;
	for (int i = 0; i < IDS; i++) {
		char text[KONTOR_ID_TEXT_SIZE];
		kontor_id_format(some_id(i), text);
		for (size_t at = 0; at < LENGTH; at++) {
			char right = text[at];
			for (const char *wrong = at + 1 == LENGTH ? CHECK_SYMBOLS : SYMBOLS; *wrong; wrong++) {
				uint64_t id = 7;
				text[at] = *wrong;
				if (*wrong != right && parses(text, &id))
					fail_msg("%s instead of %c at %zu", text, right, at);
				assert_true(id == 7 || *wrong == right);
			}
			text[at] = right;
		}
	}
}

static void test_swapped_neighbours_are_found(void **state)
{
	(void)state;
	for (int i = 0; i < IDS; i++) {
		char text[KONTOR_ID_TEXT_SIZE];
		kontor_id_format(some_id(i), text);
		for (size_t at = 0; at + 1 < LENGTH; at++) {
			uint64_t id;
			char first = text[at];
			if (first == text[at + 1])
				continue;
			text[at] = text[at + 1];
			text[at + 1] = first;
			if (parses(text, &id))
				fail_msg("%s: neighbours at %zu are swapped", text, at);
			text[at + 1] = text[at];
			text[at] = first;
		}
	}
}

static void test_what_people_type_is_read(void **state)
{
	(void)state;
	static const char *const accepted[] = {"000000000016JD",   "000000000016jd", "ooooooOOOO16JD",
					       "00000-00000-16JD", "0000000000i6jd", "0000000000L6JD",
					       "-000000000016J-D-"};
	static const char *const refused[] = {"",
					      "16JD",            /* zeros are not left out */
					      "0000000000016JD", /* one too many */
					      "00000000000 16JD",
					      "0000000000U6JD", /* U is no digit */
					      "0000000000*6JD", /* nor is another check symbol */
					      "00000000000000", /* no id is 0 */
					      "80000000000006", /* 2^63 */
					      "ZZZZZZZZZZZZZ0",
					      "000000000016J?"};
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		uint64_t id = 0;
		if (!parses(accepted[i], &id) || id != 1234)
			fail_msg("%s is not read as 1234", accepted[i]);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		uint64_t id = 7;
		if (parses(refused[i], &id) || id != 7)
			fail_msg("\"%s\" is accepted", refused[i]);
	}
}

/* A number beyond 63 bits is refused although its check symbol is right. */
static void test_more_than_63_bits_are_refused(void **state)
{
	(void)state;
	for (const char *check = CHECK_SYMBOLS; *check; check++) {
		char text[KONTOR_ID_TEXT_SIZE];
		uint64_t id;
		snprintf(text, sizeof(text), "8000000000000%c", *check);
		assert_false(parses(text, &id));
	}
}

/* ---- layouts ---------------------------------------------------------------------------------------------------- */

static void test_layouts_have_names(void **state)
{
	(void)state;
	enum kontor_id_layout layout = KONTOR_ID_SEGMENT;
	assert_true(kontor_id_layout_parse(KONTOR_TEXT("std63"), &layout));
	assert_int_equal(layout, KONTOR_ID_STD63);
	assert_true(kontor_id_layout_parse(KONTOR_TEXT("js53"), &layout));
	assert_int_equal(layout, KONTOR_ID_JS53);
	assert_true(kontor_id_layout_parse(KONTOR_TEXT("segment"), &layout));
	assert_int_equal(layout, KONTOR_ID_SEGMENT);
	assert_false(kontor_id_layout_parse(KONTOR_TEXT("STD63"), &layout));
}

static void test_std63_tells_time_sequence_datacenter_and_slot(void **state)
{
	(void)state;
	uint64_t id = UINT64_C(123456789) << 22 | 4095 << 10 | 15 << 6 | 62;
	struct kontor_id_parts parts;
	assert_true(kontor_id_decode_layout(KONTOR_ID_STD63, id, &parts));
	assert_int_equal(parts.time_ms, KONTOR_ID_EPOCH_MS + 123456789);
	assert_int_equal(parts.sequence, 4095);
	assert_int_equal(parts.datacenter, 15);
	assert_int_equal(parts.slot, 62);
	parts = kontor_id_decode(id);
	assert_int_equal(parts.time_ms, KONTOR_ID_EPOCH_MS + 123456789);
	assert_int_equal(parts.sequence, 4095);
	assert_false(kontor_id_decode_layout(KONTOR_ID_STD63, id & ~UINT64_C(0x3f), &parts));
	assert_false(kontor_id_decode_layout(KONTOR_ID_STD63, id & ~UINT64_C(0x3c0), &parts));
	assert_false(kontor_id_decode_layout(KONTOR_ID_STD63, id | UINT64_C(1) << 63, &parts));
}

static void test_js53_counts_seconds_and_stays_exact_in_a_double(void **state)
{
	(void)state;
	struct kontor_id_parts parts;
	uint64_t id = UINT64_C(86400) << 22 | 32767 << 7 | 7 << 4 | 14;
	assert_true(kontor_id_decode_layout(KONTOR_ID_JS53, id, &parts));
	assert_int_equal(parts.time_ms, KONTOR_ID_EPOCH_MS + 86400000);
	assert_int_equal(parts.sequence, 32767);
	assert_int_equal(parts.datacenter, 7);
	assert_int_equal(parts.slot, 14);
	assert_false(kontor_id_decode_layout(KONTOR_ID_JS53, (UINT64_C(1) << 53) + id, &parts));
	uint64_t last = (UINT64_C(1) << 53) - 1;
	assert_true(kontor_id_decode_layout(KONTOR_ID_JS53, last, &parts));
	assert_true((uint64_t)(double)last == last);
}

static void test_a_segment_is_a_number_and_a_datacenter(void **state)
{
	(void)state;
	struct kontor_id_parts parts;
	assert_true(kontor_id_decode_layout(KONTOR_ID_SEGMENT, 1000007 * 16 + 3, &parts));
	assert_true(parts.time_ms == KONTOR_ID_NO_TIME);
	assert_int_equal(parts.sequence, 1000007);
	assert_int_equal(parts.datacenter, 3);
	assert_int_equal(parts.slot, 0);
	assert_true(kontor_id_decode_layout(KONTOR_ID_SEGMENT, INT64_MAX, &parts));
	assert_true(parts.sequence == (UINT64_C(1) << 59) - 1);
	assert_false(kontor_id_decode_layout(KONTOR_ID_SEGMENT, 1000007 * 16, &parts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_examples),
		cmocka_unit_test(test_text_and_back),
		cmocka_unit_test(test_texts_sort_as_ids_do),
		cmocka_unit_test(test_every_wrong_symbol_is_found),
		cmocka_unit_test(test_swapped_neighbours_are_found),
		cmocka_unit_test(test_what_people_type_is_read),
		cmocka_unit_test(test_more_than_63_bits_are_refused),
		cmocka_unit_test(test_layouts_have_names),
		cmocka_unit_test(test_std63_tells_time_sequence_datacenter_and_slot),
		cmocka_unit_test(test_js53_counts_seconds_and_stays_exact_in_a_double),
		cmocka_unit_test(test_a_segment_is_a_number_and_a_datacenter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
