/* SPDX-License-Identifier: Apache-2.0 */
#include "connection_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "kontor/text.h"

#define EVENTS_AT_ONCE 64

/* ---- which descriptors are connections of callers ---------------------------------------------------------------- */

union address {
	struct sockaddr any;
	struct sockaddr_un ipc;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static bool is_ours(const struct connection_list *list, const union address *own)
{
	bool tcp = own->any.sa_family == AF_INET || own->any.sa_family == AF_INET6;
	unsigned port = ntohs(own->any.sa_family == AF_INET ? own->v4.sin_port : own->v6.sin6_port);
	for (const char *const *endpoint = list->endpoints; *endpoint; endpoint++) {
		const char *colon = strrchr(*endpoint, ':');
		uint64_t bound = 0;
		if (own->any.sa_family == AF_UNIX && strncmp(*endpoint, "ipc://", 6) == 0 &&
		    strcmp(*endpoint + 6, own->ipc.sun_path) == 0)
			return true;
		if (tcp && strncmp(*endpoint, "tcp://", 6) == 0 &&
		    kontor_parse_uint(kontor_text_of(colon + 1), &bound) && bound == port)
			return true;
	}
	return false;
}

/* Accepted ones have the address of the socket that listens; that one has no peer. */
static bool is_connection(const struct connection_list *list, int handle, bool *ret_tcp)
{
	union address own = {.any.sa_family = AF_UNSPEC}, peer;
	socklen_t own_size = sizeof(own) - 1, peer_size = sizeof(peer);
	if (getsockname(handle, &own.any, &own_size) < 0 || getpeername(handle, &peer.any, &peer_size) < 0)
		return false;
	*ret_tcp = own.any.sa_family != AF_UNIX;
	return is_ours(list, &own);
}

static uint64_t tcp_bytes(int handle)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	return getsockopt(handle, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

static int64_t ipc_uid(int handle)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);
	return getsockopt(handle, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? (int64_t)credentials.uid : -1;
}

static bool is_known(const struct connection_list *list, int fd, ino_t inode)
{
	for (size_t i = 0; i < list->len; i++)
		if (list->all[i].handle == fd || (list->all[i].fd == fd && list->all[i].inode == inode))
			return true;
	return false;
}

static void add(struct connection_list *list, int fd, int handle, ino_t inode, bool tcp)
{
	if (list->len == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct connection *all = reallocarray(list->all, room, sizeof(*all));
		if (!all) {
			close(handle);
			return;
		}
		list->all = all;
		list->room = room;
	}
	/* Edge-triggered: says once that something came since the look before, however soon libzmq has read it. */
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = list->len};
	if (epoll_ctl(list->epoll, EPOLL_CTL_ADD, handle, &event) < 0) {
		close(handle);
		return;
	}
	list->all[list->len++] = (struct connection){.fd = fd,
						     .handle = handle,
						     .inode = inode,
						     .uid = tcp ? -1 : ipc_uid(handle),
						     .tcp = tcp,
						     .bytes = tcp ? tcp_bytes(handle) : 0};
}

/* libzmq's threads close and open descriptors meanwhile. What the number means may change before it is duplicated: then
 * the duplicate, and all that is asked of it, is that of the later connection. If it changes afterwards, take_mark()
 * sees another inode; this one cannot come back, as the duplicate keeps it in use. */
static void consider(struct connection_list *list, int fd)
{
	struct stat st;
	bool tcp = false;
	if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) || is_known(list, fd, st.st_ino))
		return;
	int handle = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (handle < 0)
		return;
	if (fstat(handle, &st) == 0 && is_connection(list, handle, &tcp))
		add(list, fd, handle, st.st_ino, tcp);
	else
		close(handle);
}

void connection_list_find(struct connection_list *list)
{
	DIR *folder = opendir("/proc/self/fd");
	if (!folder)
		return;
	for (struct dirent *entry; (entry = readdir(folder));) {
		uint64_t fd;
		if (kontor_parse_uint(kontor_text_of(entry->d_name), &fd) && fd <= INT32_MAX &&
		    (int)fd != dirfd(folder))
			consider(list, (int)fd);
	}
	closedir(folder);
}

bool connection_list_open(struct connection_list *list)
{
	list->epoll = epoll_create1(EPOLL_CLOEXEC);
	return list->epoll >= 0;
}

void connection_list_close(struct connection_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		close(list->all[i].handle);
	free(list->all);
	if (list->epoll >= 0)
		close(list->epoll);
	*list = (struct connection_list){.endpoints = list->endpoints, .epoll = -1};
}

/* ---- a look ------------------------------------------------------------------------------------------------------ */

static void note_arrival(struct connection *connection)
{
	int waiting = 0;
	connection->busy_turns++;
	if (connection->tcp) {
		uint64_t bytes = tcp_bytes(connection->handle);
		connection->received += bytes - connection->bytes;
		connection->bytes = bytes;
	} else if (ioctl(connection->handle, FIONREAD, &waiting) == 0) {
		connection->received += waiting > 0 ? (uint64_t)waiting : 1; /* libzmq was quicker: at least a byte */
	}
}

static void look_at_unread(struct connection *connection, int64_t now_ms)
{
	int unread = 0;
	/* Only while the kernel takes no more does libzmq keep what is to be sent. */
	struct pollfd room = {.fd = connection->handle, .events = POLLOUT};
	bool full = poll(&room, 1, 0) == 0 && ioctl(connection->handle, SIOCOUTQ, &unread) == 0;
	if (!full || unread != connection->unread)
		connection->stuck_since_ms = 0;
	else if (!connection->stuck_since_ms)
		connection->stuck_since_ms = now_ms;
	connection->unread = unread;
}

static void take_mark(struct connection *connection, struct connection_marks *marks)
{
	struct stat st;
	/* A mark may be that of a later connection with the same number: then this one is found to be gone right below.
	 */
	if ((unsigned)connection->fd < marks->len && atomic_exchange(&marks->completed[connection->fd], 0)) {
		connection->received = 0;
		connection->busy_turns = 0;
	}
	if (fstat(connection->fd, &st) < 0 || st.st_ino != connection->inode)
		connection->gone = true;
}

void connection_list_look(struct connection_list *list, struct connection_marks *marks, int64_t now_ms)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int len;
	do {
		len = epoll_wait(list->epoll, events, EVENTS_AT_ONCE, 0);
		for (int i = 0; i < len; i++)
			note_arrival(&list->all[events[i].data.u64]);
	} while (len == EVENTS_AT_ONCE);
	for (size_t i = 0; i < list->len; i++) {
		if (list->all[i].gone)
			continue;
		take_mark(&list->all[i], marks);
		look_at_unread(&list->all[i], now_ms);
	}
}

bool connection_list_unread(const struct connection_list *list)
{
	for (size_t i = 0; i < list->len; i++) {
		int unread = 0;
		if (!list->all[i].tcp && ioctl(list->all[i].handle, SIOCOUTQ, &unread) == 0 && unread > 0)
			return true;
	}
	return false;
}

void connection_peer(const struct connection *connection, char *out, size_t size)
{
	union address peer;
	socklen_t peer_size = sizeof(peer);
	struct ucred credentials;
	socklen_t credentials_size = sizeof(credentials);
	char host[64], port[8];
	snprintf(out, size, "address=unknown");
	if (connection->tcp) {
		if (getpeername(connection->handle, &peer.any, &peer_size) == 0 &&
		    getnameinfo(&peer.any, peer_size, host, sizeof(host), port, sizeof(port),
				NI_NUMERICHOST | NI_NUMERICSERV) == 0)
			snprintf(out, size, "address=%s:%s", host, port);
	} else if (getsockopt(connection->handle, SOL_SOCKET, SO_PEERCRED, &credentials, &credentials_size) == 0) {
		snprintf(out, size, "uid=%u pid=%d", (unsigned)credentials.uid, (int)credentials.pid);
	}
}
