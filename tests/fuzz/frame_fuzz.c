/* SPDX-License-Identifier: Apache-2.0
 *
 * The header frame of a request: never a crash; what is accepted can be written and read again unchanged.
 */
#include <stdlib.h>
#include <string.h>

#include "kontor/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kontor_frame_header first, second;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_frame_parse(data, size, &first, &err)) {
		if (!err.message[0] || err.code >= 0)
			abort();
		return 0;
	}
	if (first.kind != KONTOR_FRAME_REQUEST)
		return 0;
	kontor_writer *w = kontor_writer_new();
	const void *bytes;
	size_t length;
	kontor_frame_write(w, &first);
	if (kontor_writer_finish(w, &bytes, &length, &err) || kontor_frame_parse(bytes, length, &second, &err))
		abort();
	if (first.id != second.id || strcmp(first.method, second.method) || strcmp(first.key, second.key) ||
	    first.left_ms != second.left_ms)
		abort();
	kontor_writer_free(w);
	return 0;
}
