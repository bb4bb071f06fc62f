/* SPDX-License-Identifier: Apache-2.0
 *
 * overload_client ENDPOINT METHOD MS RATE SECONDS: calls METHOD with the argument ms = MS at a rate that does not care
 * for the answers (an open loop: callers do not wait for one another), over CONNECTIONS connections. Prints one JSON
 * object: how many were answered how, and how soon. A request's time begins when it was due, not when it could be sent,
 * so that a client which comes late makes the numbers worse and not better.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

#include "kontor/client.h"
#include "kontor/text.h"

#define CONNECTIONS 8
#define LAST_ANSWERS_S 10.0 /* after the last request: what is not answered then is lost */
#define LEFT_MS 30000

enum { ACCEPTED, BUSY, OTHER, OUTCOMES };

struct load {
	void *dealers[CONNECTIONS];
	double *due;               /* seconds, by request */
	double *took_us[OUTCOMES]; /* of the answered ones */
	size_t answered[OUTCOMES];
	size_t requests, sent;
	const char *method;
	kontor_writer *header, *body;
};

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	fprintf(stderr, "overload_client: %s\n", what);
	exit(1);
}

/* Times between two requests of independent callers are exponential. The same on each run. */
static void plan(struct load *load, double rate, double begin)
{
	uint64_t random = 1;
	double at = begin;
	for (size_t i = 0; i < load->requests; i++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		double uniform = ((double)(random >> 11) + 0.5) / (double)(UINT64_C(1) << 53);
		at -= log(uniform) / rate;
		load->due[i] = at;
	}
}

static void *connect_to(void *context, const char *endpoint)
{
	void *dealer = zmq_socket(context, ZMQ_DEALER);
	zmq_setsockopt(dealer, ZMQ_LINGER, &(int){0}, sizeof(int));
	zmq_setsockopt(dealer, ZMQ_SNDHWM, &(int){0}, sizeof(int));
	zmq_setsockopt(dealer, ZMQ_RCVHWM, &(int){0}, sizeof(int));
	if (zmq_connect(dealer, endpoint) < 0)
		die(zmq_strerror(zmq_errno()));
	return dealer;
}

static void send_next(struct load *load)
{
	const void *header, *body;
	size_t header_size, body_size;
	void *dealer = load->dealers[load->sent % CONNECTIONS];
	struct kontor_frame_header frame = {
		.version = 1, .kind = KONTOR_FRAME_REQUEST, .id = load->sent, .left_ms = LEFT_MS};
	snprintf(frame.method, sizeof(frame.method), "%s", load->method);
	kontor_frame_write(load->header, &frame);
	if (kontor_writer_finish(load->header, &header, &header_size, NULL) ||
	    kontor_writer_finish(load->body, &body, &body_size, NULL) ||
	    zmq_send(dealer, header, header_size, ZMQ_SNDMORE) < 0 || zmq_send(dealer, body, body_size, 0) < 0)
		die("a request cannot be sent");
	load->sent++;
}

static int outcome_of(const struct kontor_frame_header *header, zmq_msg_t *body)
{
	kontor_body *error = NULL;
	if (header->kind == KONTOR_FRAME_REPLY)
		return ACCEPTED;
	if (kontor_body_parse(zmq_msg_data(body), zmq_msg_size(body), &error, NULL))
		return OTHER;
	int64_t code = kontor_get_int(kontor_body_map(error), "code", 0);
	kontor_body_free(error);
	return code == KONTOR_E_BUSY ? BUSY : OTHER;
}

/* All answers that are there. */
static void receive(struct load *load, void *dealer)
{
	zmq_msg_t header, body;
	zmq_msg_init(&header);
	zmq_msg_init(&body);
	while (zmq_msg_recv(&header, dealer, ZMQ_DONTWAIT) >= 0 && zmq_msg_recv(&body, dealer, ZMQ_DONTWAIT) >= 0) {
		struct kontor_frame_header frame;
		if (kontor_frame_parse(zmq_msg_data(&header), zmq_msg_size(&header), &frame, NULL) ||
		    frame.id >= load->sent)
			die("an answer is none");
		int outcome = outcome_of(&frame, &body);
		if (load->answered[outcome] == load->requests)
			die("more answers than requests");
		load->took_us[outcome][load->answered[outcome]++] = (now() - load->due[frame.id]) * 1e6;
	}
	zmq_msg_close(&header);
	zmq_msg_close(&body);
}

static size_t all_answered(const struct load *load)
{
	return load->answered[ACCEPTED] + load->answered[BUSY] + load->answered[OTHER];
}

static void run(struct load *load)
{
	zmq_pollitem_t items[CONNECTIONS];
	for (size_t i = 0; i < CONNECTIONS; i++)
		items[i] = (zmq_pollitem_t){.socket = load->dealers[i], .events = ZMQ_POLLIN};
	double end = load->due[load->requests - 1] + LAST_ANSWERS_S;
	while (all_answered(load) < load->requests && now() < end) {
		while (load->sent < load->requests && load->due[load->sent] <= now())
			send_next(load);
		zmq_poll(items, CONNECTIONS, 1);
		for (size_t i = 0; i < CONNECTIONS; i++)
			if (items[i].revents)
				receive(load, load->dealers[i]);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print_outcome(struct load *load, int outcome, const char *name)
{
	size_t len = load->answered[outcome];
	double *took = load->took_us[outcome];
	qsort(took, len, sizeof(*took), by_size);
	printf("\"%s\": %zu, ", name, len);
	if (len)
		printf("\"%s_p50_us\": %.0f, \"%s_p99_us\": %.0f, \"%s_max_us\": %.0f, ", name, took[len / 2], name,
		       took[len * 99 / 100], name, took[len - 1]);
}

static uint64_t number(const char *text)
{
	uint64_t value = 0;
	if (!kontor_parse_uint(kontor_text_of(text), &value) || !value)
		die("usage: overload_client ENDPOINT METHOD MS RATE SECONDS, numbers above 0");
	return value;
}

int main(int argc, char **argv)
{
	if (argc != 6)
		die("usage: overload_client ENDPOINT METHOD MS RATE SECONDS");
	uint64_t rate = number(argv[4]);
	struct load load = {.requests = rate * number(argv[5]), .method = argv[2]};
	load.due = calloc(load.requests, sizeof(double));
	load.header = kontor_writer_new();
	load.body = kontor_writer_new();
	for (int i = 0; i < OUTCOMES; i++)
		load.took_us[i] = calloc(load.requests, sizeof(double));
	if (!load.due || !load.header || !load.body || !load.took_us[0] || !load.took_us[1] || !load.took_us[2])
		die("out of memory");
	kontor_write_map(load.body);
	kontor_put_uint(load.body, "ms", number(argv[3]));
	kontor_write_end(load.body);
	void *context = zmq_ctx_new();
	for (size_t i = 0; i < CONNECTIONS; i++)
		load.dealers[i] = connect_to(context, argv[1]);
	plan(&load, (double)rate, now() + 0.2); /* when all are connected */
	run(&load);
	putchar('{');
	print_outcome(&load, ACCEPTED, "accepted");
	print_outcome(&load, BUSY, "busy");
	print_outcome(&load, OTHER, "other");
	printf("\"sent\": %zu, \"lost\": %zu}\n", load.sent, load.sent - all_answered(&load));
	return 0;
}
