/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request calls, and whether it may be called now. Refusals name the nearest thing that is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "front.h"

#define DEFAULT_DEADLINE_MS 30000
#define STARTING_RETRY_MS 200
#define DRAINING_RETRY_MS 1000

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

/* The service is not one of this unit's plugins: switched off, or not here. */
static int refuse_service(const struct front *front, struct kontor_text service, struct kontor_error *err)
{
	const struct unit *unit = front->unit;
	const char *names[PLUGINS_LIMIT];
	char known[256] = "";
	size_t length = 0, len = 0;
	for (size_t i = 0; i < unit->plugins_len; i++) {
		if (!unit_plugin_at(unit, i))
			continue;
		names[len] = unit_plugin_at(unit, i)->api.name;
		if (length < sizeof(known))
			length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s", len ? ", " : "",
						   names[len]);
		len++;
	}
	const char *nearest = kontor_text_nearest(service, names, len);
	return kontor_fail(err, KONTOR_E_NO_METHOD, "there is no service '%.*s' in unit %s, which has %s%s%s%s",
			   (int)service.size, service.data, unit->args->unit, known, nearest ? "; did you mean '" : "",
			   nearest ? nearest : "", nearest ? "'?" : "");
}

static int check_enabled(const struct unit_config *config, const char *service, struct kontor_error *err)
{
	const struct service_entry *entry = unit_config_service(config, service);
	if (!entry || entry->enabled)
		return 0;
	return kontor_fail(err, KONTOR_E_DISABLED, "service %s is switched off in datacenter %s%s%s", service,
			   config->options.datacenter, config->here.fallback[0] ? "; it is served by " : "",
			   config->here.fallback);
}

/* The service was here until a reload, or will be after it: callers go elsewhere, and try again. */
static int check_moves(const struct unit *unit, const char *service, struct kontor_error *err)
{
	const struct loaded_plugin *plugin = unit_plugin(unit, service);
	if (plugin && !plugin->listed) {
		counter_add(COUNTER_REFUSED);
		int rc = kontor_fail(err, KONTOR_E_UNAVAILABLE, "service %s is being taken into unit %s", service,
				     unit->args->unit);
		err->retry_after_ms = STARTING_RETRY_MS;
		return rc;
	}
	for (const struct loaded_plugin *gone = unit->retired; gone && !plugin; gone = gone->next_retired)
		if (gone->leaving && strcmp(gone->api.name, service) == 0)
			plugin = gone;
	if (!plugin || !plugin->leaving)
		return 0;
	counter_add(COUNTER_REFUSED);
	int rc = kontor_fail(err, KONTOR_E_DRAINING,
			     "service %s was taken out of unit %s: it is to be found where the datacenter's file says",
			     service, unit->args->unit);
	err->retry_after_ms = STARTING_RETRY_MS;
	return rc;
}

static int refuse_method(const struct loaded_plugin *plugin, const char *method, struct kontor_error *err)
{
	const char *names[256];
	size_t len = 0;
	for (; len < plugin->api.methods_len && len < 256; len++)
		names[len] = plugin->api.methods[len].name;
	const char *nearest = kontor_text_nearest(kontor_text_of(method), names, len);
	if (nearest)
		return kontor_fail(err, KONTOR_E_NO_METHOD, "there is no method '%s.%s'; did you mean '%s.%s'?",
				   plugin->api.name, method, plugin->api.name, nearest);
	return kontor_fail(err, KONTOR_E_NO_METHOD, "there is no method '%s.%s'; kontor.methods lists them",
			   plugin->api.name, method);
}

/* ---- the table of methods: each message asks it --------------------------------------------------------------------
 */

#define TABLE_BITS_MIN 6 /* at least twice as many places as methods */

/* FNV-1a, its upper bits: <http://www.isthe.com/chongo/tech/comp/fnv/>. */
static size_t place_of(const char *name, unsigned bits)
{
	uint32_t hash = UINT32_C(2166136261);
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT32_C(16777619);
	return (hash ^ hash >> 16) & ((UINT32_C(1) << bits) - 1);
}

/* The method's place, or the empty one where it would be. */
static struct front_method *look_up(const struct front *front, const char *name)
{
	size_t mask = ((size_t)1 << front->methods_bits) - 1;
	size_t place = place_of(name, front->methods_bits);
	while (front->methods[place].name[0] && strcmp(front->methods[place].name, name) != 0)
		place = (place + 1) & mask;
	return &front->methods[place];
}

static void list_plugin(struct front *front, struct loaded_plugin *plugin, struct pool *pool)
{
	bool open = check_enabled(front->unit->config, plugin->api.name, NULL) == 0 && !plugin->leaving;
	for (size_t i = 0; i < plugin->api.methods_len; i++) {
		const struct kontor_method *method = &plugin->api.methods[i];
		char name[KONTOR_METHOD_NAME_SIZE];
		if (snprintf(name, sizeof(name), "%s.%s", plugin->api.name, method->name) >= (int)sizeof(name))
			continue; /* nobody can call it: no header holds such a name */
		struct front_method *entry = look_up(front, name);
		if (entry->name[0])
			continue; /* listed twice: the first one answers */
		memcpy(entry->name, name, sizeof(name));
		entry->plugin = plugin;
		entry->pool = pool;
		entry->method = method;
		entry->open = open;
	}
	plugin->listed = true;
}

int front_list_methods(struct front *front, struct kontor_error *err)
{
	const struct unit *unit = front->unit;
	size_t methods = 0;
	for (size_t i = 0; i < unit->plugins_len; i++)
		methods += unit_plugin_at(unit, i) ? unit_plugin_at(unit, i)->api.methods_len : 0;
	unsigned bits = TABLE_BITS_MIN;
	while ((size_t)1 << bits < 2 * methods)
		bits++;
	struct front_method *table = calloc((size_t)1 << bits, sizeof(*table));
	if (!table)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu methods", methods);
	free(front->methods);
	front->methods = table;
	front->methods_bits = bits;
	front->header_memory.elements = 0; /* a request like the last one is judged anew */
	for (size_t i = 0; i < unit->plugins_len; i++)
		if (unit_plugin_at(unit, i))
			list_plugin(front, unit_plugin_at(unit, i), &front->pools[i]);
	return 0;
}

/* No such method: says which of its parts is wrong. */
static int refuse_name(const struct front *front, const char *name, struct kontor_error *err)
{
	struct kontor_text service = {name, strcspn(name, ".")};
	char service_name[KONTOR_METHOD_NAME_SIZE];
	snprintf(service_name, sizeof(service_name), "%.*s", (int)service.size, name);
	if (!name[service.size])
		return kontor_fail(err, KONTOR_E_NO_METHOD, "'%s' is no method: it is written service.method", name);
	int rc = check_enabled(front->unit->config, service_name, err);
	if (!rc)
		rc = check_moves(front->unit, service_name, err);
	if (rc)
		return rc;
	const struct loaded_plugin *plugin = unit_plugin(front->unit, service_name);
	return plugin ? refuse_method(plugin, name + service.size + 1, err) : refuse_service(front, service, err);
}

static int find_method(const struct front *front, struct exchange *exchange, struct kontor_error *err)
{
	const struct front_method *entry = look_up(front, exchange->header.method);
	if (!entry->name[0])
		return refuse_name(front, exchange->header.method, err);
	if (!entry->open)
		return refuse_name(front, exchange->header.method, err);
	exchange->plugin = entry->plugin;
	exchange->pool = entry->pool;
	exchange->method = entry->method;
	return 0;
}

/* ---- may it be called now ---------------------------------------------------------------------------------------- */

/* Who calls from inside may do so as soon as the plugin has started, and may finish its work while the unit drains;
 * kontor.ping and its like answer at any time. */
static int check_state(const struct front *front, const struct exchange *exchange, struct kontor_error *err)
{
	enum unit_state state = front->unit->state;
	const struct loaded_plugin *plugin = exchange->plugin;
	bool about_the_unit = !plugin->file && (exchange->method->flags & KONTOR_METHOD_INLINE);
	bool inside =
		exchange->caller.inside && (state == UNIT_DRAINING || (state == UNIT_STARTING && plugin->started));
	if (state == UNIT_READY || inside || about_the_unit)
		return 0;
	counter_add(COUNTER_REFUSED);
	bool starting = state == UNIT_STARTING;
	int rc = kontor_fail(err, starting ? KONTOR_E_UNAVAILABLE : KONTOR_E_DRAINING, "unit %s is %s",
			     front->unit->args->unit, starting ? "starting" : "stopping");
	err->retry_after_ms = starting ? STARTING_RETRY_MS : DRAINING_RETRY_MS;
	return rc;
}

static void set_deadline(struct exchange *exchange)
{
	uint32_t left_ms = exchange->header.left_ms;
	if (!left_ms)
		left_ms = exchange->method->default_ms ? exchange->method->default_ms : DEFAULT_DEADLINE_MS;
	exchange->deadline_ms = exchange->received_us / 1000 + left_ms;
}

int front_admit(const struct front *front, struct exchange *exchange, bool known, struct kontor_error *err)
{
	int rc = known ? 0 : find_method(front, exchange, err);
	if (!rc)
		rc = check_state(front, exchange, err);
	if (!rc)
		set_deadline(exchange);
	return rc;
}
