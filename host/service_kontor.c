/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in service `kontor`: is the unit there, what can it do, how is it; and its reload. It answers while workers
 * are busy and the database is away. Its self is the struct unit.
 */
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "examine.h"
#include "fault_filter.h"
#include "front.h"
#include "kontor/time.h"
#include "lanes.h"
#include "network.h"
#include "services.h"
#include "verdicts.h"

static int ping(void *self, kontor_request *request)
{
	const struct unit *unit = self;
	kontor_writer *w = kontor_reply(request);
	kontor_put_uint(w, "instance", unit->instance);
	kontor_put_string(w, "state", unit_state_name(unit->state));
	kontor_put_uint(w, "queued", front_queued(unit->front));
	kontor_put_uint(w, "capacity", front_capacity(unit->front));
	return 0;
}

/* ---- kontor.methods ---- */

static const char *type_name(enum kontor_arg_type type)
{
	static const char *const names[] = {"int",    "id",   "bool", "string", "bytes", "region",
					    "window", "name", "time", "list",   "ids"};
	return names[type];
}

static const char *visibility_name(enum kontor_visibility visibility)
{
	return visibility == KONTOR_PUBLIC ? "public" : visibility == KONTOR_OPERATOR ? "operator" : "internal";
}

/* Fields of a list's elements look like arguments; they have no fields of their own. */
static void put_arg(kontor_writer *w, const struct kontor_arg *arg)
{
	kontor_put_string(w, "name", arg->name);
	kontor_put_string(w, "type", type_name(arg->type));
	kontor_put_bool(w, "required", arg->required);
	if (arg->min || arg->max) {
		kontor_put_int(w, "min", arg->min);
		kontor_put_int(w, "max", arg->max);
	}
	kontor_put_string(w, "help", arg->help);
}

static void put_args(kontor_writer *w, const struct kontor_method *method)
{
	kontor_put_array(w, "args");
	for (size_t i = 0; i < method->args_len; i++) {
		const struct kontor_arg *arg = &method->args[i];
		kontor_write_map(w);
		put_arg(w, arg);
		if (arg->fields_len) {
			kontor_put_array(w, "fields");
			for (size_t f = 0; f < arg->fields_len; f++) {
				kontor_write_map(w);
				put_arg(w, &arg->fields[f]);
				kontor_write_end(w);
			}
			kontor_write_end(w);
		}
		kontor_write_end(w);
	}
	kontor_write_end(w);
}

static void put_method(kontor_writer *w, const char *service, const struct kontor_method *method)
{
	char name[KONTOR_METHOD_NAME_SIZE];
	snprintf(name, sizeof(name), "%s.%s", service, method->name);
	kontor_write_map(w);
	kontor_put_string(w, "name", name);
	kontor_put_string(w, "visibility", visibility_name(method->visibility));
	kontor_put_string(w, "role", kontor_role_name(method->role));
	kontor_put_bool(w, "changes", method->flags & KONTOR_METHOD_CHANGES);
	kontor_put_string(w, "help", method->help);
	put_args(w, method);
	kontor_write_end(w);
}

static int list_methods(void *self, kontor_request *request)
{
	const struct unit *unit = self;
	kontor_writer *w = kontor_reply(request);
	const char *service = kontor_arg_given(request, "service") ? kontor_arg_string(request, "service") : NULL;
	bool is_unit = kontor_user_may(kontor_request_user(request), KONTOR_ROLE_UNIT);
	if (service && !unit_plugin(unit, service))
		return kontor_request_fail(request, KONTOR_E_NOT_FOUND, "there is no service '%s' in unit %s", service,
					   unit->args->unit);
	kontor_put_array(w, "rows");
	for (size_t i = 0; i < unit->plugins_len; i++) {
		if (!unit_plugin_at(unit, i))
			continue;
		const struct kontor_plugin *api = &unit_plugin_at(unit, i)->api;
		for (size_t m = 0; m < api->methods_len; m++)
			if ((!service || strcmp(service, api->name) == 0) &&
			    (is_unit || api->methods[m].visibility != KONTOR_INTERNAL))
				put_method(w, api->name, &api->methods[m]);
	}
	kontor_write_end(w);
	return 0;
}

/* ---- kontor.status ---- */

static bool is_enabled(const struct unit_config *config, const char *service)
{
	const struct service_entry *entry = unit_config_service(config, service);
	return !entry || entry->enabled;
}

static void put_plugin(const struct unit *unit, size_t place, kontor_writer *w)
{
	const struct loaded_plugin *plugin = unit_plugin_at(unit, place);
	const struct pool *pool = &unit->front->pools[place];
	if (!plugin)
		return;
	kontor_write_map(w);
	kontor_put_string(w, "name", plugin->api.name);
	kontor_put_string(w, "version", plugin->api.version);
	kontor_put_bool(w, "enabled", is_enabled(unit->config, plugin->api.name));
	kontor_put_bool(w, "leaving", plugin->leaving);
	kontor_put_bool(w, "well", !plugin->ill);
	kontor_put_int(w, "workers", plugin->options.workers);
	kontor_put_uint(w, "running", pool->running_count);
	kontor_put_uint(w, "queued", pool->queued);
	kontor_put_uint(w, "queued_bytes", pool->queued_bytes);
	kontor_put_int(w, "queue", plugin->options.queue);
	kontor_put_uint(w, "requests", pool->requests);
	kontor_put_uint(w, "errors", pool->errors);
	kontor_put_uint(w, "busy", pool->busy);
	kontor_put_int(w, "mean_us", pool->mean_us);
	kontor_put_bool(w, "overloaded", pool->overloaded);
	if (plugin->api.status && plugin->started) {
		kontor_put_map(w, "status");
		plugin->api.status(plugin->self, w);
		kontor_write_end(w);
	}
	kontor_write_end(w);
}

static int status(void *self, kontor_request *request)
{
	const struct unit *unit = self;
	const struct unit_config *config = unit->config;
	kontor_writer *w = kontor_reply(request);
	kontor_put_string(w, "unit", unit->args->unit);
	kontor_put_string(w, "version", KONTOR_VERSION);
	kontor_put_string(w, "datacenter", config->options.datacenter);
	kontor_put_uint(w, "instance", unit->instance);
	kontor_put_int(w, "pid", getpid());
	kontor_put_string(w, "state", unit_state_name(unit->state));
	kontor_put_time(w, "started", unit->started_ms);
	kontor_put_int(w, "uptime_s", (kontor_now_ms() - unit->started_ms) / 1000);
	kontor_put_string(w, "approvals", config->options.approvals);
	kontor_put_map(w, "database");
	kontor_put_string(w, "name", config->database.name);
	kontor_put_string(w, "state", unit->database_answers ? "answers" : "away");
	kontor_write_end(w);
	network_put(unit, w);
	kontor_put_array(w, "plugins");
	for (size_t i = 0; i < unit->plugins_len; i++)
		put_plugin(unit, i, w);
	kontor_write_end(w);
	if (unit->state != UNIT_STARTING)
		lanes_put(unit, w);
	fault_filter_put(unit->front, w);
	counters_put(w, kontor_arg_bool(request, "help"));
	return 0;
}

/* ---- kontor.reload ---- */

static int reload(void *self, kontor_request *request)
{
	const struct unit *unit = self;
	kontor_log(KONTOR_LOG_NOTICE, "reload asked for", "user=%s", KONTOR_QUOTED(kontor_request_user(request)->name));
	kontor_put_string(kontor_reply(request), "unit", unit->args->unit);
	return verdicts_await(unit->verdicts, request);
}

static const struct kontor_arg methods_args[] = {
	{"service", KONTOR_ARG_NAME, .help = "only the methods of this service"},
};
static const struct kontor_arg status_args[] = {
	{"help", KONTOR_ARG_BOOL, .help = "adds a sentence about each counter"},
};
#define ARGS(table) .args = (table), .args_len = sizeof(table) / sizeof((table)[0])

static const struct kontor_method methods[] = {
	{"ping", KONTOR_METHOD_INLINE, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, .help = "Is the unit there, and how busy.",
	 .handle = ping},
	{"methods", KONTOR_METHOD_INLINE, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, ARGS(methods_args),
	 .help = "All methods of the unit with their arguments.", .handle = list_methods},
	{"status", KONTOR_METHOD_INLINE, KONTOR_OPERATOR, KONTOR_ROLE_VIEWER, ARGS(status_args),
	 .help = "Plugins, workers, lanes, counters and the database of the unit.", .handle = status},
	{"keys", KONTOR_METHOD_INLINE, KONTOR_OPERATOR, KONTOR_ROLE_ADMIN,
	 .help = "The public keys of the users by tcp, and when they connected.", .handle = network_list_keys},
	{"reload", KONTOR_METHOD_NO_DATABASE, KONTOR_OPERATOR, KONTOR_ROLE_ADMIN,
	 .help = "Reads the configuration again, and tells what was taken and what needs a restart.", .handle = reload,
	 .default_ms = 60000},
	{"examine", KONTOR_METHOD_NO_DATABASE, KONTOR_OPERATOR, KONTOR_ROLE_VIEWER,
	 .help = "What is wrong with the unit and its database, why that matters, and what to do.", .handle = examine},
};

const struct kontor_plugin service_kontor = {
	KONTOR_PLUGIN_ABI,         .name = "kontor",
	.version = KONTOR_VERSION, .summary = "the unit itself: ping, methods, status, reload",
	.methods = methods,        .methods_len = sizeof(methods) / sizeof(methods[0]),
};
