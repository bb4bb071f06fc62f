/* SPDX-License-Identifier: Apache-2.0
 *
 * The ZAP handler (ZeroMQ RFC 27): libzmq asks it for each connection by tcp whether its key may get in. One thread,
 * one handler in a process. It answers by the configuration in force.
 */
#ifndef KONTORD_ZAP_H
#define KONTORD_ZAP_H

#include <stdbool.h>

#include "kontor/keys.h"
#include "unit.h"

struct zap;

/* Keys of the start-up proof: the handler lets the guest in and refuses the stranger, without a word in the log. */
struct zap_proof {
	char guest[KONTOR_KEY_TEXT_SIZE], stranger[KONTOR_KEY_TEXT_SIZE];
};

/* What is known of the connections that showed a key. */
struct zap_seen {
	char key[KONTOR_KEY_TEXT_SIZE];
	uint64_t connections;
	int64_t last_ms; /* unix time of the last one */
};

/* What the guarded socket's monitor tells, for the handler's thread to count. Not ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
 * in libzmq 4.3.4 telling of it overwrites errno, and a connection whose messages repeat then stays open for ever. */
#define ZAP_EVENTS (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED)

/* Answers when it returns. `events` is the endpoint of that monitor. */
int zap_start(struct unit *unit, const char *events, struct zap **ret_zap, struct kontor_error *err);
struct zap *zap_stop(struct zap *zap); /* NULL is fine; returns NULL */

/* The message property by which libzmq hands the handler's answer to the front: the key, as it stands in users.conf. */
#define ZAP_KEY_PROPERTY "User-Id"

void zap_set_proof(struct zap *zap, const struct zap_proof *proof); /* NULL: none any more */
/* Milliseconds since the thread turned its loop; more than a second or so means that it stands still. Any thread. */
int64_t zap_silent_ms(const struct zap *zap);
/* False: the key has not connected since the start. Any thread. */
bool zap_find_seen(struct zap *zap, const char *key, struct zap_seen *ret_seen);

#endif
