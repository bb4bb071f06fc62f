/* SPDX-License-Identifier: Apache-2.0
 *
 * What the methods of idgen share.
 */
#ifndef IDGEN_H
#define IDGEN_H

#include "kontor/plugin.h"
#include "machine_generation.h"
#include "peer_calls.h"
#include "reserver.h"

struct idgen {
	/* configuration */
	const char *claim; /* "manual" or "auto" */
	int64_t slots;
	int64_t window_ms;
	const char *const *peers, *const *peer_keys;

	struct machine_generation generation;
	struct journal journal;
	struct peers *book; /* what the peers said */
	struct peer_calls *calls;
	struct reserver reserver;
};

/* idgen.c: what peers are told. Any thread. */
void idgen_report(void *arg, struct peer_report *ret_report);

/* methods.c */
int idgen_next(void *self, kontor_request *request);
int idgen_decode(void *self, kontor_request *request);
int idgen_check(void *self, kontor_request *request);

/* methods_operator.c */
int idgen_claim(void *self, kontor_request *request);
int idgen_stats(void *self, kontor_request *request);
int idgen_slots(void *self, kontor_request *request);
int idgen_evict(void *self, kontor_request *request);
int idgen_fence(void *self, kontor_request *request);
int idgen_namespaces(void *self, kontor_request *request);
int idgen_namespace_create(void *self, kontor_request *request);
int idgen_peer(void *self, kontor_request *request);

#endif
