/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE without a ZAP handler lets everybody in, and nothing would show it. So before the unit says that it is ready, a
 * stranger tries to get in, through the real handler and a socket that is guarded as the real one is.
 */
#include <string.h>

#include <zmq.h>

#include "kontor/log.h"
#include "kontor/time.h"
#include "network.h"
#include "sockets.h"
#include "zap.h"

#define PROOF_MS 5000
#define STRANGER_EVENTS "inproc://proof-stranger"
#define REFUSED_STATUS 400 /* of ZAP: the handler said no */
#define EVENT_SIZE 6       /* bytes: number of the event (16 bits), value (32 bits) */

struct proof {
	void *router, *guest, *stranger, *events;
	struct kontor_key_pair guest_pair, stranger_pair;
	char endpoint[128];
	bool guest_came, stranger_was_refused;
};

static void close_socket(void *socket)
{
	if (socket)
		zmq_close(socket);
}

static void *knock(void *zmq, const struct proof *proof, const struct kontor_key_pair *pair, const char *server_key,
		   const char *events)
{
	void *dealer = socket_open(zmq, ZMQ_DEALER);
	bool done = dealer && zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, server_key, KONTOR_KEY_TEXT_SIZE) == 0 &&
		    zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, pair->public_key, KONTOR_KEY_TEXT_SIZE) == 0 &&
		    zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, pair->secret_key, KONTOR_KEY_TEXT_SIZE) == 0 &&
		    (!events || zmq_socket_monitor(dealer, events, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) == 0) &&
		    zmq_connect(dealer, proof->endpoint) == 0 &&
		    zmq_send(dealer, pair->public_key, KONTOR_KEY_TEXT_SIZE, ZMQ_DONTWAIT) >= 0;
	if (done)
		return dealer;
	close_socket(dealer);
	return NULL;
}

static int open_proof(struct proof *proof, void *zmq, const struct kontor_key_pair *own, struct kontor_error *err)
{
	size_t size = sizeof(proof->endpoint);
	proof->router = socket_open(zmq, ZMQ_ROUTER);
	proof->events = socket_open(zmq, ZMQ_PAIR);
	if (!proof->router || !proof->events)
		return kontor_fail(err, KONTOR_E_INTERNAL, "no sockets: %s", zmq_strerror(zmq_errno()));
	int rc = socket_guard(proof->router, own, err);
	if (!rc)
		rc = socket_bind(proof->router, "tcp://127.0.0.1:*", err);
	if (rc)
		return rc;
	zmq_getsockopt(proof->router, ZMQ_LAST_ENDPOINT, proof->endpoint, &size);
	proof->guest = knock(zmq, proof, &proof->guest_pair, own->public_key, NULL);
	proof->stranger = knock(zmq, proof, &proof->stranger_pair, own->public_key, STRANGER_EVENTS);
	if (!proof->guest || !proof->stranger || zmq_connect(proof->events, STRANGER_EVENTS) < 0)
		return kontor_fail(err, KONTOR_E_INTERNAL, "no sockets: %s", zmq_strerror(zmq_errno()));
	return 0;
}

/* A message that got in. Who sent it is asked of libzmq; what stands in it is the sender's own key. */
static int judge_message(struct proof *proof, struct kontor_error *err)
{
	zmq_msg_t route, message;
	zmq_msg_init(&route);
	zmq_msg_init(&message);
	bool came = zmq_msg_recv(&route, proof->router, ZMQ_DONTWAIT) >= 0 &&
		    zmq_msg_recv(&message, proof->router, ZMQ_DONTWAIT) == KONTOR_KEY_TEXT_SIZE;
	const char *told = came ? zmq_msg_gets(&message, ZAP_KEY_PROPERTY) : NULL;
	const char *sent = came ? zmq_msg_data(&message) : "";
	bool is_guest = came && strncmp(sent, proof->guest_pair.public_key, KONTOR_KEY_TEXT_SIZE) == 0;
	bool is_told = told && strcmp(told, proof->guest_pair.public_key) == 0;
	zmq_msg_close(&route);
	zmq_msg_close(&message);
	if (came && !is_guest)
		return kontor_fail(err, KONTOR_E_DENIED,
				   "a stranger's key got in: this libzmq does not ask for keys as 4.3.4 does");
	if (came && !is_told)
		return kontor_fail(err, KONTOR_E_DENIED, "libzmq does not tell whose key got in");
	proof->guest_came |= came;
	return 0;
}

static void judge_event(struct proof *proof)
{
	uint8_t event[EVENT_SIZE];
	char address[sizeof(proof->endpoint)];
	uint32_t value = 0;
	if (zmq_recv(proof->events, event, sizeof(event), ZMQ_DONTWAIT) != sizeof(event) ||
	    zmq_recv(proof->events, address, sizeof(address), ZMQ_DONTWAIT) < 0)
		return;
	memcpy(&value, event + 2, sizeof(value));
	proof->stranger_was_refused |= value == REFUSED_STATUS;
}

static int watch(struct proof *proof, struct kontor_error *err)
{
	int64_t until_ms = kontor_monotonic_ms() + PROOF_MS;
	while (!proof->guest_came || !proof->stranger_was_refused) {
		zmq_pollitem_t items[] = {{.socket = proof->router, .events = ZMQ_POLLIN},
					  {.socket = proof->events, .events = ZMQ_POLLIN}};
		int64_t left_ms = until_ms - kontor_monotonic_ms();
		if (left_ms <= 0)
			return kontor_fail(err, KONTOR_E_UNAVAILABLE, "%s within %d ms",
					   proof->guest_came ? "a stranger's key was not refused"
							     : "a known key did not get in",
					   PROOF_MS);
		zmq_poll(items, 2, (long)left_ms);
		int rc = items[0].revents & ZMQ_POLLIN ? judge_message(proof, err) : 0;
		if (rc)
			return rc;
		if (items[1].revents & ZMQ_POLLIN)
			judge_event(proof);
	}
	return 0;
}

int network_prove(struct unit *unit, const struct kontor_key_pair *own, struct zap *zap, struct kontor_error *err)
{
	struct proof proof = {.router = NULL};
	struct zap_proof keys;
	int64_t begun_ms = kontor_monotonic_ms();
	int rc = kontor_key_generate(&proof.guest_pair, err);
	if (!rc)
		rc = kontor_key_generate(&proof.stranger_pair, err);
	if (!rc) {
		memcpy(keys.guest, proof.guest_pair.public_key, sizeof(keys.guest));
		memcpy(keys.stranger, proof.stranger_pair.public_key, sizeof(keys.stranger));
		zap_set_proof(zap, &keys);
		rc = open_proof(&proof, unit->zmq, own, err);
	}
	if (!rc)
		rc = watch(&proof, err);
	close_socket(proof.guest);
	close_socket(proof.stranger);
	close_socket(proof.events);
	close_socket(proof.router);
	zap_set_proof(zap, NULL);
	if (rc)
		return kontor_fail_in(err,
				      "it cannot be proven that only known keys get in by tcp; nothing listens there");
	kontor_log(KONTOR_LOG_INFO, "strangers are refused", "proof_ms=%lld",
		   (long long)(kontor_monotonic_ms() - begun_ms));
	return 0;
}
