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
};

/* Nothing is opened before the first call. The endpoint and our own key pair (for tcp; NULL: none) are borrowed. NULL
 * when out of memory. */
struct kontor_client_socket *kontor_client_socket_new(void *zmq_context, const struct kontor_endpoint *endpoint,
						      const struct kontor_key_pair *own);
struct kontor_client_socket *kontor_client_socket_free(struct kontor_client_socket *socket);
const struct kontor_endpoint *kontor_client_socket_endpoint(const struct kontor_client_socket *socket);

/* One attempt. UNAVAILABLE: nobody is there, nothing was sent. UNKNOWN_OUTCOME: sent, and the peer was lost or silent.
 * Else the peer's own answer. */
int kontor_client_socket_call(struct kontor_client_socket *socket, const struct kontor_client_request *request,
			      kontor_body **ret_reply, struct kontor_error *err);

#endif
