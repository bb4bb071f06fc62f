/* SPDX-License-Identifier: Apache-2.0
 *
 * One of several plugins that call each other in a circle.
 */
#include "kontor/plugin.h"

static const char *const calls[] = {CALLS, NULL};
static const struct kontor_plugin plugin = {KONTOR_PLUGIN_ABI, .name = NAME, .calls = calls};
KONTOR_PLUGIN(plugin)
