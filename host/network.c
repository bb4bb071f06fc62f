/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "counters.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "sockets.h"
#include "zap.h"

#define EVENTS_ENDPOINT "inproc://network-events"
#define STUCK_MS 5000 /* a handler that is silent for longer does not answer: nobody new gets in */

struct network {
	struct kontor_key_pair own;
	void *router; /* until the front takes it */
	struct zap *zap;
	_Atomic bool ill;
};

static bool binds_by_tcp(const struct unit_config *config)
{
	for (const char *const *endpoint = config->options.bind; *endpoint; endpoint++)
		if (strncmp(*endpoint, "tcp://", 6) == 0)
			return true;
	return false;
}

/* The monitor exists before the handler's thread, which reads it, and before anybody can connect. */
static int open_router(struct network *network, void *zmq, struct kontor_error *err)
{
	network->router = socket_open(zmq, ZMQ_ROUTER);
	if (!network->router || zmq_socket_monitor(network->router, EVENTS_ENDPOINT, ZAP_EVENTS) < 0)
		return kontor_fail(err, KONTOR_E_INTERNAL, "cannot make a socket for the network: %s",
				   zmq_strerror(zmq_errno()));
	return socket_guard(network->router, &network->own, err);
}

int network_start(struct unit *unit, struct kontor_error *err)
{
	const struct unit_config *config = unit->config;
	if (!binds_by_tcp(config))
		return 0;
	struct network *network = calloc(1, sizeof(*network));
	if (!network)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the network");
	unit->network = network;
	int rc = kontor_key_load(config->options.key_file, &network->own, err);
	if (!rc)
		rc = open_router(network, unit->zmq, err);
	if (!rc)
		rc = zap_start(unit, EVENTS_ENDPOINT, &network->zap, err);
	if (!rc)
		rc = network_prove(unit, &network->own, network->zap, err);
	if (rc)
		network_stop(unit);
	return rc;
}

void network_stop(struct unit *unit)
{
	struct network *network = unit->network;
	if (!network)
		return;
	unit->network = NULL;
	if (network->router)
		zmq_close(network->router);
	zap_stop(network->zap);
	explicit_bzero(network, sizeof(*network));
	free(network);
}

void *network_take_router(struct unit *unit)
{
	void *router = unit->network ? unit->network->router : NULL;
	if (router)
		unit->network->router = NULL;
	return router;
}

bool network_is_well(struct unit *unit)
{
	struct network *network = unit->network;
	if (!network)
		return true;
	bool ill = zap_silent_ms(network->zap) > STUCK_MS;
	if (atomic_exchange(&network->ill, ill) != ill)
		kontor_log(ill ? KONTOR_LOG_ERROR : KONTOR_LOG_NOTICE,
			   ill ? "the handler of keys stands still" : "the handler of keys answers again", "effect=%s",
			   ill ? KONTOR_QUOTED("nobody new gets in by tcp; the unit must be restarted")
			       : KONTOR_QUOTED("keys are judged"));
	return !ill;
}

/* ---- what is told of it ------------------------------------------------------------------------------------------ */

void network_put(const struct unit *unit, kontor_writer *w)
{
	const struct unit_config *config = unit->config;
	struct network *network = unit->network;
	if (!network)
		return;
	kontor_put_map(w, "network");
	kontor_put_string(w, "public_key", network->own.public_key);
	kontor_put_bool(w, "well", !network->ill);
	kontor_put_uint(w, "keys", config->keys_len);
	kontor_put_uint(w, "revoked_keys", config->revoked_len);
	kontor_write_end(w);
}

static void put_key(kontor_writer *w, struct zap *zap, const struct key_entry *entry, bool revoked)
{
	struct zap_seen seen;
	kontor_write_map(w);
	kontor_put_string(w, "user", entry->user->name);
	kontor_put_string(w, "key", entry->key);
	kontor_put_string(w, "state", revoked ? "revoked" : "valid");
	if (zap && zap_find_seen(zap, entry->key, &seen)) {
		kontor_put_uint(w, "connections", seen.connections);
		kontor_put_time(w, "last_connected", seen.last_ms);
	}
	kontor_write_end(w);
}

int network_list_keys(void *self, kontor_request *request)
{
	const struct unit *unit = self;
	const struct unit_config *config = unit->config;
	kontor_writer *w = kontor_reply(request);
	kontor_put_array(w, "rows");
	for (size_t i = 0; i < config->keys_len; i++)
		put_key(w, unit->network ? unit->network->zap : NULL, &config->keys[i],
			unit_config_key_revoked(config, config->keys[i].key));
	kontor_write_end(w);
	return 0;
}
