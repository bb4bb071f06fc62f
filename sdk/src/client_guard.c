/* SPDX-License-Identifier: Apache-2.0 */
#include "client_guard.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#define EVENT_SIZE 6 /* bytes of a monitor's first frame: number of the event (16 bits), value (32 bits) */

bool kontor_endpoint_needs_keys(const char *endpoint)
{
	return strncmp(endpoint, "tcp://", 6) == 0;
}

int kontor_client_load_own(const char *key_file, struct kontor_key_pair **ret_own, struct kontor_error *err)
{
	struct kontor_key_pair *own = malloc(sizeof(*own));
	int rc = own ? kontor_key_load(key_file, own, err)
		     : kontor_fail(err, KONTOR_E_INTERNAL, "client: out of memory");
	if (rc)
		free(own);
	else
		*ret_own = own;
	return rc;
}

void kontor_client_free_own(struct kontor_key_pair *own)
{
	if (own)
		explicit_bzero(own, sizeof(*own));
	free(own);
}

static int set_key(void *dealer, int option, const char *key)
{
	return zmq_setsockopt(dealer, option, key, KONTOR_KEY_TEXT_SIZE);
}

int kontor_client_guard(void *dealer, const struct kontor_endpoint *endpoint, const struct kontor_key_pair *own,
			struct kontor_error *err)
{
	if (!kontor_endpoint_needs_keys(endpoint->endpoint))
		return 0;
	if (!endpoint->server_key || !kontor_key_valid(endpoint->server_key))
		return kontor_fail(err, KONTOR_E_DENIED,
				   "%s: the public key of the unit there is not known: server_keys in datacenters/, or "
				   "--server-key of the command line, must name it",
				   endpoint->endpoint);
	if (!own)
		return kontor_fail(err, KONTOR_E_DENIED,
				   "%s: a network needs a key of our own: `kontor keys generate` makes one; name it in "
				   "key_file, or with --key-file on the command line",
				   endpoint->endpoint);
	if (set_key(dealer, ZMQ_CURVE_SERVERKEY, endpoint->server_key) ||
	    set_key(dealer, ZMQ_CURVE_PUBLICKEY, own->public_key) ||
	    set_key(dealer, ZMQ_CURVE_SECRETKEY, own->secret_key) ||
	    zmq_setsockopt(dealer, ZMQ_IPV6, &(int){strchr(endpoint->endpoint, '[') != NULL}, sizeof(int)))
		return kontor_fail(err, KONTOR_E_DENIED, "%s: this libzmq cannot use keys: %s", endpoint->endpoint,
				   zmq_strerror(zmq_errno()));
	return 0;
}

/* ---- the watch --------------------------------------------------------------------------------------------------- */

void *kontor_client_watch_open(void *zmq_context, void *dealer)
{
	static atomic_uint_fast64_t number;
	char name[64];
	snprintf(name, sizeof(name), "inproc://kontor-client-watch-%llu",
		 (unsigned long long)atomic_fetch_add(&number, 1));
	void *watch = zmq_socket(zmq_context, ZMQ_PAIR);
	if (watch && zmq_setsockopt(watch, ZMQ_LINGER, &(int){0}, sizeof(int)) == 0 &&
	    zmq_setsockopt(watch, ZMQ_RCVHWM, &(int){0}, sizeof(int)) == 0 &&
	    zmq_socket_monitor(dealer, name,
			       ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
				       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) == 0 &&
	    zmq_connect(watch, name) == 0)
		return watch;
	kontor_client_watch_close(watch, dealer);
	return NULL;
}

void kontor_client_watch_close(void *watch, void *dealer)
{
	if (!watch)
		return;
	zmq_socket_monitor(dealer, NULL, 0);
	zmq_close(watch);
}

enum kontor_refusal kontor_client_watch_read(void *watch)
{
	uint8_t event[EVENT_SIZE];
	char address[1];
	uint16_t number = 0;
	if (zmq_recv(watch, event, sizeof(event), ZMQ_DONTWAIT) != EVENT_SIZE ||
	    zmq_recv(watch, address, sizeof(address), ZMQ_DONTWAIT) < 0)
		return KONTOR_REFUSAL_NONE;
	memcpy(&number, event, sizeof(number));
	if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
		return KONTOR_REFUSAL_KEY;
	return number == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ? KONTOR_REFUSAL_PROTOCOL : KONTOR_REFUSAL_CLOSED;
}

int kontor_client_fail_refused(enum kontor_refusal refusal, const struct kontor_endpoint *endpoint,
			       const struct kontor_key_pair *own, struct kontor_error *err)
{
	switch (refusal) {
	case KONTOR_REFUSAL_KEY:
		return kontor_fail(err, KONTOR_E_DENIED,
				   "%s refused our key: users.conf there must list keys = {'%s'}, and its revoked-keys "
				   "must not",
				   endpoint->endpoint, own->public_key);
	case KONTOR_REFUSAL_PROTOCOL:
		return kontor_fail(err, KONTOR_E_DENIED,
				   "%s is no kontord with the key '%s': is the endpoint right, and is server_keys the "
				   "public key of the unit there?",
				   endpoint->endpoint, endpoint->server_key);
	default:
		return kontor_fail(
			err, KONTOR_E_UNAVAILABLE,
			"%s hangs up before it looks at our key: is '%s', our server_keys, the public key of "
			"the unit there, and is it a kontord?",
			endpoint->endpoint, endpoint->server_key);
	}
}
