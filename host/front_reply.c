/* SPDX-License-Identifier: Apache-2.0
 *
 * What the front sends. Never waits: a caller that has gone or does not read loses its reply, and that is counted.
 */
#include <errno.h>

#include "counters.h"
#include "frame.h"
#include "front.h"

void front_read_clock(struct front *front)
{
	front->now_us = monotonic_us();
	front->unclocked = 1;
}

static bool sent(int rc)
{
	if (rc >= 0)
		return true;
	counter_add(COUNTER_REPLIES_DROPPED); /* EHOSTUNREACH: gone; EAGAIN: its queue is full */
	return false;
}

static bool send_frame(void *socket, const void *data, size_t size, int more)
{
	return sent(zmq_send(socket, data, size, ZMQ_DONTWAIT | more));
}

/* All but the body. */
static bool send_head(struct front *front, struct exchange *exchange, unsigned kind)
{
	struct caller *caller = &exchange->caller;
	if (exchange->reply_lost)
		return false;
	void *socket = caller->source->socket;
	unsigned char header[KONTOR_FRAME_ANSWER_SIZE];
	if (front->unclocked++ % CLOCK_REPLIES == 0)
		front_read_clock(front);
	size_t size = kontor_frame_write_answer(kind, exchange->header.id,
						(uint32_t)(front->now_us - exchange->received_us), header);
	caller->source->unread = true;
	if (caller->source != &front->inside)
		atomic_store_explicit(&front->answered_us, front->now_us, memory_order_relaxed);
	return sent(zmq_msg_send(&caller->route, socket, ZMQ_DONTWAIT | ZMQ_SNDMORE)) &&
	       (!caller->delimiter || send_frame(socket, "", 0, ZMQ_SNDMORE)) &&
	       send_frame(socket, header, size, ZMQ_SNDMORE);
}

static void send_answer(struct front *front, struct exchange *exchange, unsigned kind, const void *body,
			size_t body_size)
{
	if (send_head(front, exchange, kind))
		send_frame(exchange->caller.source->socket, body, body_size, 0);
}

void front_send_result(struct front *front, struct exchange *exchange, const void *data, size_t size)
{
	counter_add(COUNTER_REPLIES);
	send_answer(front, exchange, KONTOR_FRAME_REPLY, data, size);
}

void front_send_message(struct front *front, struct exchange *exchange, zmq_msg_t *body)
{
	counter_add(COUNTER_REPLIES);
	if (send_head(front, exchange, KONTOR_FRAME_REPLY))
		sent(zmq_msg_send(body, exchange->caller.source->socket, ZMQ_DONTWAIT));
}

void front_send_error(struct front *front, struct exchange *exchange, const struct kontor_error *error)
{
	const void *data;
	size_t size;
	kontor_writer *w = front->body_writer;
	counter_add(COUNTER_ERRORS);
	kontor_writer_reset(w);
	kontor_write_map(w);
	kontor_put_int(w, "code", error->code);
	kontor_put_string(w, "name", kontor_code_name(error->code));
	kontor_put_string(w, "message", error->message);
	if (error->retry_after_ms)
		kontor_put_uint(w, "retry_after_ms", error->retry_after_ms);
	kontor_write_end(w);
	if (kontor_writer_finish(w, &data, &size, NULL) == 0)
		send_answer(front, exchange, KONTOR_FRAME_ERROR, data, size);
	else
		counter_add(COUNTER_REPLIES_DROPPED);
}

size_t front_queued(const struct front *front)
{
	size_t queued = 0;
	for (size_t i = 0; i < front->unit->plugins_len; i++)
		queued += front->pools[i].queued;
	return queued;
}

size_t front_capacity(const struct front *front)
{
	size_t capacity = 0;
	for (size_t i = 0; i < front->unit->plugins_len; i++)
		if (unit_plugin_at(front->unit, i))
			capacity += front_waiting_limit(&front->pools[i], &unit_plugin_at(front->unit, i)->options);
	return capacity;
}

/* libzmq numbers the connections of a socket, and gives no number twice in 2^32: four bytes behind a zero, unless the
 * caller chose a name of his own. 0: he did. */
static uint32_t connection_number(zmq_msg_t *route)
{
	const unsigned char *bytes = zmq_msg_data(route);
	if (zmq_msg_size(route) != 5 || bytes[0] != 0)
		return 0;
	return (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 | bytes[4];
}

void front_send_pong(struct front *front, struct exchange *exchange)
{
	const void *data;
	size_t size;
	kontor_writer *w = front->body_writer;
	counter_add(COUNTER_PINGS);
	kontor_writer_reset(w);
	kontor_write_map(w);
	kontor_put_uint(w, "instance", front->unit->instance);
	kontor_put_uint(w, "connection", connection_number(&exchange->caller.route));
	kontor_put_string(w, "state", unit_state_name(front->unit->state));
	kontor_put_uint(w, "queued", front_queued(front));
	kontor_put_uint(w, "capacity", front_capacity(front));
	kontor_write_end(w);
	if (kontor_writer_finish(w, &data, &size, NULL) == 0)
		send_answer(front, exchange, KONTOR_FRAME_PONG, data, size);
	else
		counter_add(COUNTER_REPLIES_DROPPED);
}
