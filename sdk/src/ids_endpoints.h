/* SPDX-License-Identifier: Apache-2.0
 *
 * The units that a source of ids may ask, and which of them it asks next. One thread at a time. Not installed.
 */
#ifndef KONTOR_IDS_ENDPOINTS_H
#define KONTOR_IDS_ENDPOINTS_H

#include "ids_grant.h"

struct id_endpoints {
	char *names[KONTOR_ID_ENDPOINTS_LIMIT];
	kontor_client *clients[KONTOR_ID_ENDPOINTS_LIMIT]; /* NULL: not opened yet */
	size_t len;
	char *caller;      /* NULL: none */
	void *zmq_context; /* NULL: not opened yet */
	bool borrowed;     /* clients[0] is the caller's, and there is no name */
	bool orphaned;     /* the borrowed client belongs to the parent of this process */
	size_t current;    /* the one that answered last */
	int64_t first_tried_ms;
	uint64_t failovers;
};

int kontor_id_endpoints_init(struct id_endpoints *endpoints, const struct kontor_id_source_options *options,
			     struct kontor_error *err);
void kontor_id_endpoints_free(struct id_endpoints *endpoints);
/* Ends calls that are under way in other threads: they fail. */
void kontor_id_endpoints_stop(struct id_endpoints *endpoints);
/* In a child of fork(2): forgets the parent's connections without touching them (ZeroMQ's threads did not come along,
 * and the file descriptors are shared). */
void kontor_id_endpoints_orphan(struct id_endpoints *endpoints);
/* Makes the context that the clients share, so that kontor_id_endpoints_stop() finds it. */
int kontor_id_endpoints_open(struct id_endpoints *endpoints, struct kontor_error *err);

/* One round: the unit that answered last, then the others in order of preference, until one has ids, one refuses for
 * good, or until_ms. The error is that of the first. */
int kontor_id_endpoints_ask(struct id_endpoints *endpoints, const char *id_namespace, uint32_t count, int64_t until_ms,
			    struct kontor_id_range *ret_range, struct kontor_error *err);

#endif
