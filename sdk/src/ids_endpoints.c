/* SPDX-License-Identifier: Apache-2.0 */
#include "ids_endpoints.h"

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "client_state.h"
#include "kontor/time.h"

/* A unit that has not answered by then is passed over while there is another one to ask. Its usual answer takes less
 * than a millisecond. */
#define SLICE_MS 500
/* How often the first of them is tried again while another one serves. */
#define FIRST_AGAIN_MS 30000

int kontor_id_endpoints_init(struct id_endpoints *endpoints, const struct kontor_id_source_options *options,
			     struct kontor_error *err)
{
	*endpoints = (struct id_endpoints){.borrowed = options->client != NULL};
	if (options->client) {
		endpoints->clients[0] = options->client;
		endpoints->len = 1;
		return 0;
	}
	endpoints->caller = options->caller ? strdup(options->caller) : NULL;
	bool enough = endpoints->caller || !options->caller;
	for (const char *const *name = options->endpoints; *name && enough; name++) {
		if (endpoints->len == KONTOR_ID_ENDPOINTS_LIMIT)
			return kontor_fail(err, KONTOR_E_BAD_REQUEST, "more than %d endpoints to get ids from",
					   KONTOR_ID_ENDPOINTS_LIMIT);
		enough = (endpoints->names[endpoints->len] = strdup(*name)) != NULL;
		endpoints->len += enough;
	}
	return enough ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
}

void kontor_id_endpoints_free(struct id_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->len; i++) {
		if (!endpoints->borrowed)
			kontor_client_free(endpoints->clients[i]);
		free(endpoints->names[i]);
	}
	if (endpoints->zmq_context)
		zmq_ctx_term(endpoints->zmq_context);
	free(endpoints->caller);
	*endpoints = (struct id_endpoints){0};
}

void kontor_id_endpoints_stop(struct id_endpoints *endpoints)
{
	if (endpoints->zmq_context)
		zmq_ctx_shutdown(endpoints->zmq_context);
}

void kontor_id_endpoints_orphan(struct id_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->len; i++) {
		if (!endpoints->borrowed)
			kontor_client_orphan(endpoints->clients[i]);
		endpoints->clients[i] = NULL;
	}
	endpoints->orphaned = endpoints->borrowed;
	endpoints->zmq_context = NULL;
	endpoints->failovers = 0;
}

int kontor_id_endpoints_open(struct id_endpoints *endpoints, struct kontor_error *err)
{
	if (endpoints->borrowed || endpoints->zmq_context)
		return 0;
	endpoints->zmq_context = zmq_ctx_new();
	if (!endpoints->zmq_context)
		return kontor_fail(err, KONTOR_E_INTERNAL, "zmq_ctx_new: %s", zmq_strerror(zmq_errno()));
	zmq_ctx_set(endpoints->zmq_context, ZMQ_BLOCKY, 0); /* an exit never waits for unsent messages */
	return 0;
}

static int open_client(struct id_endpoints *endpoints, size_t which, struct kontor_error *err)
{
	if (endpoints->clients[which])
		return 0;
	if (endpoints->orphaned)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "the client was made before fork(2): make a source of ids with endpoints, or in "
				   "the child");
	const struct kontor_client_options options = {.zmq_context = endpoints->zmq_context,
						      .endpoint = endpoints->names[which],
						      .caller = endpoints->caller};
	return kontor_client_new(&options, &endpoints->clients[which], err);
}

/* The one to begin a round with. */
static size_t choose_first(struct id_endpoints *endpoints, int64_t now_ms)
{
	if (endpoints->current != 0 && now_ms - endpoints->first_tried_ms < FIRST_AGAIN_MS)
		return endpoints->current;
	endpoints->first_tried_ms = now_ms;
	return 0;
}

int kontor_id_endpoints_ask(struct id_endpoints *endpoints, const char *id_namespace, uint32_t count, int64_t until_ms,
			    struct kontor_id_range *ret_range, struct kontor_error *err)
{
	int64_t now_ms = kontor_monotonic_ms();
	size_t which = choose_first(endpoints, now_ms), first = which, passed = 0;
	*err = (struct kontor_error)KONTOR_ERROR_INIT;
	while (passed < endpoints->len && now_ms < until_ms) {
		struct kontor_error problem = KONTOR_ERROR_INIT;
		int64_t slice_ms = (until_ms - now_ms) / (int64_t)(endpoints->len - passed) + 1;
		if (endpoints->len > 1 && slice_ms > SLICE_MS)
			slice_ms = SLICE_MS;
		int rc = open_client(endpoints, which, &problem);
		if (!rc)
			rc = kontor_id_grant_ask(endpoints->clients[which], id_namespace, count, (uint32_t)slice_ms,
						 ret_range, &problem);
		if (!rc) {
			endpoints->failovers += which != endpoints->current;
			endpoints->current = which;
			return 0;
		}
		if (passed == 0 || kontor_code_outcome(rc) == KONTOR_OUTCOME_FINAL)
			*err = problem;
		if (kontor_code_outcome(rc) == KONTOR_OUTCOME_FINAL)
			return rc;
		/* first, then 0, 1, 2 ... without it */
		which = passed == 0 ? 0 : which + 1;
		which += which == first;
		passed++;
		now_ms = kontor_monotonic_ms();
	}
	return err->code ? err->code : kontor_fail(err, KONTOR_E_DEADLINE, "there was no time left to ask for ids");
}
