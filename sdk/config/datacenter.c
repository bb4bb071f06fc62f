/* SPDX-License-Identifier: Apache-2.0 */
#include "datacenter.h"

#include <string.h>

#include "kontor/keys.h"
#include "kontor/text.h"

#define IPC_PATH_LIMIT 107u /* bytes: sun_path of unix(7) without its NUL */
#define TABLE(rows)                                                                                                    \
	{                                                                                                              \
		(rows), sizeof(rows) / sizeof((rows)[0])                                                               \
	}

static const struct kontor_conf_row datacenter_rows[] = {
	{"id", KONTOR_CONF_INT, offsetof(struct datacenter, id), NULL, 1, 15, NULL,
	 "1 to 15, different in each datacenter: it is part of every id", false},
	{"fallback", KONTOR_CONF_NAME, offsetof(struct datacenter, fallback), "", 0, 0, NULL,
	 "datacenter that answers for services which are disabled here", true},
};
const struct config_table datacenter_table = TABLE(datacenter_rows);

static const struct kontor_conf_row service_rows[] = {
	{"enabled", KONTOR_CONF_BOOL, offsetof(struct service_entry, enabled), "yes", 0, 0, NULL,
	 "no: calls are answered DISABLED at once", true},
	{"endpoints", KONTOR_CONF_LIST, offsetof(struct service_entry, endpoints), "{}", 0, 0, NULL,
	 "where it answers, the nearest first, like ipc:///run/kontor/all.sock or tcp://10.3.0.11:7411; none: this "
	 "unit "
	 "if it has the plugin, else RUNTIME/NAME.sock",
	 true},
	{"server_keys", KONTOR_CONF_LIST, offsetof(struct service_entry, server_keys), "{}", 0, 0, NULL,
	 "public keys of the units at tcp endpoints, in single quotes: one for all of them, or one for each in their "
	 "order",
	 true},
};
const struct config_table service_table = TABLE(service_rows);

void datacenter_read(struct config *config, const char *name, struct datacenter *ret)
{
	ret->name = name;
	config_fill_block(config, "datacenter", name, &datacenter_table, ret);
}

void datacenter_read_services(struct config *config, struct datacenter *ret)
{
	const char **titles = config_titles(config, "service");
	ret->services = config_alloc(config, (config->blocks_len + 1) * sizeof(*ret->services));
	for (const char **title = titles; *title; title++) {
		struct service_entry *service = &ret->services[ret->services_len++];
		service->name = *title;
		config_fill_block(config, "service", *title, &service_table, service);
	}
}

const struct service_entry *datacenter_service(const struct datacenter *datacenter, const char *service)
{
	for (size_t i = 0; i < datacenter->services_len; i++)
		if (strcmp(datacenter->services[i].name, service) == 0)
			return &datacenter->services[i];
	return NULL;
}

/* ---- judging ---- */

void endpoint_check_path(struct config *config, const char *file, unsigned line, const char *path)
{
	if (strlen(path) > IPC_PATH_LIMIT)
		config_problem(
			config, file, line,
			"the socket path %s has %zu bytes, at most %u are possible: use a shorter runtime folder", path,
			strlen(path), IPC_PATH_LIMIT);
}

/* tcp://HOST:PORT, the port a number from 1 to 65535. */
bool endpoint_is_tcp(const char *endpoint)
{
	const char *colon = strrchr(endpoint, ':');
	int64_t port = 0;
	return strncmp(endpoint, "tcp://", 6) == 0 && colon > endpoint + 6 &&
	       kontor_parse_int(kontor_text_of(colon + 1), &port) && port >= 1 && port <= 65535;
}

bool endpoint_is_listed_before(const struct config_setting *setting, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(setting->values[i], setting->values[index]) == 0)
			return true;
	return false;
}

/* A server's key belongs to tcp: one for all such endpoints, or one for each. */
static void check_server_keys(struct config *config, const struct service_entry *service, size_t tcp_endpoints)
{
	const struct config_setting *keys = config_find(config, "service", service->name, "server_keys");
	size_t len = keys ? keys->values_len : 0;
	for (size_t i = 0; i < len; i++)
		if (!kontor_key_valid(keys->values[i]))
			config_problem(config, keys->file, keys->line,
				       "server_keys: '%s' is no public key: it must be the 40 characters of public-key "
				       "in the unit's NAME.key, in single quotes",
				       keys->values[i]);
	if (tcp_endpoints && !len)
		CONFIG_PROBLEM_AT(config, "service", service->name, "endpoints",
				  "service \"%s\" has tcp endpoints without server_keys: write the public key of the "
				  "units there",
				  service->name);
	else if (len && !tcp_endpoints)
		config_problem(config, keys->file, keys->line,
			       "service \"%s\" has server_keys, but no tcp endpoint: leave them out", service->name);
	else if (len > 1 && len != tcp_endpoints)
		config_problem(
			config, keys->file, keys->line,
			"service \"%s\" has %zu server_keys for %zu tcp endpoints: write one for all of them, or "
			"one for each",
			service->name, len, tcp_endpoints);
}

static void check_service(struct config *config, const struct service_entry *service)
{
	const struct config_setting *setting = config_find(config, "service", service->name, "endpoints");
	size_t tcp_endpoints = 0;
	for (size_t i = 0; setting && i < setting->values_len; i++) {
		const char *endpoint = setting->values[i];
		bool tcp = endpoint_is_tcp(endpoint);
		tcp_endpoints += tcp;
		if (endpoint_is_listed_before(setting, i))
			config_problem(config, setting->file, setting->line,
				       "endpoint %s is listed twice: leave it out", endpoint);
		if (strncmp(endpoint, "ipc:///", 7) == 0)
			endpoint_check_path(config, setting->file, setting->line, endpoint + strlen("ipc://"));
		else if (!tcp)
			config_problem(config, setting->file, setting->line,
				       "endpoints: \"%s\" must be ipc:///FOLDER/UNIT.sock or tcp://HOST:PORT",
				       endpoint);
	}
	check_server_keys(config, service, tcp_endpoints);
}

void datacenter_check_services(struct config *config, const struct datacenter *datacenter)
{
	for (size_t i = 0; i < datacenter->services_len; i++)
		check_service(config, &datacenter->services[i]);
}

/* ---- routes ---- */

const char *const datacenter_everywhere[DATACENTER_EVERYWHERE] = {"kontor", "jobs", "approval"};

static size_t count(const char *const *list)
{
	size_t len = 0;
	while (list && list[len])
		len++;
	return len;
}

bool datacenter_falls_back(const struct datacenter *fallback, const char *service)
{
	const struct service_entry *entry = fallback->name ? datacenter_service(fallback, service) : NULL;
	return entry && entry->enabled && count(entry->endpoints) > 0;
}

static bool list_endpoints(kontor_arena *arena, const struct service_entry *entry, const char *first, const char *usual,
			   struct kontor_route *route)
{
	size_t listed_len = entry ? count(entry->endpoints) : 0, keys_len = entry ? count(entry->server_keys) : 0;
	size_t tcp_seen = 0, len = 0;
	struct kontor_endpoint *endpoints = kontor_arena_alloc(arena, (listed_len + 1) * sizeof(*endpoints));
	if (!endpoints)
		return false;
	if (first || listed_len == 0)
		endpoints[len++] = (struct kontor_endpoint){first ? first : usual, NULL};
	for (size_t i = 0; i < listed_len; i++) {
		const char *key = NULL;
		if (strncmp(entry->endpoints[i], "tcp://", 6) == 0 && keys_len)
			key = entry->server_keys[keys_len > 1 ? tcp_seen++ : 0];
		endpoints[len++] = (struct kontor_endpoint){entry->endpoints[i], key};
	}
	route->endpoints = endpoints;
	route->endpoints_len = len;
	return true;
}

bool datacenter_route(kontor_arena *arena, const struct datacenter *here, const struct datacenter *fallback,
		      const char *service, const char *first, const char *usual, struct kontor_route *ret)
{
	const struct service_entry *entry = datacenter_service(here, service);
	bool off = entry && !entry->enabled, falls_back = off && datacenter_falls_back(fallback, service);
	*ret = (struct kontor_route){.service = service, .enabled = !off || falls_back};
	if (falls_back)
		return list_endpoints(arena, datacenter_service(fallback, service), NULL, NULL, ret);
	if (!off)
		return list_endpoints(arena, entry, first, usual, ret);
	ret->why_disabled = fallback->name
				    ? kontor_arena_format(arena, "datacenter %s, and not served by its fallback %s",
							  here->name, fallback->name)
				    : kontor_arena_format(arena, "datacenter %s", here->name);
	return ret->why_disabled != NULL;
}
