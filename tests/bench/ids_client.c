/* SPDX-License-Identifier: Apache-2.0
 *
 * ids_client SLICES [ENDPOINT NAMESPACE]: nanoseconds an id in the client, beside a bare call that adds, in turns of a
 * second. Grants are of 2^20 ids and fetched all the while: by default from a process that only counts, so that it is
 * the client that is measured (a slot of std63 has 4.1 million ids a second, less than one core takes). Prints one JSON
 * line per slice, of the bare call, kontor_id_handle_next(), kontor_id_handle_fill() and kontor_id_source_next():
 * "next_ns" is wall time, waiting for grants included; "next_cpu_ns" is the thread's processor time, which other
 * programs on the machine disturb less. With two threads the times are those of one while the other does the same.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "ids_peer.h"
#include "kontor/ids.h"

#define THREADS_LIMIT 2
/* Its ids fill a quarter of a first-level cache: it is the client that is measured, not the memory. */
#define BATCH 1024
#define SLICE_S 1.0

static double now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const struct kontor_error *err)
{
	fprintf(stderr, "ids_client: %s\n", err->message);
	exit(1);
}

/* ---- what is measured: BATCH ids, and something that depends on each of them ------------------------------------- */

struct worker {
	kontor_id_source *source;
	kontor_id_handle *handle;
	uint64_t (*batch)(struct worker *worker);
	uint64_t ids[BATCH];
	struct counter {
		uint64_t next, stride;
	} counter;
	struct cost {
		double ns, cpu_ns;
	} cost;
	uint64_t sum;
};

static __attribute__((noinline)) uint64_t call_and_add(struct counter *counter)
{
	uint64_t id = counter->next;
	counter->next = id + counter->stride;
	return id;
}

static uint64_t bare_batch(struct worker *worker)
{
	uint64_t sum = 0;
	for (int i = 0; i < BATCH; i++)
		sum ^= call_and_add(&worker->counter);
	return sum;
}

static uint64_t next_batch(struct worker *worker)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	uint64_t sum = 0, id;
	for (int i = 0; i < BATCH; i++) {
		if (kontor_id_handle_next(worker->handle, &id, &err))
			fail(&err);
		sum ^= id;
	}
	return sum;
}

static uint64_t fill_batch(struct worker *worker)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_id_handle_fill(worker->handle, worker->ids, BATCH, &err))
		fail(&err);
	return worker->ids[BATCH - 1];
}

static uint64_t shared_batch(struct worker *worker)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	uint64_t sum = 0, id;
	for (int i = 0; i < BATCH; i++) {
		if (kontor_id_source_next(worker->source, &id, &err))
			fail(&err);
		sum ^= id;
	}
	return sum;
}

/* ---- slices ------------------------------------------------------------------------------------------------------ */

static pthread_barrier_t start;

static void *run_slice(void *arg)
{
	struct worker *worker = arg;
	uint64_t batches = 0;
	pthread_barrier_wait(&start);
	double began = now(CLOCK_MONOTONIC), began_cpu = now(CLOCK_THREAD_CPUTIME_ID), took;
	do {
		worker->sum ^= worker->batch(worker);
		batches++;
	} while ((took = now(CLOCK_MONOTONIC) - began) < SLICE_S);
	double ids = (double)batches * BATCH;
	worker->cost.ns = took * 1e9 / ids;
	worker->cost.cpu_ns = (now(CLOCK_THREAD_CPUTIME_ID) - began_cpu) * 1e9 / ids;
	return NULL;
}

static struct cost slice(struct worker *workers, unsigned threads, uint64_t (*batch)(struct worker *worker))
{
	pthread_t ids[THREADS_LIMIT];
	struct cost cost = {0};
	pthread_barrier_init(&start, NULL, threads);
	for (unsigned i = 0; i < threads; i++) {
		workers[i].batch = batch;
		pthread_create(&ids[i], NULL, run_slice, &workers[i]);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		cost.ns += workers[i].cost.ns / threads;
		cost.cpu_ns += workers[i].cost.cpu_ns / threads;
	}
	pthread_barrier_destroy(&start);
	return cost;
}

static void run(kontor_id_source *source, uint64_t slices)
{
	static const struct {
		const char *name;
		uint64_t (*batch)(struct worker *worker);
	} measures[] = {{"bare", bare_batch}, {"next", next_batch}, {"fill", fill_batch}, {"shared", shared_batch}};
	static struct worker workers[THREADS_LIMIT];
	struct kontor_error err = KONTOR_ERROR_INIT;
	for (unsigned i = 0; i < THREADS_LIMIT; i++) {
		workers[i].source = source;
		workers[i].counter.stride = KONTOR_ID_STRIDE;
		if (kontor_id_handle_new(source, &workers[i].handle, &err))
			fail(&err);
	}
	for (uint64_t i = 0; i < slices; i++) {
		for (unsigned threads = 1; threads <= THREADS_LIMIT; threads++) {
			printf("{\"threads\": %u", threads);
			for (size_t m = 0; m < sizeof(measures) / sizeof(measures[0]); m++) {
				struct cost cost = slice(workers, threads, measures[m].batch);
				printf(", \"%s_ns\": %.3f, \"%s_cpu_ns\": %.3f", measures[m].name, cost.ns,
				       measures[m].name, cost.cpu_ns);
			}
			puts("}");
			fflush(stdout);
		}
	}
	for (unsigned i = 0; i < THREADS_LIMIT; i++)
		kontor_id_handle_free(workers[i].handle);
}

/* ---- a process that only counts ---------------------------------------------------------------------------------- */

static pid_t begin_counting(char *endpoint, size_t size)
{
	static struct peer peer;
	int ready[2];
	if (pipe(ready))
		exit(1);
	pid_t child = fork();
	if (child == 0) {
		peer_begin(&peer, 1);
		if (write(ready[1], peer.endpoint, sizeof(peer.endpoint)) < 0)
			_exit(1);
		pthread_join(peer.thread, NULL);
		_exit(0);
	}
	close(ready[1]);
	if (child < 0 || read(ready[0], endpoint, size) != (ssize_t)size)
		exit(1);
	close(ready[0]);
	return child;
}

int main(int argc, char **argv)
{
	uint64_t slices;
	if ((argc != 2 && argc != 4) || !kontor_parse_uint(kontor_text_of(argv[1]), &slices)) {
		fprintf(stderr, "usage: ids_client SLICES [ENDPOINT NAMESPACE]\n");
		return 2;
	}
	char counting[64] = "";
	pid_t child = argc == 2 ? begin_counting(counting, sizeof(counting)) : 0;
	const char *const endpoints[] = {argc == 2 ? counting : argv[2], NULL};
	const struct kontor_id_source_options options = {.id_namespace = argc == 2 ? "counted" : argv[3],
							 .endpoints = endpoints,
							 .grant = KONTOR_ID_GRANT_LIMIT};
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_id_source *source = NULL;
	if (kontor_id_source_new(&options, &source, &err))
		fail(&err);
	run(source, slices);
	kontor_id_source_free(source);
	if (child) {
		kill(child, SIGTERM);
		waitpid(child, NULL, 0);
		unlink(counting + strlen("ipc://"));
	}
	return 0;
}
