/* SPDX-License-Identifier: Apache-2.0
 *
 * The envelope's header on the hot path of the host. Not installed.
 */
#ifndef KONTOR_FRAME_H
#define KONTOR_FRAME_H

#include "kontor/client.h"

#pragma GCC visibility push(default)

/* What followed the id of the request that was read last: a caller's requests differ in little more. */
struct kontor_frame_memory {
	unsigned elements; /* of that header; 0: nothing is remembered */
	size_t size;
	unsigned char rest[128];
};

/* As kontor_frame_parse(), and quicker: the usual request is read in one pass into *header, without copying it whole;
 * *ret_same: only the id differs from the request before. For that *header must be what the last call with this memory
 * left in it; who changed it sets memory->elements = 0. On failure *header is unspecified. tests/frame_test.c and
 * tests/fuzz/frame_fuzz.c hold the two against each other. */
int kontor_frame_read(const void *data, size_t size, struct kontor_frame_memory *memory,
		      struct kontor_frame_header *header, bool *ret_same, struct kontor_error *err);

#define KONTOR_FRAME_ANSWER_SIZE 24

/* The header of a reply or an error, [1, kind, id, server_us], or of a pong, [1, kind, id]; returns how many bytes of
 * out[KONTOR_FRAME_ANSWER_SIZE] it has. */
size_t kontor_frame_write_answer(unsigned kind, uint64_t id, uint32_t server_us, unsigned char *out);

#pragma GCC visibility pop
#endif
