/* SPDX-License-Identifier: Apache-2.0
 *
 * What the SDK's own files do with a client beyond kontor/client.h. Not installed.
 */
#ifndef KONTOR_CLIENT_STATE_H
#define KONTOR_CLIENT_STATE_H

#include "kontor/client.h"

/* In a child of fork(2): the client is never used or freed again, and a thread that ends leaves its sockets alone. NULL
 * is fine. */
void kontor_client_orphan(kontor_client *client);

#endif
