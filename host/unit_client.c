/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the unit finds the services that its plugins call.
 */
#include <string.h>

#include "front.h"
#include "unit_stages.h"

#define ROUTES_LIMIT 256u /* services that a datacenter's file and the plugins of one unit can name */

struct routes {
	struct unit *unit;
	kontor_arena *arena;
	struct kontor_route list[ROUTES_LIMIT];
	size_t len;
};

static size_t count(const char *const *list)
{
	size_t len = 0;
	while (list[len])
		len++;
	return len;
}

static bool is_tcp(const char *endpoint)
{
	return strncmp(endpoint, "tcp://", 6) == 0;
}

/* The unit itself when it has the plugin, then the endpoints as the datacenter's file lists them, each tcp one with its
 * server's key; without any, the unit of the service's name on this machine. */
static bool list_endpoints(const struct routes *routes, const struct service_entry *entry, struct kontor_route *route)
{
	static const char *const none[] = {NULL};
	const char *const *listed = entry ? entry->endpoints : none, *const *keys = entry ? entry->server_keys : none;
	size_t listed_len = count(listed), keys_len = count(keys), tcp_seen = 0;
	struct kontor_endpoint *endpoints = kontor_arena_alloc(routes->arena, (listed_len + 1) * sizeof(*endpoints));
	if (!endpoints)
		return false;
	route->endpoints = endpoints;
	const struct loaded_plugin *own = unit_plugin(routes->unit, route->service);
	if (own && !own->leaving)
		endpoints[route->endpoints_len++] = (struct kontor_endpoint){FRONT_ENDPOINT, NULL};
	else if (listed_len == 0)
		endpoints[route->endpoints_len++] = (struct kontor_endpoint){
			kontor_arena_format(routes->arena, "ipc://%s/%s.sock", routes->unit->args->runtime_folder,
					    route->service),
			NULL};
	for (size_t i = 0; i < listed_len; i++) {
		const char *key = NULL;
		if (is_tcp(listed[i]) && keys_len)
			key = keys[keys_len > 1 ? tcp_seen++ : 0];
		endpoints[route->endpoints_len++] = (struct kontor_endpoint){listed[i], key};
	}
	return endpoints[0].endpoint != NULL;
}

static int add_route(struct routes *routes, const char *service, struct kontor_error *err)
{
	const struct unit_config *config = routes->unit->config;
	const struct service_entry *entry = unit_config_service(config, service);
	for (size_t i = 0; i < routes->len; i++)
		if (strcmp(routes->list[i].service, service) == 0)
			return 0;
	if (routes->len == ROUTES_LIMIT)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "more than %u services are named: leave some out",
				   ROUTES_LIMIT);
	struct kontor_route *route = &routes->list[routes->len++];
	*route = (struct kontor_route){.service = service, .enabled = !entry || entry->enabled};
	route->why_disabled = kontor_arena_format(routes->arena, "datacenter %s", config->options.datacenter);
	if (!route->why_disabled || !list_endpoints(routes, entry, route))
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the directory of services");
	return 0;
}

static int add_routes(struct routes *routes, struct kontor_error *err)
{
	const struct unit *unit = routes->unit;
	const struct unit_config *config = unit->config;
	int rc = add_route(routes, "idgen", err); /* kontor_id_next() is for everybody */
	for (size_t i = 0; i < config->services_len && !rc; i++)
		rc = add_route(routes, config->services[i].name, err);
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
	struct routes routes = {.unit = unit, .arena = kontor_arena_new(0)};
	if (!routes.arena)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the directory of services");
	int rc = add_routes(&routes, err);
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
