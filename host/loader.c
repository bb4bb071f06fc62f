/* SPDX-License-Identifier: Apache-2.0
 *
 * dlopen, the ABI's rules, and copies of what the plugin offers in this host's own sizes.
 */
#include "loader.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "kontor/text.h"
#include "unit_config.h"

#define ELEMENTS_LIMIT 1024u /* of one table of a plugin: more is a garbled struct */

/* "payout" of "/usr/lib/kontor/plugins/payout.so". */
static struct kontor_text name_of_file(const char *file)
{
	const char *base = strrchr(file, '/');
	base = base ? base + 1 : file;
	size_t length = strlen(base);
	if (length > 3 && strcmp(base + length - 3, ".so") == 0)
		length -= 3;
	return (struct kontor_text){base, length};
}

static int check_abi(const char *file, const struct kontor_plugin *theirs, struct kontor_error *err)
{
	/* These three stand at the same place in every version. */
	if (theirs->abi_major != KONTOR_ABI_MAJOR)
		return kontor_fail(
			err, KONTOR_E_UNAVAILABLE,
			"%s was built for plugin ABI %u.%u, this kontord has %u.%u: rebuild the plugin against this "
			"Kontor's headers, or install the kontord that it was built for",
			file, theirs->abi_major, theirs->abi_minor, KONTOR_ABI_MAJOR, KONTOR_ABI_MINOR);
	if (theirs->struct_size < offsetof(struct kontor_plugin, check))
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "%s: its struct kontor_plugin has %u bytes, ABI 1.0 has at least %zu: begin it with "
				   "KONTOR_PLUGIN_ABI",
				   file, theirs->struct_size, offsetof(struct kontor_plugin, check));
	return 0;
}

struct copying {
	const char *file;
	struct kontor_error *err;
	int rc;
};

/* A copy of one table with this host's element size: shorter elements are zero-filled, longer ones cut. NULL for an
 * empty table, or with copying->rc set. */
static void *copy_table(struct copying *copying, const char *what, const void *theirs, size_t len, size_t their_size,
			size_t our_size)
{
	if (!len || copying->rc)
		return NULL;
	if (!theirs || !their_size || len > ELEMENTS_LIMIT) {
		copying->rc = kontor_fail(copying->err, KONTOR_E_UNAVAILABLE,
					  "%s: its table of %s is garbled (%zu elements of %zu bytes)", copying->file,
					  what, len, their_size);
		return NULL;
	}
	char *copy = calloc(len, our_size);
	if (!copy) {
		copying->rc = kontor_fail(copying->err, KONTOR_E_INTERNAL, "%s: out of memory", copying->file);
		return NULL;
	}
	for (size_t i = 0; i < len; i++)
		memcpy(copy + i * our_size, (const char *)theirs + i * their_size,
		       their_size < our_size ? their_size : our_size);
	return copy;
}

static int copy_tables(const char *file, const struct kontor_plugin *theirs, struct kontor_plugin *ours,
		       struct kontor_error *err)
{
	struct copying copying = {file, err, 0};
	memset(ours, 0, sizeof(*ours));
	memcpy(ours, theirs, theirs->struct_size < sizeof(*ours) ? theirs->struct_size : sizeof(*ours));
	ours->methods = copy_table(&copying, "methods", ours->methods, ours->methods_len, ours->method_size,
				   sizeof(*ours->methods));
	ours->conf = copy_table(&copying, "configuration rows", ours->conf, ours->conf_len, ours->conf_size,
				sizeof(*ours->conf));
	ours->job_kinds = copy_table(&copying, "job kinds", ours->job_kinds, ours->job_kinds_len, ours->job_kind_size,
				     sizeof(*ours->job_kinds));
	ours->upload_kinds = copy_table(&copying, "upload kinds", ours->upload_kinds, ours->upload_kinds_len,
					ours->upload_kind_size, sizeof(*ours->upload_kinds));
	ours->schema = copy_table(&copying, "schema steps", ours->schema, ours->schema_len, ours->schema_step_size,
				  sizeof(*ours->schema));
	return copying.rc;
}

/* By this argument, and by nothing else, a caller finds the datacenter that a method must be called in. */
static int check_region(const char *file, const struct kontor_method *method, struct kontor_error *err)
{
	for (size_t i = 0; i < method->args_len; i++) {
		const struct kontor_arg *arg = &method->args[i];
		if (arg->name && (arg->type == KONTOR_ARG_REGION) != (strcmp(arg->name, "region") == 0))
			return kontor_fail(
				err, KONTOR_E_UNAVAILABLE,
				"%s: argument %s of method %s: one of the type KONTOR_ARG_REGION is named 'region', "
				"and no other one: calls are sent to the home datacenter of the region there",
				file, arg->name, method->name);
	}
	return 0;
}

static int check_methods(const char *file, const struct kontor_plugin *api, struct kontor_error *err)
{
	for (size_t i = 0; i < api->methods_len; i++) {
		const struct kontor_method *method = &api->methods[i];
		if (!method->name || !method->handle)
			return kontor_fail(err, KONTOR_E_UNAVAILABLE, "%s: method %zu has no name or no handler", file,
					   i);
		if ((method->flags & KONTOR_METHOD_INLINE) && (method->flags & KONTOR_METHOD_CHANGES))
			return kontor_fail(
				err, KONTOR_E_UNAVAILABLE,
				"%s: method %s is inline and changes something: an inline method has no database", file,
				method->name);
		if ((method->flags & KONTOR_METHOD_NO_DATABASE) && (method->flags & KONTOR_METHOD_CHANGES))
			return kontor_fail(err, KONTOR_E_UNAVAILABLE,
					   "%s: method %s has no database and changes something: its key is kept there",
					   file, method->name);
		int rc = check_region(file, method, err);
		if (rc)
			return rc;
		for (size_t j = 0; j < i; j++)
			if (strcmp(api->methods[j].name, method->name) == 0)
				return kontor_fail(err, KONTOR_E_UNAVAILABLE, "%s: method %s is there twice", file,
						   method->name);
	}
	return 0;
}

static int check_kinds(const char *file, const struct kontor_plugin *api, struct kontor_error *err)
{
	size_t name_length = strlen(api->name);
	for (size_t i = 0; i < api->job_kinds_len; i++) {
		const struct kontor_job_kind *kind = &api->job_kinds[i];
		if (!kind->name || strncmp(kind->name, api->name, name_length) != 0 || kind->name[name_length] != '.')
			return kontor_fail(err, KONTOR_E_UNAVAILABLE, "%s: job kind '%s' must be named '%s.VERB'", file,
					   kind->name ? kind->name : "", api->name);
		if (!lane_known(kind->lane))
			return kontor_fail(
				err, KONTOR_E_UNAVAILABLE,
				"%s: job kind %s is for lane '%s'; there are interactive, upload, settle, file, "
				"report",
				file, kind->name, kind->lane ? kind->lane : "");
		if (!kind->plan || !kind->finish)
			return kontor_fail(err, KONTOR_E_UNAVAILABLE, "%s: job kind %s needs plan and finish", file,
					   kind->name);
	}
	for (size_t i = 0; i < api->upload_kinds_len; i++)
		if (!api->upload_kinds[i].name || !api->upload_kinds[i].identify || !api->upload_kinds[i].apply)
			return kontor_fail(err, KONTOR_E_UNAVAILABLE,
					   "%s: upload kind %zu needs a name, identify and apply", file, i);
	return 0;
}

static int check_api(const char *file, const struct kontor_plugin *api, struct kontor_error *err)
{
	struct kontor_text name = name_of_file(file);
	if (!api->name || !kontor_text_is(name, api->name))
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "%s: the plugin in it is named '%s': rename the file to %s.so", file,
				   api->name ? api->name : "", api->name ? api->name : "NAME");
	for (size_t i = 0; i < api->conf_len; i++)
		if (!api->conf[i].key || api->conf[i].offset >= api->self_size)
			return kontor_fail(err, KONTOR_E_UNAVAILABLE,
					   "%s: configuration row %zu lies outside of the plugin's %zu bytes", file, i,
					   api->self_size);
	int rc = check_methods(file, api, err);
	return rc ? rc : check_kinds(file, api, err);
}

static int adopt(const char *file, const struct kontor_plugin *theirs, struct loaded_plugin *plugin,
		 struct kontor_error *err)
{
	int rc = check_abi(file, theirs, err);
	if (!rc)
		rc = copy_tables(file, theirs, &plugin->api, err);
	return rc ? rc : check_api(file, &plugin->api, err);
}

static int open_library(struct loaded_plugin *plugin, const char *file, struct kontor_error *err)
{
	plugin->file = strdup(file);
	plugin->library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!plugin->file || !plugin->library)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "plugin cannot be loaded: %s", dlerror());
	kontor_plugin_entry_function entry;
	void *symbol = dlsym(plugin->library, "kontor_plugin_entry");
	if (!symbol)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "%s is no Kontor plugin: it exports no kontor_plugin_entry", file);
	memcpy(&entry, &symbol, sizeof(entry)); /* POSIX: a function's address fits a void pointer */
	int rc = adopt(file, entry(), plugin, err);
	if (rc)
		return rc;
	plugin->self = calloc(1, plugin->api.self_size ? plugin->api.self_size : 1);
	return plugin->self ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory", file);
}

int loader_open(const char *file, struct loaded_plugin **ret_plugin, struct kontor_error *err)
{
	struct loaded_plugin *plugin = calloc(1, sizeof(*plugin));
	if (!plugin)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	int rc = open_library(plugin, file, err);
	if (rc) {
		loader_close(plugin);
		return rc;
	}
	*ret_plugin = plugin;
	return 0;
}

int loader_built_in(const struct kontor_plugin *api, void *self, struct loaded_plugin **ret_plugin,
		    struct kontor_error *err)
{
	struct loaded_plugin *plugin = calloc(1, sizeof(*plugin));
	if (!plugin)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	int rc = adopt(api->name, api, plugin, err);
	if (rc) {
		loader_close(plugin);
		return rc;
	}
	plugin->self = self;
	*ret_plugin = plugin;
	return 0;
}

int loader_again(const struct loaded_plugin *loaded, struct loaded_plugin **ret_plugin, struct kontor_error *err)
{
	struct loaded_plugin *plugin = calloc(1, sizeof(*plugin));
	if (!plugin)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	plugin->api = loaded->api;
	plugin->shares_tables = true;
	plugin->file = strdup(loaded->file);
	plugin->self = calloc(1, plugin->api.self_size ? plugin->api.self_size : 1);
	if (!plugin->file || !plugin->self) {
		loader_close(plugin);
		return kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory", loaded->api.name);
	}
	*ret_plugin = plugin;
	return 0;
}

static void free_tables(struct kontor_plugin *api)
{
	free((void *)api->methods);
	free((void *)api->conf);
	free((void *)api->job_kinds);
	free((void *)api->upload_kinds);
	free((void *)api->schema);
}

struct loaded_plugin *loader_close(struct loaded_plugin *plugin)
{
	if (!plugin)
		return NULL;
	if (!plugin->shares_tables)
		free_tables(&plugin->api);
	if (plugin->file)
		free(plugin->self);
	/* The library stays: leak checkers and late destructors of its libraries' threads need its code. */
	free((void *)plugin->file);
	free(plugin);
	return NULL;
}
