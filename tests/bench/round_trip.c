/* SPDX-License-Identifier: Apache-2.0
 *
 * round_trip ENDPOINT SLICES: synchronous round trips to a bare DEALER/ROUTER echo and to kontord, in turns of one
 * second, everything on one core (unpinned numbers measure where the scheduler put the threads). Prints one JSON line
 * per slice.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "kontor/client.h"

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pin(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* The same frames back, in the thread of the ROUTER: nothing can be faster with these sockets. */
static void echo(const char *endpoint)
{
	void *context = zmq_ctx_new();
	void *router = zmq_socket(context, ZMQ_ROUTER);
	if (zmq_bind(router, endpoint))
		_exit(1);
	for (;;) {
		zmq_msg_t frame;
		int more;
		do {
			zmq_msg_init(&frame);
			if (zmq_msg_recv(&frame, router, 0) < 0)
				_exit(1);
			more = zmq_msg_more(&frame);
			zmq_msg_send(&frame, router, more ? ZMQ_SNDMORE : 0);
		} while (more);
	}
}

static double slice(void *dealer, const void *header, size_t header_size, const void *body, size_t body_size)
{
	char buffer[4096];
	double start = now(), end = start + 1.0;
	unsigned long count = 0;
	do {
		for (int i = 0; i < 64; i++) {
			zmq_send(dealer, header, header_size, ZMQ_SNDMORE);
			zmq_send(dealer, body, body_size, 0);
			zmq_recv(dealer, buffer, sizeof(buffer), 0);
			zmq_recv(dealer, buffer, sizeof(buffer), 0);
			count++;
		}
	} while (now() < end);
	return (double)count / (now() - start);
}

int main(int argc, char **argv)
{
	uint64_t slices;
	if (argc < 4 || !kontor_parse_uint(kontor_text_of(argv[3]), &slices)) {
		fprintf(stderr, "usage: round_trip ENDPOINT METHOD SLICES\n");
		return 2;
	}
	pin();
	char bare[64];
	snprintf(bare, sizeof(bare), "ipc:///tmp/kontor-echo-%d", (int)getpid());
	pid_t child = fork();
	if (!child)
		echo(bare);
	void *context = zmq_ctx_new();
	void *dealers[2] = {zmq_socket(context, ZMQ_DEALER), zmq_socket(context, ZMQ_DEALER)};
	zmq_connect(dealers[0], bare);
	zmq_connect(dealers[1], argv[1]);

	struct kontor_error err = KONTOR_ERROR_INIT;
	struct kontor_frame_header header = {.version = 1, .kind = KONTOR_FRAME_REQUEST, .id = 7, .left_ms = 10000};
	snprintf(header.method, sizeof(header.method), "%s", argv[2]);
	kontor_writer *w = kontor_writer_new(), *b = kontor_writer_new();
	const void *head, *body;
	size_t head_size, body_size;
	kontor_frame_write(w, &header);
	kontor_write_map(b);
	if (!strcmp(argv[2], "idgen.next"))
		kontor_put_string(b, "namespace", "payout");
	kontor_write_end(b);
	if (kontor_writer_finish(w, &head, &head_size, &err) || kontor_writer_finish(b, &body, &body_size, &err))
		return 1;
	for (uint64_t i = 0; i < slices; i++) {
		double echo_rate = slice(dealers[0], head, head_size, body, body_size);
		double rate = slice(dealers[1], head, head_size, body, body_size);
		printf("{\"echo\": %.0f, \"kontor\": %.0f}\n", echo_rate, rate);
		fflush(stdout);
	}
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	unlink(bare + strlen("ipc://"));
	return 0;
}
