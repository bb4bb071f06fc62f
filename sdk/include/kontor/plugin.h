/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin ABI. A plugin is one shared object that exports one symbol, kontor_plugin_entry:
 *
 *   static const struct kontor_plugin plugin = { KONTOR_PLUGIN_ABI, .name = "hello", ... };
 *   KONTOR_PLUGIN(plugin)
 *
 * Life cycle, in the host's main thread unless said otherwise:
 *
 *   load -> configuration filled into `self` -> check -> (database, schema checked) -> start
 *        -> worker_start (each worker and lane thread) -> handlers, job steps -> worker_stop -> drain -> stop -> exit
 *                                          ^ reload (SIGHUP), health (timer)
 *
 * A reload may also take a plugin into a unit that runs, from `load` on, or out of it, from worker_stop to stop. A
 * `self` is never started twice; a plugin that comes back gets a new one.
 */
#ifndef KONTOR_PLUGIN_H
#define KONTOR_PLUGIN_H

#include "kontor/client.h"
#include "kontor/conf.h"
#include "kontor/ids.h"
#include "kontor/job.h"
#include "kontor/method.h"
#include "kontor/region.h"
#include "kontor/upload.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* MAJOR: something was changed or removed, plugins must be rebuilt. MINOR: something was appended.
 * 1.0 (2026-11): first. */
#define KONTOR_ABI_MAJOR 1
#define KONTOR_ABI_MINOR 0

/* Grows only at its end; the host copies min(struct_size) bytes and zeroes the rest. Arrays are stepped by the plugin's
 * own element size. */
struct kontor_plugin {
	uint32_t struct_size;
	uint16_t abi_major, abi_minor;
	uint32_t method_size, conf_size, job_kind_size, upload_kind_size, schema_step_size, reserved;

	const char *name;         /* file name without .so: "payout"; also the service that it answers for */
	const char *version;      /* of the plugin */
	const char *summary;      /* one sentence */
	const char *const *calls; /* services that it calls, NULL-terminated: the host refuses cycles */

	size_t self_size;                   /* the host allocates (zeroed) and frees `self` */
	const struct kontor_conf_row *conf; /* fills self at the rows' offsets */
	size_t conf_len;
	const struct kontor_method *methods;
	size_t methods_len;
	const struct kontor_job_kind *job_kinds;
	size_t job_kinds_len;
	const struct kontor_upload_kind *upload_kinds;
	size_t upload_kinds_len;
	const struct kontor_schema_step *schema; /* its own tables */
	size_t schema_len;

	/* All optional. Non-zero = failed, with err filled. */
	int (*check)(const void *self, struct kontor_error *err); /* pure: no file, no socket, no database */
	int (*start)(void *self, kontor_host *host, struct kontor_error *err);
	int (*worker_start)(void *self, struct kontor_error *err); /* in the new thread */
	void (*worker_stop)(void *self);                           /* in the ending thread */
	/* Takes options whose row says `reloadable`. Strings and lists of new_self may be kept, itself may not. NULL:
	 * every option needs a restart. */
	int (*reload)(void *self, const void *new_self, struct kontor_error *err);
	int (*health)(void *self, struct kontor_error *err);
	void (*drain)(void *self); /* stop own threads and timers soon */
	void (*stop)(void *self);  /* all workers have ended */
	/* Entries {key: value} for kontor.status; any thread. */
	void (*status)(void *self, kontor_writer *w);
};

#define KONTOR_PLUGIN_ABI                                                                                              \
	.struct_size = sizeof(struct kontor_plugin), .abi_major = KONTOR_ABI_MAJOR, .abi_minor = KONTOR_ABI_MINOR,     \
	.method_size = sizeof(struct kontor_method), .conf_size = sizeof(struct kontor_conf_row),                      \
	.job_kind_size = sizeof(struct kontor_job_kind), .upload_kind_size = sizeof(struct kontor_upload_kind),        \
	.schema_step_size = sizeof(struct kontor_schema_step)

#ifdef __cplusplus
#define KONTOR_PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define KONTOR_PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

#define KONTOR_PLUGIN(plugin)                                                                                          \
	KONTOR_PLUGIN_EXPORT const struct kontor_plugin *kontor_plugin_entry(void);                                    \
	const struct kontor_plugin *kontor_plugin_entry(void)                                                          \
	{                                                                                                              \
		return &(plugin);                                                                                      \
	}

/* The same for a plugin with tables (kontor_add_plugin(... SCHEMA ...)): fills schema and schema_len, which are made by
 * the build and no constants for the compiler. `plugin` is a static struct that is not const. */
#define KONTOR_PLUGIN_WITH_SCHEMA(plugin, steps)                                                                       \
	extern const struct kontor_schema_step steps[];                                                                \
	extern const size_t steps##_len;                                                                               \
	KONTOR_PLUGIN_EXPORT const struct kontor_plugin *kontor_plugin_entry(void);                                    \
	const struct kontor_plugin *kontor_plugin_entry(void)                                                          \
	{                                                                                                              \
		(plugin).schema = (steps);                                                                             \
		(plugin).schema_len = steps##_len;                                                                     \
		return &(plugin);                                                                                      \
	}

typedef const struct kontor_plugin *(*kontor_plugin_entry_function)(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
