/* SPDX-License-Identifier: Apache-2.0
 *
 * The idgen plugin: 63-bit ids, many per round trip, never twice. Entry, configuration and life cycle.
 *
 *   methods.c    what it answers; `next` runs inline and takes from
 *   allocator.c  the counter and its window, which
 *   reserver.c   keeps reserved in the database ahead of use
 *   cluster.c    which datacenter id the database belongs to
 */
#include "idgen.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kontor/host.h"
#include "kontor/log.h"

static const struct kontor_conf_row conf[] = {
	{.key = "claim",
	 .type = KONTOR_CONF_ENUM,
	 .offset = offsetof(struct idgen, claim),
	 .default_text = "manual",
	 .choices = "manual|auto",
	 .help = "Who binds a new database to the datacenter id: `manual` an operator with `kontor id claim`, "
		 "`auto` the unit itself (for development: it cannot know whether another database has the id)."},
};

static const struct kontor_arg next_args[] = {
	{.name = "namespace",
	 .type = KONTOR_ARG_NAME,
	 .required = true,
	 .help = "billing-item, payout, job, file or default"},
	{.name = "count",
	 .type = KONTOR_ARG_INT,
	 .min = 1,
	 .max = KONTOR_ID_GRANT_LIMIT,
	 .help = "how many ids, 1 unless given"},
};

static const struct kontor_arg decode_args[] = {
	{.name = "id", .type = KONTOR_ARG_ID, .required = true, .help = "an id of layout std63"},
	{.name = "namespace",
	 .type = KONTOR_ARG_NAME,
	 .help = "what it was issued for; all namespaces have layout std63"},
};

static const struct kontor_arg claim_args[] = {
	{.name = "alone",
	 .type = KONTOR_ARG_BOOL,
	 .help = "the operator's word that no other database gives ids for this datacenter id"},
};

#define ARGS(table) .args = (table), .args_len = sizeof(table) / sizeof((table)[0])

static const struct kontor_method methods[] = {
	{.name = "next",
	 .flags = KONTOR_METHOD_INLINE,
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_VIEWER,
	 ARGS(next_args),
	 .help = "Ids base, base + stride, ... that were never issued before and never will be again.",
	 .handle = idgen_next},
	{.name = "decode",
	 .flags = KONTOR_METHOD_INLINE,
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_VIEWER,
	 ARGS(decode_args),
	 .help = "Time, datacenter, slot and sequence of an id.",
	 .handle = idgen_decode},
	{.name = "claim",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_ADMIN,
	 ARGS(claim_args),
	 .help = "Binds this database to the configured datacenter id, once.",
	 .handle = idgen_claim},
	{.name = "stats",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 .help = "The slot and window of this unit, and all slots of the datacenter.",
	 .handle = idgen_stats},
};

static int start(void *self, kontor_host *host, struct kontor_error *err)
{
	struct idgen *idgen = self;
	unsigned datacenter = kontor_host_datacenter_id(host);
	if (datacenter < 1 || datacenter > LAYOUT_DATACENTERS)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "datacenter id %u: set `id` in the datacenter's file to 1-%d, different in each one",
				   datacenter, LAYOUT_DATACENTERS);
	allocator_init(&idgen->allocator, datacenter);
	struct reserver *reserver = &idgen->reserver;
	*reserver = (struct reserver){.db = kontor_host_db(host),
				      .allocator = &idgen->allocator,
				      .namespaces = &idgen->namespaces,
				      .datacenter = datacenter,
				      .claim_auto = strcmp(idgen->claim, "auto") == 0,
				      .clock = reserver_clock};
	char machine[64] = "";
	gethostname(machine, sizeof(machine) - 1);
	snprintf(reserver->owner, sizeof(reserver->owner), "%.32s@%.63s", kontor_host_unit(host), machine);

	/* The first window now, so that the first request finds it. A database that is away or not bound yet is waited
	 * for in the reserver's thread; a wrong datacenter id is never right later. */
	struct kontor_error first = KONTOR_ERROR_INIT;
	if (reserver_step(reserver, &first) == KONTOR_E_CONFLICT) {
		allocator_destroy(&idgen->allocator);
		return kontor_fail(err, first.code, "%s", first.message);
	}
	return reserver_start(reserver, err);
}

static int health(void *self, struct kontor_error *err)
{
	struct idgen *idgen = self;
	struct allocator_state state;
	allocator_look(&idgen->allocator, reserver_clock(), &state);
	if (state.slot && state.left_ms > 0)
		return 0;
	return kontor_fail(err, KONTOR_E_UNAVAILABLE, "no window of ids: %s", state.reason);
}

static void drain(void *self)
{
	reserver_stop_soon(&((struct idgen *)self)->reserver);
}

static void stop(void *self)
{
	struct idgen *idgen = self;
	reserver_stop(&idgen->reserver);
	allocator_destroy(&idgen->allocator);
}

static void status(void *self, kontor_writer *w)
{
	struct idgen *idgen = self;
	struct allocator_state state;
	allocator_look(&idgen->allocator, reserver_clock(), &state);
	kontor_put_uint(w, "datacenter", idgen->reserver.datacenter);
	kontor_put_uint(w, "slot", state.slot);
	kontor_put_uint(w, "epoch", state.epoch);
	kontor_put_int(w, "window_left_ms", state.left_ms);
	kontor_put_uint(w, "issued", state.issued);
	kontor_put_uint(w, "refused", state.refused);
	kontor_put_string(w, "problem", state.reason[0] ? state.reason : NULL);
}

static struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "idgen",
	.version = KONTOR_VERSION,
	.summary = "Unique 63-bit ids, many per round trip.",
	.self_size = sizeof(struct idgen),
	.conf = conf,
	.conf_len = sizeof(conf) / sizeof(conf[0]),
	.methods = methods,
	.methods_len = sizeof(methods) / sizeof(methods[0]),
	.start = start,
	.health = health,
	.drain = drain,
	.stop = stop,
	.status = status,
};

KONTOR_PLUGIN_WITH_SCHEMA(plugin, idgen_schema)
