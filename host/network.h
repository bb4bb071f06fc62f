/* SPDX-License-Identifier: Apache-2.0
 *
 * Who comes by tcp: the guarded socket, the handler that judges its callers' keys, and the proof at the start that it
 * does. A unit without a tcp endpoint has none of it.
 */
#ifndef KONTORD_NETWORK_H
#define KONTORD_NETWORK_H

#include "kontor/keys.h"
#include "unit.h"

struct network;

/* A stage of the life cycle, before the front. Fails when the proof does. */
int network_start(struct unit *unit, struct kontor_error *err);
void network_stop(struct unit *unit);

/* Gives the guarded ROUTER, not bound yet, to the front, which binds and closes it. NULL: this unit has none. */
void *network_take_router(struct unit *unit);

/* Whether connections by tcp are judged. Logs when that changes; the main thread asks once a second. */
bool network_is_well(struct unit *unit);

/* "network" of kontor.status; nothing when the unit has none. */
void network_put(const struct unit *unit, kontor_writer *w);
/* kontor.keys: whose keys are known here, and when they connected. */
int network_list_keys(void *self, kontor_request *request);

/* network_proof.c: with a socket of its own that is guarded by the very same function, sees that a stranger's key is
 * refused and a known one gets in. Milliseconds, at most five seconds. */
struct zap;
int network_prove(struct unit *unit, const struct kontor_key_pair *own, struct zap *zap, struct kontor_error *err);

#endif
