/* SPDX-License-Identifier: Apache-2.0
 *
 * One DEALER to one endpoint, used by one thread: is somebody there, send, wait for the answer. Not installed.
 */
#ifndef KONTOR_CLIENT_SOCKET_H
#define KONTOR_CLIENT_SOCKET_H

#include <stdbool.h>

#include "kontor/client.h"

/* ZMQ_MAXMSGSIZE etc. of plugin-hosts.md 3.1 are set in one place, client_socket.c. */
struct kontor_client_socket;
struct kontor_key_pair;

struct kontor_client_request {
	const char *method, *key, *caller; /* key and caller may be NULL */
	const void *body;
	size_t body_size;
	int64_t deadline_ms; /* kontor_monotonic_ms() */
	bool elsewhere;      /* there is another place for it: nobody waits here for a connection */
	bool ask_load;       /* a PING goes along, whose PONG tells the load */
};

/* What the last PONG said, of this socket. */
struct kontor_client_pong {
	uint64_t count;                /* of PONGs so far; 0: there was none */
	uint64_t instance, connection; /* 0: not told */
	bool ready;
	unsigned queued, capacity;
};

/* Nothing is opened before the first call. The endpoint and our own key pair (for tcp; NULL: none) are borrowed. NULL
 * when out of memory. */
struct kontor_client_socket *kontor_client_socket_new(void *zmq_context, const struct kontor_endpoint *endpoint,
						      const struct kontor_key_pair *own);
struct kontor_client_socket *kontor_client_socket_free(struct kontor_client_socket *socket);

const struct kontor_client_pong *kontor_client_socket_pong(const struct kontor_client_socket *socket);

/* One attempt. *ret_answered: the peer said so; else UNAVAILABLE: nobody is there, and DRAINING: it is on its way down,
 * nothing was sent; UNKNOWN_OUTCOME: sent, and the peer was lost or silent. */
int kontor_client_socket_call(struct kontor_client_socket *socket, const struct kontor_client_request *request,
			      bool *ret_answered, kontor_body **ret_reply, struct kontor_error *err);

/* Looks whether the peer is there, in steps that never wait: connects, sends a PING, reads what has come. True once a
 * PONG says that it is ready; then it begins anew. */
bool kontor_client_socket_probe(struct kontor_client_socket *socket);
/* The next use opens it anew. */
void kontor_client_socket_close(struct kontor_client_socket *socket);

#endif
