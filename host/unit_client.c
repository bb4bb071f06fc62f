/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the unit finds the services that its plugins call.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "front.h"
#include "unit_stages.h"

static int add_route(struct unit *unit, const char *service, struct kontor_error *err)
{
	char socket[PATH_MAX];
	const char *endpoint = socket;
	const struct service_entry *entry = unit_config_service(unit->config, service);
	snprintf(socket, sizeof(socket), "ipc://%s/%s.sock", unit->args->runtime_folder, service);
	if (unit_plugin(unit, service))
		endpoint = FRONT_ENDPOINT;
	else if (entry && entry->endpoint[0])
		endpoint = entry->endpoint;
	return kontor_client_add(unit->client, service, endpoint, err);
}

int unit_client_open(struct unit *unit, struct kontor_error *err)
{
	const struct unit_config *config = unit->config;
	const struct kontor_client_options options = {.zmq_context = unit->zmq, .caller = unit->args->unit};
	int rc = kontor_client_new(&options, &unit->client, err);
	for (size_t i = 0; i < config->services_len && !rc; i++)
		rc = add_route(unit, config->services[i].name, err);
	for (size_t i = 0; i < unit->plugins_len && !rc; i++) {
		rc = add_route(unit, unit->plugins[i]->api.name, err);
		for (const char *const *call = unit->plugins[i]->api.calls; call && *call && !rc; call++)
			rc = add_route(unit, *call, err);
	}
	if (!rc)
		rc = add_route(unit, "idgen", err); /* kontor_id_next() is for everybody */
	return rc;
}
