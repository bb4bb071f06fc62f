/* SPDX-License-Identifier: Apache-2.0
 *
 * Plugins in memory. The built-in services are plugins too: the same struct, compiled into kontord.
 */
#ifndef KONTORD_LOADER_H
#define KONTORD_LOADER_H

#include <stdatomic.h>
#include <stdio.h>

#include "kontor/plugin.h"

/* Options of a `plugin "x"` block that belong to the host. */
struct plugin_options {
	int64_t workers;       /* threads */
	int64_t queue;         /* requests that may wait for a worker */
	uint64_t queue_bytes;  /* their size together */
	int64_t queue_time_ms; /* how long they should wait; 0: any time */
};

struct loaded_plugin {
	struct kontor_plugin api; /* as this host knows it; its arrays are copies with this host's element sizes */
	const char *file;         /* NULL: built in */
	void *library;
	void *self;
	struct plugin_options options;
	bool shares_tables;   /* loader_again() */
	_Atomic bool started; /* its start() succeeded */
	_Atomic bool ill;     /* its health() said so last */
	_Atomic bool listed;  /* the front knows its methods */
	/* When a reload takes it out: */
	_Atomic bool leaving;   /* no new request and no new job step is begun */
	_Atomic bool jobs_stop; /* its job steps stop at their next checkpoint */
	bool drained;           /* its drain() was called */
	int64_t leaving_ms;     /* kontor_monotonic_ms() when that began, or when it was last complained about */
	struct loaded_plugin *next_retired;
};

/* Loads one file: name = the file's name without ".so". Refuses another ABI major with the file, both versions and the
 * cure, and whatever would make the host fail later. `self` is allocated, zeroed. */
int loader_open(const char *file, struct loaded_plugin **ret_plugin, struct kontor_error *err);
/* The same for a plugin that is part of kontord; its `self` is the caller's. */
int loader_built_in(const struct kontor_plugin *api, void *self, struct loaded_plugin **ret_plugin,
		    struct kontor_error *err);
/* A second `self` for the code of a plugin that is loaded already, for a new configuration of it. `loaded` stays
 * longer.
 */
int loader_again(const struct loaded_plugin *loaded, struct loaded_plugin **ret_plugin, struct kontor_error *err);
struct loaded_plugin *loader_close(struct loaded_plugin *plugin); /* NULL is fine; returns NULL */

/* key=value lines for --dump-plugin. */
void loader_dump(const struct loaded_plugin *plugin, FILE *out);
const char *loader_conf_type_name(enum kontor_conf_type type);         /* "int" */
const char *loader_visibility_name(enum kontor_visibility visibility); /* "public" */

#endif
