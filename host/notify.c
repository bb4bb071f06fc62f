/* SPDX-License-Identifier: Apache-2.0
 *
 * One datagram to the socket that systemd named.
 */
#include "notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kontor/text.h"

void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
		return;
	size_t length = strlen(path);
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* abstract socket */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	/* Nobody to tell when this fails: systemd then sees no READY and says so itself. */
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, size);
	close(fd);
}

int64_t notify_watchdog_ms(void)
{
	const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us = 0, watched = 0;
	if (!text || !kontor_parse_uint(kontor_text_of(text), &us) || us > INT64_MAX)
		return 0;
	if (pid && (!kontor_parse_uint(kontor_text_of(pid), &watched) || watched != (uint64_t)getpid()))
		return 0;
	return (int64_t)(us / 1000);
}
