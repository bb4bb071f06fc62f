/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the unit finds the services that its plugins call.
 */
#include <string.h>

#include "front.h"
#include "unit_stages.h"

/* Services that a datacenter's file and the plugins of one unit can name, those of other regions' homes apart. */
#define ROUTES_LIMIT 256u

struct routes {
	struct unit *unit;
	kontor_arena *arena;
	struct kontor_route *list; /* room for ROUTES_LIMIT and the homes' */
	size_t len;
};

static int fail_memory(struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the directory of services");
}

static int add_route(struct routes *routes, const char *service, struct kontor_error *err)
{
	const struct unit *unit = routes->unit;
	const struct unit_config *config = unit->config;
	const struct loaded_plugin *own = unit_plugin(unit, service);
	for (size_t i = 0; i < routes->len; i++)
		if (strcmp(routes->list[i].service, service) == 0)
			return 0;
	if (routes->len == ROUTES_LIMIT)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "more than %u services are named: leave some out",
				   ROUTES_LIMIT);
	struct kontor_route *route = &routes->list[routes->len++];
	const char *usual = kontor_arena_format(routes->arena, "ipc://%s/%s.sock", unit->args->runtime_folder, service);
	const char *first = own && !own->leaving ? FRONT_ENDPOINT : NULL;
	if (!usual || !datacenter_route(routes->arena, &config->here, &config->fallback, service, first, usual, route))
		return fail_memory(err);
	return 0;
}

static int add_routes(struct routes *routes, struct kontor_error *err)
{
	const struct unit *unit = routes->unit;
	const struct unit_config *config = unit->config;
	int rc = add_route(routes, "idgen", err); /* kontor_id_next() is for everybody */
	for (size_t i = 0; i < config->here.services_len && !rc; i++)
		rc = add_route(routes, config->here.services[i].name, err);
	for (size_t i = 0; i < unit->plugins_len && !rc; i++) {
		const struct loaded_plugin *plugin = unit_plugin_at(unit, i);
		if (!plugin)
			continue;
		rc = add_route(routes, plugin->api.name, err);
		for (const char *const *call = plugin->api.calls; call && *call && !rc; call++)
			rc = add_route(routes, *call, err);
	}
	return rc;
}

int unit_client_set_routes(struct unit *unit, struct kontor_error *err)
{
	const struct homes *homes = &unit->config->homes;
	struct routes routes = {.unit = unit, .arena = kontor_arena_new(0)};
	if (routes.arena)
		routes.list = kontor_arena_alloc(routes.arena,
						 (ROUTES_LIMIT + homes_routes_len(homes)) * sizeof(*routes.list));
	int rc = routes.list ? add_routes(&routes, err) : fail_memory(err);
	if (!rc && !homes_routes(routes.arena, homes, routes.list + routes.len))
		rc = fail_memory(err);
	routes.len += homes_routes_len(homes);
	if (!rc)
		rc = kontor_client_set_routes(unit->client, routes.list, routes.len, err);
	kontor_arena_free(routes.arena);
	return rc;
}

int unit_client_open(struct unit *unit, struct kontor_error *err)
{
	const struct unit_config *config = unit->config;
	const char *key_file = config->options.key_file;
	const struct kontor_client_options options = {
		.zmq_context = unit->zmq, .caller = unit->args->unit, .key_file = key_file[0] ? key_file : NULL};
	int rc = kontor_client_new(&options, &unit->client, err);
	return rc ? rc : unit_client_set_routes(unit, err);
}
