/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asserted of each run. All say it by world_violation().
 */
#ifndef SIMULATION_CHECKS_H
#define SIMULATION_CHECKS_H

#include "unit.h"

/* At each grant: nothing is issued that was not committed before. */
void checks_grant(struct unit *unit, enum process_kind kind, const struct kontor_id_range *range);
/* When everything is well again, everybody is served: refusing all is no way to be safe. */
void checks_service(int64_t since_ms);
/* A clock that is wrong burns no time. */
void checks_time(void);
void checks_uniqueness(void);

#endif
