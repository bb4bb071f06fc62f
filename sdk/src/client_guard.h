/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE on the caller's side: the keys of a tcp connection, and why a peer did not let us in. ZeroMQ itself only stays
 * silent: to a caller, a wrong key looks like a machine that is down. Not installed.
 */
#ifndef KONTOR_CLIENT_GUARD_H
#define KONTOR_CLIENT_GUARD_H

#include "kontor/client.h"
#include "kontor/keys.h"

/* Whether an endpoint is reached over a network, which takes keys on both sides. */
bool kontor_endpoint_needs_keys(const char *endpoint);

int kontor_client_load_own(const char *key_file, struct kontor_key_pair **ret_own, struct kontor_error *err);
void kontor_client_free_own(struct kontor_key_pair *own); /* NULL is fine */

/* Sets the keys of a DEALER before it connects; nothing for ipc and inproc. DENIED: a key is missing or is none, which
 * is found before a byte is sent: never is anything sent over a network as it is. own may be NULL. */
int kontor_client_guard(void *dealer, const struct kontor_endpoint *endpoint, const struct kontor_key_pair *own,
			struct kontor_error *err);

/* What happened to the connections of one DEALER until it was let in. */
enum kontor_refusal {
	KONTOR_REFUSAL_NONE,
	KONTOR_REFUSAL_KEY,      /* our key is not known there */
	KONTOR_REFUSAL_CLOSED,   /* it hangs up on us: our idea of its key is wrong, or it is going down */
	KONTOR_REFUSAL_PROTOCOL, /* whoever is there does not speak CURVE, or has not the key that it should have */
};

/* A socket that tells of refusals, to be polled for input. To be closed once the peer is heard: a queue of events that
 * nobody reads would stop libzmq's own thread when it is full. NULL when out of sockets. */
void *kontor_client_watch_open(void *zmq_context, void *dealer);
void kontor_client_watch_close(void *watch, void *dealer); /* a NULL watch is fine */
/* The next event that is there; waits for nothing. */
enum kontor_refusal kontor_client_watch_read(void *watch);

/* The error for it: DENIED when trying again is of no use, else UNAVAILABLE. */
int kontor_client_fail_refused(enum kontor_refusal refusal, const struct kontor_endpoint *endpoint,
			       const struct kontor_key_pair *own, struct kontor_error *err);

#endif
