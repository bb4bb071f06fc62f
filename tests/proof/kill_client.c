/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to a service of several endpoints from many threads, until standard input ends: half of them change something,
 * with a key, half do not and have none. Prints a JSON line for each call that failed, and one with the sums.
 *
 *   kill_client THREADS SEED CALL_MS elsewhere|alone ENDPOINT...
 *
 * alone: each thread knows one endpoint only and tries once: what callers see who do without the SDK's directory.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kontor/client.h"
#include "kontor/time.h"

#define THREADS_LIMIT 256
#define ENDPOINTS_LIMIT 8
#define TIMEOUT_MS 20000
#define NUMBERS_OF_A_THREAD 1000000000u

static kontor_client *shared;
static struct kontor_endpoint endpoints[ENDPOINTS_LIMIT];
static size_t endpoints_len;
static bool alone;
static unsigned call_ms;
static atomic_bool stopping;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

struct caller {
	pthread_t thread;
	unsigned number, random;
	uint64_t added, looked, failed;
	int64_t slowest_ms;
};

static kontor_client *open_client(const struct kontor_endpoint *list, size_t len)
{
	kontor_client *client = NULL;
	const struct kontor_client_options options = {0};
	const struct kontor_route route = {
		.service = "tally", .enabled = true, .endpoints = list, .endpoints_len = len};
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_client_new(&options, &client, &err) || kontor_client_set_routes(client, &route, 1, &err)) {
		fprintf(stderr, "kill_client: %s\n", err.message);
		exit(1);
	}
	return client;
}

static void report(const char *method, int64_t began_ms, int64_t ended_ms, const struct kontor_error *err)
{
	pthread_mutex_lock(&output);
	printf("{\"method\": \"%s\", \"began_ms\": %" PRId64 ", \"ended_ms\": %" PRId64
	       ", \"code\": \"%s\", \"message\": \"",
	       method, began_ms, ended_ms, kontor_code_name(err->code));
	for (const char *c = err->message; *c; c++)
		putchar(*c == '"' || *c == '\\' || *c < ' ' ? '\'' : *c);
	puts("\"}");
	fflush(stdout);
	pthread_mutex_unlock(&output);
}

static void call_once(struct caller *caller, kontor_client *client, kontor_writer *args)
{
	char key[KONTOR_KEY_SIZE];
	bool adds = rand_r(&caller->random) % 2;
	uint64_t n = caller->number * (uint64_t)NUMBERS_OF_A_THREAD + caller->added + 1;
	const struct kontor_call_options options = {.timeout_ms = TIMEOUT_MS,
						    .patience_ms = alone ? 1 : 0,
						    .key = adds && !alone ? kontor_random_key(key) : NULL};
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_writer_reset(args);
	kontor_write_map(args);
	kontor_put_uint(args, "n", n);
	kontor_put_uint(args, "ms", (unsigned)rand_r(&caller->random) % (call_ms + 1));
	kontor_write_end(args);
	const char *method = options.key ? "tally.add" : "tally.look";
	int64_t began_ms = kontor_monotonic_ms();
	int rc = kontor_call(client, method, args, &options, NULL, &err);
	int64_t ended_ms = kontor_monotonic_ms();
	if (ended_ms - began_ms > caller->slowest_ms)
		caller->slowest_ms = ended_ms - began_ms;
	if (rc) {
		caller->failed++;
		report(method, began_ms, ended_ms, &err);
	} else if (options.key) {
		caller->added++;
	} else {
		caller->looked++;
	}
}

static void *run(void *arg)
{
	struct caller *caller = arg;
	kontor_client *own = alone ? open_client(&endpoints[caller->number % endpoints_len], 1) : NULL;
	kontor_writer *args = kontor_writer_new();
	while (!stopping)
		call_once(caller, own ? own : shared, args);
	kontor_writer_free(args);
	kontor_client_free(own);
	return NULL;
}

static bool parse_number(const char *text, int64_t limit, unsigned *ret)
{
	int64_t number = 0;
	bool valid = kontor_parse_int(kontor_text_of(text), &number) && number >= 0 && number <= limit;
	*ret = (unsigned)number;
	return valid;
}

int main(int argc, char **argv)
{
	static struct caller callers[THREADS_LIMIT];
	unsigned threads = 0, seed = 0;
	if (argc < 6 || argc - 5 > ENDPOINTS_LIMIT || !parse_number(argv[1], THREADS_LIMIT, &threads) || threads == 0 ||
	    !parse_number(argv[2], 1000000, &seed) || !parse_number(argv[3], 1000, &call_ms)) {
		fputs("usage: kill_client THREADS SEED CALL_MS elsewhere|alone ENDPOINT...\n", stderr);
		return 2;
	}
	alone = strcmp(argv[4], "alone") == 0;
	for (int i = 5; i < argc; i++)
		endpoints[endpoints_len++] = (struct kontor_endpoint){argv[i], NULL};
	shared = open_client(endpoints, endpoints_len);
	for (unsigned i = 0; i < threads; i++) {
		callers[i].number = i;
		callers[i].random = seed * 1000 + i;
		if (pthread_create(&callers[i].thread, NULL, run, &callers[i]))
			return 1;
	}
	char byte;
	while (read(STDIN_FILENO, &byte, 1) == 1)
		;
	stopping = true;
	struct caller sum = {.number = 0};
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(callers[i].thread, NULL);
		sum.added += callers[i].added;
		sum.looked += callers[i].looked;
		sum.failed += callers[i].failed;
		if (callers[i].slowest_ms > sum.slowest_ms)
			sum.slowest_ms = callers[i].slowest_ms;
	}
	printf("{\"added\": %" PRIu64 ", \"looked\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"slowest_ms\": %" PRId64
	       "}\n",
	       sum.added, sum.looked, sum.failed, sum.slowest_ms);
	kontor_client_free(shared);
	return 0;
}
