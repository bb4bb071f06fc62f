/* SPDX-License-Identifier: Apache-2.0
 *
 * Calling a method: the same in a plugin, in the command line and in an outside client.
 */
#ifndef KONTOR_CLIENT_H
#define KONTOR_CLIENT_H

#include "kontor/message.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* A directory of endpoints and the sockets to them: one DEALER per endpoint and thread (a DEALER with several endpoints
 * loses what was sent to one that is down). Any thread may call; a thread's sockets are closed when it ends. */
typedef struct kontor_client kontor_client;

struct kontor_client_options {
	void *zmq_context;      /* borrowed; NULL: an own one */
	const char *endpoint;   /* serves every service that no route names; NULL: none */
	const char *server_key; /* of that endpoint, Z85 (40 characters); NULL for ipc and inproc */
	const char *key_file;   /* NAME.key_secret by which we are known over tcp (kontor/keys.h); NULL: none */
	const char *caller;     /* header element `caller`: a unit's name, or the user of --as; NULL: none */
	/* "/etc/kontor": finds services as units do, by kontord.conf, conf.d/ and the datacenter's file, read when the
	 * client is made. Out of memory while reading ends the program. NULL: reads nothing. */
	const char *conf_folder;
	/* Where units of this machine have their sockets. A service that no route names is that of its name there, or
	 * in `all`. NULL: "/run/kontor" with conf_folder; without it only routes and `endpoint` say where services are.
	 */
	const char *runtime_folder;
};

/* One place that answers: "inproc://front", "ipc:///run/kontor/idgen.sock", "tcp://10.3.0.11:7411". */
struct kontor_endpoint {
	const char *endpoint;
	const char *server_key; /* public key of that unit, Z85; needed for tcp, NULL otherwise */
};

/* Where the methods of a service are answered. */
struct kontor_route {
	/* "idgen". Or "settlement@BR": of region BR, whose home is another datacenter (kontor_client_set_region);
	 * "@BR": its services that no such route names. */
	const char *service;
	bool enabled;                            /* false: calls fail DISABLED at once */
	const char *why_disabled;                /* "datacenter ams1", for errors; NULL: nothing to say */
	const struct kontor_endpoint *endpoints; /* of one cluster, the nearest first */
	size_t endpoints_len;
};

int kontor_client_new(const struct kontor_client_options *options, kontor_client **ret_client,
		      struct kontor_error *err);
kontor_client *kontor_client_free(kontor_client *client); /* all other threads' calls have ended; returns NULL */
/* Replaces the directory as a whole by copies of these routes; calls in flight end with the one they began with. At any
 * time, from any thread. */
int kontor_client_set_routes(kontor_client *client, const struct kontor_route *routes, size_t len,
			     struct kontor_error *err);
/* A call with an argument `region` is sent to the home of that region: here, unless routes with its name say where
 * else. Calls without such an argument are sent to the home of this region; NULL: of no region, so they stay here.
 * Before the first call. BAD_REQUEST: no two capital letters. */
int kontor_client_set_region(kontor_client *client, const char *region, struct kontor_error *err);

struct kontor_call_options {
	uint32_t timeout_ms;  /* 0 = 30 s; sent along as milliseconds left */
	uint32_t patience_ms; /* how long refusals that did nothing are tried again; 0 = until the timeout */
	const char *key;      /* idempotency key, 1-64 bytes; required for methods that change something */
	const char *caller;   /* acts for this user (believed only from units); NULL: the client's */
	const char *service;  /* asks the unit that has this service: for kontor.*, which every unit has; NULL: the
				 method's */
};

/* Calls "settlement.close" with the map in `args` (NULL: an empty one) and waits for the answer. Retries what may be
 * retried (BUSY, DRAINING, UNAVAILABLE; with a key also UNKNOWN_OUTCOME) until the timeout, or as long as patience_ms
 * says while nothing can have been done. On success *ret_reply is
 * the result (caller frees it; ret_reply may be NULL). On failure: the server's code and message, or UNAVAILABLE (never
 * sent), DEADLINE (not run), UNKNOWN_OUTCOME (sent, no answer). options may be NULL. */
int kontor_call(kontor_client *client, const char *method, kontor_writer *args,
		const struct kontor_call_options *options, kontor_body **ret_reply, struct kontor_error *err);

/* 32 hex digits from getrandom(2); out >= 33 bytes; returns out. */
char *kontor_random_key(char *out);

/* ---- the envelope; used by the host's front, the client and tests ---- */

enum kontor_frame_kind {
	KONTOR_FRAME_REQUEST = 1,
	KONTOR_FRAME_REPLY = 2,
	KONTOR_FRAME_ERROR = 3,
	KONTOR_FRAME_PING = 4,
	KONTOR_FRAME_PONG = 5,
	KONTOR_FRAME_CANCEL = 6,
};

#define KONTOR_METHOD_NAME_SIZE 64
#define KONTOR_KEY_SIZE 65

/* [version=1, kind, id, method, left_ms, flags, idempotency_key, traceparent, caller]; trailing elements may be missing
 * and unknown further ones are ignored. */
struct kontor_frame_header {
	unsigned version, kind;
	uint64_t id;
	char method[KONTOR_METHOD_NAME_SIZE];
	uint32_t left_ms;
	uint64_t flags;
	char key[KONTOR_KEY_SIZE];
	char traceparent[64];
	char caller[64];
	uint32_t server_us; /* in replies and errors: the 4th element */
};

/* BAD_REQUEST with the element's name and place for anything malformed. */
int kontor_frame_parse(const void *data, size_t size, struct kontor_frame_header *ret_header, struct kontor_error *err);
/* Into w (reset first). */
void kontor_frame_write(kontor_writer *w, const struct kontor_frame_header *header);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
