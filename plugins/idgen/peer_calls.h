/* SPDX-License-Identifier: Apache-2.0
 *
 * Exchanges reports with the configured peers, each in a thread of its own, so that one which is dead delays nobody.
 */
#ifndef IDGEN_PEER_CALLS_H
#define IDGEN_PEER_CALLS_H

#include "peers.h"

#define PEER_CALLS_LIMIT 32         /* endpoints */
#define PEER_CALLS_EVERY_MS 2000    /* so a wrong datacenter id is noticed within seconds */
#define PEER_CALLS_TIMEOUT_MS 1000u /* of one exchange */

struct peer_calls;

struct peer_calls_options {
	struct peers *book;           /* borrowed; gets what is heard, and why nothing is */
	const char *caller;           /* this unit's name, as kontor_client_options.caller */
	const char *const *endpoints; /* "ipc:///run/kontor/ids.sock"; copied */
	size_t endpoints_len;
	const char *const *server_keys; /* NULL-terminated: of the tcp ones, one for all or one for each; NULL: none */
	const char *key_file;           /* as kontor_client_options.key_file */
	uint32_t every_ms;              /* 0: PEER_CALLS_EVERY_MS */
	/* Fills *ret with what to say about this unit. In the threads of peer_calls, several at once; must not wait. */
	void (*report)(void *arg, struct peer_report *ret);
	void *arg;
};

/* Starts the threads, each of which begins with an exchange. BAD_REQUEST: too many endpoints, or one is too long. */
int peer_calls_start(const struct peer_calls_options *options, struct peer_calls **ret_calls, struct kontor_error *err);
/* Ends them, also amid an exchange with a peer that does not answer. NULL is fine; returns NULL. */
struct peer_calls *peer_calls_stop(struct peer_calls *calls);

/* What a round came to. */
struct peer_calls_round {
	size_t asked, answered;
	char silent[PEER_ENDPOINT_SIZE]; /* the first that did not answer; "": all did */
	char problem[256];               /* why not */
};

/* Asks all peers now, at once, and waits until each has answered or failed: about PEER_CALLS_TIMEOUT_MS at most. An
 * answer is from after this call. Any thread but those of peer_calls. */
void peer_calls_once(struct peer_calls *calls, struct peer_calls_round *ret);

#endif
