/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells the other units that this one knows of, on this machine and in the datacenter's file, that a lane has new work,
 * so that they need not wait for their next look at the database. Best effort: nobody waits for it, and who does not
 * hear of it finds the work by polling.
 */
#ifndef KONTORD_ANNOUNCER_H
#define KONTORD_ANNOUNCER_H

#include "unit.h"

/* One thread; from now on each commit of new work is announced. */
int announcer_start(struct unit *unit, struct kontor_error *err);
void announcer_stop(struct unit *unit);

#endif
