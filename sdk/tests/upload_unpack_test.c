/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed files, unpacked in a stream: whatever the pieces they come in, and whatever is wrong with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "upload_unpack.h"

#define TEXT_SIZE 20000
#define PACKED_SIZE (2 * TEXT_SIZE)

static char text[TEXT_SIZE];

static int make_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEXT_SIZE; i++)
		text[i] = (char)(i % 61 == 60 ? '\n' : 'a' + (i * i / 7) % 26);
	return 0;
}

struct packed {
	enum kontor_upload_packing packing;
	size_t size;
	char data[PACKED_SIZE];
};

/* Adds a member or frame of text[from, to). */
static void add(struct packed *packed, size_t from, size_t to)
{
	char *at = packed->data + packed->size;
	size_t room = sizeof(packed->data) - packed->size;
	if (packed->packing == KONTOR_UPLOAD_ZSTD) {
		ZSTD_CCtx *context = ZSTD_createCCtx();
		ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1); /* as the command zstd does */
		size_t size = ZSTD_compress2(context, at, room, text + from, to - from);
		ZSTD_freeCCtx(context);
		assert_false(ZSTD_isError(size));
		packed->size += size;
		return;
	}
	z_stream gzip = {0};
	assert_int_equal(deflateInit2(&gzip, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	gzip.next_in = (unsigned char *)text + from;
	gzip.avail_in = (uInt)(to - from);
	gzip.next_out = (unsigned char *)at;
	gzip.avail_out = (uInt)room;
	assert_int_equal(deflate(&gzip, Z_FINISH), Z_STREAM_END);
	packed->size += room - gzip.avail_out;
	deflateEnd(&gzip);
}

/* Unpacks in pieces of `in_step` bytes into blocks of `out_step`; the code of the first failure. */
static int unpack(const struct packed *packed, size_t in_step, size_t out_step, char *ret_out, size_t *ret_size,
		  struct kontor_error *err)
{
	kontor_upload_unpacker *unpacker = NULL;
	assert_int_equal(kontor_upload_unpacker_new(packed->packing, &unpacker, err), 0);
	size_t fed = 0;
	int rc = 0;
	*ret_size = 0;
	struct kontor_text unread = {packed->data, 0};
	while (rc == 0) {
		size_t made = 0, room = PACKED_SIZE - *ret_size < out_step ? PACKED_SIZE - *ret_size : out_step;
		rc = kontor_upload_unpack(unpacker, &unread, ret_out + *ret_size, room, &made, err);
		*ret_size += made;
		if (rc || made == room)
			continue;
		assert_int_equal(unread.size, 0); /* it rests for want of input only */
		if (fed == packed->size)
			break;
		unread = (struct kontor_text){packed->data + fed,
					      packed->size - fed < in_step ? packed->size - fed : in_step};
		fed += unread.size;
	}
	if (rc == 0)
		rc = kontor_upload_unpack_end(unpacker, err);
	kontor_upload_unpacker_free(unpacker);
	return rc;
}

static const enum kontor_upload_packing packings[] = {KONTOR_UPLOAD_GZIP, KONTOR_UPLOAD_ZSTD};

static void test_one_or_many_members_give_the_text_in_steps_of_any_size(void **state)
{
	(void)state;
	static const size_t steps[] = {1, 2, 7, 100, 4096, PACKED_SIZE};
	static char out[PACKED_SIZE];
	for (size_t p = 0; p < 2; p++) {
		struct packed one = {.packing = packings[p]}, many = {.packing = packings[p]};
		add(&one, 0, TEXT_SIZE);
		add(&many, 0, 1);
		add(&many, 1, 1); /* an empty member is fine */
		add(&many, 1, 12345);
		add(&many, 12345, TEXT_SIZE);
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
				struct kontor_error err = KONTOR_ERROR_INIT;
				size_t size;
				const struct packed *packed = (i + j) % 2 ? &one : &many;
				if (unpack(packed, steps[i], steps[j], out, &size, &err))
					fail_msg("%s", err.message);
				assert_int_equal(size, TEXT_SIZE);
				assert_memory_equal(out, text, TEXT_SIZE);
			}
		}
	}
}

static void test_a_file_that_is_cut_off_anywhere_is_refused(void **state)
{
	(void)state;
	static char out[PACKED_SIZE];
	for (size_t p = 0; p < 2; p++) {
		struct packed whole = {.packing = packings[p]};
		add(&whole, 0, 3000);
		size_t border = whole.size;
		add(&whole, 3000, 6000);
		for (size_t size = 1; size < whole.size; size++) {
			struct packed cut = whole;
			struct kontor_error err = KONTOR_ERROR_INIT;
			size_t made;
			cut.size = size;
			int rc = unpack(&cut, 512, 512, out, &made, &err);
			if (size == border) { /* that is a whole file */
				assert_int_equal(rc, 0);
				continue;
			}
			assert_int_equal(rc, KONTOR_E_BAD_REQUEST);
			assert_non_null(strstr(err.message, "cut off"));
		}
	}
}

static void test_damage_is_refused_with_the_place(void **state)
{
	(void)state;
	static char out[PACKED_SIZE];
	for (size_t p = 0; p < 2; p++) {
		struct packed packed = {.packing = packings[p]};
		struct kontor_error err = KONTOR_ERROR_INIT;
		size_t size;
		add(&packed, 0, TEXT_SIZE);
		memset(packed.data + packed.size / 2, 0xff, 100);
		assert_int_equal(unpack(&packed, 1000, 4096, out, &size, &err), KONTOR_E_BAD_REQUEST);
		unsigned long long place = 0;
		const char *said = strstr(err.message, "near its byte ");
		assert_non_null(said);
		assert_int_equal(sscanf(said, "near its byte %llu", &place), 1);
		assert_in_range(place, 0, packed.size);
	}
}

static void test_what_follows_the_packed_data_must_be_packed_data(void **state)
{
	(void)state;
	static char out[PACKED_SIZE];
	for (size_t p = 0; p < 2; p++) {
		struct packed packed = {.packing = packings[p]};
		struct kontor_error err = KONTOR_ERROR_INIT;
		size_t size;
		add(&packed, 0, 1000);
		memcpy(packed.data + packed.size, "1,2,3\n", 6);
		packed.size += 6;
		assert_int_equal(unpack(&packed, PACKED_SIZE, PACKED_SIZE, out, &size, &err), KONTOR_E_BAD_REQUEST);
		assert_non_null(strstr(err.message, "what follows"));
	}
}

/* The same frame of zeros again and again: 4 KiB for each 128 MiB. */
static void test_more_than_8_gib_unpacked_is_refused(void **state)
{
	(void)state;
	enum { FRAME = 128 << 20, BLOCK = 1 << 20 };
	char *zeros = calloc(1, FRAME), *frame = malloc(BLOCK), *block = malloc(BLOCK);
	assert_true(zeros && frame && block);
	size_t frame_size = ZSTD_compress(frame, BLOCK, zeros, FRAME, 1);
	assert_false(ZSTD_isError(frame_size));
	free(zeros);
	kontor_upload_unpacker *unpacker = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(kontor_upload_unpacker_new(KONTOR_UPLOAD_ZSTD, &unpacker, &err), 0);
	uint64_t made = 0;
	int rc = 0;
	struct kontor_text unread = {frame, 0};
	while (rc == 0 && made <= KONTOR_UPLOAD_PLAIN_LIMIT) {
		size_t size = 0;
		rc = kontor_upload_unpack(unpacker, &unread, block, BLOCK, &size, &err);
		made += size;
		if (size < BLOCK)
			unread = (struct kontor_text){frame, frame_size};
	}
	assert_int_equal(rc, KONTOR_E_BAD_REQUEST);
	assert_non_null(strstr(err.message, "8 GiB"));
	kontor_upload_unpacker_free(unpacker);
	free(frame);
	free(block);
}

static void test_files_are_told_by_their_first_bytes(void **state)
{
	(void)state;
	struct packed gzip = {.packing = KONTOR_UPLOAD_GZIP}, zstd = {.packing = KONTOR_UPLOAD_ZSTD};
	add(&gzip, 0, 10);
	add(&zstd, 0, 10);
	struct kontor_text plain = kontor_text_of("shop_user_id"), none = {"", 0}, short_magic = {gzip.data, 2};
	struct kontor_text skippable = {"\x5a\x2a\x4d\x18", 4};
	assert_int_equal(kontor_upload_packing_of((struct kontor_text){gzip.data, 4}), KONTOR_UPLOAD_GZIP);
	assert_int_equal(kontor_upload_packing_of((struct kontor_text){zstd.data, 4}), KONTOR_UPLOAD_ZSTD);
	assert_int_equal(kontor_upload_packing_of(skippable), KONTOR_UPLOAD_ZSTD);
	assert_int_equal(kontor_upload_packing_of(plain), KONTOR_UPLOAD_PLAIN);
	assert_int_equal(kontor_upload_packing_of(none), KONTOR_UPLOAD_PLAIN);
	assert_int_equal(kontor_upload_packing_of(short_magic), KONTOR_UPLOAD_PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_or_many_members_give_the_text_in_steps_of_any_size),
		cmocka_unit_test(test_a_file_that_is_cut_off_anywhere_is_refused),
		cmocka_unit_test(test_damage_is_refused_with_the_place),
		cmocka_unit_test(test_what_follows_the_packed_data_must_be_packed_data),
		cmocka_unit_test(test_more_than_8_gib_unpacked_is_refused),
		cmocka_unit_test(test_files_are_told_by_their_first_bytes),
	};
	return cmocka_run_group_tests(tests, make_text, NULL);
}
