/* SPDX-License-Identifier: Apache-2.0
 *
 * The front's loop: what comes in, and to whom it goes. One thread; it never blocks on anything but zmq_poll().
 */
#include "front.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "counters.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "workers.h"

#define BURST 256    /* messages of one socket per turn, so that no socket starves another */
#define TURN_MS 500  /* longest turn of the loop: the watchdog needs a sign of life */
#define FLUSH_MS 200 /* for replies that are still in libzmq's queues when the unit ends */
#define DEFAULT_DEADLINE_MS 30000
#define STARTING_RETRY_MS 200
#define DRAINING_RETRY_MS 1000
#define HANDSHAKE_MS 5000
#define HIGH_WATER_MARK 1000 /* messages per peer; what really bounds the work are the pools' queues */
#define CONTROL_ENDPOINT "inproc://front-control"

/* Commands of the main thread, one byte each. */
#define CONTROL_END_WORKERS 'w'
#define CONTROL_END 'e'

/* ---- one message ------------------------------------------------------------------------------------------------ */

#define FRAMES 2 /* a request is a header and a body, perhaps behind an empty delimiter */

struct message {
	struct caller caller;
	zmq_msg_t frames[FRAMES];
	size_t len; /* received; those beyond FRAMES were dropped unread */
};

static bool receive_frame(void *socket, zmq_msg_t *frame, bool *ret_more)
{
	zmq_msg_init(frame);
	if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) {
		zmq_msg_close(frame);
		return false;
	}
	*ret_more = zmq_msg_more(frame);
	return true;
}

/* False when the socket has nothing more. libzmq delivers all frames of a message or none. */
static bool receive(void *socket, bool inside, struct message *message)
{
	zmq_msg_t frame;
	bool more;
	if (!receive_frame(socket, &frame, &more))
		return false;
	message->caller = (struct caller){.socket = socket, .inside = inside};
	if (zmq_msg_size(&frame) < ROUTE_LIMIT) {
		message->caller.route_size = zmq_msg_size(&frame);
		memcpy(message->caller.route, zmq_msg_data(&frame), message->caller.route_size);
	}
	zmq_msg_close(&frame);
	message->len = 0;
	while (more) {
		zmq_msg_t *slot = message->len < FRAMES ? &message->frames[message->len] : &frame;
		if (!receive_frame(socket, slot, &more))
			break;
		bool delimiter = message->len == 0 && !message->caller.delimiter && more && zmq_msg_size(slot) == 0;
		message->caller.delimiter |= delimiter;
		if (delimiter || slot == &frame)
			zmq_msg_close(slot);
		message->len += !delimiter;
	}
	return true;
}

static void message_close(struct message *message)
{
	for (size_t i = 0; i < message->len && i < FRAMES; i++)
		zmq_msg_close(&message->frames[i]);
}

/* ---- a request: who, what, and whether now ----------------------------------------------------------------------- */

/* The service is not one of this unit's plugins: switched off, or not here. */
static int refuse_service(const struct front *front, struct kontor_text service, struct kontor_error *err)
{
	const struct unit *unit = front->unit;
	const char *names[PLUGINS_LIMIT];
	char known[256] = "";
	size_t length = 0;
	for (size_t i = 0; i < unit->plugins_len; i++) {
		names[i] = unit->plugins[i]->api.name;
		if (length < sizeof(known))
			length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s", i ? ", " : "",
						   names[i]);
	}
	const char *nearest = kontor_text_nearest(service, names, unit->plugins_len);
	return kontor_fail(err, KONTOR_E_NO_METHOD, "there is no service '%.*s' in unit %s, which has %s%s%s%s",
			   (int)service.size, service.data, unit->args->unit, known, nearest ? "; did you mean '" : "",
			   nearest ? nearest : "", nearest ? "'?" : "");
}

static int check_enabled(const struct front *front, const char *service, struct kontor_error *err)
{
	const struct unit_config *config = front->unit->config;
	const struct service_entry *entry = unit_config_service(config, service);
	if (!entry || entry->enabled)
		return 0;
	return kontor_fail(err, KONTOR_E_DISABLED, "service %s is switched off in datacenter %s%s%s", service,
			   config->options.datacenter, config->fallback[0] ? "; it is served by " : "",
			   config->fallback);
}

static int refuse_method(const struct loaded_plugin *plugin, const char *method, struct kontor_error *err)
{
	const char *names[256];
	size_t len = 0;
	for (; len < plugin->api.methods_len && len < 256; len++)
		names[len] = plugin->api.methods[len].name;
	const char *nearest = kontor_text_nearest(kontor_text_of(method), names, len);
	if (nearest)
		return kontor_fail(err, KONTOR_E_NO_METHOD, "there is no method '%s.%s'; did you mean '%s.%s'?",
				   plugin->api.name, method, plugin->api.name, nearest);
	return kontor_fail(err, KONTOR_E_NO_METHOD, "there is no method '%s.%s'; kontor.methods lists them",
			   plugin->api.name, method);
}

/* "settlement.close" -> the plugin and its method. */
static int find_method(const struct front *front, struct exchange *exchange, struct kontor_error *err)
{
	const struct unit *unit = front->unit;
	const char *name = exchange->header.method;
	struct kontor_text service = {name, strcspn(name, ".")};
	char service_name[KONTOR_METHOD_NAME_SIZE];
	snprintf(service_name, sizeof(service_name), "%.*s", (int)service.size, name);
	if (!name[service.size])
		return kontor_fail(err, KONTOR_E_NO_METHOD, "'%s' is no method: it is written service.method", name);
	int rc = check_enabled(front, service_name, err);
	if (rc)
		return rc;
	exchange->plugin = unit_plugin(unit, service_name);
	if (!exchange->plugin)
		return refuse_service(front, service, err);
	const char *method = name + service.size + 1;
	for (size_t i = 0; i < exchange->plugin->api.methods_len; i++)
		if (strcmp(exchange->plugin->api.methods[i].name, method) == 0) {
			exchange->method = &exchange->plugin->api.methods[i];
			return 0;
		}
	return refuse_method(exchange->plugin, method, err);
}

/* Who calls from inside may do so as soon as the plugin has started, and may finish its work while the unit drains;
 * kontor.ping and its like answer at any time. */
static int check_state(const struct front *front, const struct exchange *exchange, struct kontor_error *err)
{
	enum unit_state state = front->unit->state;
	const struct loaded_plugin *plugin = exchange->plugin;
	bool about_the_unit = !plugin->file && (exchange->method->flags & KONTOR_METHOD_INLINE);
	bool inside =
		exchange->caller.inside && (state == UNIT_DRAINING || (state == UNIT_STARTING && plugin->started));
	if (state == UNIT_READY || inside || about_the_unit)
		return 0;
	counter_add(COUNTER_REFUSED);
	bool starting = state == UNIT_STARTING;
	int rc = kontor_fail(err, starting ? KONTOR_E_UNAVAILABLE : KONTOR_E_DRAINING, "unit %s is %s",
			     front->unit->args->unit, starting ? "starting" : "stopping");
	err->retry_after_ms = starting ? STARTING_RETRY_MS : DRAINING_RETRY_MS;
	return rc;
}

static void set_deadline(struct exchange *exchange)
{
	uint32_t left_ms = exchange->header.left_ms;
	if (!left_ms)
		left_ms = exchange->method->default_ms ? exchange->method->default_ms : DEFAULT_DEADLINE_MS;
	exchange->deadline_ms = exchange->received_us / 1000 + left_ms;
}

static void run_inline(struct front *front, struct exchange *exchange)
{
	const void *data;
	size_t size;
	struct pool *pool = &front->pools[0];
	while (front->unit->plugins[pool - front->pools] != exchange->plugin)
		pool++;
	pool->requests++;
	if (exchange_run(front->unit, exchange, NULL, &front->inline_request, &data, &size) == 0) {
		front_send_result(front, exchange, data, size);
		return;
	}
	pool->errors++;
	front_send_error(front, &exchange->caller, &exchange->header, exchange->received_us, &exchange->error);
}

/* The exchange gets the message's body; false: it was refused and answered. */
static bool admit(struct front *front, struct message *message, struct exchange *exchange)
{
	struct kontor_error *err = &exchange->error;
	zmq_msg_t *header = &message->frames[0];
	int rc = 0;
	if (message->len > FRAMES)
		rc = kontor_fail(err, KONTOR_E_BAD_REQUEST, "a request is a header and a body, not %zu frames",
				 message->len);
	else if (message->len > 1 && zmq_msg_size(&message->frames[1]) > KONTOR_FRAME_LIMIT)
		rc = kontor_fail(err, KONTOR_E_TOO_BIG, "the body has %zu bytes, at most %u are possible",
				 zmq_msg_size(&message->frames[1]), KONTOR_FRAME_LIMIT);
	if (!rc)
		rc = front_identify(front, &exchange->caller, header, &exchange->header, &exchange->user, err);
	if (!rc)
		rc = find_method(front, exchange, err);
	if (!rc)
		rc = check_state(front, exchange, err);
	if (!rc) {
		set_deadline(exchange);
		if (message->len > 1)
			zmq_msg_move(&exchange->body, &message->frames[1]);
		return true;
	}
	front_send_error(front, &exchange->caller, &exchange->header, exchange->received_us, err);
	return false;
}

static void on_request(struct front *front, struct message *message, const struct kontor_frame_header *header)
{
	counter_add(COUNTER_REQUESTS);
	struct exchange *exchange = front->inline_exchange;
	exchange->caller = message->caller;
	exchange->header = *header;
	exchange->received_us = monotonic_us();
	exchange->error = (struct kontor_error)KONTOR_ERROR_INIT;
	if (!admit(front, message, exchange))
		return;
	if (exchange->method->flags & KONTOR_METHOD_INLINE) {
		run_inline(front, exchange);
		zmq_msg_close(&exchange->body);
		zmq_msg_init(&exchange->body);
		return;
	}
	struct exchange *fresh = exchange_new();
	if (!fresh) {
		kontor_fail(&exchange->error, KONTOR_E_BUSY, "out of memory");
		front_send_error(front, &exchange->caller, header, exchange->received_us, &exchange->error);
		zmq_msg_close(&exchange->body);
		zmq_msg_init(&exchange->body);
		return;
	}
	front->inline_exchange = fresh;
	front_dispatch(front, exchange);
}

static void on_message(struct front *front, struct message *message)
{
	struct kontor_frame_header header;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (message->len == 0 || !message->caller.route_size) {
		counter_add(COUNTER_BAD_MESSAGES);
		return;
	}
	zmq_msg_t *frame = &message->frames[0];
	if (kontor_frame_parse(zmq_msg_data(frame), zmq_msg_size(frame), &header, &err)) {
		counter_add(COUNTER_BAD_MESSAGES);
		struct kontor_frame_header nothing = {.version = 1};
		front_send_error(front, &message->caller, &nothing, monotonic_us(), &err);
	} else if (header.kind == KONTOR_FRAME_PING) {
		front_send_pong(front, &message->caller, &header);
	} else if (header.kind == KONTOR_FRAME_CANCEL) {
		front_cancel(front, &message->caller, header.id);
	} else if (header.kind == KONTOR_FRAME_REQUEST) {
		on_request(front, message, &header);
	} else {
		counter_add(COUNTER_BAD_MESSAGES);
		kontor_fail(&err, KONTOR_E_BAD_REQUEST, "a unit takes requests, pings and cancels, not kind %u",
			    header.kind);
		front_send_error(front, &message->caller, &header, monotonic_us(), &err);
	}
}

/* ---- the loop ---- */

static void serve_callers(struct front *front, void *socket)
{
	struct message message;
	for (int i = 0; i < BURST && receive(socket, socket == front->inside, &message); i++) {
		on_message(front, &message);
		message_close(&message);
	}
}

static void serve_workers(struct front *front)
{
	char name[WORKER_NAME_SIZE];
	for (int i = 0; i < BURST; i++) {
		int size = zmq_recv(front->workers, name, sizeof(name), ZMQ_DONTWAIT);
		if (size < 0)
			return;
		struct exchange *finished = NULL;
		if (!exchange_receive(front->workers, &finished, ZMQ_DONTWAIT))
			continue;
		unsigned worker = worker_number(name, (size_t)size);
		if (worker < workers_count(front->unit))
			front_worker_ready(front, worker, finished);
	}
}

static void serve_control(struct front *front)
{
	char command = 0;
	if (zmq_recv(front->control, &command, 1, ZMQ_DONTWAIT) != 1)
		return;
	if (command == CONTROL_END)
		front->ended = true;
	if (command != CONTROL_END_WORKERS)
		return;
	for (unsigned i = 0; i < workers_count(front->unit); i++) {
		char name[WORKER_NAME_SIZE];
		int size = worker_name(i, name);
		/* A worker that failed to start is not there: its part is dropped. */
		if (zmq_send(front->workers, name, (size_t)size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
			exchange_send(front->workers, NULL, ZMQ_DONTWAIT);
	}
}

/* Not in every turn: under load there are thousands in a second, and the queues may be long. */
static void expire_sometimes(struct front *front)
{
	int64_t now = kontor_monotonic_ms();
	if (now - front->expired_ms < TURN_MS)
		return;
	front->expired_ms = now;
	front_expire(front);
}

static void *front_main(void *arg)
{
	struct front *front = arg;
	while (!front->ended) {
		zmq_pollitem_t items[] = {{front->workers, 0, ZMQ_POLLIN, 0},
					  {front->inside, 0, ZMQ_POLLIN, 0},
					  {front->outside, 0, ZMQ_POLLIN, 0},
					  {front->control, 0, ZMQ_POLLIN, 0}};
		if (zmq_poll(items, 4, TURN_MS) < 0 && zmq_errno() == ETERM)
			break;
		front->beat_ms = kontor_monotonic_ms();
		if (items[0].revents)
			serve_workers(front);
		if (items[1].revents)
			serve_callers(front, front->inside);
		if (items[2].revents)
			serve_callers(front, front->outside);
		if (items[3].revents)
			serve_control(front);
		expire_sometimes(front);
	}
	return NULL;
}

/* ---- start and stop, in the main thread ---- */

static void *open_socket(void *zmq, int type)
{
	void *socket = zmq_socket(zmq, type);
	if (!socket)
		return NULL;
	/* No ZMQ_HEARTBEAT_IVL: in libzmq 4.3.4 it aborts the process and loses messages (issue 3937 there). */
	zmq_setsockopt(socket, ZMQ_LINGER, &(int){0}, sizeof(int));
	if (type == ZMQ_ROUTER)
		zmq_setsockopt(socket, ZMQ_ROUTER_MANDATORY, &(int){1}, sizeof(int));
	zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &(int64_t){KONTOR_FRAME_LIMIT}, sizeof(int64_t));
	zmq_setsockopt(socket, ZMQ_HANDSHAKE_IVL, &(int){HANDSHAKE_MS}, sizeof(int));
	zmq_setsockopt(socket, ZMQ_SNDHWM, &(int){HIGH_WATER_MARK}, sizeof(int));
	zmq_setsockopt(socket, ZMQ_RCVHWM, &(int){HIGH_WATER_MARK}, sizeof(int));
	return socket;
}

static int bind_to(void *socket, const char *endpoint, struct kontor_error *err)
{
	mode_t before = umask(0117); /* ipc: 0660 from its first moment */
	int rc = zmq_bind(socket, endpoint);
	int error = zmq_errno();
	umask(before);
	return rc < 0 ? kontor_fail(err, KONTOR_E_UNAVAILABLE, "cannot listen at %s: %s", endpoint, zmq_strerror(error))
		      : 0;
}

static const char *own_endpoint(const struct unit *unit, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "ipc://%s/%s.sock", unit->args->runtime_folder, unit->args->unit);
	return out;
}

static int open_sockets(struct front *front, struct kontor_error *err)
{
	struct unit *unit = front->unit;
	front->outside = open_socket(unit->zmq, ZMQ_ROUTER);
	front->inside = open_socket(unit->zmq, ZMQ_ROUTER);
	front->workers = open_socket(unit->zmq, ZMQ_ROUTER);
	front->control = open_socket(unit->zmq, ZMQ_PAIR);
	front->control_peer = open_socket(unit->zmq, ZMQ_PAIR);
	if (!front->outside || !front->inside || !front->workers || !front->control || !front->control_peer)
		return kontor_fail(err, KONTOR_E_INTERNAL, "cannot make sockets: %s", zmq_strerror(zmq_errno()));
	zmq_setsockopt(front->workers, ZMQ_SNDHWM, &(int){0}, sizeof(int)); /* at most one exchange per worker anyway */
	zmq_setsockopt(front->outside, ZMQ_LINGER, &(int){FLUSH_MS}, sizeof(int));
	int rc = bind_to(front->inside, FRONT_ENDPOINT, err);
	if (!rc)
		rc = bind_to(front->workers, WORKERS_ENDPOINT, err);
	if (!rc)
		rc = bind_to(front->control, CONTROL_ENDPOINT, err);
	if (!rc && zmq_connect(front->control_peer, CONTROL_ENDPOINT) < 0)
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "cannot reach the front: %s", zmq_strerror(zmq_errno()));
	char endpoint[PATH_MAX];
	own_endpoint(unit, endpoint);
	if (!rc)
		rc = bind_to(front->outside, endpoint, err);
	const struct unit_config *config = unit->config;
	for (const char *const *more = config->options.bind; *more && !rc; more++)
		rc = bind_to(front->outside, *more, err);
	return rc;
}

static int make_front(struct front *front, struct kontor_error *err)
{
	front->inline_exchange = exchange_new();
	front->header_writer = kontor_writer_new();
	front->body_writer = kontor_writer_new();
	bool complete = front->inline_exchange && front->header_writer && front->body_writer;
	for (size_t i = 0; i < front->unit->plugins_len; i++) {
		struct pool *pool = &front->pools[i];
		pool->queue_tail = &pool->queue_head;
		pool->idle = calloc((size_t)front->unit->plugins[i]->options.workers + 1, sizeof(*pool->idle));
		complete &= pool->idle != NULL;
	}
	return complete ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the front");
}

static void close_socket(void *socket)
{
	if (socket)
		zmq_close(socket);
}

static void free_front(struct front *front)
{
	close_socket(front->control_peer);
	close_socket(front->control);
	close_socket(front->workers);
	close_socket(front->inside);
	close_socket(front->outside);
	for (size_t i = 0; i < front->unit->plugins_len; i++)
		free(front->pools[i].idle);
	kontor_request_free(front->inline_request);
	exchange_free(front->inline_exchange);
	kontor_writer_free(front->header_writer);
	kontor_writer_free(front->body_writer);
	free(front);
}

int front_start(struct unit *unit, struct kontor_error *err)
{
	struct front *front = calloc(1, sizeof(*front));
	if (!front)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the front");
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

static void command(struct front *front, char name)
{
	zmq_send(front->control_peer, &name, 1, 0);
}

void front_end_workers(struct unit *unit)
{
	if (unit->front)
		command(unit->front, CONTROL_END_WORKERS);
}

void front_stop(struct unit *unit)
{
	if (!unit->front)
		return;
	char endpoint[PATH_MAX];
	command(unit->front, CONTROL_END);
	pthread_join(unit->front->thread, NULL);
	unlink(own_endpoint(unit, endpoint) + strlen("ipc://")); /* libzmq leaves it */
	free_front(unit->front);
	unit->front = NULL;
}
