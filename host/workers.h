/* SPDX-License-Identifier: Apache-2.0
 *
 * Worker threads: one pool per plugin, so that a plugin may call another one and wait for it.
 */
#ifndef KONTORD_WORKERS_H
#define KONTORD_WORKERS_H

#include "unit.h"

/* Starts the workers of all plugins and returns when each has run its plugin's worker_start; on failure the workers
 * that did start are still there: workers_stop(). */
int workers_start(struct unit *unit, struct kontor_error *err);
/* Joins them; front_end_workers() told them to end. */
void workers_stop(struct unit *unit);
/* When the front, which knows them by number, has ended. */
void workers_free(struct unit *unit);

#define WORKER_NAME_SIZE 16
/* The routing id of a worker's socket; returns its length. */
int worker_name(unsigned worker, char *out);
unsigned worker_number(const char *name, size_t size);
/* Place in the unit of the plugin that a worker works for. */
size_t worker_plugin(const struct unit *unit, unsigned worker);
unsigned workers_count(const struct unit *unit);

#endif
