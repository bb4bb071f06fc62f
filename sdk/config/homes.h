/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions whose money is in another datacenter, and where the services are there. Used by kontord and by libkontor; not
 * installed.
 */
#ifndef KONTOR_CONFIG_HOMES_H
#define KONTOR_CONFIG_HOMES_H

#include "datacenter.h"

struct home {
	const char *region; /* "BR" */
	const struct datacenter *datacenter;
};

struct homes {
	struct home *list;
	size_t len;
	struct config **configs; /* of the datacenters' files */
	size_t configs_len;
};

/* Of the `region` blocks that the configuration has already, those whose home is not `here`, with the files of their
 * homes; one that is not there names no service. What is wrong with a file is in its configuration's problems. */
void homes_read(struct config *config, const char *folder, const char *here, struct homes *ret);
void homes_free(struct homes *homes);

/* How many routes homes_routes() makes. */
size_t homes_routes_len(const struct homes *homes);
/* The routes SERVICE@REGION and @REGION (kontor/client.h), allocated in arena or borrowed. False: out of memory. */
bool homes_routes(kontor_arena *arena, const struct homes *homes, struct kontor_route *ret_routes);

#endif
