/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of one plugin, at the unit's start and end and while it runs. Main thread.
 */
#ifndef KONTORD_UNIT_PLUGINS_H
#define KONTORD_UNIT_PLUGINS_H

#include "unit.h"

int plugin_start(struct unit *unit, struct loaded_plugin *plugin, struct kontor_error *err);
/* Each does nothing for a plugin that did not start, and plugin_drain() nothing the second time. */
void plugin_drain(struct loaded_plugin *plugin);
void plugin_stop(struct loaded_plugin *plugin);

/* ---- while the unit runs ---- */

/* Takes over the plugin: checks its tables, starts it, its workers and its job kinds. Requests reach it after
 * front_change_methods(). After a failure it leaves again. */
int unit_plugins_add(struct unit *unit, struct loaded_plugin *plugin, struct kontor_error *err);
/* Nothing new is begun in a plugin that leaves, from the next front_change_methods() and unit_plugins_end_jobs() on;
 * what runs and waits is finished. */
void unit_plugins_leave(struct loaded_plugin *plugin);
/* No new job step of plugins that leave; those in hand stop at their next checkpoint. On failure all stays as it is. */
int unit_plugins_end_jobs(struct unit *unit, struct kontor_error *err);
/* Stops those that have nothing left to do, and complains of one that takes longer than drain_timeout. */
void unit_plugins_reap(struct unit *unit);
/* Whether one is still on its way out. */
bool unit_plugins_leaving(const struct unit *unit);

#endif
