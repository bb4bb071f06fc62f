/* SPDX-License-Identifier: Apache-2.0
 *
 * The front's loop: what comes in, and to whom it goes. One thread; it never blocks on anything but zmq_poll().
 */
#include "front.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection_guard.h"
#include "counters.h"
#include "fault_filter.h"
#include "frame.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "network.h"
#include "sockets.h"
#include "workers.h"

#define BURST 256    /* messages of one socket per turn, so that no socket starves another */
#define TURN_MS 500  /* longest turn of the loop: the watchdog needs a sign of life */
#define FLUSH_MS 200 /* for replies that are still in libzmq's queues when the unit ends */
/* Replies per peer. libzmq counts as unsent what the other side has taken since its last report, which comes at each
 * half of the mark: a caller with 1000 requests in flight would lose replies at a mark of 1000. */
#define REPLIES_LIMIT 4000
#define CONTROL_ENDPOINT "inproc://front-control"

/* What the main thread asks for; without a function: the end. An empty frame says that it is done. */
struct task {
	front_task run;
	void *arg;
};

/* ---- one message ------------------------------------------------------------------------------------------------ */

#define FRAMES 2 /* a request is a header and a body, perhaps behind an empty delimiter */

/* Returns the frame's size; negative: zmq_errno(). */
static int receive_frame(struct source *source, zmq_msg_t *frame, bool *ret_more)
{
	int size = zmq_msg_recv(frame, source->socket, ZMQ_DONTWAIT);
	*ret_more = size >= 0 && zmq_msg_more(frame);
	return size;
}

static void drop_body(struct exchange *exchange)
{
	zmq_msg_close(&exchange->body);
	zmq_msg_init(&exchange->body);
}

/* Into the inline exchange and the header frame; *ret_frames beyond FRAMES were dropped. False when the socket has
 * nothing more. libzmq delivers all frames of a message or none. */
static bool receive(struct front *front, struct source *source, size_t *ret_frames)
{
	struct exchange *exchange = front->inline_exchange;
	struct caller *caller = &exchange->caller;
	bool more = true; /* a ROUTER puts the route in front of something */
	if (zmq_msg_recv(&caller->route, source->socket, ZMQ_DONTWAIT) < 0)
		return false;
	caller->source = source;
	caller->inside = source == &front->inside;
	caller->delimiter = false;
	zmq_msg_t *const places[FRAMES] = {&front->header_frame, &exchange->body};
	size_t frames = 0;
	while (more) {
		zmq_msg_t *place = frames < FRAMES ? places[frames] : &front->spare_frame;
		int size = receive_frame(source, place, &more);
		if (size < 0)
			break;
		bool delimiter = size == 0 && frames == 0 && !caller->delimiter && more;
		caller->delimiter |= delimiter;
		frames += !delimiter;
	}
	if (frames < FRAMES)
		drop_body(exchange); /* it is that of the message before */
	*ret_frames = frames;
	return true;
}

/* ---- a request: who, what, and whether now ----------------------------------------------------------------------- */

static void run_inline(struct front *front, struct exchange *exchange)
{
	const void *data;
	size_t size;
	exchange->pool->requests++;
	if (exchange_run(front->unit, exchange, NULL, &front->inline_request, &data, &size) == 0) {
		front_send_result(front, exchange, data, size);
		return;
	}
	exchange->pool->errors++;
	front_send_error(front, exchange, &exchange->error);
}

static int check_request(struct front *front, struct exchange *exchange, size_t frames, bool known)
{
	struct kontor_error *err = &exchange->error;
	if (frames > FRAMES)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "a request is a header and a body, not %zu frames",
				   frames);
	if (zmq_msg_size(&exchange->body) > KONTOR_FRAME_LIMIT)
		return kontor_fail(err, KONTOR_E_TOO_BIG, "the body has %zu bytes, at most %u are possible",
				   zmq_msg_size(&exchange->body), KONTOR_FRAME_LIMIT);
	int rc =
		front_identify(front, &exchange->caller, &front->header_frame, &exchange->header, &exchange->user, err);
	return rc ? rc : front_admit(front, exchange, known, err);
}

bool front_detach(struct front *front, struct exchange *exchange)
{
	struct exchange *fresh = exchange_new();
	if (!fresh) {
		kontor_fail(&exchange->error, KONTOR_E_BUSY, "out of memory");
		front_send_error(front, exchange, &exchange->error);
		return false;
	}
	front->inline_exchange = fresh;
	front->header_memory.elements = 0;
	return true;
}

void front_resume(struct front *front, struct exchange *exchange)
{
	struct kontor_error *err = &exchange->error;
	int rc = front_admit(front, exchange, false, err);
	if (!rc && exchange->deadline_ms <= monotonic_us() / 1000)
		rc = kontor_fail(err, KONTOR_E_DEADLINE, "%s: its time was over before it began; nothing was done",
				 exchange->header.method);
	if (!rc && !(exchange->method->flags & KONTOR_METHOD_INLINE)) {
		front_dispatch(front, exchange);
		return;
	}
	if (rc)
		front_send_error(front, exchange, err);
	else
		run_inline(front, exchange);
	exchange_free(exchange);
}

/* known: all but the id is as in the request before, which was not refused. */
static void on_request(struct front *front, struct exchange *exchange, size_t frames, bool known)
{
	counter_add(COUNTER_REQUESTS);
	if (check_request(front, exchange, frames, known)) {
		front->header_memory.elements = 0;
		front_send_error(front, exchange, &exchange->error);
		return;
	}
	if (front->faults && fault_filter_takes(front, exchange))
		return;
	if (exchange->method->flags & KONTOR_METHOD_INLINE) {
		run_inline(front, exchange);
		exchange->reply_lost = false;
	} else if (front_detach(front, exchange)) {
		front_dispatch(front, exchange);
	}
}

static void judge(struct front *front, struct exchange *exchange, size_t frames)
{
	struct kontor_frame_header *header = &exchange->header;
	zmq_msg_t *frame = &front->header_frame;
	bool same;
	if (kontor_frame_read(zmq_msg_data(frame), zmq_msg_size(frame), &front->header_memory, header, &same,
			      &exchange->error)) {
		counter_add(COUNTER_BAD_MESSAGES);
		*header = (struct kontor_frame_header){.version = 1};
		front_send_error(front, exchange, &exchange->error);
	} else if (header->kind == KONTOR_FRAME_PING) {
		front_send_pong(front, exchange);
	} else if (header->kind == KONTOR_FRAME_CANCEL) {
		front_cancel(front, &exchange->caller, header->id);
	} else if (header->kind == KONTOR_FRAME_REQUEST) {
		on_request(front, exchange, frames, same);
	} else {
		counter_add(COUNTER_BAD_MESSAGES);
		kontor_fail(&exchange->error, KONTOR_E_BAD_REQUEST,
			    "a unit takes requests, pings and cancels, not kind %u", header->kind);
		front_send_error(front, exchange, &exchange->error);
	}
}

static void on_message(struct front *front, size_t frames)
{
	struct exchange *exchange = front->inline_exchange;
	if (frames == 0) {
		counter_add(COUNTER_BAD_MESSAGES);
		return;
	}
	exchange->received_us = front->now_us;
	kontor_error_clear(&exchange->error);
	judge(front, exchange, frames);
}

/* ---- the loop ---- */

/* After a receive that gave nothing. The socket's fd tells of what comes from now on, unless libzmq did not look. */
static void drained(struct front *front, struct source *source)
{
	source->unread = zmq_errno() != EAGAIN;
	front->ended |= zmq_errno() == ETERM;
}

static void serve_callers(struct front *front, struct source *source)
{
	size_t frames;
	source->unread = true;
	for (int i = 0; i < BURST; i++) {
		if (!receive(front, source, &frames)) {
			drained(front, source);
			break;
		}
		connection_completed(&front->marks, &front->header_frame);
		on_message(front, frames);
	}
	drop_body(front->inline_exchange); /* a large one gives its memory back now */
}

static void serve_workers(struct front *front)
{
	char name[WORKER_NAME_SIZE];
	for (int i = 0; i < BURST; i++) {
		int size = zmq_recv(front->workers.socket, name, sizeof(name), ZMQ_DONTWAIT);
		if (size < 0) {
			drained(front, &front->workers);
			return;
		}
		struct exchange *finished = NULL;
		if (!exchange_receive(front->workers.socket, &finished, ZMQ_DONTWAIT))
			continue;
		unsigned worker = worker_number(name, (size_t)size);
		if (worker_is_here(front->unit, worker))
			front_worker_ready(front, worker, finished);
	}
	front->workers.unread = true;
}

static void serve_control(struct front *front)
{
	struct task task;
	while (zmq_recv(front->control.socket, &task, sizeof(task), ZMQ_DONTWAIT) == (int)sizeof(task)) {
		(void)atomic_load_explicit(&front->handovers, memory_order_acquire);
		if (task.run)
			task.run(front, task.arg);
		else
			front->ended = true;
		atomic_fetch_add_explicit(&front->handovers, 1, memory_order_release);
		zmq_send(front->control.socket, "", 0, 0);
	}
	drained(front, &front->control);
}

/* Not in every turn: under load there are thousands in a second, and the queues may be long. */
static void expire_sometimes(struct front *front, int64_t now_ms)
{
	if (now_ms - front->expired_ms < TURN_MS)
		return;
	front->expired_ms = now_ms;
	front_expire(front);
}

/* zmq_poll() would ask each socket twice; one poll(2) of their descriptors is enough, with `unread` for what they do
 * not tell. Marks the sources that have something. */
static void wait_for_messages(struct front *front)
{
	struct source *const sources[] = {&front->workers, &front->inside, &front->outside, &front->control,
					  &front->network};
	struct pollfd items[sizeof(sources) / sizeof(sources[0])];
	const size_t len = sizeof(sources) / sizeof(sources[0]) - !front->network.socket;
	bool unread = false;
	for (size_t i = 0; i < len; i++) {
		items[i] = (struct pollfd){.fd = sources[i]->fd, .events = POLLIN};
		unread |= sources[i]->unread;
	}
	int longest = front->faults ? fault_filter_wait_ms(front, TURN_MS) : TURN_MS;
	if (poll(items, len, unread ? 0 : longest) <= 0)
		return;
	for (size_t i = 0; i < len; i++)
		sources[i]->unread |= items[i].revents != 0;
}

static void *front_main(void *arg)
{
	struct front *front = arg;
	while (!front->ended) {
		wait_for_messages(front);
		front_read_clock(front);
		front->unclocked = 0; /* a request that comes alone is told its own time */
		front->beat_ms = front->now_us / 1000;
		if (front->workers.unread)
			serve_workers(front);
		if (front->inside.unread)
			serve_callers(front, &front->inside);
		if (front->outside.unread)
			serve_callers(front, &front->outside);
		if (front->network.unread)
			serve_callers(front, &front->network);
		if (front->control.unread)
			serve_control(front);
		if (front->faults)
			fault_filter_resume(front);
		expire_sometimes(front, front->now_us / 1000);
	}
	return NULL;
}

/* ---- start and stop, in the main thread ---- */

static bool watch_source(struct source *source, void *socket)
{
	size_t size = sizeof(source->fd);
	source->socket = socket;
	source->unread = true;
	return socket && zmq_getsockopt(socket, ZMQ_FD, &source->fd, &size) == 0;
}

static void take_callers(void *router)
{
	zmq_setsockopt(router, ZMQ_SNDHWM, &(int){REPLIES_LIMIT}, sizeof(int));
	zmq_setsockopt(router, ZMQ_LINGER, &(int){FLUSH_MS}, sizeof(int));
}

static const char *own_endpoint(const struct unit *unit, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "ipc://%s/%s.sock", unit->args->runtime_folder, unit->args->unit);
	return out;
}

/* By tcp through the guarded socket alone. */
static int bind_further(struct front *front, struct kontor_error *err)
{
	const struct unit_config *config = front->unit->config;
	void *router = network_take_router(front->unit);
	int rc = 0;
	if (router && !watch_source(&front->network, router))
		return kontor_fail(err, KONTOR_E_INTERNAL, "cannot watch a socket: %s", zmq_strerror(zmq_errno()));
	if (router)
		take_callers(router);
	for (const char *const *endpoint = config->options.bind; *endpoint && !rc; endpoint++)
		rc = socket_bind(strncmp(*endpoint, "tcp://", 6) == 0 ? router : front->outside.socket, *endpoint, err);
	return rc;
}

static int open_sockets(struct front *front, struct kontor_error *err)
{
	struct unit *unit = front->unit;
	bool open = watch_source(&front->outside, socket_open(unit->zmq, ZMQ_ROUTER)) &&
		    watch_source(&front->inside, socket_open(unit->zmq, ZMQ_ROUTER)) &&
		    watch_source(&front->workers, socket_open(unit->zmq, ZMQ_ROUTER)) &&
		    watch_source(&front->control, socket_open(unit->zmq, ZMQ_PAIR));
	front->control_peer = open ? socket_open(unit->zmq, ZMQ_PAIR) : NULL;
	if (!front->control_peer)
		return kontor_fail(err, KONTOR_E_INTERNAL, "cannot make sockets: %s", zmq_strerror(zmq_errno()));
	void *workers = front->workers.socket, *outside = front->outside.socket;
	zmq_setsockopt(workers, ZMQ_SNDHWM, &(int){0}, sizeof(int)); /* at most one exchange per worker anyway */
	take_callers(outside);
	int rc = socket_bind(front->inside.socket, FRONT_ENDPOINT, err);
	if (!rc)
		rc = socket_bind(workers, WORKERS_ENDPOINT, err);
	if (!rc)
		rc = socket_bind(front->control.socket, CONTROL_ENDPOINT, err);
	if (!rc && zmq_connect(front->control_peer, CONTROL_ENDPOINT) < 0)
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "cannot reach the front: %s", zmq_strerror(zmq_errno()));
	char endpoint[PATH_MAX];
	if (!rc)
		rc = socket_bind(outside, own_endpoint(unit, endpoint), err);
	return rc ? rc : bind_further(front, err);
}

static int make_front(struct front *front, struct kontor_error *err)
{
	front->inline_exchange = exchange_new();
	front->body_writer = kontor_writer_new();
	if (!front->inline_exchange || !front->body_writer)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the front");
	int rc = fault_filter_open(front, err);
	for (size_t i = 0; i < front->unit->plugins_len && !rc; i++)
		rc = front_open_pool(front, i, err);
	return rc ? rc : front_list_methods(front, err);
}

static void close_socket(void *socket)
{
	if (socket)
		zmq_close(socket);
}

static void free_front(struct front *front)
{
	close_socket(front->control_peer);
	close_socket(front->control.socket);
	close_socket(front->workers.socket);
	close_socket(front->inside.socket);
	close_socket(front->outside.socket);
	close_socket(front->network.socket);
	for (size_t i = 0; i < front->unit->plugins_len; i++)
		free(front->pools[i].idle);
	zmq_msg_close(&front->header_frame);
	zmq_msg_close(&front->spare_frame);
	fault_filter_close(front);
	free(front->marks.completed);
	zmq_msg_close(&front->identity.message);
	free(front->methods);
	kontor_request_free(front->inline_request);
	exchange_free(front->inline_exchange);
	kontor_writer_free(front->body_writer);
	free(front);
}

int front_start(struct unit *unit, struct kontor_error *err)
{
	struct front *front = calloc(1, sizeof(*front));
	if (!front)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the front");
	zmq_msg_init(&front->header_frame);
	zmq_msg_init(&front->spare_frame);
	zmq_msg_init(&front->identity.message);
	front->unit = unit;
	front->uid_proven = front_identity_proven(unit);
	front->beat_ms = kontor_monotonic_ms();
	int rc = make_front(front, err);
	if (!rc)
		rc = open_sockets(front, err);
	unit->front = front;
	int error = rc ? 0 : pthread_create(&front->thread, NULL, front_main, front);
	if (error)
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "cannot start the front: %s", strerror(error));
	if (rc) {
		free_front(front);
		unit->front = NULL;
	}
	return rc;
}

void front_run(struct unit *unit, front_task task, void *arg)
{
	struct front *front = unit->front;
	char done;
	if (!front)
		return;
	atomic_fetch_add_explicit(&front->handovers, 1, memory_order_release);
	if (zmq_send(front->control_peer, &(struct task){task, arg}, sizeof(struct task), 0) < 0)
		return;
	while (zmq_recv(front->control_peer, &done, sizeof(done), 0) < 0 && zmq_errno() == EINTR)
		;
	(void)atomic_load_explicit(&front->handovers, memory_order_acquire);
}

void front_stop(struct unit *unit)
{
	if (!unit->front)
		return;
	char endpoint[PATH_MAX];
	front_run(unit, NULL, NULL);
	pthread_join(unit->front->thread, NULL);
	unlink(own_endpoint(unit, endpoint) + strlen("ipc://")); /* libzmq leaves it */
	free_front(unit->front);
	unit->front = NULL;
}
