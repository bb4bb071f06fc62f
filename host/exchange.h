/* SPDX-License-Identifier: Apache-2.0
 *
 * One request and its reply, on their way front -> worker -> front. One thread at a time owns it: it travels as a
 * pointer over the inproc sockets between the front and its workers.
 */
#ifndef KONTORD_EXCHANGE_H
#define KONTORD_EXCHANGE_H

#include <zmq.h>

#include "kontor/client.h"
#include "kontor/user.h"
#include "request.h"
#include "unit.h"

/* A socket of the front's loop. libzmq tells of what arrives by `fd`, and of each arrival only once: what a receive or
 * a send has seen of it already is told no more. Whoever sends on the socket therefore says that it is to be looked at.
 */
struct source {
	void *socket;
	int fd;
	bool unread; /* may hold messages that fd does not tell of */
};

/* Where a request came from and its reply goes. */
struct caller {
	struct source *source;
	zmq_msg_t route; /* the routing id; the reply takes it away */
	bool delimiter;  /* a REQ socket: the reply mirrors its empty frame */
	bool inside;     /* inproc: this unit itself */
};

struct pool;

struct exchange {
	struct exchange *next; /* in the queue of its pool, or among its running ones */
	struct caller caller;
	struct kontor_frame_header header;
	struct kontor_user user;
	zmq_msg_t body;
	struct loaded_plugin *plugin;
	struct pool *pool; /* of the plugin */
	const struct kontor_method *method;
	int64_t received_us, queued_us, started_us; /* CLOCK_MONOTONIC */
	int64_t deadline_ms;                        /* kontor_monotonic_ms() */
	atomic_bool cancelled;                      /* set by the front while a worker runs it */
	bool reply_lost;                            /* by a fault of the configuration: its reply is not sent */
	int64_t due_us;                             /* of a request that such a fault delays */
	_Atomic unsigned hops; /* counts hand-overs: race checkers do not see those that libzmq makes */
	/* filled by the worker: the result when error.code is 0 */
	zmq_msg_t result;
	struct kontor_error error;
};

struct exchange *exchange_new(void);
struct exchange *exchange_free(struct exchange *exchange); /* NULL is fine; returns NULL */
int64_t monotonic_us(void);

/* The pointer itself as one frame; exchange may be NULL. False: zmq_errno(). */
bool exchange_send(void *socket, struct exchange *exchange, int flags);
bool exchange_receive(void *socket, struct exchange **ret_exchange, int flags);

/* Runs the method in this thread. 0: the result is in *ret_data, which is *request's until its next use. */
int exchange_run(const struct unit *unit, struct exchange *exchange, kontor_conn *conn, kontor_request **request,
		 const void **ret_data, size_t *ret_size);

#endif
