/* SPDX-License-Identifier: Apache-2.0
 *
 * The header frame of a request: never a crash; the quick reader says what the other says; what is accepted can be
 * written and read again unchanged.
 */
#include <stdlib.h>
#include <string.h>

#include "frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct kontor_frame_header *a, const struct kontor_frame_header *b)
{
	return a->version == b->version && a->kind == b->kind && a->id == b->id && a->left_ms == b->left_ms &&
	       a->flags == b->flags && a->server_us == b->server_us && !strcmp(a->method, b->method) &&
	       !strcmp(a->key, b->key) && !strcmp(a->traceparent, b->traceparent) && !strcmp(a->caller, b->caller);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kontor_frame_header first, second;
	struct kontor_error err = KONTOR_ERROR_INIT, quick_err = KONTOR_ERROR_INIT;
	struct kontor_frame_memory memory = {0};
	bool known;
	int quick_rc = kontor_frame_read(data, size, &memory, &second, &known, &quick_err);
	if (kontor_frame_parse(data, size, &first, &err)) {
		if (!err.message[0] || err.code >= 0 || quick_rc != err.code || strcmp(err.message, quick_err.message))
			abort();
		return 0;
	}
	if (quick_rc || known || !same(&first, &second))
		abort();
	if (kontor_frame_read(data, size, &memory, &second, &known, &quick_err) || !same(&first, &second))
		abort();
	if (first.kind != KONTOR_FRAME_REQUEST)
		return 0;
	kontor_writer *w = kontor_writer_new();
	const void *bytes;
	size_t length;
	kontor_frame_write(w, &first);
	if (kontor_writer_finish(w, &bytes, &length, &err) || kontor_frame_parse(bytes, length, &second, &err))
		abort();
	if (!same(&first, &second))
		abort();
	kontor_writer_free(w);
	return 0;
}
