/* SPDX-License-Identifier: Apache-2.0
 *
 * ids_consumer NAMESPACE THREADS GRANT MAX_AGE_MS ENDPOINT...: takes ids, one every PAUSE_US or so in each thread,
 * until its stdin is closed, and then tells what happened as one JSON line. A line on stdin, "fork", makes a child that
 * takes CHILD_IDS with the handle of the thread that forked, in the middle of its grant; "state" answers the line
 * {"ids", "waits", "refused"} of this moment.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kontor/ids.h"

#define IDS_LIMIT (1u << 22)
#define THREADS_LIMIT 16
#define CHILD_IDS 2000
#define PAUSE_US 300

/* Shared with the children. */
static struct record {
	atomic_uint len, refused, decreased;
	char first_refusal[512];
	uint64_t ids[IDS_LIMIT];
} * record;

static kontor_id_source *source;
static atomic_bool stop;

/* As it can stand in a JSON string. */
static void keep_refusal(const struct kontor_error *err)
{
	snprintf(record->first_refusal, sizeof(record->first_refusal), "%s", err->message);
	for (char *c = record->first_refusal; *c; c++)
		if (*c == '"' || *c == '\\')
			*c = '\'';
}

static void take(kontor_id_handle *handle, uint64_t *last)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	uint64_t id;
	if (kontor_id_handle_next(handle, &id, &err)) {
		if (atomic_fetch_add(&record->refused, 1) == 0)
			keep_refusal(&err);
		return;
	}
	record->decreased += id <= *last;
	*last = id;
	unsigned place = atomic_fetch_add(&record->len, 1);
	if (place >= IDS_LIMIT)
		abort();
	record->ids[place] = id;
}

static kontor_id_handle *new_handle(void)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_id_handle *handle = NULL;
	if (kontor_id_handle_new(source, &handle, &err)) {
		fprintf(stderr, "ids_consumer: %s\n", err.message);
		exit(1);
	}
	return handle;
}

static void *take_until_stop(void *arg)
{
	(void)arg;
	kontor_id_handle *handle = new_handle();
	for (uint64_t last = 0; !stop; usleep(PAUSE_US))
		take(handle, &last);
	return kontor_id_handle_free(handle);
}

static void make_child(kontor_id_handle *handle, uint64_t *last)
{
	int status = 1;
	take(handle, last);
	pid_t child = fork();
	if (child == 0) {
		for (uint64_t none = 0, i = 0; i < CHILD_IDS; i++)
			take(handle, &none);
		_exit(0);
	}
	for (int i = 0; i < CHILD_IDS; i++)
		take(handle, last);
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
		fprintf(stderr, "ids_consumer: the child failed\n");
		exit(1);
	}
	puts("{\"forked\": true}");
}

static void print_state(void)
{
	struct kontor_id_source_stats stats;
	kontor_id_source_get_stats(source, &stats);
	printf("{\"ids\": %u, \"refused\": %u, \"waits\": %llu}\n", record->len, record->refused,
	       (unsigned long long)stats.waits);
}

static void obey(void)
{
	char line[64];
	uint64_t last = 0;
	kontor_id_handle *handle = new_handle();
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "fork\n") == 0)
			make_child(handle, &last);
		else
			print_state();
		fflush(stdout);
	}
	kontor_id_handle_free(handle);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Everything that was taken, by all processes. */
static void tell(void)
{
	struct kontor_id_source_stats stats;
	unsigned twice = 0;
	unsigned long long slots = 0;
	kontor_id_source_get_stats(source, &stats);
	qsort(record->ids, record->len, sizeof(record->ids[0]), compare);
	for (unsigned i = 0; i < record->len; i++) {
		twice += i > 0 && record->ids[i] == record->ids[i - 1];
		slots |= 1ULL << kontor_id_decode(record->ids[i]).slot;
	}
	printf("{\"ids\": %u, \"twice\": %u, \"refused\": %u, \"decreased\": %u, \"slots\": %d, \"requests\": %llu, "
	       "\"waits\": %llu, \"failovers\": %llu, \"first_refusal\": \"%s\"}\n",
	       record->len, twice, record->refused, record->decreased, __builtin_popcountll(slots),
	       (unsigned long long)stats.requests, (unsigned long long)stats.waits, (unsigned long long)stats.failovers,
	       record->first_refusal);
}

int main(int argc, char **argv)
{
	uint64_t threads_len, grant, max_age_ms;
	pthread_t threads[THREADS_LIMIT];
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (argc < 6 || !kontor_parse_uint(kontor_text_of(argv[2]), &threads_len) || threads_len > THREADS_LIMIT ||
	    !kontor_parse_uint(kontor_text_of(argv[3]), &grant) ||
	    !kontor_parse_uint(kontor_text_of(argv[4]), &max_age_ms)) {
		fprintf(stderr, "usage: ids_consumer NAMESPACE THREADS GRANT MAX_AGE_MS ENDPOINT...\n");
		return 2;
	}
	record = mmap(NULL, sizeof(*record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct kontor_id_source_options options = {.id_namespace = argv[1],
							 .endpoints = (const char *const *)(argv + 5),
							 .grant = (uint32_t)grant,
							 .max_age_ms = (uint32_t)max_age_ms,
							 .timeout_ms = 30000};
	if (record == MAP_FAILED || kontor_id_source_new(&options, &source, &err)) {
		fprintf(stderr, "ids_consumer: %s\n", record == MAP_FAILED ? strerror(errno) : err.message);
		return 1;
	}
	for (uint64_t i = 0; i < threads_len; i++)
		if (pthread_create(&threads[i], NULL, take_until_stop, NULL))
			return 1;
	obey();
	stop = true;
	for (uint64_t i = 0; i < threads_len; i++)
		pthread_join(threads[i], NULL);
	tell();
	kontor_id_source_free(source);
	return 0;
}
