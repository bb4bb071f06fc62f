/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit from start to stop.
 */
#ifndef KONTORD_LIFECYCLE_H
#define KONTORD_LIFECYCLE_H

#include "unit.h"

/* Runs a configured unit until SIGTERM or SIGINT; in the main thread. Returns the exit code: 0 after a drained stop. */
int unit_run(struct unit *unit);

#endif
