/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit with idgen for tests of its clients: answers idgen.next over a real ipc socket from a counter of its own,
 * and behaves badly when told so. Its ids are counter * PEER_STRIDE + number of the peer.
 */
#ifndef IDS_PEER_H
#define IDS_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "kontor/client.h"
#include "kontor/time.h"

#define PEER_STRIDE 16
#define PEER_KEPT_LIMIT 64

struct peer_reply {
	char identity[64], header[256], body[256];
	int identity_size, header_size, body_size;
};

struct peer {
	unsigned number; /* 1-15 */
	char endpoint[64];
	pthread_t thread;
	void *context, *router;
	atomic_bool stop;
	atomic_ulong counter;   /* the next one that is granted */
	atomic_uint requests;   /* idgen.next that arrived */
	atomic_uint last_count; /* of the last one */
	atomic_int refuse;      /* a code that idgen.next is answered with; 0: grants */
	atomic_bool deaf;       /* reads and answers nothing */
	atomic_uint delay_ms;   /* between allocating and answering */
	atomic_bool repeat;     /* sends each reply twice, and every older one once more */
	atomic_int wrong;       /* 1-4: the answer is no range of so many ids, in one of these ways */
	atomic_int keep;        /* so many replies are kept back, and sent just before the next one that is not */
	struct peer_reply kept[PEER_KEPT_LIMIT];
	size_t kept_len;
};

static void peer_deliver(struct peer *peer, const struct peer_reply *reply)
{
	zmq_send(peer->router, reply->identity, (size_t)reply->identity_size, ZMQ_SNDMORE);
	zmq_send(peer->router, reply->header, (size_t)reply->header_size, ZMQ_SNDMORE);
	zmq_send(peer->router, reply->body, (size_t)reply->body_size, 0);
}

static int peer_copy(kontor_writer *w, char *out, size_t out_size)
{
	const void *data = NULL;
	size_t size = 0;
	if (kontor_writer_finish(w, &data, &size, NULL) || size > out_size)
		abort();
	memcpy(out, data, size);
	kontor_writer_free(w);
	return (int)size;
}

static void peer_write(struct peer_reply *reply, const struct kontor_frame_header *header, kontor_writer *body)
{
	kontor_writer *w = kontor_writer_new();
	kontor_write_end(body);
	kontor_frame_write(w, header);
	reply->header_size = peer_copy(w, reply->header, sizeof(reply->header));
	reply->body_size = peer_copy(body, reply->body, sizeof(reply->body));
}

static void peer_send(struct peer *peer, const struct peer_reply *reply)
{
	if (peer->keep > 0 && peer->kept_len < PEER_KEPT_LIMIT) {
		peer->keep--;
		peer->kept[peer->kept_len++] = *reply;
		return;
	}
	for (size_t i = 0; i < peer->kept_len; i++)
		peer_deliver(peer, &peer->kept[i]);
	peer_deliver(peer, reply);
	if (!peer->repeat) {
		peer->kept_len = 0;
		return;
	}
	peer_deliver(peer, reply);
	peer->kept[peer->kept_len < PEER_KEPT_LIMIT ? peer->kept_len++ : 0] = *reply;
}

static void peer_next(struct peer *peer, struct peer_reply *reply, uint64_t id, const kontor_body *args)
{
	struct kontor_frame_header header = {.version = 1, .kind = KONTOR_FRAME_REPLY, .id = id};
	kontor_writer *body = kontor_writer_new();
	uint64_t count = kontor_get_uint(kontor_body_map(args), "count", 1);
	kontor_write_map(body);
	peer->requests++;
	peer->last_count = (unsigned)count;
	if (peer->refuse) {
		header.kind = KONTOR_FRAME_ERROR;
		kontor_put_int(body, "code", peer->refuse);
		kontor_put_string(body, "message", "the peer has been told to refuse");
	} else {
		uint64_t base = atomic_fetch_add(&peer->counter, count) * PEER_STRIDE + peer->number;
		kontor_put_uint(body, "base", peer->wrong == 1 ? 0 : peer->wrong == 2 ? INT64_MAX - 1 : base);
		kontor_put_uint(body, "count", peer->wrong == 3 ? count + 1 : count);
		kontor_put_uint(body, "stride", peer->wrong == 4 ? 0 : PEER_STRIDE);
	}
	peer_write(reply, &header, body);
	if (peer->delay_ms)
		usleep(peer->delay_ms * 1000);
	peer_send(peer, reply);
}

static void peer_take(struct peer *peer)
{
	struct peer_reply reply;
	char frame[1024];
	struct kontor_frame_header in;
	kontor_body *args = NULL;
	reply.identity_size = zmq_recv(peer->router, reply.identity, sizeof(reply.identity), 0);
	int size = zmq_recv(peer->router, frame, sizeof(frame), 0);
	if (kontor_frame_parse(frame, (size_t)size, &in, NULL))
		abort();
	size = zmq_recv(peer->router, frame, sizeof(frame), 0);
	if (peer->deaf || in.kind == KONTOR_FRAME_CANCEL)
		return;
	if (kontor_body_parse(frame, (size_t)size, &args, NULL))
		abort();
	if (in.kind == KONTOR_FRAME_PING) {
		struct kontor_frame_header pong = {.version = 1, .kind = KONTOR_FRAME_PONG, .id = in.id};
		kontor_writer *body = kontor_writer_new();
		kontor_write_map(body);
		kontor_put_uint(body, "instance", peer->number);
		peer_write(&reply, &pong, body);
		peer_deliver(peer, &reply);
	} else
		peer_next(peer, &reply, in.id, args);
	kontor_body_free(args);
}

static void *peer_run(void *arg)
{
	struct peer *peer = arg;
	while (!peer->stop) {
		zmq_pollitem_t item = {.socket = peer->router, .events = ZMQ_POLLIN};
		if (zmq_poll(&item, 1, 10) > 0)
			peer_take(peer);
	}
	zmq_close(peer->router);
	return NULL;
}

static void peer_begin(struct peer *peer, unsigned number)
{
	int linger = 0, enough = 0;
	memset(peer, 0, sizeof(*peer));
	peer->number = number;
	peer->counter = 1;
	snprintf(peer->endpoint, sizeof(peer->endpoint), "ipc:///tmp/kontor-ids-test.%d.%u", (int)getpid(), number);
	peer->context = zmq_ctx_new();
	peer->router = zmq_socket(peer->context, ZMQ_ROUTER);
	zmq_setsockopt(peer->router, ZMQ_LINGER, &linger, sizeof(linger));
	zmq_setsockopt(peer->router, ZMQ_SNDHWM, &enough, sizeof(enough));
	if (zmq_bind(peer->router, peer->endpoint) || pthread_create(&peer->thread, NULL, peer_run, peer))
		abort();
}

static inline void peer_end(struct peer *peer)
{
	peer->stop = true;
	pthread_join(peer->thread, NULL);
	zmq_ctx_term(peer->context);
	unlink(peer->endpoint + strlen("ipc://"));
}

#endif
