/* SPDX-License-Identifier: Apache-2.0
 *
 * An echo, and a relay to one worker.
 */
#include "bare_server.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#define WORKER_ENDPOINT "inproc://worker"

struct bare {
	void *context, *socket;
	size_t header_size, body_size;
};

static void *open_socket(void *context, int type)
{
	void *socket = zmq_socket(context, type);
	zmq_setsockopt(socket, ZMQ_SNDHWM, &(int){0}, sizeof(int));
	zmq_setsockopt(socket, ZMQ_RCVHWM, &(int){0}, sizeof(int));
	return socket;
}

static void send_blank(void *socket, size_t size, int more)
{
	zmq_msg_t frame;
	zmq_msg_init_size(&frame, size);
	memset(zmq_msg_data(&frame), 0, size);
	zmq_msg_send(&frame, socket, more);
}

static int answer(const struct bare *bare)
{
	zmq_msg_t route, frame;
	zmq_msg_init(&route);
	zmq_msg_init(&frame);
	for (;;) {
		if (zmq_msg_recv(&route, bare->socket, 0) < 0)
			return 1;
		do
			zmq_msg_recv(&frame, bare->socket, 0);
		while (zmq_msg_more(&frame));
		zmq_msg_send(&route, bare->socket, ZMQ_SNDMORE); /* leaves it empty */
		send_blank(bare->socket, bare->header_size, ZMQ_SNDMORE);
		send_blank(bare->socket, bare->body_size, 0);
	}
}

int bare_echo(const char *endpoint, size_t header_size, size_t body_size)
{
	void *context = zmq_ctx_new();
	struct bare bare = {context, open_socket(context, ZMQ_ROUTER), header_size, body_size};
	const char *secret_key = getenv("BARE_SECRET_KEY");
	if (secret_key) {
		zmq_setsockopt(bare.socket, ZMQ_CURVE_SERVER, &(int){1}, sizeof(int));
		zmq_setsockopt(bare.socket, ZMQ_CURVE_SECRETKEY, secret_key, strlen(secret_key) + 1);
	}
	return zmq_bind(bare.socket, endpoint) ? 1 : answer(&bare);
}

static void *worker_main(void *arg)
{
	struct bare *bare = arg;
	bare->socket = open_socket(bare->context, ZMQ_DEALER);
	if (zmq_connect(bare->socket, WORKER_ENDPOINT) == 0)
		answer(bare);
	return NULL;
}

/* All messages that are there. */
static void pass_on(void *from, void *to)
{
	zmq_msg_t frame;
	zmq_msg_init(&frame);
	for (bool more = false; zmq_msg_recv(&frame, from, more ? 0 : ZMQ_DONTWAIT) >= 0;) {
		more = zmq_msg_more(&frame);
		zmq_msg_send(&frame, to, more ? ZMQ_SNDMORE : 0);
	}
}

int bare_relay(const char *endpoint, size_t header_size, size_t body_size)
{
	void *context = zmq_ctx_new(), *outside = open_socket(context, ZMQ_ROUTER),
	     *workers = open_socket(context, ZMQ_DEALER);
	struct bare worker = {context, NULL, header_size, body_size};
	pthread_t thread;
	if (zmq_bind(workers, WORKER_ENDPOINT) || zmq_bind(outside, endpoint) ||
	    pthread_create(&thread, NULL, worker_main, &worker))
		return 1;
	zmq_pollitem_t items[] = {{.socket = outside, .events = ZMQ_POLLIN}, {.socket = workers, .events = ZMQ_POLLIN}};
	while (zmq_poll(items, 2, -1) >= 0) {
		if (items[0].revents)
			pass_on(outside, workers);
		if (items[1].revents)
			pass_on(workers, outside);
	}
	return 1;
}
