/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with this unit and its database, before somebody is woken by it: for `kontor doctor`.
 */
#ifndef KONTORD_EXAMINE_H
#define KONTORD_EXAMINE_H

#include "kontor/method.h"

/* Handler of kontor.examine: rows of {finding, why, cure}. Reads only. Worker thread; self is the struct unit. */
int examine(void *self, kontor_request *request);

#endif
