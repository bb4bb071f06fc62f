/* SPDX-License-Identifier: Apache-2.0
 *
 * What the front sends. Never waits: a caller that has gone or does not read loses its reply, and that is counted.
 */
#include <errno.h>

#include "counters.h"
#include "front.h"

static bool send_frame(void *socket, const void *data, size_t size, int more)
{
	if (zmq_send(socket, data, size, ZMQ_DONTWAIT | more) >= 0)
		return true;
	counter_add(COUNTER_REPLIES_DROPPED); /* EHOSTUNREACH: gone; EAGAIN: its queue is full */
	return false;
}

static void send_frames(struct front *front, const struct caller *caller, const struct kontor_frame_header *header,
			const void *body, size_t body_size)
{
	const void *data;
	size_t size;
	kontor_frame_write(front->header_writer, header);
	if (kontor_writer_finish(front->header_writer, &data, &size, NULL) != 0) {
		counter_add(COUNTER_REPLIES_DROPPED);
		return;
	}
	if (send_frame(caller->socket, caller->route, caller->route_size, ZMQ_SNDMORE) &&
	    (!caller->delimiter || send_frame(caller->socket, "", 0, ZMQ_SNDMORE)) &&
	    send_frame(caller->socket, data, size, ZMQ_SNDMORE))
		send_frame(caller->socket, body, body_size, 0);
}

static struct kontor_frame_header answer_to(const struct kontor_frame_header *header, enum kontor_frame_kind kind,
					    int64_t received_us)
{
	return (struct kontor_frame_header){
		.version = 1, .kind = kind, .id = header->id, .server_us = (uint32_t)(monotonic_us() - received_us)};
}

void front_send_result(struct front *front, const struct exchange *exchange, const void *data, size_t size)
{
	counter_add(COUNTER_REPLIES);
	struct kontor_frame_header header = answer_to(&exchange->header, KONTOR_FRAME_REPLY, exchange->received_us);
	send_frames(front, &exchange->caller, &header, data, size);
}

void front_send_error(struct front *front, const struct caller *caller, const struct kontor_frame_header *header,
		      int64_t received_us, const struct kontor_error *error)
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
	struct kontor_frame_header answer = answer_to(header, KONTOR_FRAME_ERROR, received_us);
	if (kontor_writer_finish(w, &data, &size, NULL) == 0)
		send_frames(front, caller, &answer, data, size);
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
		capacity += (size_t)front->unit->plugins[i]->options.queue;
	return capacity;
}

void front_send_pong(struct front *front, const struct caller *caller, const struct kontor_frame_header *header)
{
	const void *data;
	size_t size;
	kontor_writer *w = front->body_writer;
	counter_add(COUNTER_PINGS);
	kontor_writer_reset(w);
	kontor_write_map(w);
	kontor_put_uint(w, "instance", front->unit->instance);
	kontor_put_string(w, "state", unit_state_name(front->unit->state));
	kontor_put_uint(w, "queued", front_queued(front));
	kontor_put_uint(w, "capacity", front_capacity(front));
	kontor_write_end(w);
	struct kontor_frame_header answer = answer_to(header, KONTOR_FRAME_PONG, monotonic_us());
	if (kontor_writer_finish(w, &data, &size, NULL) == 0)
		send_frames(front, caller, &answer, data, size);
}
