/* SPDX-License-Identifier: Apache-2.0
 *
 * From files to a unit that may start: loads its plugins and judges what no single file can.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kontor/keys.h"
#include "kontor/text.h"
#include "services.h"
#include "unit.h"

static const struct kontor_plugin *const built_in[] = {&service_kontor, &service_jobs, &service_approval};
#define BUILT_IN (sizeof(built_in) / sizeof(built_in[0]))

struct loaded_plugin *unit_plugin(const struct unit *unit, const char *name)
{
	for (size_t i = 0; i < unit->plugins_len; i++) {
		struct loaded_plugin *plugin = unit_plugin_at(unit, i);
		if (plugin && strcmp(plugin->api.name, name) == 0)
			return plugin;
	}
	return NULL;
}

size_t unit_plugins_count(const struct unit *unit)
{
	size_t count = 0;
	for (size_t i = 0; i < unit->plugins_len; i++)
		count += unit_plugin_at(unit, i) != NULL;
	return count;
}

static bool is_loopback(const char *endpoint)
{
	static const char *const prefixes[] = {"tcp://127.", "tcp://localhost:", "tcp://[::1]:"};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(endpoint, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static void check_endpoints(struct unit_config *unit_config, const struct args *args)
{
	struct config *config = unit_config->config;
	const char *own = kontor_arena_format(config->arena, "%s/%s.sock", args->runtime_folder, args->unit);
	endpoint_check_path(config, NULL, 0, own ? own : "");
	const struct config_setting *setting = config_find(config, "", "", "bind");
	for (size_t i = 0; setting && i < setting->values_len; i++) {
		const char *endpoint = setting->values[i];
		if (endpoint_is_listed_before(setting, i))
			config_problem(config, setting->file, setting->line, "bind %s is listed twice: leave it out",
				       endpoint);
		if (strncmp(endpoint, "ipc:///", 7) == 0) {
			const char *path = endpoint + strlen("ipc://");
			endpoint_check_path(config, setting->file, setting->line, path);
			if (own && strcmp(path, own) == 0)
				config_problem(config, setting->file, setting->line,
					       "bind %s: the unit answers there anyway: leave it out", endpoint);
			continue;
		}
		if (!endpoint_is_tcp(endpoint))
			config_problem(config, setting->file, setting->line,
				       "bind %s: must be ipc:// and an absolute path, or tcp://ADDRESS:PORT", endpoint);
		else if (!unit_config->options.key_file || !unit_config->options.key_file[0])
			config_problem(
				config, setting->file, setting->line,
				"bind %s: tcp needs the unit's own key: make one with `kontor keys generate` and "
				"name it in key_file",
				endpoint);
		if (unit_config_trusts(unit_config) && !is_loopback(endpoint))
			config_problem(
				config, setting->file, setting->line,
				"approvals = trusted believes whoever names himself: it is refused where a unit binds "
				"%s, which is neither ipc nor loopback: leave one of them out",
				endpoint);
	}
}

const char *unit_plugin_path(struct config *config, const struct args *args, const char *name)
{
	const char *path = kontor_arena_format(config->arena, "%s/%s.so", args->plugin_folder, name);
	return path ? path : "";
}

/* Names of the built-in services and of the plugins in the plugin folder; NULL-terminated. */
static const char **known_plugins(struct config *config, const struct args *args, size_t *ret_len)
{
	size_t len = 0, room = 256;
	const char **names = config_alloc(config, room * sizeof(char *));
	for (; len < BUILT_IN; len++)
		names[len] = built_in[len]->name;
	DIR *folder = opendir(args->plugin_folder);
	for (struct dirent *entry; folder && len + 1 < room && (entry = readdir(folder));) {
		size_t length = strlen(entry->d_name);
		if (length > 3 && strcmp(entry->d_name + length - 3, ".so") == 0)
			names[len++] = kontor_arena_copy(config->arena, entry->d_name, length - 3);
	}
	if (folder)
		closedir(folder);
	*ret_len = len;
	return names;
}

static void add_plugin(struct unit *unit, struct loaded_plugin *plugin)
{
	unit->plugins[unit->plugins_len] = plugin;
	unit->plugins_len++;
}

/* The file, unless the unit that runs has its code already: that is what the new configuration will be for. */
static int open_plugin(const struct unit *unit, const char *path, const char *name, struct loaded_plugin **ret_plugin,
		       struct kontor_error *err)
{
	const struct loaded_plugin *loaded = unit->running ? unit_plugin(unit->running, name) : NULL;
	return loaded && !loaded->leaving ? loader_again(loaded, ret_plugin, err) : loader_open(path, ret_plugin, err);
}

static void load_built_in(struct unit *unit, struct config *config)
{
	for (size_t i = 0; i < BUILT_IN; i++) {
		struct kontor_error err = KONTOR_ERROR_INIT;
		struct loaded_plugin *plugin;
		if (loader_built_in(built_in[i], unit, &plugin, &err))
			config_problem(config, NULL, 0, "%s", err.message);
		else
			add_plugin(unit, plugin);
	}
}

static void load_plugin(struct unit *unit, const struct config_setting *setting, const char *name)
{
	struct unit_config *unit_config = unit->config;
	struct config *config = unit_config->config;
	const char *path = unit_plugin_path(config, unit->args, name);
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct loaded_plugin *plugin;
	struct stat st;
	if (!kontor_name_valid(kontor_text_of(name))) {
		config_problem(config, setting->file, setting->line,
			       "'%s' is no name of a plugin: it must be [a-z0-9][a-z0-9-]{0,31}", name);
	} else if (unit_plugin(unit, name)) {
		config_problem(config, setting->file, setting->line, "plugin '%s' is %s: leave it out", name,
			       unit_plugin(unit, name)->file ? "listed twice" : "built in");
	} else if (unit->plugins_len == PLUGINS_LIMIT) {
		config_problem(config, setting->file, setting->line,
			       "more than %u plugins: make another unit for the rest", PLUGINS_LIMIT);
	} else if (stat(path, &st) != 0) {
		size_t known_len;
		const char **known = known_plugins(config, unit->args, &known_len);
		const char *nearest = kontor_text_nearest(kontor_text_of(name), known, known_len);
		config_problem(config, setting->file, setting->line,
			       "there is no plugin '%s': %s is not there; install it or leave it out%s%s%s", name, path,
			       nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
	} else if (open_plugin(unit, path, name, &plugin, &err)) {
		config_problem(config, setting->file, setting->line, "%s", err.message);
	} else {
		add_plugin(unit, plugin);
	}
}

void unit_fill_plugin(struct unit_config *unit_config, struct loaded_plugin *plugin, void *self)
{
	struct config *config = unit_config->config;
	const char *name = plugin->api.name;
	const struct config_table tables[] = {plugin_table, {plugin->api.conf, plugin->api.conf_len}};
	size_t problems = config->problems_len;
	config_fill(config, "plugin", name, tables[1], self);
	config_refuse_unknown(config, "plugin", name, tables, 2);
	if (!plugin->api.check || config->problems_len != problems || config->unreadable)
		return; /* a check of half-filled values would only repeat what was said */
	struct kontor_error err = KONTOR_ERROR_INIT;
	const struct config_block *block = config_block(config, "plugin", name);
	if (plugin->api.check(self, &err))
		config_problem(config, block ? block->file : NULL, block ? block->line : 0, "plugin \"%s\": %s", name,
			       err.message);
}

/* Whether all methods run in the front: then there is nothing for workers to do. */
static bool is_all_inline(const struct kontor_plugin *api)
{
	for (size_t i = 0; i < api->methods_len; i++)
		if (!(api->methods[i].flags & KONTOR_METHOD_INLINE))
			return false;
	return true;
}

/* A block for a plugin that is not here is fine (a site shares its files), unless it looks like a slip of the pen. */
static void check_names(struct unit *unit, struct config *config, const char *section)
{
	size_t known_len;
	const char **known = known_plugins(config, unit->args, &known_len);
	for (const char **title = config_titles(config, section); *title; title++) {
		const char *nearest = kontor_text_nearest(kontor_text_of(*title), known, known_len);
		const struct config_block *block = config_block(config, section, *title);
		if (nearest && strcmp(nearest, *title) != 0 && !unit_plugin(unit, *title))
			config_problem(config, block->file, block->line, "%s \"%s\" is not there; did you mean \"%s\"?",
				       section, *title, nearest);
	}
}

static bool is_reached_by_tcp(const struct unit_config *unit_config, const char *service)
{
	const struct service_entry *entry = datacenter_service(&unit_config->here, service);
	for (const char *const *endpoint = entry ? entry->endpoints : NULL; endpoint && *endpoint; endpoint++)
		if (endpoint_is_tcp(*endpoint))
			return true;
	return false;
}

/* What the unit's plugins call over a network takes a key of its own. */
static void check_own_key(struct unit *unit)
{
	const struct unit_config *unit_config = unit->config;
	const char *key_file = unit_config->options.key_file;
	const char *told = "";
	for (size_t i = 0; i < unit->plugins_len && !(key_file && key_file[0]); i++) {
		const struct kontor_plugin *api = &unit_plugin_at(unit, i)->api;
		for (const char *const *call = api->calls; call && *call; call++) {
			if (unit_plugin(unit, *call) || strcmp(*call, told) == 0 ||
			    !is_reached_by_tcp(unit_config, *call))
				continue;
			told = *call;
			CONFIG_PROBLEM_AT(unit_config->config, "service", *call, "endpoints",
					  "plugin \"%s\" calls service \"%s\" by tcp, which needs the unit's own key: "
					  "make one with `kontor keys generate` and name it in key_file",
					  api->name, *call);
		}
	}
}

size_t unit_configure(struct unit *unit, const struct args *args)
{
	unit->args = args;
	struct unit_config *unit_config = unit_config_read(args);
	struct config *config = unit_config->config;
	unit->config = unit_config;
	load_built_in(unit, config);
	const struct config_setting *setting = config_find(config, "", "", "plugins");
	for (size_t i = 0; setting && i < setting->values_len; i++)
		load_plugin(unit, setting, setting->values[i]);
	for (size_t i = 0; i < unit->plugins_len; i++) {
		struct loaded_plugin *plugin = unit_plugin_at(unit, i);
		config_fill(config, "plugin", plugin->api.name, plugin_table, &plugin->options);
		if (is_all_inline(&plugin->api))
			plugin->options.workers = 0;
		else if (!plugin->file && strcmp(plugin->api.name, "kontor") == 0)
			plugin->options.workers = 2; /* a look at the unit does not wait for a reload */
		unit_fill_plugin(unit_config, plugin, plugin->self);
	}
	check_names(unit, config, "plugin");
	check_names(unit, config, "service");
	check_endpoints(unit_config, args);
	datacenter_check_services(config, &unit_config->here);
	check_own_key(unit);
	unit_check_calls(unit);
	return config->problems_len;
}

void unit_unconfigure(struct unit *unit)
{
	for (size_t i = unit->plugins_len; i-- > 0;)
		loader_close(unit->plugins[i]);
	unit->plugins_len = 0;
	for (struct loaded_plugin *plugin = unit->retired, *next; plugin; plugin = next) {
		next = plugin->next_retired;
		loader_close(plugin);
	}
	unit->retired = NULL;
	unit_config_free(unit->config);
	unit->config = NULL;
}
