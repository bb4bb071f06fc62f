/* SPDX-License-Identifier: Apache-2.0
 *
 * A DEALER that knows whether somebody is at the other end. ZeroMQ's own heartbeats abort the process or lose data in
 * libzmq 4.3.4, so liveness is a PING and a PONG on the same socket; any frame from the peer counts as life.
 */
#include "client_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <zmq.h>

#include "client_guard.h"
#include "kontor/time.h"

#define CONNECT_LIMIT_MS 1500 /* a person at a terminal waits for this when the unit is down */
/* While there is another place to go: some round trips within a machine, and between continents. */
#define ELSEWHERE_LIMIT_MS 250
#define ELSEWHERE_TCP_LIMIT_MS 1000
#define CONNECT_TIMEOUT_MS 3000
#define HANDSHAKE_TIMEOUT_MS 5000
#define RECONNECT_MS 100
#define RECONNECT_LIMIT_MS 5000
/* A peer heard from within this time is not asked again before a request, unless what it answered was sent long ago: an
 * answer may have waited for its reader. Both less than a unit's shortest drain (host/lifecycle.c): whoever it has not
 * told yet asks it first, so no request reaches a unit that has just gone. */
#define FRESH_MS 25
#define FRESH_ANSWER_MS 150 /* and the way to the peer and back */
#define PING_EVERY_MS 1000
/* How often a call that waits looks whether its connection is still there. Shorter than the time before the first
 * reconnect, behind which the loss could not be seen any more. */
#define LOSS_CHECK_MS 50
#define PINGS_MISSED 3

struct kontor_client_socket {
	void *context;
	void *dealer; /* NULL: not open */
	void *watch;  /* over a network, until the peer is heard: why it does not let us in. NULL: none */
	enum kontor_refusal refusal;
	const struct kontor_endpoint *endpoint;
	const struct kontor_key_pair *own; /* NULL: none */
	kontor_writer *header;
	uint64_t last_id;
	uint64_t probe_id; /* of the PING that a probe waits for; 0: none */
	struct kontor_client_pong pong;
	int64_t heard_ms;      /* when the last frame was read; 0: none since the socket was opened */
	int64_t answered_ms;   /* when the last thing was sent that was answered: then or later the peer was there */
	int64_t round_trip_ms; /* the shortest of a PING; 0: none yet, or less than a millisecond */
};

/* Where the request ids of a socket begin: an answer that something between kept back and gives to another socket does
 * not fit there. Half of the numbers are left to count on. */
static uint64_t random_id(void)
{
	uint64_t id = 0;
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		id = (uint64_t)kontor_monotonic_ms();
	return id >> 1;
}

struct kontor_client_socket *kontor_client_socket_new(void *zmq_context, const struct kontor_endpoint *endpoint,
						      const struct kontor_key_pair *own)
{
	struct kontor_client_socket *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->context = zmq_context;
	s->last_id = random_id();
	s->endpoint = endpoint;
	s->own = own;
	s->header = kontor_writer_new();
	return s->header ? s : kontor_client_socket_free(s);
}

static void end_watch(struct kontor_client_socket *s)
{
	kontor_client_watch_close(s->watch, s->dealer);
	s->watch = NULL;
}

static void close_dealer(struct kontor_client_socket *s)
{
	end_watch(s);
	if (s->dealer)
		zmq_close(s->dealer);
	s->dealer = NULL;
	s->heard_ms = s->answered_ms = s->round_trip_ms = 0;
	s->probe_id = 0;
	s->pong.instance = s->pong.connection = 0;
}

struct kontor_client_socket *kontor_client_socket_free(struct kontor_client_socket *s)
{
	if (s) {
		close_dealer(s);
		kontor_writer_free(s->header);
		free(s);
	}
	return NULL;
}

const struct kontor_client_pong *kontor_client_socket_pong(const struct kontor_client_socket *s)
{
	return &s->pong;
}

/* watched: by a call, which reads what the watch has to say, or closes it. */
static int open_dealer(struct kontor_client_socket *s, bool watched, struct kontor_error *err)
{
	if (s->dealer)
		return 0;
	static const struct {
		int option, value;
	} options[] = {
		{ZMQ_LINGER, 0},
		{ZMQ_IMMEDIATE, 1}, /* writable only once connected: a request is never queued for nobody */
		{ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS},
		{ZMQ_HANDSHAKE_IVL, HANDSHAKE_TIMEOUT_MS},
		{ZMQ_RECONNECT_IVL, RECONNECT_MS},
		{ZMQ_RECONNECT_IVL_MAX, RECONNECT_LIMIT_MS},
	};
	s->dealer = zmq_socket(s->context, ZMQ_DEALER);
	int rc = s->dealer ? 0 : -1;
	for (size_t i = 0; rc == 0 && i < sizeof(options) / sizeof(options[0]); i++)
		rc = zmq_setsockopt(s->dealer, options[i].option, &options[i].value, sizeof(options[i].value));
	int64_t frame_limit = KONTOR_FRAME_LIMIT;
	if (rc == 0)
		rc = zmq_setsockopt(s->dealer, ZMQ_MAXMSGSIZE, &frame_limit, sizeof(frame_limit));
	if (rc == 0 && kontor_client_guard(s->dealer, s->endpoint, s->own, err)) {
		close_dealer(s);
		return KONTOR_E_DENIED;
	}
	s->refusal = KONTOR_REFUSAL_NONE;
	if (rc == 0 && watched && kontor_endpoint_needs_keys(s->endpoint->endpoint))
		s->watch = kontor_client_watch_open(s->context, s->dealer);
	if (rc == 0)
		rc = zmq_connect(s->dealer, s->endpoint->endpoint);
	if (rc == 0)
		return 0;
	int problem = zmq_errno();
	close_dealer(s);
	return kontor_fail(err, problem == EINVAL ? KONTOR_E_BAD_REQUEST : KONTOR_E_UNAVAILABLE,
			   "endpoint %s: %s; an endpoint looks like ipc:///run/kontor/all.sock", s->endpoint->endpoint,
			   zmq_strerror(problem));
}

static int fail_nobody(struct kontor_client_socket *s, struct kontor_error *err)
{
	enum kontor_refusal refusal = s->refusal;
	close_dealer(s);
	if (refusal != KONTOR_REFUSAL_NONE)
		return kontor_client_fail_refused(refusal, s->endpoint, s->own, err);
	return kontor_fail(err, KONTOR_E_UNAVAILABLE,
			   "no kontord answers at %s: is its unit running? (./dev up, or systemctl status 'kontord@*')",
			   s->endpoint->endpoint);
}

static int fail_late(const struct kontor_client_request *request, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_DEADLINE, "%s: its time was over before it could be sent", request->method);
}

static int fail_unknown(struct kontor_client_socket *s, const char *method, const char *why, struct kontor_error *err)
{
	return kontor_fail(err, KONTOR_E_UNKNOWN_OUTCOME, "%s: sent to %s, but %s; it may have been done", method,
			   s->endpoint->endpoint, why);
}

/* Whether the peer let us know that waiting is of no use. */
static bool is_refused(struct kontor_client_socket *s)
{
	for (enum kontor_refusal next; (next = kontor_client_watch_read(s->watch)) != KONTOR_REFUSAL_NONE;)
		s->refusal = next;
	return s->refusal == KONTOR_REFUSAL_KEY || s->refusal == KONTOR_REFUSAL_PROTOCOL;
}

/* Waits until the socket can be read or written, or `until_ms`; while the peer was not heard yet, also for its refusal.
 */
static bool wait_for(struct kontor_client_socket *s, short events, int64_t until_ms)
{
	for (;;) {
		zmq_pollitem_t items[] = {{.socket = s->dealer, .events = events},
					  {.socket = s->watch, .events = ZMQ_POLLIN}};
		int64_t left_ms = until_ms - kontor_monotonic_ms();
		int rc = zmq_poll(items, s->watch ? 2 : 1, left_ms > 0 ? (long)left_ms : 0);
		if (items[0].revents)
			return true;
		if (rc > 0 && is_refused(s))
			return false;
		if (rc < 0 && zmq_errno() != EINTR)
			return false;
		if (kontor_monotonic_ms() >= until_ms)
			return false;
	}
}

/* Never blocks: false when the peer cannot take it now. */
static bool send_frames(struct kontor_client_socket *s, const struct kontor_frame_header *header, const void *body,
			size_t body_size)
{
	const void *data = NULL;
	size_t size = 0;
	struct kontor_error ignored;
	kontor_frame_write(s->header, header);
	if (kontor_writer_finish(s->header, &data, &size, &ignored))
		return false;
	return zmq_send(s->dealer, data, size, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0 &&
	       zmq_send(s->dealer, body, body_size, ZMQ_DONTWAIT) >= 0;
}

static bool send_control(struct kontor_client_socket *s, enum kontor_frame_kind kind, uint64_t id)
{
	struct kontor_frame_header header = {.version = 1, .kind = kind, .id = id};
	return send_frames(s, &header, "\x80", 1); /* an empty map */
}

/* One message: its header, and its body's frame for the caller to close. */
struct incoming {
	struct kontor_frame_header header;
	zmq_msg_t body;
};

/* False when nothing (usable) was there. */
static bool receive(struct kontor_client_socket *s, struct incoming *ret)
{
	zmq_msg_t part;
	unsigned parts = 0;
	bool usable = false, more = true;
	zmq_msg_init(&ret->body);
	while (more) {
		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, s->dealer, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&part);
			break;
		}
		more = zmq_msg_more(&part);
		if (parts == 0)
			usable = kontor_frame_parse(zmq_msg_data(&part), zmq_msg_size(&part), &ret->header, NULL) == 0;
		else if (parts == 1)
			zmq_msg_move(&ret->body, &part);
		else
			usable = false;
		parts++;
		zmq_msg_close(&part);
	}
	if (parts > 0) {
		s->heard_ms = kontor_monotonic_ms();
		end_watch(s);
	}
	if (!usable)
		zmq_msg_close(&ret->body);
	return usable;
}

static void read_pong(struct kontor_client_socket *s, struct incoming *in)
{
	kontor_body *body = NULL;
	char state[16];
	if (kontor_body_parse(zmq_msg_data(&in->body), zmq_msg_size(&in->body), &body, NULL) == 0) {
		const msgpack_object *map = kontor_body_map(body);
		s->pong.instance = kontor_get_uint(map, "instance", 0);
		s->pong.connection = kontor_get_uint(map, "connection", 0);
		s->pong.queued = (unsigned)kontor_get_uint(map, "queued", 0);
		s->pong.capacity = (unsigned)kontor_get_uint(map, "capacity", 0);
		kontor_get_string(map, "state", state, sizeof(state));
		s->pong.ready = !state[0] || strcmp(state, "ready") == 0;
		s->pong.count++;
	}
	kontor_body_free(body);
}

/* Reads until that PONG or `until_ms`. */
static bool await_pong(struct kontor_client_socket *s, uint64_t ping_id, int64_t until_ms)
{
	while (wait_for(s, ZMQ_POLLIN, until_ms)) {
		struct incoming in;
		if (!receive(s, &in))
			continue;
		bool pong = in.header.kind == KONTOR_FRAME_PONG;
		if (pong)
			read_pong(s, &in);
		zmq_msg_close(&in.body);
		if (pong && in.header.id == ping_id)
			return true;
	}
	return false;
}

static int64_t connect_until_ms(const struct kontor_client_socket *s, const struct kontor_client_request *request,
				int64_t now_ms)
{
	int64_t limit_ms = CONNECT_LIMIT_MS;
	if (request->elsewhere)
		limit_ms = strncmp(s->endpoint->endpoint, "tcp:", 4) == 0 ? ELSEWHERE_TCP_LIMIT_MS : ELSEWHERE_LIMIT_MS;
	return now_ms + limit_ms < request->deadline_ms ? now_ms + limit_ms : request->deadline_ms;
}

static bool is_fresh(const struct kontor_client_socket *s, int64_t now_ms)
{
	return s->heard_ms && now_ms - s->heard_ms < FRESH_MS &&
	       now_ms - s->answered_ms < FRESH_ANSWER_MS + s->round_trip_ms;
}

/* Whether the peer is there, by a PING. */
static int ask(struct kontor_client_socket *s, const struct kontor_client_request *request, struct kontor_error *err)
{
	int64_t until_ms = connect_until_ms(s, request, kontor_monotonic_ms());
	uint64_t ping_id = ++s->last_id;
	s->probe_id = 0; /* its PONG may be read here */
	if (!wait_for(s, ZMQ_POLLOUT, until_ms))
		return fail_nobody(s, err);
	int64_t sent_ms = kontor_monotonic_ms();
	if (!send_control(s, KONTOR_FRAME_PING, ping_id))
		return fail_nobody(s, err);
	if (!await_pong(s, ping_id, until_ms))
		return kontor_monotonic_ms() < request->deadline_ms ? fail_nobody(s, err) : fail_late(request, err);
	int64_t round_trip_ms = kontor_monotonic_ms() - sent_ms;
	if (!s->answered_ms || round_trip_ms < s->round_trip_ms)
		s->round_trip_ms = round_trip_ms;
	s->answered_ms = sent_ms;
	return 0;
}

/* Makes sure that somebody is there before anything is sent that has an effect, and learns who. A PONG that waited for
 * its reader is old news; asked once more, as whoever is always late would ask for ever. */
static int reach(struct kontor_client_socket *s, const struct kontor_client_request *request, struct kontor_error *err)
{
	int rc = open_dealer(s, true, err);
	if (rc || is_fresh(s, kontor_monotonic_ms()))
		return rc;
	rc = ask(s, request, err);
	if (!rc && !is_fresh(s, kontor_monotonic_ms()))
		rc = ask(s, request, err);
	if (rc)
		return rc;
	if (request->elsewhere && !s->pong.ready)
		return kontor_fail(err, KONTOR_E_DRAINING, "%s: %s does not take calls now", request->method,
				   s->endpoint->endpoint);
	return 0;
}

bool kontor_client_socket_probe(struct kontor_client_socket *s)
{
	int64_t now_ms = kontor_monotonic_ms();
	if (open_dealer(s, false, NULL))
		return false;
	if (!s->probe_id) {
		if (!wait_for(s, ZMQ_POLLOUT, now_ms) || !send_control(s, KONTOR_FRAME_PING, ++s->last_id))
			return false;
		s->probe_id = s->last_id;
	}
	if (!await_pong(s, s->probe_id, now_ms))
		return false;
	s->probe_id = 0;
	return s->pong.ready;
}

void kontor_client_socket_close(struct kontor_client_socket *s)
{
	close_dealer(s);
}

static int read_error(const char *method, const kontor_body *body, struct kontor_error *err)
{
	const msgpack_object *map = kontor_body_map(body);
	struct kontor_error answer = KONTOR_ERROR_INIT;
	answer.code = (int)kontor_get_int(map, "code", 0);
	answer.retry_after_ms = (uint32_t)kontor_get_uint(map, "retry_after_ms", 0);
	kontor_get_string(map, "message", answer.message, sizeof(answer.message));
	if (answer.code >= 0)
		return kontor_fail(err, KONTOR_E_INTERNAL, "%s: failed with an answer that names no code", method);
	*err = answer;
	return answer.code;
}

/* 1: it is not the answer of this request; else the call's result. */
static int take_answer(struct kontor_client_socket *s, const struct kontor_client_request *request, uint64_t id,
		       struct incoming *in, bool *ret_answered, kontor_body **ret_reply, struct kontor_error *err)
{
	if (in->header.kind == KONTOR_FRAME_PONG) {
		struct kontor_client_pong before = s->pong;
		read_pong(s, in);
		if (in->header.id < id)
			return 1; /* sent before the request, which went where this came from, or later */
		if (before.instance != s->pong.instance)
			return fail_unknown(s, request->method, "its kontord was restarted meanwhile", err);
		if (before.connection != s->pong.connection)
			return fail_unknown(s, request->method, "the connection was lost and made again", err);
		return 1;
	}
	if (in->header.id != id || (in->header.kind != KONTOR_FRAME_REPLY && in->header.kind != KONTOR_FRAME_ERROR))
		return 1; /* the late answer of an earlier call, or the second one of this socket's last call */
	kontor_body *body = NULL;
	struct kontor_error problem = KONTOR_ERROR_INIT;
	if (kontor_body_parse(zmq_msg_data(&in->body), zmq_msg_size(&in->body), &body, &problem))
		return fail_unknown(s, request->method, "its answer is no msgpack map", err);
	*ret_answered = true;
	if (in->header.kind == KONTOR_FRAME_ERROR) {
		int rc = read_error(request->method, body, err);
		kontor_body_free(body);
		return rc;
	}
	*ret_reply = body;
	return 0;
}

enum wait_end { WAIT_MESSAGE, WAIT_LOST, WAIT_OVER };

/* For the next message. A connection that ends takes what was under way with it, since the peer knows who asked by the
 * connection alone: ZeroMQ does not tell, but a socket without a connection cannot be written to (ZMQ_IMMEDIATE). When
 * this thread looks too late, and there is another connection, the next PONG tells. */
static enum wait_end wait_for_message(struct kontor_client_socket *s, int64_t until_ms)
{
	for (;;) {
		int64_t check_ms = kontor_monotonic_ms() + LOSS_CHECK_MS;
		if (wait_for(s, ZMQ_POLLIN, check_ms < until_ms ? check_ms : until_ms))
			return WAIT_MESSAGE;
		int events = 0;
		size_t size = sizeof(events);
		if (zmq_getsockopt(s->dealer, ZMQ_EVENTS, &events, &size) || !(events & (ZMQ_POLLIN | ZMQ_POLLOUT)))
			return WAIT_LOST;
		if (events & ZMQ_POLLIN)
			return WAIT_MESSAGE;
		if (kontor_monotonic_ms() >= until_ms)
			return WAIT_OVER;
	}
}

static int await_answer(struct kontor_client_socket *s, const struct kontor_client_request *request, uint64_t id,
			bool *ret_answered, kontor_body **ret_reply, struct kontor_error *err)
{
	unsigned pings = 0;
	int64_t silent_since_ms = kontor_monotonic_ms();
	for (;;) {
		int64_t until_ms = silent_since_ms + PING_EVERY_MS * (int64_t)(pings + 1);
		if (until_ms > request->deadline_ms)
			until_ms = request->deadline_ms;
		enum wait_end end = wait_for_message(s, until_ms);
		if (end == WAIT_MESSAGE) {
			struct incoming in;
			bool usable = receive(s, &in);
			silent_since_ms = kontor_monotonic_ms();
			pings = 0;
			if (!usable)
				continue;
			int rc = take_answer(s, request, id, &in, ret_answered, ret_reply, err);
			zmq_msg_close(&in.body);
			if (rc <= 0)
				return rc;
		} else if (end == WAIT_LOST) {
			close_dealer(s);
			return fail_unknown(s, request->method, "the connection was lost", err);
		} else if (kontor_monotonic_ms() >= request->deadline_ms) {
			send_control(s, KONTOR_FRAME_CANCEL, id);
			return fail_unknown(s, request->method, "no answer came in time", err);
		} else if (pings == PINGS_MISSED) {
			close_dealer(s);
			return fail_unknown(s, request->method, "its kontord does not answer any more", err);
		} else {
			pings++;
			send_control(s, KONTOR_FRAME_PING, ++s->last_id);
		}
	}
}

int kontor_client_socket_call(struct kontor_client_socket *s, const struct kontor_client_request *request,
			      bool *ret_answered, kontor_body **ret_reply, struct kontor_error *err)
{
	*ret_answered = false;
	int rc = reach(s, request, err);
	if (rc == KONTOR_E_DENIED && request->elsewhere)
		rc = err->code = KONTOR_E_UNAVAILABLE; /* another unit may know our key */
	if (rc)
		return rc;
	int64_t sent_ms = kontor_monotonic_ms(), left_ms = request->deadline_ms - sent_ms;
	if (left_ms <= 0)
		return fail_late(request, err);
	if (request->ask_load)
		send_control(s, KONTOR_FRAME_PING, ++s->last_id);
	struct kontor_frame_header header = {
		.version = 1, .kind = KONTOR_FRAME_REQUEST, .id = ++s->last_id, .left_ms = (uint32_t)left_ms};
	strncpy(header.method, request->method, sizeof(header.method) - 1);
	if (request->key)
		strncpy(header.key, request->key, sizeof(header.key) - 1);
	if (request->caller)
		strncpy(header.caller, request->caller, sizeof(header.caller) - 1);
	if (!send_frames(s, &header, request->body, request->body_size))
		return fail_nobody(s, err);
	rc = await_answer(s, request, header.id, ret_answered, ret_reply, err);
	if (*ret_answered)
		s->answered_ms = sent_ms;
	return rc;
}
