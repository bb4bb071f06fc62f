/* SPDX-License-Identifier: Apache-2.0
 *
 * What every ZeroMQ socket of the unit has set, and what each tcp one has besides. No other file of kontord sets socket
 * options that decide who gets in.
 */
#ifndef KONTORD_SOCKETS_H
#define KONTORD_SOCKETS_H

#include "kontor/keys.h"

/* NULL: zmq_errno(). */
void *socket_open(void *zmq, int type);

/* Before the socket binds by tcp: from then on only those get in who know our public key and whose own key the ZAP
 * handler accepts; without a handler nobody does. */
int socket_guard(void *socket, const struct kontor_key_pair *own, struct kontor_error *err);

int socket_bind(void *socket, const char *endpoint, struct kontor_error *err);

#endif
