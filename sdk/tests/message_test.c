/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/message.h"
#include "kontor/time.h"
#include "message_small.h"

static kontor_body *parse(kontor_writer *w)
{
	const void *data = NULL;
	size_t size = 0;
	kontor_body *body = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(kontor_writer_finish(w, &data, &size, &err), 0);
	if (kontor_body_parse(data, size, &body, &err))
		fail_msg("%s", err.message);
	return body;
}

static int parse_code(const void *data, size_t size)
{
	kontor_body *body = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	int code = kontor_body_parse(data, size, &body, &err);
	if (code)
		assert_null(body);
	kontor_body_free(body);
	return code;
}

static void test_what_is_written_is_read_again(void **state)
{
	(void)state;
	kontor_writer *w = kontor_writer_new();
	for (int round = 0; round < 2; round++) {
		kontor_writer_reset(w);
		kontor_write_map(w);
		kontor_put_int(w, "low", INT64_MIN);
		kontor_put_int(w, "five", 5);
		kontor_put_uint(w, "id", UINT64_MAX);
		kontor_put_bool(w, "yes", true);
		kontor_put_string(w, "name", "สมชาย");
		kontor_put_string(w, "nothing", NULL);
		kontor_put_text(w, "empty", KONTOR_TEXT(""));
		kontor_put_bytes(w, "raw", "\0\xff", 2);
		kontor_put_time(w, "at", INT64_C(1795341600123));
		kontor_put_time(w, "never", 0);
		kontor_put_array(w, "rows");
		for (int i = 0; i < 70000; i++)
			kontor_write_int(w, i);
		kontor_write_end(w);
		kontor_put_map(w, "sub");
		kontor_write_end(w);
		kontor_write_end(w);
		kontor_body *body = parse(w);
		const msgpack_object *map = kontor_body_map(body);
		assert_int_equal(map->via.map.size, 12);
		assert_true(kontor_get_int(map, "low", 0) == INT64_MIN);
		assert_int_equal(kontor_get_int(map, "five", 0), 5);
		assert_int_equal(kontor_get_uint(map, "five", 0), 5);
		assert_true(kontor_get_uint(map, "id", 0) == UINT64_MAX);
		assert_true(kontor_get_bool(map, "yes", false));
		assert_true(kontor_text_is(kontor_get_text(map, "name"), "สมชาย"));
		assert_null(kontor_get(map, "nothing"));
		assert_true(kontor_text_is(kontor_get_text(map, "empty"), ""));
		assert_int_equal(kontor_get_text(map, "raw").size, 2);
		assert_true(kontor_text_is(kontor_get_text(map, "at"), "2026-11-22T10:00:00.123Z"));
		assert_null(kontor_get(map, "never"));
		assert_int_equal(kontor_get(map, "rows")->via.array.size, 70000);
		assert_int_equal(kontor_get(map, "rows")->via.array.ptr[69999].via.u64, 69999);
		assert_int_equal(kontor_get(map, "sub")->via.map.size, 0);
		kontor_body_free(body);
	}
	kontor_writer_free(w);
}

static void test_values_of_another_type_or_range_are_as_if_missing(void **state)
{
	(void)state;
	kontor_writer *w = kontor_writer_new();
	kontor_write_map(w);
	kontor_put_uint(w, "big", UINT64_MAX);
	kontor_put_int(w, "negative", -1);
	kontor_put_string(w, "text", "long enough");
	kontor_write_end(w);
	kontor_body *body = parse(w);
	const msgpack_object *map = kontor_body_map(body);
	char buffer[5];
	assert_int_equal(kontor_get_int(map, "big", 7), 7);
	assert_int_equal(kontor_get_uint(map, "negative", 7), 7);
	assert_int_equal(kontor_get_int(map, "text", 7), 7);
	assert_true(kontor_get_bool(map, "text", true));
	assert_null(kontor_get_text(map, "negative").data);
	assert_null(kontor_get(map, "missing"));
	assert_null(kontor_get(kontor_get(map, "text"), "inside"));
	assert_null(kontor_get(NULL, "x"));
	assert_string_equal(kontor_get_string(map, "text", buffer, sizeof(buffer)), "long");
	assert_string_equal(kontor_get_string(map, "missing", buffer, sizeof(buffer)), "");
	kontor_body_free(body);
	kontor_writer_free(w);
}

static void test_a_parsed_value_is_copied_whole(void **state)
{
	(void)state;
	static const unsigned char source[] = {0x83, 0xA1, 'a', 0x93, 1, 0xC0, 0x81, 0xA1, 'b',
					       0xC3, 0xA1, 'c', 0xC4, 1, 9,    0xA1, 'd',  0xCB,
					       0,    0,    0,   0,    0, 0,    0xF8, 0x3F};
	kontor_body *first = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(kontor_body_parse(source, sizeof(source), &first, &err), 0);
	kontor_writer *w = kontor_writer_new();
	kontor_write_map(w);
	kontor_put_object(w, "copy", kontor_body_map(first));
	kontor_put_object(w, "none", kontor_get(kontor_body_map(first), "zzz"));
	kontor_write_end(w);
	kontor_body *second = parse(w);
	assert_true(msgpack_object_equal(*kontor_get(kontor_body_map(second), "copy"), *kontor_body_map(first)));
	assert_null(kontor_get(kontor_body_map(second), "none"));
	kontor_body_free(first);
	kontor_body_free(second);
	kontor_writer_free(w);
}

static void test_an_unbalanced_writer_is_refused(void **state)
{
	(void)state;
	kontor_writer *w = kontor_writer_new();
	const void *data;
	size_t size;
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_write_map(w);
	assert_int_equal(kontor_writer_finish(w, &data, &size, &err), KONTOR_E_INTERNAL);
	kontor_writer_reset(w);
	kontor_write_map(w);
	kontor_write_end(w);
	kontor_write_end(w);
	assert_int_equal(kontor_writer_finish(w, &data, &size, &err), KONTOR_E_INTERNAL);
	kontor_writer_reset(w);
	kontor_write_map(w);
	kontor_write_string(w, "a key alone");
	kontor_write_end(w);
	assert_int_equal(kontor_writer_finish(w, &data, &size, &err), KONTOR_E_INTERNAL);
	kontor_writer_reset(w);
	for (int i = 0; i < 100; i++)
		kontor_write_array(w);
	for (int i = 0; i < 100; i++)
		kontor_write_end(w);
	assert_int_equal(kontor_writer_finish(w, &data, &size, &err), KONTOR_E_INTERNAL);
	kontor_writer_free(w);
}

static void test_no_bytes_are_an_empty_map(void **state)
{
	(void)state;
	kontor_body *body = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(kontor_body_parse(NULL, 0, &body, &err), 0);
	assert_int_equal(kontor_body_map(body)->via.map.size, 0);
	kontor_body_free(body);
}

static void test_only_one_map_is_a_body(void **state)
{
	(void)state;
	assert_int_equal(parse_code("\x80", 1), 0);
	assert_int_equal(parse_code("\x80\x80", 2), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("\x80\xc1", 2), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("\x90", 1), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("\x05", 1), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("\xc1", 1), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("\x81\xa1x", 3), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("{\"a\":1}", 7), KONTOR_E_BAD_REQUEST);
	char *big = calloc(1, KONTOR_FRAME_LIMIT + 1);
	assert_int_equal(parse_code(big, KONTOR_FRAME_LIMIT + 1), KONTOR_E_TOO_BIG);
	free(big);
}

static void test_nesting_ends_at_the_limit(void **state)
{
	(void)state;
	/* {"": {"": ... {}}} with n maps */
	for (size_t n = 1; n <= 40; n++) {
		unsigned char bytes[128];
		size_t size = 0;
		for (size_t i = 1; i < n; i++) {
			bytes[size++] = 0x81;
			bytes[size++] = 0xA0;
		}
		bytes[size++] = 0x80;
		assert_int_equal(parse_code(bytes, size), n <= KONTOR_DEPTH_LIMIT ? 0 : KONTOR_E_BAD_REQUEST);
	}
	unsigned char *deep = malloc(1000000);
	memset(deep, 0x91, 1000000);
	assert_int_equal(parse_code(deep, 1000000), KONTOR_E_BAD_REQUEST);
	free(deep);
}

static void test_a_container_cannot_claim_more_than_it_brings(void **state)
{
	(void)state;
	assert_int_equal(parse_code("\x81\xa1x\xdd\xff\xff\xff\xff", 8), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("\xdf\xff\xff\xff\xff", 5), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("\x81\xa1x\xdb\xff\xff\xff\xff", 8), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("\x81\xa1x\xc9\xff\xff\xff\xff\x01", 9), KONTOR_E_BAD_REQUEST);
	assert_int_equal(parse_code("\x81\xa1x\xdb\xff\xff", 6), KONTOR_E_BAD_REQUEST);
}

/* What the reader of small maps accepts is what msgpack-c reads. */
static bool small_map_agrees(const void *bytes, size_t size)
{
	msgpack_object_kv room[KONTOR_SMALL_MAP];
	msgpack_object map;
	kontor_body *body = NULL;
	if (!kontor_read_small_map(bytes, size, room, &map))
		return false;
	assert_int_equal(kontor_body_parse(bytes, size, &body, NULL), 0);
	assert_true(msgpack_object_equal(map, *kontor_body_map(body)));
	kontor_body_free(body);
	return true;
}

static void write_some_value(kontor_writer *w)
{
	char text[400];
	size_t size = (size_t)rand() % (rand() % 4 ? 20 : sizeof(text));
	memset(text, 'x', sizeof(text));
	switch (rand() % 8) {
	case 0:
		kontor_write_nil(w);
		break;
	case 1:
		kontor_write_bool(w, rand() % 2);
		break;
	case 2:
		kontor_write_int(w, -(rand() % 33));
		break;
	case 3:
		kontor_write_bytes(w, text, size);
		break;
	case 4:
		kontor_write_text(w, (struct kontor_text){text, size});
		break;
	default:
		kontor_write_uint(w, ((uint64_t)rand() << 33 | (uint64_t)rand()) >> rand() % 64);
	}
}

static void test_small_maps_are_read_as_msgpack_c_reads_them(void **state)
{
	(void)state;
	kontor_writer *w = kontor_writer_new();
	unsigned broken_but_accepted = 0;
	srand(7);
	assert_true(small_map_agrees("", 0));
	for (int n = 0; n < 50000; n++) {
		int entries = rand() % (KONTOR_SMALL_MAP + 1);
		const void *data = NULL;
		size_t size = 0;
		unsigned char bytes[8192];
		kontor_writer_reset(w);
		kontor_write_map(w);
		for (int i = 0; i < entries; i++) {
			kontor_write_text(w, (struct kontor_text){"some_name_of_an_argument", (size_t)rand() % 25});
			write_some_value(w);
		}
		kontor_write_end(w);
		assert_int_equal(kontor_writer_finish(w, &data, &size, NULL), 0);
		assert_in_range(size, 1, sizeof(bytes));
		if (size < 256) /* a longer one's header is long, and it is left to the other reader */
			assert_true(small_map_agrees(data, size));
		memcpy(bytes, data, size);
		bytes[(size_t)rand() % size] = (unsigned char)rand();
		broken_but_accepted += small_map_agrees(bytes, rand() % 8 ? size : (size_t)rand() % size);
	}
	assert_in_range(broken_but_accepted, 1000, 49000);
	kontor_writer_free(w);
}

/* A container is written in the form that fits: one byte, or five when it is long or has many elements. */
static void test_containers_of_all_sizes_are_read_again(void **state)
{
	(void)state;
	kontor_writer *w = kontor_writer_new();
	for (unsigned elements = 0; elements < 40; elements++)
		for (size_t length = 0; length < 600; length += 31) {
			char text[600];
			memset(text, 'y', sizeof(text));
			kontor_writer_reset(w);
			kontor_write_map(w);
			kontor_put_array(w, "list");
			for (unsigned i = 0; i < elements; i++)
				kontor_write_uint(w, UINT64_C(1) << i);
			kontor_write_end(w);
			kontor_put_text(w, "text", (struct kontor_text){text, length});
			kontor_put_map(w, "inner");
			kontor_put_int(w, "last", -7);
			kontor_write_end(w);
			kontor_write_end(w);
			kontor_body *body = parse(w);
			const msgpack_object *map = kontor_body_map(body), *list = kontor_get(map, "list");
			assert_int_equal(list->via.array.size, elements);
			for (unsigned i = 0; i < elements; i++)
				assert_int_equal(list->via.array.ptr[i].via.u64, UINT64_C(1) << i);
			assert_int_equal(kontor_get_text(map, "text").size, length);
			assert_int_equal(kontor_get_int(kontor_get(map, "inner"), "last", 0), -7);
			kontor_body_free(body);
		}
	kontor_writer_free(w);
}

/* Whatever the bytes, the answer is an error or a map, and msgpack-c agrees on which. */
static void test_random_bytes_are_judged_as_msgpack_c_judges_them(void **state)
{
	(void)state;
	srand(6);
	unsigned accepted = 0;
	for (int n = 0; n < 300000; n++) {
		unsigned char bytes[24];
		size_t size = 1 + (size_t)rand() % sizeof(bytes);
		for (size_t i = 0; i < size; i++)
			do /* bare msgpack-c would allocate what 32-bit containers claim */
				bytes[i] = (unsigned char)(rand() % 3 ? rand() : 0x80 + rand() % 4);
			while (bytes[i] == 0xDD || bytes[i] == 0xDF);
		bytes[0] = (unsigned char)(0x80 + rand() % 3);
		msgpack_unpacked unpacked;
		msgpack_unpacked_init(&unpacked);
		size_t offset = 0;
		bool valid =
			msgpack_unpack_next(&unpacked, (const char *)bytes, size, &offset) == MSGPACK_UNPACK_SUCCESS &&
			offset == size;
		assert_int_equal(parse_code(bytes, size) == 0, valid);
		small_map_agrees(bytes, size);
		accepted += valid;
		msgpack_unpacked_destroy(&unpacked);
	}
	assert_in_range(accepted, 1000, 299000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read_again),
		cmocka_unit_test(test_values_of_another_type_or_range_are_as_if_missing),
		cmocka_unit_test(test_a_parsed_value_is_copied_whole),
		cmocka_unit_test(test_an_unbalanced_writer_is_refused),
		cmocka_unit_test(test_no_bytes_are_an_empty_map),
		cmocka_unit_test(test_only_one_map_is_a_body),
		cmocka_unit_test(test_nesting_ends_at_the_limit),
		cmocka_unit_test(test_a_container_cannot_claim_more_than_it_brings),
		cmocka_unit_test(test_small_maps_are_read_as_msgpack_c_reads_them),
		cmocka_unit_test(test_containers_of_all_sizes_are_read_again),
		cmocka_unit_test(test_random_bytes_are_judged_as_msgpack_c_judges_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
