/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests for ids, for ./dev bench idgen; each form prints JSON:
 *   id_requests load ENDPOINT WINDOW SECONDS   as many as the unit answers, WINDOW in flight: {"requests", "errors",
 * "slowest_ms"} id_requests grants ENDPOINT PAIRS          one id and a million ids in turn, twice a second: a line
 * {"one_us", "million_us"} for each pair id_requests first ENDPOINT SECONDS         tries until an id is given: {"at":
 * seconds of CLOCK_MONOTONIC}
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

#include "bench_client.h"

#define USAGE "id_requests load ENDPOINT WINDOW SECONDS | grants ENDPOINT PAIRS | first ENDPOINT SECONDS"
#define WINDOW_LIMIT 1000
#define MILLION 1000000
#define PAIR_MS 500 /* two million ids a second are half of what a slot of std63 has */
#define WARM_UP 200 /* requests right before a measured one, so that both kinds find caches and core alike */
#define FIRST_TRY_MS 1

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Replies of inline methods come in the order of their requests. */
static int load(void *dealer, uint64_t window, uint64_t seconds)
{
	static double sent[WINDOW_LIMIT];
	struct bench_frames request, reply;
	uint64_t asked = 0, answered = 0, errors = 0;
	double end = bench_now() + (double)seconds, now = 0, slowest = 0;
	bench_prepare(&request, "idgen.next", 0);
	do {
		for (now = bench_now(); asked - answered < window && now < end; asked++) {
			sent[asked % window] = now;
			bench_send(dealer, &request);
		}
		for (bool first = true; answered < asked && bench_receive(dealer, !first, &reply); first = false) {
			double took = bench_now() - sent[answered++ % window];
			slowest = took > slowest ? took : slowest;
			errors += !bench_succeeded(&reply);
		}
	} while (answered < asked || now < end);
	printf("{\"requests\": %llu, \"errors\": %llu, \"slowest_ms\": %.1f}\n", (unsigned long long)answered,
	       (unsigned long long)errors, slowest * 1e3);
	return 0;
}

static double timed_us(void *dealer, const struct bench_frames *warm, const struct bench_frames *request)
{
	struct bench_frames reply;
	for (int i = 0; i < WARM_UP; i++) {
		bench_send(dealer, warm);
		bench_receive(dealer, false, &reply);
	}
	double start = bench_now();
	bench_send(dealer, request);
	bench_receive(dealer, false, &reply);
	double took = bench_now() - start;
	if (bench_succeeded(&reply))
		return took * 1e6;
	fputs("a grant was refused\n", stderr);
	exit(1);
}

static int grants(void *dealer, uint64_t pairs)
{
	struct bench_frames warm, one, million;
	bench_prepare(&warm, "kontor.ping", 0);
	bench_prepare(&one, "idgen.next", 1);
	bench_prepare(&million, "idgen.next", MILLION);
	for (uint64_t i = 0; i < pairs; i++) {
		sleep_ms(PAIR_MS);
		double one_us = timed_us(dealer, &warm, &one), million_us = timed_us(dealer, &warm, &million);
		printf("{\"one_us\": %.1f, \"million_us\": %.1f}\n", one_us, million_us);
	}
	return 0;
}

static int first(void *dealer, uint64_t seconds)
{
	struct bench_frames request, reply;
	double end = bench_now() + (double)seconds;
	bench_prepare(&request, "idgen.next", 0);
	while (bench_now() < end) {
		bench_send(dealer, &request);
		bench_receive(dealer, false, &reply);
		if (bench_succeeded(&reply)) {
			printf("{\"at\": %.6f}\n", bench_now());
			return 0;
		}
		sleep_ms(FIRST_TRY_MS);
	}
	fprintf(stderr, "no id within %llu s\n", (unsigned long long)seconds);
	return 1;
}

int main(int argc, char **argv)
{
	bool is_load = argc == 5 && strcmp(argv[1], "load") == 0;
	bool is_first = argc == 4 && strcmp(argv[1], "first") == 0;
	if (!is_load && !is_first && !(argc == 4 && strcmp(argv[1], "grants") == 0)) {
		fputs("usage: " USAGE "\n", stderr);
		return 2;
	}
	uint64_t number = bench_number(argv[3], USAGE);
	if (!is_load && !is_first)
		bench_pin();
	void *context = zmq_ctx_new();
	void *dealer = bench_connect(context, argv[2]);
	if (is_first)
		return first(dealer, number);
	if (!is_load)
		return grants(dealer, number);
	if (number >= 1 && number <= WINDOW_LIMIT)
		return load(dealer, number, bench_number(argv[4], USAGE));
	fprintf(stderr, "WINDOW is 1 to %d\n", WINDOW_LIMIT);
	return 2;
}
