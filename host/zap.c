/* SPDX-License-Identifier: Apache-2.0 */
#include "zap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "counters.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "sockets.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define CONTROL_ENDPOINT "inproc://zap-control"
#define TURN_MS 1000    /* longest turn of the loop: the sign of life */
#define FRAMES_LIMIT 16 /* a request has 7 and its credentials */
#define FRAME_SIZE 256  /* bytes of a frame that is read; longer ones are cut, and refused */
#define KEY_BYTES 32    /* of a CURVE key before it is written in Z85 */
#define SEEN_LIMIT 4096 /* keys of which is known when they connected */
#define LOG_WINDOW_MS 10000
#define LOG_LINES 5 /* refusals that are logged in a window; the rest is counted */

struct zap {
	struct unit *unit;
	pthread_t thread;
	void *requests, *events, *control, *control_peer;
	_Atomic int64_t beat_ms;

	pthread_mutex_t lock; /* guards what follows */
	struct zap_proof proof;
	struct zap_seen *seen;
	size_t seen_len;

	int64_t window_ms; /* the thread's own: when the log's window began */
	unsigned lines;
	uint64_t unlogged;
};

/* ---- who may get in ---------------------------------------------------------------------------------------------- */

static void log_refusal(struct zap *zap, const char *address, const char *key, const char *reason)
{
	int64_t now_ms = kontor_monotonic_ms();
	if (now_ms - zap->window_ms >= LOG_WINDOW_MS) {
		if (zap->unlogged)
			kontor_log(KONTOR_LOG_WARNING, "further connections refused", "count=%llu",
				   (unsigned long long)zap->unlogged);
		zap->window_ms = now_ms;
		zap->lines = 0;
		zap->unlogged = 0;
	}
	if (zap->lines++ < LOG_LINES)
		kontor_log(KONTOR_LOG_WARNING, "connection refused", "address=%s key=%s reason=%s",
			   KONTOR_QUOTED(address), KONTOR_QUOTED(key), KONTOR_QUOTED(reason));
	else
		zap->unlogged++;
}

static void note_connection(struct zap *zap, const char *key)
{
	pthread_mutex_lock(&zap->lock);
	size_t i = 0;
	while (i < zap->seen_len && strcmp(zap->seen[i].key, key) != 0)
		i++;
	if (i == zap->seen_len && zap->seen_len < SEEN_LIMIT) {
		struct zap_seen *seen = realloc(zap->seen, (zap->seen_len + 1) * sizeof(*seen));
		if (seen) {
			zap->seen = seen;
			seen[zap->seen_len] = (struct zap_seen){.connections = 0};
			memcpy(seen[zap->seen_len].key, key, KONTOR_KEY_TEXT_SIZE);
			zap->seen_len++;
		}
	}
	if (i < zap->seen_len) {
		zap->seen[i].connections++;
		zap->seen[i].last_ms = kontor_now_ms();
	}
	pthread_mutex_unlock(&zap->lock);
}

static bool admit(struct zap *zap, const char *address, const char *key)
{
	const struct unit_config *config = zap->unit->config;
	pthread_mutex_lock(&zap->lock);
	bool guest = zap->proof.guest[0] && strcmp(key, zap->proof.guest) == 0;
	bool stranger = zap->proof.stranger[0] && strcmp(key, zap->proof.stranger) == 0;
	pthread_mutex_unlock(&zap->lock);
	if (guest)
		return true;
	if (unit_config_key_user(config, key)) {
		note_connection(zap, key);
		return true;
	}
	if (!stranger) {
		counter_add(COUNTER_KEYS_REFUSED);
		log_refusal(zap, address, key,
			    unit_config_key_revoked(config, key)
				    ? "the key is revoked"
				    : "no user has this key: add it to the user's keys in users.conf");
	}
	return false;
}

/* ---- ZAP --------------------------------------------------------------------------------------------------------- */

/* One message: the first bytes of each frame with a NUL behind them, and its size. */
struct frames {
	char data[FRAMES_LIMIT][FRAME_SIZE];
	size_t size[FRAMES_LIMIT];
	size_t len;
};

static bool receive(void *socket, struct frames *ret)
{
	int more = 1;
	size_t size = sizeof(more);
	char spare[1];
	ret->len = 0;
	while (more) {
		bool kept = ret->len < FRAMES_LIMIT;
		int rc = zmq_recv(socket, kept ? ret->data[ret->len] : spare, kept ? FRAME_SIZE - 1 : 1, ZMQ_DONTWAIT);
		if (rc < 0 || zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) < 0)
			return false;
		if (!kept)
			continue;
		ret->size[ret->len] = (size_t)rc;
		ret->data[ret->len][rc < FRAME_SIZE ? rc : FRAME_SIZE - 1] = '\0';
		ret->len++;
	}
	return true;
}

enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, CREDENTIALS, CURVE_FRAMES };

static void reply(struct zap *zap, const struct frames *request, const char *code, const char *text, const char *user)
{
	bool has_id = request->len > REQUEST_ID && request->size[REQUEST_ID] < FRAME_SIZE;
	const struct {
		const void *data;
		size_t size;
	} frames[] = {
		{"1.0", 3},
		{request->data[REQUEST_ID], has_id ? request->size[REQUEST_ID] : 0},
		{code, 3},
		{text, strlen(text)},
		{user, strlen(user)},
		{"", 0},
	};
	const size_t len = sizeof(frames) / sizeof(frames[0]);
	for (size_t i = 0; i < len; i++)
		if (zmq_send(zap->requests, frames[i].data, frames[i].size, i + 1 < len ? ZMQ_SNDMORE : 0) < 0)
			return; /* whoever asked has gone */
}

static void answer(struct zap *zap)
{
	struct frames request;
	char key[KONTOR_KEY_TEXT_SIZE];
	if (!receive(zap->requests, &request))
		return;
	bool sound = request.len == CURVE_FRAMES && strcmp(request.data[VERSION], "1.0") == 0 &&
		     request.size[REQUEST_ID] < FRAME_SIZE && strcmp(request.data[MECHANISM], "CURVE") == 0 &&
		     request.size[CREDENTIALS] == KEY_BYTES;
	if (!sound)
		reply(zap, &request, "400", "a CURVE key is needed", "");
	else if (admit(zap, request.data[ADDRESS],
		       zmq_z85_encode(key, (const uint8_t *)request.data[CREDENTIALS], KEY_BYTES)))
		reply(zap, &request, "200", "", key);
	else
		reply(zap, &request, "400", "this key is not known here", "");
}

static void count_events(struct zap *zap)
{
	struct frames event; /* its number (16 bits) and value, an address */
	uint16_t number;
	while (receive(zap->events, &event)) {
		memcpy(&number, event.data[0], sizeof(number));
		counter_add(number == ZMQ_EVENT_ACCEPTED ? COUNTER_CONNECTIONS : COUNTER_ADMITTED);
	}
}

static void *zap_main(void *arg)
{
	struct zap *zap = arg;
	zmq_pollitem_t items[] = {{.socket = zap->requests, .events = ZMQ_POLLIN},
				  {.socket = zap->events, .events = ZMQ_POLLIN},
				  {.socket = zap->control, .events = ZMQ_POLLIN}};
	while (!(items[2].revents & ZMQ_POLLIN)) {
		zmq_poll(items, sizeof(items) / sizeof(items[0]), TURN_MS);
		zap->beat_ms = kontor_monotonic_ms();
		if (items[0].revents & ZMQ_POLLIN)
			answer(zap);
		if (items[1].revents & ZMQ_POLLIN)
			count_events(zap);
	}
	return NULL;
}

/* ---- for other threads ------------------------------------------------------------------------------------------- */

void zap_set_proof(struct zap *zap, const struct zap_proof *proof)
{
	pthread_mutex_lock(&zap->lock);
	zap->proof = proof ? *proof : (struct zap_proof){"", ""};
	pthread_mutex_unlock(&zap->lock);
}

int64_t zap_silent_ms(const struct zap *zap)
{
	return kontor_monotonic_ms() - zap->beat_ms;
}

bool zap_find_seen(struct zap *zap, const char *key, struct zap_seen *ret_seen)
{
	bool found = false;
	pthread_mutex_lock(&zap->lock);
	for (size_t i = 0; i < zap->seen_len && !found; i++) {
		found = strcmp(zap->seen[i].key, key) == 0;
		if (found)
			*ret_seen = zap->seen[i];
	}
	pthread_mutex_unlock(&zap->lock);
	return found;
}

static void close_socket(void *socket)
{
	if (socket)
		zmq_close(socket);
}

static struct zap *zap_free(struct zap *zap)
{
	close_socket(zap->requests);
	close_socket(zap->events);
	close_socket(zap->control);
	close_socket(zap->control_peer);
	pthread_mutex_destroy(&zap->lock);
	free(zap->seen);
	free(zap);
	return NULL;
}

static bool open_sockets(struct zap *zap, void *zmq, const char *events)
{
	zap->requests = socket_open(zmq, ZMQ_REP);
	zap->events = socket_open(zmq, ZMQ_PAIR);
	zap->control = socket_open(zmq, ZMQ_PAIR);
	zap->control_peer = socket_open(zmq, ZMQ_PAIR);
	/* No high-water mark: libzmq's own thread would wait in a full queue of events, and all connections with it. */
	return zap->requests && zap->events && zap->control && zap->control_peer &&
	       zmq_setsockopt(zap->events, ZMQ_RCVHWM, &(int){0}, sizeof(int)) == 0 &&
	       zmq_bind(zap->requests, ZAP_ENDPOINT) == 0 && zmq_connect(zap->events, events) == 0 &&
	       zmq_bind(zap->control, CONTROL_ENDPOINT) == 0 && zmq_connect(zap->control_peer, CONTROL_ENDPOINT) == 0;
}

int zap_start(struct unit *unit, const char *events, struct zap **ret_zap, struct kontor_error *err)
{
	struct zap *zap = calloc(1, sizeof(*zap));
	if (!zap)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the handler of keys");
	zap->unit = unit;
	zap->beat_ms = kontor_monotonic_ms();
	pthread_mutex_init(&zap->lock, NULL);
	bool open = open_sockets(zap, unit->zmq, events);
	int error = open ? pthread_create(&zap->thread, NULL, zap_main, zap) : zmq_errno();
	if (error) {
		zap_free(zap);
		return kontor_fail(err, KONTOR_E_INTERNAL, "the handler of keys does not start: %s",
				   zmq_strerror(error));
	}
	pthread_setname_np(zap->thread, "zap");
	*ret_zap = zap;
	return 0;
}

struct zap *zap_stop(struct zap *zap)
{
	if (!zap)
		return NULL;
	zmq_send(zap->control_peer, "e", 1, 0);
	pthread_join(zap->thread, NULL);
	return zap_free(zap);
}
