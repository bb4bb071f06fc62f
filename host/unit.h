/* SPDX-License-Identifier: Apache-2.0
 *
 * A running unit: what its threads share. Filled by lifecycle.c in the order of its stages; fixed afterwards but for
 * the atomics.
 */
#ifndef KONTORD_UNIT_H
#define KONTORD_UNIT_H

#include <signal.h>
#include <stdatomic.h>

#include "kontor/client.h"
#include "kontor/db.h"
#include "kontor/host.h"
#include "loader.h"
#include "unit_config.h"

#define PLUGINS_LIMIT 32u /* of one unit, built-in ones included */

enum unit_state {
	UNIT_STARTING, /* calls are answered UNAVAILABLE */
	UNIT_READY,
	UNIT_DRAINING, /* new calls from outside are answered DRAINING; running work and its own calls go on */
	UNIT_STOPPING, /* all calls are refused */
};
const char *unit_state_name(enum unit_state state);

struct unit {
	const struct args *args;
	_Atomic(struct unit_config *) config; /* replaced by SIGHUP; old ones are kept until the end */
	/* Built-in ones first; NULL: a place that is free again. Written by the main thread alone. A plugin's place is
	 * also that of its pool in the front and of its workers. */
	struct loaded_plugin *_Atomic plugins[PLUGINS_LIMIT];
	_Atomic size_t plugins_len;
	struct loaded_plugin *_Atomic retired; /* that a reload took out: others may still hold their addresses */
	const struct unit *running;            /* of a unit that only judges: whose code is not loaded again */

	const sigset_t *stop_signals; /* what a stage that waits has to watch for */
	bool interrupted;             /* SIGTERM came before the unit was ready, or during a reload */
	bool hangup;                  /* SIGHUP came during a reload */
	uint64_t instance;            /* random: a new one tells callers that calls in flight have ended */
	char owner[128];              /* of job leases */
	int64_t started_ms;
	int lock_fd;
	void *zmq;
	kontor_client *client;
	kontor_db *db;
	kontor_host *host;
	struct network *network; /* NULL: nothing comes by tcp */
	struct front *front;
	struct workers *_Atomic workers;
	struct lanes *lanes;
	struct housekeeping *housekeeping;
	struct announcer *announcer;
	struct connection_guard *guard;
	struct verdicts *verdicts; /* who waits for a reload, and what became of the last one */

	_Atomic enum unit_state state;
	_Atomic bool database_answers; /* as housekeeping saw it last */
};

/* ---- config_check.c ---- */

/* Reads the configuration, loads the unit's plugins, fills their `self` and judges all of it. Returns the number of
 * problems, which are in the configuration; touches no socket, no database and no file but those it reads. */
size_t unit_configure(struct unit *unit, const struct args *args);
void unit_unconfigure(struct unit *unit);
struct loaded_plugin *unit_plugin(const struct unit *unit, const char *name);
/* NULL for a free place. */
static inline struct loaded_plugin *unit_plugin_at(const struct unit *unit, size_t place)
{
	return unit->plugins[place];
}
size_t unit_plugins_count(const struct unit *unit);
const char *unit_plugin_path(struct config *config, const struct args *args, const char *name); /* of its file */
/* The values of one loaded plugin's rows into `self`; problems into the configuration. */
void unit_fill_plugin(struct unit_config *unit_config, struct loaded_plugin *plugin, void *self);

/* ---- call_graph.c ---- */

/* A problem for each circle of plugins that call each other: those that this unit's plugins lead to, and for --check
 * also those of the datacenter's other units. */
void unit_check_calls(struct unit *unit);

#endif
