/* SPDX-License-Identifier: Apache-2.0
 *
 * Services that are part of kontord: plugins like all others, but compiled in. Their `self` is the struct unit.
 */
#ifndef KONTORD_SERVICES_H
#define KONTORD_SERVICES_H

#include "kontor/plugin.h"

extern const struct kontor_plugin service_kontor;
extern const struct kontor_plugin service_jobs;
extern const struct kontor_plugin service_approval;

#endif
