/* SPDX-License-Identifier: Apache-2.0
 *
 * The envelope's header on the hot path of the host. Not installed.
 */
#ifndef KONTOR_FRAME_H
#define KONTOR_FRAME_H

#include "kontor/client.h"

#pragma GCC visibility push(default)

/* As kontor_frame_parse(), and quicker: the usual request is read in one pass into *header, without copying it whole.
 * On failure *header is unspecified. tests/frame_test.c and tests/fuzz/frame_fuzz.c hold the two against each other. */
int kontor_frame_read(const void *data, size_t size, struct kontor_frame_header *header, struct kontor_error *err);

#define KONTOR_FRAME_ANSWER_SIZE 24

/* The header of a reply or an error, [1, kind, id, server_us], or of a pong, [1, kind, id]; returns how many bytes of
 * out[KONTOR_FRAME_ANSWER_SIZE] it has. */
size_t kontor_frame_write_answer(unsigned kind, uint64_t id, uint32_t server_us, unsigned char *out);

#pragma GCC visibility pop
#endif
