/* SPDX-License-Identifier: Apache-2.0
 *
 * Put in front of all sources by the compiler (-include): journals of 24 keys instead of 256. A run uses 17 of them,
 * and reading and checking the empty ones would be a third of its time.
 */
#ifndef SIMULATION_SIZES_H
#define SIMULATION_SIZES_H

#include "journal.h"

#undef JOURNAL_KEYS
#define JOURNAL_KEYS 24

#endif
