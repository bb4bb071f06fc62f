/* SPDX-License-Identifier: Apache-2.0
 *
 * The bare primitives that kontord is measured against. Each answers every message with two frames of the given sizes,
 * for ever; 1 when a socket fails.
 */
#ifndef BARE_SERVER_H
#define BARE_SERVER_H

#include <stddef.h>

/* One message in, one out, in the thread of the ROUTER: nothing can be faster with these sockets. With CURVE when
 * BARE_SECRET_KEY is set. */
int bare_echo(const char *endpoint, size_t header_size, size_t body_size);

/* The thread of the ROUTER hands all frames to a worker thread by inproc, and back what it answers: the least that a
 * server does whose handlers may wait. */
int bare_relay(const char *endpoint, size_t header_size, size_t body_size);

#endif
