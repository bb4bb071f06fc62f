/* SPDX-License-Identifier: Apache-2.0
 *
 * A grant by the wall clock, and by nothing else.
 */
#include "control.h"

#include "kontor/time.h"

#define SEQUENCE_BITS 12
#define WORKER_BITS 10

static const struct kontor_arg next_args[] = {
	{.name = "namespace", .type = KONTOR_ARG_NAME, .required = true, .help = "any; there is one counter"},
	{.name = "count", .type = KONTOR_ARG_INT, .min = 1, .max = KONTOR_ID_GRANT_LIMIT, .help = "how many ids"},
};

/* Inline: one thread. */
static int next(void *self, kontor_request *request)
{
	struct control *control = self;
	uint64_t count = kontor_arg_given(request, "count") ? (uint64_t)kontor_arg_int(request, "count") : 1;
	uint64_t clock = (uint64_t)(kontor_now_ms() - KONTOR_ID_EPOCH_MS) << SEQUENCE_BITS;
	uint64_t first = clock > control->last ? clock : control->last + 1;
	control->last = first + count - 1;
	kontor_writer *reply = kontor_reply(request);
	kontor_put_uint(reply, "base", first << WORKER_BITS | control->worker);
	kontor_put_uint(reply, "count", count);
	kontor_put_uint(reply, "stride", 1u << WORKER_BITS);
	return 0;
}

const struct kontor_method control_methods[CONTROL_METHODS] = {
	{.name = "next",
	 .flags = KONTOR_METHOD_INLINE,
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_VIEWER,
	 .args = next_args,
	 .args_len = sizeof(next_args) / sizeof(next_args[0]),
	 .help = "Ids by the wall clock.",
	 .handle = next},
};
