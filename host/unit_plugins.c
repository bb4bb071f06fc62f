/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin comes: place, tables, start, pool, workers, lanes. It goes, without a pause for the others: no new work, the
 * end of what runs and waits, drain, the end of its workers, stop. Its code stays in memory, because other threads may
 * still hold addresses of it.
 */
#include "unit_plugins.h"

#include "front.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "lanes.h"
#include "unit_stages.h"
#include "workers.h"

int plugin_start(struct unit *unit, struct loaded_plugin *plugin, struct kontor_error *err)
{
	int rc = 0;
	kontor_log_plugin(plugin->api.name);
	if (plugin->api.start)
		rc = plugin->api.start(plugin->self, unit->host, err);
	plugin->started = !rc;
	kontor_log_plugin(NULL);
	return rc ? kontor_fail_in(err, "plugin %s does not start", plugin->api.name) : 0;
}

void plugin_drain(struct loaded_plugin *plugin)
{
	if (plugin->drained || !plugin->started)
		return;
	plugin->drained = true;
	kontor_log_plugin(plugin->api.name);
	if (plugin->api.drain)
		plugin->api.drain(plugin->self);
	kontor_log_plugin(NULL);
}

void plugin_stop(struct loaded_plugin *plugin)
{
	if (!plugin->started)
		return;
	plugin->started = false;
	kontor_log_plugin(plugin->api.name);
	if (plugin->api.stop)
		plugin->api.stop(plugin->self);
	kontor_log_plugin(NULL);
}

/* ---- coming ------------------------------------------------------------------------------------------------------ */

static int take_place(struct unit *unit, struct loaded_plugin *plugin, size_t *ret_place, struct kontor_error *err)
{
	size_t place = 0;
	while (place < unit->plugins_len && unit_plugin_at(unit, place))
		place++;
	if (place == PLUGINS_LIMIT)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "there are %u plugins in this unit, those included that are still being taken out: "
				   "reload again once they have left",
				   PLUGINS_LIMIT);
	unit->plugins[place] = plugin;
	if (place == unit->plugins_len)
		unit->plugins_len++;
	*ret_place = place;
	return 0;
}

int unit_plugins_add(struct unit *unit, struct loaded_plugin *plugin, struct kontor_error *err)
{
	size_t place = 0;
	int rc = take_place(unit, plugin, &place, err);
	if (rc) {
		loader_close(plugin);
		return rc;
	}
	rc = unit_database_check_plugin(unit, &plugin->api, err);
	if (!rc)
		rc = front_add_plugin(unit, place, err);
	if (!rc)
		rc = plugin_start(unit, plugin, err);
	if (!rc)
		rc = workers_start_plugin(unit, place, err);
	if (!rc)
		rc = lanes_change(unit, err);
	if (rc)
		unit_plugins_leave(plugin);
	else
		kontor_log(KONTOR_LOG_NOTICE, "plugin taken in", "plugin_name=%s version=%s", plugin->api.name,
			   plugin->api.version);
	return rc;
}

/* ---- going ---- */

void unit_plugins_leave(struct loaded_plugin *plugin)
{
	plugin->leaving_ms = kontor_monotonic_ms();
	plugin->leaving = true;
}

int unit_plugins_end_jobs(struct unit *unit, struct kontor_error *err)
{
	int rc = lanes_change(unit, err);
	for (size_t i = 0; i < unit->plugins_len && !rc; i++)
		if (unit_plugin_at(unit, i) && unit_plugin_at(unit, i)->leaving)
			unit_plugin_at(unit, i)->jobs_stop = true;
	return rc;
}

static bool has_work(struct unit *unit, size_t place)
{
	return front_is_busy(unit, place) || lanes_know(unit, unit_plugin_at(unit, place));
}

static void complain(const struct unit *unit, struct loaded_plugin *plugin)
{
	const struct unit_config *config = unit->config;
	if (kontor_monotonic_ms() - plugin->leaving_ms < config->options.drain_timeout_ms)
		return;
	plugin->leaving_ms = kontor_monotonic_ms();
	kontor_log(KONTOR_LOG_ERROR, "plugin is still being taken out", "plugin_name=%s waits_for=%s", plugin->api.name,
		   KONTOR_QUOTED("its running requests or job steps; the unit serves the rest"));
}

static void reap(struct unit *unit, size_t place)
{
	struct loaded_plugin *plugin = unit_plugin_at(unit, place);
	if (has_work(unit, place)) {
		complain(unit, plugin);
		return;
	}
	plugin_drain(plugin);
	if (has_work(unit, place)) /* what its own threads still called */
		return;
	front_end_workers_of(unit, place);
	workers_join(unit, place);
	plugin_stop(plugin);
	front_remove_plugin(unit, place);
	kontor_log(KONTOR_LOG_NOTICE, "plugin taken out", "plugin_name=%s", plugin->api.name);
}

void unit_plugins_reap(struct unit *unit)
{
	lanes_reap(unit);
	for (size_t i = 0; i < unit->plugins_len; i++)
		if (unit_plugin_at(unit, i) && unit_plugin_at(unit, i)->leaving)
			reap(unit, i);
}

bool unit_plugins_leaving(const struct unit *unit)
{
	for (size_t i = 0; i < unit->plugins_len; i++)
		if (unit_plugin_at(unit, i) && unit_plugin_at(unit, i)->leaving)
			return true;
	return false;
}
