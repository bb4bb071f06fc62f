/* SPDX-License-Identifier: Apache-2.0 */
#include "sockets.h"

#include <string.h>
#include <sys/stat.h>

#include <zmq.h>

#include "frame.h"

#define HANDSHAKE_MS 5000
#define HIGH_WATER_MARK 1000 /* messages per peer; what really bounds the work are the pools' queues */
/* Beyond it libzmq drops the connection without a word, so what is a little too big comes in and is answered TOO_BIG.
 */
#define ANSWERED_FRAME_LIMIT (2 * KONTOR_FRAME_LIMIT)
#define KEEPALIVE_IDLE_S 30 /* a peer behind a cable that was pulled is dropped after a minute, not after two hours */
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_COUNT 3
#define RETRANSMIT_MS 10000

/* Draft in zmq.h, obeyed by the library. Without it, libzmq 4.3.4 lets everybody in while no handler runs. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif
#define ZAP_DOMAIN "kontor"

static int set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value));
}

void *socket_open(void *zmq, int type)
{
	void *socket = zmq_socket(zmq, type);
	if (!socket)
		return NULL;
	/* No ZMQ_HEARTBEAT_IVL: in libzmq 4.3.4 it aborts the process and loses messages (issue 3937 there). */
	set_int(socket, ZMQ_LINGER, 0);
	if (type == ZMQ_ROUTER)
		set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
	zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &(int64_t){ANSWERED_FRAME_LIMIT}, sizeof(int64_t));
	set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
	set_int(socket, ZMQ_SNDHWM, HIGH_WATER_MARK);
	set_int(socket, ZMQ_RCVHWM, HIGH_WATER_MARK);
	return socket;
}

static int enforce_zap(void *socket)
{
	/* The domain first: option 93 without one asks no handler at all. */
	int rc = zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN));
	return rc ? rc : set_int(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
}

static int keep_alive(void *socket)
{
	return set_int(socket, ZMQ_TCP_KEEPALIVE, 1) | set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S) |
	       set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S) |
	       set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT) | set_int(socket, ZMQ_TCP_MAXRT, RETRANSMIT_MS);
}

int socket_guard(void *socket, const struct kontor_key_pair *own, struct kontor_error *err)
{
	int rc = set_int(socket, ZMQ_CURVE_SERVER, 1);
	if (!rc)
		rc = zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own->secret_key, KONTOR_KEY_TEXT_SIZE);
	if (!rc)
		rc = enforce_zap(socket);
	if (!rc)
		rc = keep_alive(socket);
	return rc ? kontor_fail(err, KONTOR_E_INTERNAL, "this libzmq cannot ask for keys: %s",
				zmq_strerror(zmq_errno()))
		  : 0;
}

int socket_bind(void *socket, const char *endpoint, struct kontor_error *err)
{
	set_int(socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL); /* tcp://[::]:7411 */
	mode_t before = umask(0117);                              /* ipc: 0660 from its first moment */
	int rc = zmq_bind(socket, endpoint);
	int error = zmq_errno();
	umask(before);
	return rc < 0 ? kontor_fail(err, KONTOR_E_UNAVAILABLE, "cannot listen at %s: %s", endpoint, zmq_strerror(error))
		      : 0;
}
