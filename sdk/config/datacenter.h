/* SPDX-License-Identifier: Apache-2.0
 *
 * A datacenter's file, datacenters/NAME.conf: which services it has and where they answer. Used by kontord and by
 * libkontor; not installed.
 */
#ifndef KONTOR_CONFIG_DATACENTER_H
#define KONTOR_CONFIG_DATACENTER_H

#include "config.h"
#include "kontor/client.h"

struct service_entry {
	const char *name;
	bool enabled;
	const char *const *endpoints; /* none: where a service of its name usually is */
	const char *const *server_keys;
};

struct datacenter {
	const char *name; /* NULL: there is none */
	int64_t id;
	const char *fallback; /* who serves what is switched off here; "": nobody */
	struct service_entry *services;
	size_t services_len;
};

extern const struct config_table datacenter_table, service_table;

/* The block `datacenter "NAME"` of the configuration, which must be there. */
void datacenter_read(struct config *config, const char *name, struct datacenter *ret);
/* All `service` blocks. */
void datacenter_read_services(struct config *config, struct datacenter *ret);
/* Judges what the blocks say. */
void datacenter_check_services(struct config *config, const struct datacenter *datacenter);
/* NULL when the file says nothing about it. */
const struct service_entry *datacenter_service(const struct datacenter *datacenter, const char *service);

/* Services that every unit has: kontor, jobs, approval. */
#define DATACENTER_EVERYWHERE 3
extern const char *const datacenter_everywhere[DATACENTER_EVERYWHERE];

/* Whether calls for the service, which is switched off here, are served by the fallback: it has it, and says where. */
bool datacenter_falls_back(const struct datacenter *fallback, const char *service);
/* Where a service is for callers of this datacenter: `first` (NULL: nowhere), then what is listed; without both
 * `usual`; the fallback's endpoints when it is switched off here. Allocated in arena, or borrowed. False: out of
 * memory. */
bool datacenter_route(kontor_arena *arena, const struct datacenter *here, const struct datacenter *fallback,
		      const char *service, const char *first, const char *usual, struct kontor_route *ret);

/* ---- endpoints ---- */

bool endpoint_is_tcp(const char *endpoint); /* tcp://HOST:PORT, the port a number from 1 to 65535 */
/* A problem when a unix socket cannot have that path. */
void endpoint_check_path(struct config *config, const char *file, unsigned line, const char *path);
/* Whether the value stands in the list before that index already. */
bool endpoint_is_listed_before(const struct config_setting *setting, size_t index);

#endif
