/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGHUP: a new configuration is read and judged as a whole; then each key that differs is taken or named as one that
 * needs a restart.
 */
#include <stdlib.h>
#include <string.h>

#include "accounts.h"
#include "kontor/log.h"
#include "unit.h"

static bool same_values(const struct config_setting *a, const struct config_setting *b)
{
	if (!a || !b || a->values_len != b->values_len)
		return a == b;
	for (size_t i = 0; i < a->values_len; i++)
		if (strcmp(a->values[i], b->values[i]) != 0)
			return false;
	return true;
}

/* Whether the running unit follows a change of this key. */
static bool is_taken(const struct unit *unit, const struct config_setting *setting)
{
	const struct kontor_conf_row *row = unit_config_row(setting->section, setting->key);
	if (row || strcmp(setting->section, "plugin") != 0)
		return row ? row->reloadable : strcmp(setting->section, "profile") == 0;
	const struct kontor_plugin *api = &unit_plugin(unit, setting->title)->api;
	for (size_t i = 0; i < api->conf_len; i++)
		if (strcmp(api->conf[i].key, setting->key) == 0)
			return api->conf[i].reloadable && api->reload;
	return false;
}

static void report_change(const struct unit *unit, const struct config_setting *setting)
{
	if (strcmp(setting->section, "plugin") == 0 && !unit_plugin(unit, setting->title))
		return; /* of another unit */
	if (is_taken(unit, setting))
		kontor_log(KONTOR_LOG_NOTICE, "option taken", "section=%s title=%s key=%s",
			   KONTOR_QUOTED(setting->section), KONTOR_QUOTED(setting->title), setting->key);
	else
		kontor_log(KONTOR_LOG_WARNING, "option needs a restart", "section=%s title=%s key=%s place=%s:%u",
			   KONTOR_QUOTED(setting->section), KONTOR_QUOTED(setting->title), setting->key, setting->file,
			   setting->line);
}

/* Settings in force in `a` that differ in `b`; those that both have are reported from one side only. */
static void report_changes(const struct unit *unit, const struct config *a, const struct config *b, bool both)
{
	for (size_t i = 0; i < a->settings_len; i++) {
		const struct config_setting *setting = &a->settings[i];
		const struct config_setting *other = config_find(b, setting->section, setting->title, setting->key);
		if (config_find(a, setting->section, setting->title, setting->key) == setting && (both || !other) &&
		    !same_values(setting, other))
			report_change(unit, setting);
	}
}

static void reload_plugin(struct loaded_plugin *plugin, const void *new_self)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (plugin->api.reload && plugin->api.reload(plugin->self, new_self, &err))
		kontor_log(KONTOR_LOG_ERROR, "plugin refused its new configuration", "plugin_name=%s error=%s",
			   plugin->api.name, KONTOR_QUOTED(err.message));
}

static void log_problems(const struct config *config)
{
	for (size_t i = 0; i < config->problems_len; i++)
		kontor_log(KONTOR_LOG_ERROR, "configuration refused, the old one stays", "place=%s:%u problem=%s",
			   config->problems[i].file ? config->problems[i].file : "", config->problems[i].line,
			   KONTOR_QUOTED(config->problems[i].message));
}

void unit_reload(struct unit *unit)
{
	struct unit_config *old = unit->config;
	struct unit_config *fresh = unit_config_read(unit->args);
	void *selves[PLUGINS_LIMIT] = {NULL};
	for (size_t i = 0; i < unit->plugins_len; i++) {
		struct loaded_plugin *plugin = unit->plugins[i];
		if (!plugin->file)
			continue;
		selves[i] = config_alloc(fresh->config, plugin->api.self_size + 1);
		unit_fill_plugin(fresh, plugin, selves[i]);
	}
	if (fresh->config->problems_len) {
		log_problems(fresh->config);
		unit_config_free(fresh);
		return;
	}
	for (size_t i = 0; i < unit->plugins_len; i++)
		if (selves[i])
			reload_plugin(unit->plugins[i], selves[i]);
	report_changes(unit, fresh->config, old->config, true);
	report_changes(unit, old->config, fresh->config, false);
	fresh->previous = old;                             /* its strings may be in use */
	fresh->options.approvals = old->options.approvals; /* what needs a restart and is asked at any time */
	fresh->options.datacenter = old->options.datacenter;
	fresh->fallback = old->fallback;
	fresh->services = old->services;
	fresh->services_len = old->services_len;
	unit->config = fresh;
	kontor_log_setup(unit_config_log_level(fresh), unit->args->unit);
	accounts_warn(fresh);
	kontor_log(KONTOR_LOG_NOTICE, "configuration read again", "%s", "");
}
