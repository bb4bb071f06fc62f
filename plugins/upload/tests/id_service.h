/* SPDX-License-Identifier: Apache-2.0
 *
 * idgen.next for tests of one plugin: ids from a counter, over a real socket, without a second database.
 */
#ifndef ID_SERVICE_H
#define ID_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <zmq.h>

#include "kontor/client.h"

#define ID_SERVICE_ENDPOINT "inproc://ids"

static struct {
	void *context, *router;
	pthread_t thread;
	atomic_bool stop;
	uint64_t next;
} id_service;

static void id_service_send(const void *peer, size_t peer_size, const struct kontor_frame_header *header,
			    kontor_writer *body)
{
	const void *data;
	size_t size;
	kontor_writer *w = kontor_writer_new();
	kontor_frame_write(w, header);
	zmq_send(id_service.router, peer, peer_size, ZMQ_SNDMORE);
	kontor_writer_finish(w, &data, &size, NULL);
	zmq_send(id_service.router, data, size, ZMQ_SNDMORE);
	kontor_writer_finish(body, &data, &size, NULL);
	zmq_send(id_service.router, data, size, 0);
	kontor_writer_free(w);
}

static void id_service_answer(void)
{
	char peer[256], frame[1024];
	struct kontor_frame_header in;
	kontor_body *args = NULL;
	int peer_size = zmq_recv(id_service.router, peer, sizeof(peer), 0);
	int size = zmq_recv(id_service.router, frame, sizeof(frame), 0);
	int rc = kontor_frame_parse(frame, (size_t)size, &in, NULL);
	size = zmq_recv(id_service.router, frame, sizeof(frame), 0);
	if (rc || kontor_body_parse(frame, (size_t)size, &args, NULL))
		return;
	struct kontor_frame_header out = {.version = 1, .kind = KONTOR_FRAME_PONG, .id = in.id};
	kontor_writer *body = kontor_writer_new();
	kontor_write_map(body);
	kontor_put_uint(body, "instance", 1);
	if (in.kind == KONTOR_FRAME_REQUEST) {
		uint64_t count = kontor_get_uint(kontor_body_map(args), "count", 1);
		out.kind = KONTOR_FRAME_REPLY;
		kontor_put_uint(body, "base", id_service.next);
		kontor_put_uint(body, "count", count);
		kontor_put_uint(body, "stride", 1);
		id_service.next += count;
	}
	kontor_write_end(body);
	id_service_send(peer, (size_t)peer_size, &out, body);
	kontor_writer_free(body);
	kontor_body_free(args);
}

static void *id_service_run(void *arg)
{
	(void)arg;
	while (!id_service.stop) {
		zmq_pollitem_t item = {.socket = id_service.router, .events = ZMQ_POLLIN};
		if (zmq_poll(&item, 1, 10) > 0)
			id_service_answer();
	}
	zmq_close(id_service.router);
	return NULL;
}

static int id_service_start(void)
{
	int linger = 0;
	id_service.next = 1000;
	id_service.context = zmq_ctx_new();
	id_service.router = zmq_socket(id_service.context, ZMQ_ROUTER);
	zmq_setsockopt(id_service.router, ZMQ_LINGER, &linger, sizeof(linger));
	if (zmq_bind(id_service.router, ID_SERVICE_ENDPOINT))
		return -1;
	return pthread_create(&id_service.thread, NULL, id_service_run, NULL);
}

static void id_service_stop(void)
{
	id_service.stop = true;
	pthread_join(id_service.thread, NULL);
	zmq_ctx_term(id_service.context);
}

#endif
