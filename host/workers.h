/* SPDX-License-Identifier: Apache-2.0
 *
 * Worker threads: one pool per plugin, so that a plugin may call another one and wait for it.
 */
#ifndef KONTORD_WORKERS_H
#define KONTORD_WORKERS_H

#include "unit.h"

/* ---- in the main thread ---- */

/* The workers of all plugins; returns when each has run its plugin's worker_start. On failure the workers that did
 * start are still there: workers_join(). */
int workers_start(struct unit *unit, struct kontor_error *err);
/* The same for the plugin at one place. */
int workers_start_plugin(struct unit *unit, size_t place, struct kontor_error *err);
/* The front told them to end: joins their threads. Nothing for a place that has none. */
void workers_join(struct unit *unit, size_t place);
/* When the front, which knows them by number, has ended. */
void workers_free(struct unit *unit);

/* ---- numbers, in the front: one that was used is never used again, because libzmq may still know its socket ---- */

#define WORKER_NAME_SIZE 16
/* The routing id of a worker's socket; returns its length. */
int worker_name(unsigned worker, char *out);
unsigned worker_number(const char *name, size_t size); /* UINT32_MAX: it is none */
/* Place in the unit of the plugin that a worker works for. */
size_t worker_place(unsigned worker);
/* How many there are at a place, and the numbers of all of them. */
unsigned workers_at(const struct unit *unit, size_t place);
unsigned worker_at(const struct unit *unit, size_t place, unsigned index);
bool worker_is_here(const struct unit *unit, unsigned worker);
/* After workers_join(). */
void workers_forget(struct unit *unit, size_t place);

#endif
