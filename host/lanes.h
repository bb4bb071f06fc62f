/* SPDX-License-Identifier: Apache-2.0
 *
 * Lane threads: each lane that a job kind of this unit names has its own threads and database sessions, so that nothing
 * big delays anything small.
 */
#ifndef KONTORD_LANES_H
#define KONTORD_LANES_H

#include "unit.h"

#define LEASE_MS 15000 /* of a job step; renewed three times as often */

/* Starts the threads and returns when each has run its plugins' worker_start. */
int lanes_start(struct unit *unit, struct kontor_error *err);
/* Wakes and joins them: each step in hand ends at its next checkpoint (the host is draining). */
void lanes_stop(struct unit *unit);
/* When nobody can ask for lanes_put() any more. */
void lanes_free(struct unit *unit);
/* Array of {lane, threads, busy, kinds} under "lanes". The unit is ready, or was. */
void lanes_put(const struct unit *unit, kontor_writer *w);

#endif
