/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread for what has to happen by the clock: renewing job leases, expiring idempotency keys.
 */
#ifndef KONTORD_HOUSEKEEPING_H
#define KONTORD_HOUSEKEEPING_H

#include "unit.h"

int housekeeping_start(struct unit *unit, struct kontor_error *err);
void housekeeping_stop(struct unit *unit);

#endif
