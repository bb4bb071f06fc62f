/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections that callers have to this unit, as the kernel knows them: libzmq tells nothing of a connection whose
 * message is not complete. They are found among the process's descriptors, and held by duplicates, which cannot come to
 * mean another connection. One thread.
 */
#ifndef KONTORD_CONNECTION_LIST_H
#define KONTORD_CONNECTION_LIST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Which connections completed a message. The front marks, while it is wanted, and the watcher takes the marks. */
struct connection_marks {
	_Atomic bool wanted;
	_Atomic unsigned char *completed; /* by descriptor */
	unsigned len;
};

struct connection {
	int fd;         /* libzmq's */
	int handle;     /* our duplicate */
	ino_t inode;    /* of the socket: tells whether fd still is this connection's */
	int64_t uid;    /* of the process at the other end of ipc; -1 of tcp */
	bool tcp, gone; /* gone: closed by libzmq or by us; its handle is closed at the end */
	uint64_t bytes; /* of tcp: received ever */
	/* since it completed a message, or since it was found */
	uint64_t received;   /* bytes; of ipc at least so many */
	unsigned busy_turns; /* looks that found something new */
	/* what its peer has not read */
	int unread;             /* bytes in the kernel; 0 while that takes more */
	int64_t stuck_since_ms; /* since when it takes no more and stays the same; 0: it does not */
};

struct connection_list {
	const char *const *endpoints; /* bound by this unit: "ipc:///...", "tcp://...:PORT"; ends with NULL */
	struct connection *all;
	size_t len, room;
	int epoll;
};

/* False: errno. */
bool connection_list_open(struct connection_list *list);
void connection_list_close(struct connection_list *list);
/* Adds the connections that are not in the list yet. */
void connection_list_find(struct connection_list *list);
/* One look at all: what came, what is not read, which completed a message. */
void connection_list_look(struct connection_list *list, struct connection_marks *marks, int64_t now_ms);
/* Whether somebody on this machine has not read all that was sent to him. By tcp the kernel does not know. */
bool connection_list_unread(const struct connection_list *list);
/* "uid=1000 pid=4711" or "address=10.3.0.17:51234". */
void connection_peer(const struct connection *connection, char *out, size_t size);

#endif
