/* SPDX-License-Identifier: Apache-2.0
 *
 * Who calls whom: a plugin's workers wait for those that they call, so a circle of plugins could stand still for ever.
 */
#include <string.h>
#include <sys/stat.h>

#include "kontor/text.h"
#include "unit.h"

struct graph {
	struct unit *unit;
	struct config *config;
	struct loaded_plugin *others[PLUGINS_LIMIT]; /* of other units, loaded only to read `calls` */
	size_t others_len;
	const char *path[PLUGINS_LIMIT + 1];
	size_t path_len;
	const char *done[2 * PLUGINS_LIMIT];
	size_t done_len;
	const char *file; /* the list of plugins from which the path begins */
	unsigned line;
};

static const struct loaded_plugin *graph_plugin(struct graph *graph, const char *name)
{
	const struct loaded_plugin *plugin = unit_plugin(graph->unit, name);
	for (size_t i = 0; i < graph->others_len && !plugin; i++)
		if (strcmp(graph->others[i]->api.name, name) == 0)
			plugin = graph->others[i];
	if (plugin || graph->others_len == PLUGINS_LIMIT || !kontor_name_valid(kontor_text_of(name)))
		return plugin;
	const char *path = unit_plugin_path(graph->config, graph->unit->args, name);
	struct stat st;
	struct loaded_plugin *other;
	if (stat(path, &st) != 0 || loader_open(path, &other, NULL) != 0)
		return NULL; /* not installed here: its own machine's check sees it */
	graph->others[graph->others_len++] = other;
	return other;
}

static void report_cycle(struct graph *graph, size_t from, const char *name)
{
	char text[512] = "";
	size_t length = 0;
	for (size_t i = from; i < graph->path_len && length < sizeof(text); i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s -> ", graph->path[i]);
	config_problem(
		graph->config, graph->file, graph->line,
		"plugins call each other in a circle: %s%s; their workers could all wait for each other: leave one "
		"of them out",
		text, name);
}

static void visit(struct graph *graph, const char *name)
{
	for (size_t i = 0; i < graph->path_len; i++)
		if (strcmp(graph->path[i], name) == 0) {
			report_cycle(graph, i, name);
			return;
		}
	for (size_t i = 0; i < graph->done_len; i++)
		if (strcmp(graph->done[i], name) == 0)
			return;
	const struct loaded_plugin *plugin = graph_plugin(graph, name);
	if (!plugin || graph->path_len == PLUGINS_LIMIT)
		return;
	graph->path[graph->path_len++] = plugin->api.name;
	for (const char *const *call = plugin->api.calls; call && *call; call++)
		visit(graph, *call);
	graph->path_len--;
	if (graph->done_len < 2 * PLUGINS_LIMIT)
		graph->done[graph->done_len++] = plugin->api.name;
}

static void visit_list(struct graph *graph, const struct config_setting *plugins)
{
	graph->file = plugins ? config_copy(graph->config, plugins->file) : NULL;
	graph->line = plugins ? plugins->line : 0;
	for (size_t i = 0; plugins && i < plugins->values_len; i++)
		visit(graph, config_copy(graph->config, plugins->values[i]));
}

/* A unit's file may name another datacenter; what is wrong with it otherwise, its own check tells. */
static void visit_unit(struct graph *graph, const char *path)
{
	const struct unit_config *own = graph->unit->config;
	struct config *config = config_new();
	config_read_file(config, path);
	const char *datacenter = config_value(config, "", "", "datacenter");
	if (!datacenter || !own->options.datacenter || strcmp(datacenter, own->options.datacenter) == 0)
		visit_list(graph, config_find(config, "", "", "plugins"));
	config_free(config);
}

static void visit_other_units(struct graph *graph)
{
	const struct args *args = graph->unit->args;
	const char *folder = kontor_arena_format(graph->config->arena, "%s/units", args->conf_folder);
	for (const char **name = config_names(graph->config->arena, folder ? folder : ""); *name; name++)
		if (strcmp(*name, args->unit) != 0)
			visit_unit(graph, config_path(graph->config, args->conf_folder, "units/", *name));
}

void unit_check_calls(struct unit *unit)
{
	struct unit_config *unit_config = unit->config;
	struct graph graph = {.unit = unit, .config = unit_config->config};
	visit_list(&graph, config_find(graph.config, "", "", "plugins"));
	/* A unit that starts does not load the plugins of all others: that would cost memory and time. */
	if (unit->args->mode == MODE_CHECK)
		visit_other_units(&graph);
	for (size_t i = 0; i < graph.others_len; i++)
		loader_close(graph.others[i]);
}
