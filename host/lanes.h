/* SPDX-License-Identifier: Apache-2.0
 *
 * Lane threads: each lane that a job kind of this unit names has its own threads and database sessions, so that nothing
 * big delays anything small. When plugins come or go, a lane gets new threads for its new kinds, and the old ones end
 * after the step that they have in hand.
 */
#ifndef KONTORD_LANES_H
#define KONTORD_LANES_H

#include "unit.h"

#define LEASE_MS 15000 /* of a job step; renewed three times as often */

/* ---- in the main thread ---- */

/* Starts the threads and returns when each has run its plugins' worker_start. */
int lanes_start(struct unit *unit, struct kontor_error *err);
/* New threads for the lanes whose kinds are no longer those of the unit's plugins; without kinds of plugins that leave.
 * On failure the lanes stay as they are. */
int lanes_change(struct unit *unit, struct kontor_error *err);
/* Joins threads that a change has ended. */
void lanes_reap(struct unit *unit);
/* Whether a thread still knows the plugin's kinds. */
bool lanes_know(const struct unit *unit, const struct loaded_plugin *plugin);
/* Wakes and joins them: each step in hand ends at its next checkpoint (the host is draining). */
void lanes_stop(struct unit *unit);
/* When nobody can ask for lanes_put() any more. */
void lanes_free(struct unit *unit);

/* ---- in the front ---- */

/* Array of {lane, threads, connections, connections_held, connections_most, busy, kinds} under "lanes". The unit is
 * ready, or was. */
void lanes_put(const struct unit *unit, kontor_writer *w);

/* How many database sessions its lanes may hold together. */
int64_t lanes_connections(const struct unit *unit);

#endif
