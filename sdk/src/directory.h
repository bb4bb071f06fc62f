/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the services are: a snapshot of routes that calls read without a lock, and the endpoints that it leads to,
 * which the snapshots of one client share. Not installed.
 */
#ifndef KONTOR_DIRECTORY_H
#define KONTOR_DIRECTORY_H

#include <stdbool.h>

#include "endpoint_health.h"
#include "kontor/client.h"

#define DIRECTORY_ENDPOINTS_LIMIT 32 /* of one service */

enum directory_distance {
	DIRECTORY_PROCESS, /* inproc */
	DIRECTORY_MACHINE, /* ipc */
	DIRECTORY_NETWORK, /* tcp */
	DIRECTORY_FAR,     /* behind all of them */
};

/* One place that answers, for all threads of a client and for as long as the client lives: what was learned about it
 * survives a change of the directory. */
struct directory_endpoint {
	struct kontor_endpoint address; /* owned copies */
	enum directory_distance distance;
	struct endpoint_health health;
	struct directory_endpoint *next;
};

struct directory_service {
	char *name; /* NULL: whatever no other one names; as in struct kontor_route */
	bool enabled;
	bool usual;                            /* no route says so: found where it usually is */
	char *why_disabled;                    /* NULL: nothing was said */
	struct directory_endpoint **endpoints; /* in the order of preference */
	size_t endpoints_len;
};

/* Never changed once it is made. */
struct directory {
	unsigned references; /* guarded by the client's lock */
	struct directory_service *services;
	size_t services_len;
	bool knows_homes; /* regions have their money elsewhere */
};

/* Finds the endpoint in the list, or puts it there. NULL when out of memory. */
struct directory_endpoint *directory_endpoint_of(struct directory_endpoint **list,
						 const struct kontor_endpoint *address);
void directory_endpoints_free(struct directory_endpoint *list);

/* A copy of the routes with one reference; its endpoints come from the list or are added to it. NULL when out of
 * memory. */
struct directory *directory_new(const struct kontor_route *routes, size_t len, struct directory_endpoint **list);
/* As `from`, and with a usual place in it, instead of one that it may have. */
struct directory *directory_with_usual(const struct directory *from, const struct kontor_route *usual,
				       struct directory_endpoint **list);
/* Takes a reference away; NULL is fine. */
void directory_unref(struct directory *directory);

/* The place of a service, or of a method's, for a region whose home is another datacenter: what is known of that, at
 * least its name. NULL: its home is not elsewhere. */
const struct directory_service *directory_find_home(const struct directory *directory, const char *method_or_service,
						    const char *region);
/* NULL when no route fits the service, or that of the method. */
const struct directory_service *directory_find(const struct directory *directory, const char *method_or_service);
bool directory_leads_to(const struct directory *directory, const struct directory_endpoint *endpoint);

#endif
