/* SPDX-License-Identifier: Apache-2.0 */
#include "homes.h"

#include <string.h>
#include <sys/stat.h>

/* ---- reading ---- */

static const struct datacenter *find_home(const struct homes *homes, const char *name)
{
	for (size_t i = 0; i < homes->len; i++)
		if (strcmp(homes->list[i].datacenter->name, name) == 0)
			return homes->list[i].datacenter;
	return NULL;
}

static const struct datacenter *read_home(struct config *config, const char *folder, const char *name,
					  struct homes *homes)
{
	struct datacenter *datacenter = config_alloc(config, sizeof(*datacenter));
	struct config *file = homes->configs[homes->configs_len++] = config_new();
	const char *path = config_path(config, folder, "datacenters/", name);
	struct stat st;
	datacenter->name = name;
	if (stat(path, &st) == 0)
		config_read_file(file, path);
	datacenter_read_services(file, datacenter);
	datacenter_check_services(file, datacenter);
	return datacenter;
}

void homes_read(struct config *config, const char *folder, const char *here, struct homes *ret)
{
	const char **regions = config_titles(config, "region");
	size_t regions_len = 0;
	while (regions[regions_len])
		regions_len++;
	*ret = (struct homes){.list = config_alloc(config, (regions_len + 1) * sizeof(*ret->list)),
			      .configs = config_alloc(config, (regions_len + 1) * sizeof(struct config *))};
	for (; *regions; regions++) {
		const char *name = config_value(config, "region", *regions, "home");
		if (!name || !here || strcmp(name, here) == 0)
			continue;
		const struct datacenter *datacenter = find_home(ret, name);
		if (!datacenter)
			datacenter = read_home(config, folder, name, ret);
		ret->list[ret->len++] = (struct home){*regions, datacenter};
	}
}

void homes_free(struct homes *homes)
{
	while (homes->configs_len > 0)
		config_free(homes->configs[--homes->configs_len]);
}

/* ---- routes ---- */

size_t homes_routes_len(const struct homes *homes)
{
	size_t len = 0;
	for (size_t i = 0; i < homes->len; i++)
		len += homes->list[i].datacenter->services_len + DATACENTER_EVERYWHERE + 1;
	return len;
}

/* A service of which the home's file says neither that it is switched off nor where it is has no place that we know. */
static bool add_service(kontor_arena *arena, const struct home *home, const char *service, const char *entry_name,
			struct kontor_route *ret)
{
	const struct datacenter nobody = {.name = NULL};
	const struct service_entry *entry = entry_name ? datacenter_service(home->datacenter, entry_name) : NULL;
	const char *name = kontor_arena_format(arena, "%s@%s", service, home->region);
	const char *place = kontor_arena_format(arena, "datacenter %s", home->datacenter->name);
	bool placed = entry && (!entry->enabled || (entry->endpoints && entry->endpoints[0]));
	*ret = (struct kontor_route){.enabled = true};
	if (!name || !place ||
	    (placed && !datacenter_route(arena, home->datacenter, &nobody, entry_name, NULL, NULL, ret)))
		return false;
	ret->service = name;
	ret->why_disabled = place;
	return true;
}

/* Whom to ask for what every unit has: idgen may have a database of its own, and no jobs in it. */
static const char *any_service(const struct datacenter *datacenter)
{
	for (size_t i = 0; i < datacenter->services_len; i++) {
		const struct service_entry *entry = &datacenter->services[i];
		if (entry->enabled && entry->endpoints && entry->endpoints[0] && strcmp(entry->name, "idgen") != 0)
			return entry->name;
	}
	return NULL;
}

static bool add_home(kontor_arena *arena, const struct home *home, struct kontor_route **at)
{
	const struct datacenter *datacenter = home->datacenter;
	const char *any = any_service(datacenter);
	bool enough = true;
	for (size_t i = 0; i < datacenter->services_len && enough; i++)
		enough = add_service(arena, home, datacenter->services[i].name, datacenter->services[i].name, (*at)++);
	for (size_t i = 0; i < DATACENTER_EVERYWHERE && enough; i++)
		enough = add_service(arena, home, datacenter_everywhere[i], any, (*at)++);
	return enough && add_service(arena, home, "", NULL, (*at)++);
}

bool homes_routes(kontor_arena *arena, const struct homes *homes, struct kontor_route *ret_routes)
{
	bool enough = true;
	for (size_t i = 0; i < homes->len && enough; i++)
		enough = add_home(arena, &homes->list[i], &ret_routes);
	return enough;
}
