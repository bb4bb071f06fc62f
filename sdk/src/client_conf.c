/* SPDX-License-Identifier: Apache-2.0
 *
 * Where services are, for a client outside of any unit: as the datacenter's file says, and what it does not name where
 * it usually is.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_state.h"
#include "homes.h"
#include "kontor/text.h"

#define SOCKET_SIZE (PATH_MAX + 8)

/* ---- the files --------------------------------------------------------------------------------------------------- */

/* libconfuse's parser has a state of its own. */
static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;

static int fail_conf(const struct config *config, const char *folder, struct kontor_error *err)
{
	const struct config_problem *problem = &config->problems[0];
	return kontor_fail(err, KONTOR_E_BAD_REQUEST,
			   "%s:%u: %s; all that is wrong: kontord --conf %s --check --unit NAME",
			   problem->file ? problem->file : folder, problem->line, problem->message, folder);
}

struct site {
	struct datacenter here, fallback;
	struct homes homes;
};

static int set_routes(kontor_client *client, struct config *config, const struct site *site, struct kontor_error *err)
{
	const struct datacenter *here = &site->here;
	size_t len = here->services_len + homes_routes_len(&site->homes);
	struct kontor_route *routes = config_alloc(config, (len + 1) * sizeof(*routes));
	for (size_t i = 0; i < here->services_len; i++) {
		const char *name = here->services[i].name;
		const char *usual =
			kontor_arena_format(config->arena, "ipc://%s/%s.sock", client->runtime_folder, name);
		if (!usual || !datacenter_route(config->arena, here, &site->fallback, name, NULL, usual, &routes[i]))
			return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the directory of services");
	}
	if (!homes_routes(config->arena, &site->homes, routes + here->services_len))
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the directory of services");
	return kontor_client_set_routes(client, routes, len, err);
}

static int read_site(kontor_client *client, struct config *config, struct config *other, struct site *site,
		     const char *folder, struct kontor_error *err)
{
	struct datacenter *here = &site->here;
	config_read_site(config, folder);
	const char *name = config_value(config, "", "", "datacenter");
	if (name)
		datacenter_read(config, name, here);
	datacenter_read_services(config, here);
	datacenter_check_services(config, here);
	homes_read(config, folder, name, &site->homes);
	if (config->problems_len)
		return fail_conf(config, folder, err);
	for (size_t i = 0; i < site->homes.configs_len; i++)
		if (site->homes.configs[i]->problems_len)
			return fail_conf(site->homes.configs[i], folder, err);
	if (here->fallback[0]) {
		config_read_file(other, config_path(config, folder, "datacenters/", here->fallback));
		site->fallback.name = here->fallback;
		datacenter_read_services(other, &site->fallback);
		datacenter_check_services(other, &site->fallback);
	}
	return other->problems_len ? fail_conf(other, folder, err) : set_routes(client, config, site, err);
}

int client_read_conf(kontor_client *client, const char *conf_folder, struct kontor_error *err)
{
	pthread_mutex_lock(&reading);
	struct config *config = config_new(), *other = config_new();
	struct site site = {.here = {.fallback = ""}};
	int rc = read_site(client, config, other, &site, conf_folder, err);
	homes_free(&site.homes);
	config_free(other);
	config_free(config);
	pthread_mutex_unlock(&reading);
	return rc;
}

/* ---- the usual place --------------------------------------------------------------------------------------------- */

static bool is_in_every_unit(const char *service)
{
	for (size_t i = 0; i < DATACENTER_EVERYWHERE; i++)
		if (strcmp(datacenter_everywhere[i], service) == 0)
			return true;
	return false;
}

static bool is_there(const kontor_client *client, const char *unit, char endpoint[SOCKET_SIZE])
{
	snprintf(endpoint, SOCKET_SIZE, "ipc://%s/%s.sock", client->runtime_folder, unit);
	return access(endpoint + strlen("ipc://"), F_OK) == 0;
}

/* Units that serve the business: idgen's has a database of its own in places, and knows no jobs. */
static int is_business_unit(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".sock") == 0 &&
	       strcmp(entry->d_name, "idgen.sock") != 0;
}

static bool any_unit(const kontor_client *client, char endpoint[SOCKET_SIZE])
{
	struct dirent **entries = NULL;
	int count = scandir(client->runtime_folder, &entries, is_business_unit, alphasort);
	if (count > 0)
		snprintf(endpoint, SOCKET_SIZE, "ipc://%s/%s", client->runtime_folder, entries[0]->d_name);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return count > 0;
}

/* What every unit has, where none is on this machine: where a service of the datacenter is. NULL: nowhere. */
static const struct directory_service *any_service(const struct directory *directory)
{
	for (size_t i = 0; i < directory->services_len; i++) {
		const struct directory_service *service = &directory->services[i];
		if (service->name && service->enabled && !service->usual && strcmp(service->name, "idgen") != 0 &&
		    !strchr(service->name, '@'))
			return service;
	}
	return NULL;
}

static struct directory *with_usual(kontor_client *client, const char *service)
{
	char endpoint[SOCKET_SIZE];
	struct kontor_endpoint list[DIRECTORY_ENDPOINTS_LIMIT] = {{endpoint, NULL}};
	struct kontor_route route = {.service = service, .enabled = true, .endpoints = list, .endpoints_len = 1};
	bool everywhere = is_in_every_unit(service);
	if (!is_there(client, service, endpoint) && !is_there(client, "all", endpoint) &&
	    !(everywhere && any_unit(client, endpoint))) {
		const struct directory_service *elsewhere = everywhere ? any_service(client->directory) : NULL;
		is_there(client, everywhere ? "all" : service, endpoint); /* what the error will name */
		for (size_t i = 0; elsewhere && i < elsewhere->endpoints_len; i++) {
			list[i] = elsewhere->endpoints[i]->address;
			route.endpoints_len = i + 1;
		}
	}
	return directory_with_usual(client->directory, &route, &client->endpoints);
}

int client_find_usual(kontor_client *client, const char *method_or_service, struct kontor_error *err)
{
	char service[KONTOR_METHOD_NAME_SIZE];
	snprintf(service, sizeof(service), "%.*s", (int)strcspn(method_or_service, "."), method_or_service);
	if (!kontor_name_valid(kontor_text_of(service)))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "%s: '%s' is no name of a service", method_or_service,
				   service);
	pthread_mutex_lock(&client->lock);
	struct directory *fresh = with_usual(client, service);
	client_take_directory(client, fresh);
	pthread_mutex_unlock(&client->lock);
	return fresh ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "client: out of memory for its directory");
}
