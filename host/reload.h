/* SPDX-License-Identifier: Apache-2.0
 *
 * Another configuration for a unit that runs. Main thread.
 */
#ifndef KONTORD_RELOAD_H
#define KONTORD_RELOAD_H

#include "unit.h"
#include "verdicts.h"

/* Reads and judges the whole configuration; refused, it changes nothing. Else it takes what can be taken while the unit
 * runs, names each key that needs a restart, and waits for plugins that leave, at most for drain_timeout: a longer one
 * leaves later. Returns early when a signal asks the unit to stop. */
void unit_reload(struct unit *unit);

/* lifecycle.c: one turn of the main thread: waits for a signal, feeds the watchdog. */
void unit_turn(struct unit *unit, unsigned ms);

#endif
