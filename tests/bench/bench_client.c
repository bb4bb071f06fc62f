/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark programs' side of a round trip: as little work as a client can do, the same for kontord and for an
 * echo.
 */
#include "bench_client.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

#include "kontor/client.h"
#include "kontor/keys.h"

double bench_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void bench_pin(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

uint64_t bench_number(const char *text, const char *usage)
{
	uint64_t number;
	if (kontor_parse_uint(kontor_text_of(text), &number))
		return number;
	fprintf(stderr, "'%s' is no number\nusage: %s\n", text, usage);
	exit(2);
}

static size_t copy_out(kontor_writer *w, unsigned char *out)
{
	const void *data = NULL;
	size_t size = 0;
	if (kontor_writer_finish(w, &data, &size, NULL) || size > BENCH_FRAME_LIMIT) {
		fputs("the request cannot be written\n", stderr);
		exit(1);
	}
	memcpy(out, data, size);
	kontor_writer_free(w);
	return size;
}

void bench_prepare(struct bench_frames *request, const char *method, uint64_t count)
{
	struct kontor_frame_header header = {.version = 1, .kind = KONTOR_FRAME_REQUEST, .id = 7, .left_ms = 10000};
	kontor_writer *head = kontor_writer_new(), *body = kontor_writer_new();
	snprintf(header.method, sizeof(header.method), "%s", method);
	kontor_frame_write(head, &header);
	kontor_write_map(body);
	if (strcmp(method, "idgen.next") == 0)
		kontor_put_string(body, "namespace", "payout");
	if (strcmp(method, "hello.greet") == 0)
		kontor_put_string(body, "name", "payout");
	if (count)
		kontor_put_uint(body, "count", count);
	kontor_write_end(body);
	request->header_size = copy_out(head, request->header);
	request->body_size = copy_out(body, request->body);
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);
	if (value)
		return value;
	fprintf(stderr, "%s is not set\n", name);
	exit(2);
}

static void set_keys(void *dealer)
{
	struct kontor_key_pair own;
	struct kontor_error err;
	if (kontor_key_load(setting("KONTOR_KEY_FILE"), &own, &err)) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, setting("KONTOR_SERVER_KEY"), KONTOR_KEY_TEXT_SIZE);
	zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, own.public_key, KONTOR_KEY_TEXT_SIZE);
	zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, own.secret_key, KONTOR_KEY_TEXT_SIZE);
}

void *bench_connect(void *context, const char *endpoint)
{
	void *dealer = zmq_socket(context, ZMQ_DEALER);
	zmq_setsockopt(dealer, ZMQ_LINGER, &(int){0}, sizeof(int));
	zmq_setsockopt(dealer, ZMQ_SNDHWM, &(int){0}, sizeof(int));
	zmq_setsockopt(dealer, ZMQ_RCVHWM, &(int){0}, sizeof(int));
	zmq_setsockopt(dealer, ZMQ_RECONNECT_IVL, &(int){1}, sizeof(int)); /* ms, for the moment that a unit begins */
	zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &(int){BENCH_REPLY_MS}, sizeof(int));
	if (strncmp(endpoint, "tcp://", 6) == 0)
		set_keys(dealer);
	if (zmq_connect(dealer, endpoint) == 0)
		return dealer;
	fprintf(stderr, "cannot connect to %s: %s\n", endpoint, zmq_strerror(zmq_errno()));
	exit(1);
}

void bench_send(void *dealer, const struct bench_frames *request)
{
	zmq_send(dealer, request->header, request->header_size, ZMQ_SNDMORE);
	zmq_send(dealer, request->body, request->body_size, 0);
}

bool bench_receive(void *dealer, bool dont_wait, struct bench_frames *reply)
{
	int size = zmq_recv(dealer, reply->header, sizeof(reply->header), dont_wait ? ZMQ_DONTWAIT : 0);
	if (size < 0 && dont_wait)
		return false;
	int body_size = size < 0 ? size : zmq_recv(dealer, reply->body, sizeof(reply->body), 0);
	if (body_size < 0) {
		fprintf(stderr, "no reply within %d ms\n", BENCH_REPLY_MS);
		exit(1);
	}
	reply->header_size = (size_t)size;
	reply->body_size = (size_t)body_size;
	return true;
}

bool bench_succeeded(const struct bench_frames *reply)
{
	struct kontor_frame_header header;
	return kontor_frame_parse(reply->header, reply->header_size, &header, NULL) == 0 &&
	       header.kind == KONTOR_FRAME_REPLY;
}
