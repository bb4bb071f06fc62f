/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds the memory that connections take in libzmq, which bounds it by the number of whole messages only: a message of
 * ever more frames never becomes whole, and a caller that does not read has thousands of replies kept for him. The
 * guard's thread looks at the process's memory; only when that has grown does it look at connections, and closes the
 * one that takes most (docs/adr/010).
 */
#ifndef KONTORD_CONNECTION_GUARD_H
#define KONTORD_CONNECTION_GUARD_H

#include <zmq.h>

#include "connection_list.h"
#include "unit.h"

/* A stage of the life cycle, behind the front. */
int connection_guard_start(struct unit *unit, struct kontor_error *err);
void connection_guard_stop(struct unit *unit);

/* Whether a caller on this machine has not read all his answers. Any thread, while the guard runs. */
bool connection_guard_unread(const struct unit *unit);

/* The front: `message` is a frame of a whole message. Costs one look at memory while nobody wants marks. */
static inline void connection_completed(struct connection_marks *marks, zmq_msg_t *message)
{
	if (!atomic_load_explicit(&marks->wanted, memory_order_acquire))
		return;
	int fd = zmq_msg_get(message, ZMQ_SRCFD);
	if (fd >= 0 && (unsigned)fd < marks->len)
		atomic_store_explicit(&marks->completed[fd], 1, memory_order_relaxed);
}

#endif
