/* SPDX-License-Identifier: Apache-2.0 */
#include "directory.h"

#include <stdlib.h>
#include <string.h>

#include "kontor/text.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool copy_text(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return *ret || !text;
}

static enum directory_distance distance_of(const char *endpoint)
{
	if (strncmp(endpoint, "inproc:", 7) == 0)
		return DIRECTORY_PROCESS;
	return strncmp(endpoint, "ipc:", 4) == 0 ? DIRECTORY_MACHINE : DIRECTORY_NETWORK;
}

static void free_endpoint(struct directory_endpoint *endpoint)
{
	endpoint_health_destroy(&endpoint->health);
	free((char *)endpoint->address.endpoint);
	free((char *)endpoint->address.server_key);
	free(endpoint);
}

struct directory_endpoint *directory_endpoint_of(struct directory_endpoint **list,
						 const struct kontor_endpoint *address)
{
	for (struct directory_endpoint *at = *list; at; at = at->next)
		if (strcmp(at->address.endpoint, address->endpoint) == 0 &&
		    same_text(at->address.server_key, address->server_key))
			return at;
	struct directory_endpoint *fresh = calloc(1, sizeof(*fresh));
	char *name = NULL, *server_key = NULL;
	if (!fresh)
		return NULL;
	bool enough = copy_text(address->endpoint, &name) & copy_text(address->server_key, &server_key);
	fresh->address = (struct kontor_endpoint){name, server_key};
	fresh->distance = distance_of(address->endpoint);
	endpoint_health_init(&fresh->health);
	if (!enough) {
		free_endpoint(fresh);
		return NULL;
	}
	fresh->next = *list;
	*list = fresh;
	return fresh;
}

void directory_endpoints_free(struct directory_endpoint *list)
{
	while (list) {
		struct directory_endpoint *next = list->next;
		free_endpoint(list);
		list = next;
	}
}

static bool copy_route(const struct kontor_route *route, struct directory_service *ret,
		       struct directory_endpoint **list)
{
	ret->enabled = route->enabled;
	ret->endpoints = calloc(route->endpoints_len + 1, sizeof(struct directory_endpoint *));
	if (!copy_text(route->service, &ret->name) || !copy_text(route->why_disabled, &ret->why_disabled) ||
	    !ret->endpoints)
		return false;
	for (; ret->endpoints_len < route->endpoints_len; ret->endpoints_len++) {
		ret->endpoints[ret->endpoints_len] = directory_endpoint_of(list, &route->endpoints[ret->endpoints_len]);
		if (!ret->endpoints[ret->endpoints_len])
			return false;
	}
	return true;
}

struct directory *directory_new(const struct kontor_route *routes, size_t len, struct directory_endpoint **list)
{
	struct directory *directory = calloc(1, sizeof(*directory));
	if (!directory)
		return NULL;
	directory->references = 1;
	directory->services = calloc(len + 1, sizeof(*directory->services));
	bool enough = directory->services != NULL;
	for (size_t i = 0; i < len && enough; i++) {
		directory->services_len++;
		enough = copy_route(&routes[i], &directory->services[i], list);
		directory->knows_homes |= routes[i].service && strchr(routes[i].service, '@');
	}
	if (enough)
		return directory;
	directory_unref(directory);
	return NULL;
}

static bool copy_service(const struct directory_service *from, struct directory_service *ret)
{
	ret->enabled = from->enabled;
	ret->usual = from->usual;
	ret->endpoints = calloc(from->endpoints_len + 1, sizeof(struct directory_endpoint *));
	if (!copy_text(from->name, &ret->name) || !copy_text(from->why_disabled, &ret->why_disabled) || !ret->endpoints)
		return false;
	memcpy(ret->endpoints, from->endpoints, from->endpoints_len * sizeof(struct directory_endpoint *));
	ret->endpoints_len = from->endpoints_len;
	return true;
}

struct directory *directory_with_usual(const struct directory *from, const struct kontor_route *usual,
				       struct directory_endpoint **list)
{
	struct directory *directory = calloc(1, sizeof(*directory));
	if (!directory)
		return NULL;
	directory->references = 1;
	directory->knows_homes = from->knows_homes;
	directory->services = calloc(from->services_len + 1, sizeof(*directory->services));
	bool enough = directory->services != NULL;
	for (size_t i = 0; i < from->services_len && enough; i++)
		if (!same_text(from->services[i].name, usual->service))
			enough = copy_service(&from->services[i], &directory->services[directory->services_len++]);
	if (enough) {
		struct directory_service *added = &directory->services[directory->services_len++];
		added->usual = true;
		enough = copy_route(usual, added, list);
	}
	if (enough)
		return directory;
	directory_unref(directory);
	return NULL;
}

void directory_unref(struct directory *directory)
{
	if (!directory || --directory->references > 0)
		return;
	for (size_t i = 0; i < directory->services_len; i++) {
		free(directory->services[i].name);
		free(directory->services[i].why_disabled);
		free(directory->services[i].endpoints);
	}
	free(directory->services);
	free(directory);
}

const struct directory_service *directory_find_home(const struct directory *directory, const char *method_or_service,
						    const char *region)
{
	struct kontor_text service = {method_or_service, strcspn(method_or_service, ".")};
	const struct directory_service *home = NULL;
	for (size_t i = 0; i < directory->services_len && directory->knows_homes; i++) {
		const char *name = directory->services[i].name, *at = name ? strchr(name, '@') : NULL;
		if (!at || strcmp(at + 1, region) != 0)
			continue;
		if (kontor_text_equal(service, (struct kontor_text){name, (size_t)(at - name)}))
			return &directory->services[i];
		if (at == name)
			home = &directory->services[i];
	}
	return home;
}

const struct directory_service *directory_find(const struct directory *directory, const char *method_or_service)
{
	struct kontor_text service = {method_or_service, strcspn(method_or_service, ".")};
	const struct directory_service *other = NULL;
	for (size_t i = 0; i < directory->services_len; i++) {
		if (!directory->services[i].name)
			other = &directory->services[i];
		else if (kontor_text_is(service, directory->services[i].name))
			return &directory->services[i];
	}
	return other;
}

bool directory_leads_to(const struct directory *directory, const struct directory_endpoint *endpoint)
{
	for (size_t i = 0; i < directory->services_len; i++)
		for (size_t k = 0; k < directory->services[i].endpoints_len; k++)
			if (directory->services[i].endpoints[k] == endpoint)
				return true;
	return false;
}
