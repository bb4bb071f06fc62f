/* SPDX-License-Identifier: Apache-2.0
 *
 * round_trip ENDPOINT METHOD WINDOW SLICES [pinned|unpinned] [echo|relay|call]: requests to kontord and to a bare
 * server, in turns of one second. The echo is a ROUTER that answers itself, as kontord does for an inline method; the
 * relay hands all to a worker thread, as for other methods. Both answer with as many frames of the same sizes as
 * kontord's replies have. With `call`, kontord answers both: a bare DEALER, and kontor_call() of a method without
 * arguments. WINDOW requests are in flight: 1 is a synchronous round trip. Prints one JSON line per slice: rates, and
 * for a window of 1 the median and the 99th percentile in microseconds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "bare_server.h"
#include "bench_client.h"
#include "kontor/client.h"
#include "kontor/keys.h"

#define USAGE "round_trip ENDPOINT METHOD WINDOW SLICES [pinned|unpinned] [echo|relay|call]"
#define SAMPLES_LIMIT 1000000
#define WARM_UP 2000

struct side {
	void *dealer;
	kontor_client *client; /* calls by the library instead; NULL: by the dealer */
	const char *method;
	double rate, median_us, slow_us; /* of the last slice */
};

static float samples[SAMPLES_LIMIT];

/* ---- the bare server: a process of its own, as kontord is ---- */

static pid_t start_bare(const char *server, const char *endpoint, const struct bench_frames *reply)
{
	char header_size[24], body_size[24];
	snprintf(header_size, sizeof(header_size), "%zu", reply->header_size);
	snprintf(body_size, sizeof(body_size), "%zu", reply->body_size);
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "round_trip", server, endpoint, header_size, body_size, (char *)NULL);
		_exit(127);
	}
	return child;
}

/* Of a bare server by tcp, which the client finds in the environment as it found kontord's. */
static void use_new_keys(char *endpoint, size_t size)
{
	struct kontor_key_pair pair;
	char bound[64];
	size_t bound_size = sizeof(bound);
	void *context = zmq_ctx_new(), *probe = zmq_socket(context, ZMQ_ROUTER); /* for a port that is free */
	if (kontor_key_generate(&pair, NULL) || zmq_bind(probe, "tcp://127.0.0.1:*") ||
	    zmq_getsockopt(probe, ZMQ_LAST_ENDPOINT, bound, &bound_size)) {
		fputs("no keys or no port\n", stderr);
		exit(1);
	}
	zmq_close(probe);
	zmq_ctx_term(context);
	snprintf(endpoint, size, "%s", bound);
	setenv("BARE_SECRET_KEY", pair.secret_key, 1);
	setenv("KONTOR_SERVER_KEY", pair.public_key, 1);
}

/* ---- slices ---- */

static int by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static void round_trip(const struct side *side, const struct bench_frames *request)
{
	struct bench_frames reply;
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_body *answer = NULL;
	if (!side->client) {
		bench_send(side->dealer, request);
		bench_receive(side->dealer, false, &reply);
	} else if (kontor_call(side->client, side->method, NULL, NULL, &answer, &err)) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	kontor_body_free(answer);
}

static void synchronous_slice(struct side *side, const struct bench_frames *request)
{
	size_t count = 0;
	double start = bench_now(), before = start, end = start + 1.0;
	while (before < end && count < SAMPLES_LIMIT) {
		round_trip(side, request);
		double after = bench_now();
		samples[count++] = (float)((after - before) * 1e6);
		before = after;
	}
	side->rate = (double)count / (before - start);
	qsort(samples, count, sizeof(samples[0]), by_size);
	side->median_us = samples[count / 2];
	side->slow_us = samples[count * 99 / 100];
}

/* Takes all replies that are there, then fills the window again, also when that was all of them: a slice that ended
 * there would be over after a few windows. */
static void pipelined_slice(struct side *side, const struct bench_frames *request, uint64_t window)
{
	struct bench_frames reply;
	uint64_t in_flight = 0, count = 0;
	double start = bench_now(), now = start;
	do {
		for (; in_flight < window && now - start < 1.0; in_flight++)
			bench_send(side->dealer, request);
		for (bool first = true; in_flight > 0 && bench_receive(side->dealer, !first, &reply); first = false) {
			in_flight--;
			count++;
		}
		now = bench_now();
	} while (in_flight > 0 || now - start < 1.0);
	side->rate = (double)count / (now - start);
}

static void slice(struct side *side, const struct bench_frames *request, uint64_t window)
{
	if (window == 1)
		synchronous_slice(side, request);
	else
		pipelined_slice(side, request, window);
}

/* Before anything is measured; *ret_reply is the last one. */
static bool warm_up(void *dealer, const struct bench_frames *request, struct bench_frames *ret_reply)
{
	for (int i = 0; i < WARM_UP; i++) {
		bench_send(dealer, request);
		bench_receive(dealer, false, ret_reply);
		if (!bench_succeeded(ret_reply))
			return false;
	}
	return true;
}

static void print_slice(const struct side *kontor, const struct side *bare, uint64_t window)
{
	printf("{\"echo\": %.0f, \"kontor\": %.0f", bare->rate, kontor->rate);
	if (window == 1)
		printf(", \"echo_p50_us\": %.1f, \"kontor_p50_us\": %.1f, \"echo_p99_us\": %.1f, \"kontor_p99_us\": "
		       "%.1f",
		       bare->median_us, kontor->median_us, bare->slow_us, kontor->slow_us);
	puts("}");
	fflush(stdout);
}

/* In turns, after a round trip of each has made its connections. */
static void run_slices(struct side *kontor, struct side *bare, const struct bench_frames *request, uint64_t window,
		       uint64_t slices)
{
	for (int i = 0; i < WARM_UP; i++) {
		round_trip(kontor, request);
		round_trip(bare, request);
	}
	for (uint64_t i = 0; i < slices; i++) {
		slice(bare, request, window);
		slice(kontor, request, window);
		print_slice(kontor, bare, window);
	}
}

/* Both sides to kontord: what the library adds to the frames. */
static int compare_call(void *dealer, const struct bench_frames *request, char **argv, uint64_t slices)
{
	const struct kontor_client_options options = {.endpoint = argv[1]};
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct side bare = {.dealer = dealer}, call = {.method = argv[2]};
	if (kontor_client_new(&options, &call.client, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	run_slices(&call, &bare, request, 1, slices);
	kontor_client_free(call.client);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && (strcmp(argv[1], "echo") == 0 || strcmp(argv[1], "relay") == 0)) {
		size_t header_size = bench_number(argv[3], USAGE), body_size = bench_number(argv[4], USAGE);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return argv[1][0] == 'e' ? bare_echo(argv[2], header_size, body_size)
					 : bare_relay(argv[2], header_size, body_size);
	}
	if (argc < 5) {
		fputs("usage: " USAGE "\n", stderr);
		return 2;
	}
	uint64_t window = bench_number(argv[3], USAGE), slices = bench_number(argv[4], USAGE);
	if (argc < 6 || strcmp(argv[5], "unpinned") != 0)
		bench_pin();
	struct bench_frames request, reply;
	bench_prepare(&request, argv[2], 0);
	void *context = zmq_ctx_new();
	struct side kontor = {.dealer = bench_connect(context, argv[1])};
	if (!warm_up(kontor.dealer, &request, &reply)) {
		fprintf(stderr, "%s is refused\n", argv[2]);
		return 1;
	}
	if (argc > 6 && strcmp(argv[6], "call") == 0)
		return compare_call(kontor.dealer, &request, argv, slices);
	char endpoint[64];
	bool network = strncmp(argv[1], "tcp://", 6) == 0;
	if (network)
		use_new_keys(endpoint, sizeof(endpoint));
	else
		snprintf(endpoint, sizeof(endpoint), "ipc:///tmp/kontor-echo-%d", (int)getpid());
	pid_t child = start_bare(argc > 6 ? argv[6] : "echo", endpoint, &reply);
	struct side bare = {.dealer = bench_connect(context, endpoint)};
	run_slices(&kontor, &bare, &request, window, slices);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (!network)
		unlink(endpoint + strlen("ipc://"));
	return 0;
}
