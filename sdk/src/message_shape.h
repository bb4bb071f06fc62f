/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks over msgpack bytes before msgpack-c parses them. Not installed.
 */
#ifndef KONTOR_MESSAGE_SHAPE_H
#define KONTOR_MESSAGE_SHAPE_H

#include <stddef.h>

#include "kontor/error.h"
#include "kontor/text.h"

/* 0 when the bytes are exactly one value, nested at most KONTOR_DEPTH_LIMIT deep, with no container that claims more
 * elements than there are bytes. msgpack-c allocates what a container claims before it has seen an element: 5 bytes
 * could ask for 100 GB. */
int kontor_message_shape(const void *data, size_t size, struct kontor_error *err);
/* Of bytes that are one map: the string under that key, borrowed. False: there is none, or they are something else. */
bool kontor_message_find_text(const void *data, size_t size, const char *key, struct kontor_text *ret);

#endif
