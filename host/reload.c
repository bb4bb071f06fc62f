/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGHUP and kontor.reload: a new configuration is read and judged as a whole, by the code of the plugins that run and
 * of those that shall come; then each key that differs is taken or named as one that needs a restart.
 *
 * Plugins come before others leave, and callers learn of another place before a plugin leaves. What fails while plugins
 * come or go concerns that plugin alone; the next reload tries it again.
 */
#include "reload.h"

#include <stdlib.h>
#include <string.h>

#include "accounts.h"
#include "front.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "unit_plugins.h"
#include "unit_stages.h"

#define LEAVING_TURN_MS 5

struct reload {
	struct unit *unit;
	struct unit *judged; /* the unit as a start would make it from the new configuration */
	struct unit_config *old, *fresh;
	struct loaded_plugin *leaving[PLUGINS_LIMIT];
	size_t leaving_len;
};

/* ---- may it be taken --------------------------------------------------------------------------------------------- */

static bool has_unit_file(const struct reload *reload, const char *name)
{
	struct config *config = reload->fresh->config;
	const char *folder = kontor_arena_format(config->arena, "%s/units", reload->unit->args->conf_folder);
	for (const char **unit = config_names(config->arena, folder ? folder : ""); *unit; unit++)
		if (strcmp(*unit, name) == 0 && strcmp(name, reload->unit->args->unit) != 0)
			return true;
	return false;
}

/* Whether callers in this unit will know where else the service is, or that it is switched off. */
static bool has_another_place(const struct reload *reload, const char *service)
{
	const struct service_entry *entry = unit_config_service(reload->fresh, service);
	const struct args *args = reload->unit->args;
	const char *own =
		kontor_arena_format(reload->fresh->config->arena, "ipc://%s/%s.sock", args->runtime_folder, args->unit);
	if (entry && !entry->enabled)
		return true;
	if (!entry || !entry->endpoints[0])
		return has_unit_file(reload, service);
	for (const char *const *endpoint = entry->endpoints; *endpoint; endpoint++)
		if (own && strcmp(*endpoint, own) != 0)
			return true;
	return false;
}

static bool calls(const struct loaded_plugin *plugin, const char *service)
{
	for (const char *const *call = plugin->api.calls; call && *call; call++)
		if (strcmp(*call, service) == 0)
			return true;
	return false;
}

static void list_leaving(struct reload *reload)
{
	for (size_t i = 0; i < reload->unit->plugins_len; i++) {
		struct loaded_plugin *plugin = unit_plugin_at(reload->unit, i);
		if (plugin && plugin->file && !plugin->leaving && !unit_plugin(reload->judged, plugin->api.name))
			reload->leaving[reload->leaving_len++] = plugin;
	}
}

/* A plugin may not leave those that call it without a place to call. */
static void judge_callers(const struct reload *reload)
{
	struct config *config = reload->fresh->config;
	const struct config_setting *plugins = config_find(config, "", "", "plugins");
	for (size_t i = 0; i < reload->leaving_len; i++) {
		const struct loaded_plugin *leaving = reload->leaving[i];
		if (has_another_place(reload, leaving->api.name))
			continue;
		for (size_t k = 0; k < reload->judged->plugins_len; k++) {
			const struct loaded_plugin *caller = unit_plugin_at(reload->judged, k);
			if (calls(caller, leaving->api.name))
				config_problem(config, plugins ? plugins->file : NULL, plugins ? plugins->line : 0,
					       "plugin '%s' calls %s, which shall leave this unit and has no other "
					       "place: make units/%s.conf, or write into the datacenter's file service "
					       "\"%s\" with its endpoints or with enabled = no",
					       caller->api.name, leaving->api.name, leaving->api.name,
					       leaving->api.name);
		}
	}
}

static void refuse(const struct reload *reload)
{
	const struct config *config = reload->fresh->config;
	for (size_t i = 0; i < config->problems_len; i++) {
		const struct config_problem *problem = &config->problems[i];
		kontor_log(KONTOR_LOG_ERROR, "configuration refused, the old one stays", "place=%s:%u problem=%s",
			   problem->file ? problem->file : "", problem->line, KONTOR_QUOTED(problem->message));
		verdicts_add(reload->unit->verdicts, VERDICT_REFUSED, problem->file, problem->line, "%s",
			     problem->message);
	}
}

/* ---- which options differ ---------------------------------------------------------------------------------------- */

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
static bool is_taken(const struct reload *reload, const struct config_setting *setting)
{
	const struct kontor_conf_row *row = unit_config_row(setting->section, setting->key);
	if (row || strcmp(setting->section, "plugin") != 0)
		return row ? row->reloadable : strcmp(setting->section, "profile") == 0;
	const struct kontor_plugin *api = &unit_plugin(reload->unit, setting->title)->api;
	for (size_t i = 0; i < api->conf_len; i++)
		if (strcmp(api->conf[i].key, setting->key) == 0)
			return api->conf[i].reloadable && api->reload;
	return false;
}

/* Options of a plugin that is not here, comes or leaves are no change of one that runs. */
static bool concerns_us(const struct reload *reload, const struct config_setting *setting)
{
	return strcmp(setting->section, "plugin") != 0 ||
	       (unit_plugin(reload->unit, setting->title) && unit_plugin(reload->judged, setting->title));
}

static void report_change(const struct reload *reload, const struct config_setting *setting)
{
	if (!concerns_us(reload, setting))
		return;
	bool taken = is_taken(reload, setting);
	if (taken)
		kontor_log(KONTOR_LOG_NOTICE, "option taken", "section=%s title=%s key=%s",
			   KONTOR_QUOTED(setting->section), KONTOR_QUOTED(setting->title), setting->key);
	else
		kontor_log(KONTOR_LOG_WARNING, "option needs a restart", "section=%s title=%s key=%s place=%s:%u",
			   KONTOR_QUOTED(setting->section), KONTOR_QUOTED(setting->title), setting->key, setting->file,
			   setting->line);
	bool block = setting->section[0] != '\0';
	verdicts_add(reload->unit->verdicts, taken ? VERDICT_TAKEN : VERDICT_RESTART, setting->file, setting->line,
		     "%s%s%s%s%s", setting->section, block ? " \"" : "", setting->title, block ? "\" " : "",
		     setting->key);
}

/* Settings in force in `a` that differ in `b`; those that both have are reported from one side only. */
static void report_changes(const struct reload *reload, const struct config *a, const struct config *b, bool both)
{
	for (size_t i = 0; i < a->settings_len; i++) {
		const struct config_setting *setting = &a->settings[i];
		const struct config_setting *other = config_find(b, setting->section, setting->title, setting->key);
		if (config_find(a, setting->section, setting->title, setting->key) == setting && (both || !other) &&
		    !same_values(setting, other))
			report_change(reload, setting);
	}
}

/* ---- taking it --------------------------------------------------------------------------------------------------- */

/* Says at once in the log and to who asked what could not be taken. */
static void fail(const struct reload *reload, const char *what, const struct kontor_error *err)
{
	const struct config_setting *plugins = config_find(reload->fresh->config, "", "", "plugins");
	kontor_log(KONTOR_LOG_ERROR, "a part of the new configuration could not be taken", "what=%s error=%s",
		   KONTOR_QUOTED(what), KONTOR_QUOTED(err->message));
	verdicts_add(reload->unit->verdicts, VERDICT_FAILED, plugins ? plugins->file : NULL,
		     plugins ? plugins->line : 0, "%s: %s", what, err->message);
}

static void take_plugin_options(const struct reload *reload, size_t place)
{
	struct loaded_plugin *plugin = unit_plugin_at(reload->unit, place);
	const struct loaded_plugin *judged = plugin ? unit_plugin(reload->judged, plugin->api.name) : NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (!judged || plugin->leaving)
		return;
	if (judged->options.queue != plugin->options.queue ||
	    judged->options.queue_bytes != plugin->options.queue_bytes ||
	    judged->options.queue_time_ms != plugin->options.queue_time_ms)
		front_change_queue(reload->unit, place, &judged->options);
	if (!plugin->file || !plugin->api.reload)
		return;
	kontor_log_plugin(plugin->api.name);
	int rc = plugin->api.reload(plugin->self, judged->self, &err);
	kontor_log_plugin(NULL);
	if (rc)
		fail(reload, plugin->api.name, &err);
}

static void put_in_force(const struct reload *reload)
{
	struct unit_config *fresh = reload->fresh, *old = reload->old;
	if (strcmp(fresh->options.datacenter, old->options.datacenter) != 0) { /* those of another one */
		fresh->here = old->here;
		fresh->fallback = old->fallback;
		struct homes homes = fresh->homes; /* each frees the files of one */
		fresh->homes = old->homes;
		old->homes = homes;
	}
	fresh->previous = old;                             /* its strings may be in use */
	fresh->options.approvals = old->options.approvals; /* what needs a restart and is asked at any time */
	fresh->options.datacenter = old->options.datacenter;
	reload->unit->config = fresh;
	kontor_log_setup(unit_config_log_level(fresh), reload->unit->args->unit);
	accounts_warn(fresh);
}

static void take_in(const struct reload *reload, size_t place)
{
	struct unit *unit = reload->unit, *judged = reload->judged;
	struct loaded_plugin *plugin = unit_plugin_at(judged, place);
	const struct loaded_plugin *there = unit_plugin(unit, plugin->api.name);
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (there && !there->leaving)
		return;
	if (there) {
		kontor_fail(&err, KONTOR_E_CONFLICT, "it is still being taken out: reload again when it has left");
		fail(reload, plugin->api.name, &err);
		return;
	}
	judged->plugins[place] = NULL;
	if (unit_plugins_add(unit, plugin, &err))
		fail(reload, plugin->api.name, &err);
	else
		verdicts_add(unit->verdicts, VERDICT_TAKEN, NULL, 0, "plugin %s %s is in", plugin->api.name,
			     plugin->api.version);
}

/* In this order nobody is sent to where a plugin is not yet, or no longer. */
static void change_plugins(const struct reload *reload)
{
	struct unit *unit = reload->unit;
	struct kontor_error err = KONTOR_ERROR_INIT;
	for (size_t i = 0; i < reload->judged->plugins_len; i++)
		if (unit_plugin_at(reload->judged, i)->file)
			take_in(reload, i);
	int rc = front_change_methods(unit, &err);
	for (size_t i = 0; i < reload->leaving_len; i++)
		unit_plugins_leave(reload->leaving[i]);
	if (!rc)
		rc = unit_client_set_routes(unit, &err);
	if (!rc)
		rc = front_change_methods(unit, &err);
	if (!rc)
		rc = unit_plugins_end_jobs(unit, &err);
	if (rc)
		fail(reload, "services", &err);
}

static void await_leaving(const struct reload *reload)
{
	struct unit *unit = reload->unit;
	int64_t until = kontor_monotonic_ms() + reload->fresh->options.drain_timeout_ms;
	unit_plugins_reap(unit);
	while (unit_plugins_leaving(unit) && !unit->interrupted && kontor_monotonic_ms() < until) {
		unit_turn(unit, LEAVING_TURN_MS);
		unit_plugins_reap(unit);
	}
}

static void report_leaving(const struct reload *reload)
{
	struct unit *unit = reload->unit;
	for (size_t i = 0; i < reload->leaving_len; i++) {
		const char *name = reload->leaving[i]->api.name;
		if (!unit_plugin(unit, name))
			verdicts_add(unit->verdicts, VERDICT_TAKEN, NULL, 0, "plugin %s is out", name);
		else
			verdicts_add(unit->verdicts, VERDICT_FAILED, NULL, 0,
				     "plugin %s takes no new requests, but what it runs has not ended yet; it leaves "
				     "by itself when that has",
				     name);
	}
}

static void take(const struct reload *reload)
{
	for (size_t i = 0; i < reload->unit->plugins_len; i++)
		take_plugin_options(reload, i);
	report_changes(reload, reload->fresh->config, reload->old->config, true);
	report_changes(reload, reload->old->config, reload->fresh->config, false);
	put_in_force(reload);
	change_plugins(reload);
	kontor_log(KONTOR_LOG_NOTICE, "configuration read again", "%s", "");
	await_leaving(reload);
	report_leaving(reload);
}

void unit_reload(struct unit *unit)
{
	struct unit *judged = calloc(1, sizeof(*judged));
	verdicts_begin(unit->verdicts);
	if (!judged) {
		verdicts_add(unit->verdicts, VERDICT_REFUSED, NULL, 0, "out of memory");
		verdicts_end(unit->verdicts);
		return;
	}
	judged->running = unit;
	unit_configure(judged, unit->args);
	struct reload reload = {.unit = unit, .judged = judged, .old = unit->config, .fresh = judged->config};
	list_leaving(&reload);
	if (!reload.fresh->config->problems_len) /* what is missing may be why a plugin seems to leave */
		judge_callers(&reload);
	if (reload.fresh->config->problems_len) {
		refuse(&reload);
	} else {
		take(&reload);
		judged->config = NULL; /* it is the unit's now */
	}
	unit_unconfigure(judged);
	free(judged);
	verdicts_end(unit->verdicts);
}
