/* SPDX-License-Identifier: Apache-2.0
 *
 * The header's reader, held against msgpack-c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"
#include "kontor/client.h"

static kontor_writer *writer;

static uint32_t random_state = 20261122;

static uint32_t next_random(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % limit;
}

static int parse_writer(struct kontor_frame_header *header, struct kontor_error *err)
{
	const void *data;
	size_t size;
	assert_int_equal(kontor_writer_finish(writer, &data, &size, err), 0);
	return kontor_frame_parse(data, size, header, err);
}

static void assert_same_header(const struct kontor_frame_header *a, const struct kontor_frame_header *b)
{
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->id, b->id);
	assert_string_equal(a->method, b->method);
	assert_int_equal(a->left_ms, b->left_ms);
	assert_int_equal(a->flags, b->flags);
	assert_string_equal(a->key, b->key);
	assert_string_equal(a->traceparent, b->traceparent);
	assert_string_equal(a->caller, b->caller);
	assert_int_equal(a->server_us, b->server_us);
}

static void test_a_written_header_reads_back(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct kontor_frame_header out = {.version = 1, .kind = KONTOR_FRAME_REQUEST}, in;
		struct kontor_error err = KONTOR_ERROR_INIT;
		out.id = (uint64_t)next_random(UINT32_MAX) << next_random(33);
		out.left_ms = next_random(UINT32_MAX) >> next_random(32);
		out.flags = (uint64_t)next_random(UINT32_MAX) << next_random(33);
		memset(out.method, 'm', 1 + next_random(sizeof(out.method) - 1));
		memset(out.key, 'k', next_random(sizeof(out.key)));
		memset(out.traceparent, 't', next_random(sizeof(out.traceparent)));
		memset(out.caller, 'c', next_random(sizeof(out.caller)));
		kontor_frame_write(writer, &out);
		assert_int_equal(parse_writer(&in, &err), 0);
		assert_memory_equal(&in, &out, sizeof(in));
	}
}

static void test_answers_carry_the_servers_time(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct kontor_frame_header out = {.version = 1, .kind = KONTOR_FRAME_ERROR, .id = 7, .server_us = 123456}, in;
	kontor_frame_write(writer, &out);
	assert_int_equal(parse_writer(&in, &err), 0);
	assert_memory_equal(&in, &out, sizeof(in));
}

static void test_a_quick_answer_is_read_as_a_written_one(void **state)
{
	(void)state;
	static const unsigned kinds[] = {KONTOR_FRAME_REPLY, KONTOR_FRAME_ERROR, KONTOR_FRAME_PONG};
	for (int i = 0; i < 20000; i++) {
		struct kontor_frame_header out = {.version = 1, .kind = kinds[i % 3]}, in;
		unsigned char bytes[KONTOR_FRAME_ANSWER_SIZE];
		const void *data;
		size_t size;
		out.id = ((uint64_t)next_random(UINT32_MAX) << 32 | next_random(UINT32_MAX)) >> next_random(64);
		out.server_us = out.kind == KONTOR_FRAME_PONG ? 0 : next_random(UINT32_MAX) >> next_random(32);
		size_t length = kontor_frame_write_answer(out.kind, out.id, out.server_us, bytes);
		assert_in_range(length, 4, sizeof(bytes));
		assert_int_equal(kontor_frame_parse(bytes, length, &in, NULL), 0);
		assert_same_header(&in, &out);
		kontor_frame_write(writer, &out);
		assert_int_equal(kontor_writer_finish(writer, &data, &size, NULL), 0);
		assert_int_equal(size, length);
		assert_memory_equal(data, bytes, size);
	}
}

static void test_short_headers_and_further_elements_are_fine(void **state)
{
	(void)state;
	struct kontor_frame_header in;
	assert_int_equal(kontor_frame_parse("\x93\x01\x04\x09", 4, &in, NULL), 0);
	assert_int_equal(in.kind, KONTOR_FRAME_PING);
	assert_int_equal(in.id, 9);
	assert_int_equal(kontor_frame_parse("\x94\x01\x01\x02\xa3"
					    "a.b",
					    8, &in, NULL),
			 0);
	assert_string_equal(in.method, "a.b");
	kontor_writer_reset(writer);
	kontor_write_array(writer);
	kontor_write_uint(writer, 1);
	kontor_write_uint(writer, 1);
	kontor_write_uint(writer, 3);
	kontor_write_string(writer, "a.b");
	for (int i = 4; i < 9; i++)
		kontor_write_nil(writer);
	kontor_write_map(writer); /* a tenth element, of a later version */
	kontor_put_int(writer, "new", -1);
	kontor_write_end(writer);
	kontor_write_end(writer);
	assert_int_equal(parse_writer(&in, NULL), 0);
	assert_string_equal(in.key, "");
}

static void refused(const char *bytes, size_t size, const char *words)
{
	struct kontor_frame_header in = {.id = 42};
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(kontor_frame_parse(bytes, size, &in, &err), KONTOR_E_BAD_REQUEST);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" does not name \"%s\"", err.message, words);
	assert_int_equal(in.id, 42); /* untouched */
}

static void test_a_malformed_header_names_its_element(void **state)
{
	(void)state;
#define REFUSED(bytes, words) refused(bytes, sizeof(bytes) - 1, words)
	REFUSED("", "not one whole msgpack value");
	REFUSED("\x80", "no array");
	REFUSED("\x90", "element 0 (version) is missing");
	REFUSED("\x92\x01\x01", "element 2 (id) is missing");
	REFUSED("\x93\x02\x01\x01", "element 0 (version) is not 1");
	REFUSED("\x93\x01\x07\x01", "element 1 (kind)");
	REFUSED("\x93\x01\x01\xff", "element 2 (id) is negative");
	REFUSED("\x93\x01\x01\x01", "element 3 (method) is missing");
	REFUSED("\x94\x01\x01\x01\x05", "element 3 (method) is no string");
	REFUSED("\x94\x01\x01\x01\xa3"
		"a b",
		"element 3 (method) holds");
	REFUSED("\x95\x01\x01\x01\xa1"
		"a\xcf\x00\x00\x00\x01\x00\x00\x00\x00",
		"element 4 (left_ms) is too big");
	REFUSED("\x93\x01\x04\x01\x00", "not one whole");
	REFUSED("\x9f\x01\x04\x01", "not one whole");
	REFUSED("\xdd\xff\xff\xff\xff\x01", "not one whole");
#undef REFUSED
}

/* msgpack-c allocates what a container claims to hold; it copes when that fails, and AddressSanitizer must let it. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* ---- against msgpack-c ---- */

static bool oracle_uint(const msgpack_object *o, uint64_t limit)
{
	return o->type == MSGPACK_OBJECT_NIL || (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= limit);
}

static bool oracle_string(const msgpack_object *o, size_t size, bool ascii_only)
{
	if (o->type == MSGPACK_OBJECT_NIL)
		return true;
	if (o->type != MSGPACK_OBJECT_STR || o->via.str.size >= size)
		return false;
	for (uint32_t i = 0; i < o->via.str.size; i++) {
		unsigned char c = (unsigned char)o->via.str.ptr[i];
		if (c <= ' ' || c == 127 || (ascii_only && c > 127))
			return false;
	}
	return true;
}

static bool oracle_elements(const msgpack_object_array *a)
{
	uint64_t kind = a->ptr[1].via.u64;
	if (a->ptr[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER || a->ptr[0].via.u64 != 1)
		return false;
	if (a->ptr[1].type != MSGPACK_OBJECT_POSITIVE_INTEGER || kind < 1 || kind > 6)
		return false;
	if (!oracle_uint(&a->ptr[2], UINT64_MAX))
		return false;
	if (kind == 2 || kind == 3)
		return a->size < 4 || oracle_uint(&a->ptr[3], UINT32_MAX);
	if (kind == 1 && (a->size < 4 || a->ptr[3].type != MSGPACK_OBJECT_STR || a->ptr[3].via.str.size == 0))
		return false;
	return (a->size < 4 || oracle_string(&a->ptr[3], 64, true)) &&
	       (a->size < 5 || oracle_uint(&a->ptr[4], UINT32_MAX)) &&
	       (a->size < 6 || oracle_uint(&a->ptr[5], UINT64_MAX)) &&
	       (a->size < 7 || oracle_string(&a->ptr[6], 65, false)) &&
	       (a->size < 8 || oracle_string(&a->ptr[7], 64, true)) &&
	       (a->size < 9 || oracle_string(&a->ptr[8], 64, true));
}

/* Whether msgpack-c and the rules of docs/protocol.md accept the bytes. */
static bool oracle(const uint8_t *bytes, size_t size)
{
	msgpack_unpacked unpacked;
	msgpack_unpacked_init(&unpacked);
	size_t offset = 0;
	bool ok = msgpack_unpack_next(&unpacked, (const char *)bytes, size, &offset) == MSGPACK_UNPACK_SUCCESS &&
		  offset == size && unpacked.data.type == MSGPACK_OBJECT_ARRAY && unpacked.data.via.array.size >= 3 &&
		  oracle_elements(&unpacked.data.via.array);
	msgpack_unpacked_destroy(&unpacked);
	return ok;
}

/* An element that is often right and sometimes anything. */
static void pack_element(msgpack_packer *pk, unsigned place)
{
	static const uint64_t numbers[] = {0,   1,   2,     3,     6,          7,          127,       128,
					   255, 256, 65535, 65536, UINT32_MAX, 1ull << 32, UINT64_MAX};
	char text[70];
	size_t length = next_random(10) ? next_random(20) : next_random(sizeof(text));
	for (size_t i = 0; i < length; i++)
		text[i] = next_random(30) ? (char)('a' + next_random(26)) : (char)next_random(256);
	bool is_string = place == 3 || place >= 6;
	switch (next_random(15)) {
	case 0:
		msgpack_pack_nil(pk);
		return;
	case 1:
		msgpack_pack_int64(pk, -(int64_t)next_random(100000));
		return;
	case 2:
		msgpack_pack_map(pk, 1);
		msgpack_pack_double(pk, 1.5);
		msgpack_pack_true(pk);
		return;
	case 3:
		is_string = !is_string;
		break;
	default:
		break;
	}
	if (is_string) {
		msgpack_pack_str(pk, length);
		msgpack_pack_str_body(pk, text, length);
	} else if (place == 0 && next_random(20))
		msgpack_pack_uint64(pk, 1);
	else if (place == 1 && next_random(20))
		msgpack_pack_uint64(pk, 1 + next_random(6));
	else
		msgpack_pack_uint64(pk, numbers[next_random(sizeof(numbers) / sizeof(numbers[0]))]);
}

static void assert_read_alike(const void *bytes, size_t size)
{
	static struct kontor_frame_memory memory; /* of the header before, so that it is used where it fits */
	static struct kontor_frame_header quick;
	bool same;
	struct kontor_frame_header slow;
	struct kontor_error slow_error = KONTOR_ERROR_INIT, quick_error = KONTOR_ERROR_INIT;
	int code = kontor_frame_parse(bytes, size, &slow, &slow_error);
	assert_int_equal(kontor_frame_read(bytes, size, &memory, &quick, &same, &quick_error), code);
	if (code)
		assert_string_equal(slow_error.message, quick_error.message);
	else
		assert_same_header(&slow, &quick);
}

static void test_the_reader_agrees_with_msgpack_c(void **state)
{
	(void)state;
	unsigned accepted = 0;
	for (int i = 0; i < 200000; i++) {
		msgpack_sbuffer buffer;
		msgpack_packer pk;
		msgpack_sbuffer_init(&buffer);
		msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
		unsigned elements = next_random(12);
		msgpack_pack_array(&pk, elements);
		for (unsigned e = 0; e < elements; e++)
			pack_element(&pk, e);
		for (uint32_t flips = next_random(3); flips > 0 && next_random(2); flips--)
			buffer.data[next_random((uint32_t)buffer.size)] = (char)next_random(256);
		size_t size = next_random(10) ? buffer.size : next_random((uint32_t)buffer.size + 1);
		struct kontor_frame_header header;
		bool ours = kontor_frame_parse(buffer.data, size, &header, NULL) == 0;
		/* An empty buffer has no address that msgpack-c would take. */
		assert_int_equal(ours, size > 0 && oracle((const uint8_t *)buffer.data, size));
		assert_read_alike(buffer.data, size);
		accepted += ours;
		msgpack_sbuffer_destroy(&buffer);
	}
	assert_true(accepted > 1000);
}

/* What callers send, whole, cut and with a byte changed: the quick reader is used, and says what the other says. */
static void test_the_quick_reader_agrees_on_requests(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct kontor_frame_header out = {.version = 1, .kind = KONTOR_FRAME_REQUEST};
		const void *data;
		size_t size;
		unsigned char bytes[512];
		out.id = (uint64_t)next_random(UINT32_MAX) << next_random(33);
		out.left_ms = next_random(UINT32_MAX) >> next_random(32);
		memset(out.method, 'm', 1 + next_random(sizeof(out.method) - 1));
		memset(out.key, 'k', next_random(2) ? 0 : next_random(sizeof(out.key)));
		memset(out.traceparent, 't', next_random(2) ? 0 : next_random(sizeof(out.traceparent)));
		memset(out.caller, 'c', next_random(sizeof(out.caller)));
		kontor_frame_write(writer, &out);
		assert_int_equal(kontor_writer_finish(writer, &data, &size, NULL), 0);
		assert_in_range(size, 1, sizeof(bytes));
		memcpy(bytes, data, size);
		if (next_random(2))
			bytes[next_random((uint32_t)size)] = (unsigned char)next_random(256);
		assert_read_alike(bytes, next_random(8) ? size : next_random((uint32_t)size));
	}
}

static bool read_again(struct kontor_frame_memory *memory, struct kontor_frame_header *header, uint64_t id,
		       const char *method, const char *caller)
{
	struct kontor_frame_header out = {.version = 1, .kind = KONTOR_FRAME_REQUEST, .id = id, .left_ms = 5000};
	const void *data;
	size_t size;
	bool same;
	memcpy(out.method, method, strlen(method));
	memcpy(out.caller, caller, strlen(caller));
	kontor_frame_write(writer, &out);
	assert_int_equal(kontor_writer_finish(writer, &data, &size, NULL), 0);
	assert_int_equal(kontor_frame_read(data, size, memory, header, &same, NULL), 0);
	assert_same_header(header, &out);
	return same;
}

static void test_a_request_that_differs_only_in_its_id_is_known(void **state)
{
	(void)state;
	struct kontor_frame_memory memory = {0};
	struct kontor_frame_header header;
	assert_false(read_again(&memory, &header, 1, "idgen.next", ""));
	assert_true(read_again(&memory, &header, UINT64_MAX, "idgen.next", ""));
	assert_false(read_again(&memory, &header, 3, "idgen.next", "alice"));
	assert_false(read_again(&memory, &header, 4, "idgen.nest", "alice"));
	assert_true(read_again(&memory, &header, 5, "idgen.nest", "alice"));
	bool same = true;
	assert_int_equal(kontor_frame_read("\x93\x01\x04\x09", 4, &memory, &header, &same, NULL), 0);
	assert_false(same);
	assert_false(read_again(&memory, &header, 6, "idgen.nest", "alice")); /* the ping is in *header now */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_written_header_reads_back),
		cmocka_unit_test(test_answers_carry_the_servers_time),
		cmocka_unit_test(test_short_headers_and_further_elements_are_fine),
		cmocka_unit_test(test_a_malformed_header_names_its_element),
		cmocka_unit_test(test_a_quick_answer_is_read_as_a_written_one),
		cmocka_unit_test(test_the_reader_agrees_with_msgpack_c),
		cmocka_unit_test(test_the_quick_reader_agrees_on_requests),
		cmocka_unit_test(test_a_request_that_differs_only_in_its_id_is_known),
	};
	writer = kontor_writer_new();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	kontor_writer_free(writer);
	return failed;
}
