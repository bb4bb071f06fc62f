/* SPDX-License-Identifier: Apache-2.0
 *
 * Small flat bodies without memory: what nearly all requests on the hot path are. Not installed.
 */
#ifndef KONTOR_MESSAGE_SMALL_H
#define KONTOR_MESSAGE_SMALL_H

#include <msgpack.h>
#include <stdbool.h>

#pragma GCC visibility push(default)

#define KONTOR_SMALL_MAP 8 /* entries */

/* Reads one map of at most KONTOR_SMALL_MAP entries whose keys are strings and whose values are nil, booleans,
 * integers, strings or bytes, in their usual forms, with nothing behind it; no bytes at all are an empty map. Strings
 * point into `data`, entries into `room`. False: nothing is said about the bytes, kontor_body_parse() judges them. What
 * it accepts is what msgpack-c reads: tests/message_test.c and tests/fuzz/body_fuzz.c hold the two against each other.
 */
bool kontor_read_small_map(const void *data, size_t size, msgpack_object_kv room[KONTOR_SMALL_MAP],
			   msgpack_object *ret_map);

#pragma GCC visibility pop
#endif
