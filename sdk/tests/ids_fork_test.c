/* SPDX-License-Identifier: Apache-2.0
 *
 * fork(2) in the middle of a grant: what parent and children take goes into one bitmap that they share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/wait.h>

#include "ids_peer.h"
#include "ids_taken.h"
#include "kontor/ids.h"

static struct peer peer;
static kontor_id_source *source;
static kontor_id_handle *handle;
static struct kontor_error err;

#ifdef __SANITIZE_THREAD__
/* A child of a process with threads makes one of its own here: that is what is tested. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#endif

#ifdef __SANITIZE_ADDRESS__
/* gcc 12's AddressSanitizer does not free the locks of its allocator in a child, so a fork must find the other threads
 * at rest there. */
#define FORK_PAUSE_US 300000
#else
#define FORK_PAUSE_US 0
#endif

static pid_t fork_now(void)
{
	usleep(FORK_PAUSE_US);
	return fork();
}

static int begin(void **state)
{
	(void)state;
	static const char *endpoints[2];
	peer_begin(&peer, 1);
	taken_begin();
	endpoints[0] = peer.endpoint;
	const struct kontor_id_source_options options = {
		.id_namespace = "payout", .endpoints = endpoints, .timeout_ms = 60000};
	return kontor_id_source_new(&options, &source, &err) || kontor_id_handle_new(source, &handle, &err);
}

static int end(void **state)
{
	(void)state;
	handle = kontor_id_handle_free(handle);
	source = kontor_id_source_free(source);
	taken_end();
	peer_end(&peer);
	return 0;
}

/* All that a program can do with ids; ends the process when it fails, so that a child may call it. */
static void take_all_ways(int rounds)
{
	kontor_id_handle *own = NULL;
	uint64_t id, ids[300];
	struct kontor_id_range range;
	int rc = kontor_id_handle_new(source, &own, &err);
	for (int i = 0; i < rounds && !rc; i++) {
		if ((rc = kontor_id_handle_next(handle, &id, &err)) == 0)
			taken_once(id);
		if (!rc && (rc = kontor_id_handle_next(own, &id, &err)) == 0)
			taken_once(id);
		if (!rc && (rc = kontor_id_source_next(source, &id, &err)) == 0)
			taken_once(id);
		if (!rc && i % 10 == 0 && (rc = kontor_id_handle_range(handle, 7, &range, &err)) == 0)
			for (uint32_t n = 0; n < range.count; n++)
				taken_once(range.base + n * range.stride);
		if (!rc && i % 50 == 0 && (rc = kontor_id_handle_fill(handle, ids, 300, &err)) == 0)
			for (size_t n = 0; n < 300; n++)
				taken_once(ids[n]);
	}
	if (rc) {
		fprintf(stderr, "process %d: %s\n", (int)getpid(), err.message);
		abort();
	}
	kontor_id_handle_free(own);
}

static void wait_well(pid_t child)
{
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_child_never_gets_an_id_of_its_parent(void **state)
{
	(void)state;
	take_all_ways(10);
	assert_true(handle->end > handle->next); /* in the middle of a piece */
	unsigned requests = peer.requests;
	pid_t child = fork_now();
	assert_true(child >= 0);
	if (child == 0) {
		take_all_ways(500);
		pid_t grandchild = fork_now();
		take_all_ways(500);
		int status = 0;
		if (grandchild > 0)
			waitpid(grandchild, &status, 0);
		_exit(status ? 1 : 0);
	}
	take_all_ways(500);
	wait_well(child);
	take_all_ways(500);
	assert_true(peer.requests > requests + 2); /* each process asked for itself */
	assert_true(taken_count() > 5 * 500 * 3);
}

/* A child that frees what it inherited does not touch its parent's connection. */
static void test_a_child_may_free_what_it_inherited(void **state)
{
	(void)state;
	take_all_ways(10);
	pid_t child = fork_now();
	assert_true(child >= 0);
	if (child == 0) {
		handle = kontor_id_handle_free(handle);
		source = kontor_id_source_free(source);
		_exit(0);
	}
	wait_well(child);
	take_all_ways(3000);
}

static atomic_bool stop;

static void *take_until_stop(void *arg)
{
	kontor_id_handle *own = NULL;
	(void)arg;
	if (kontor_id_handle_new(source, &own, &err))
		abort();
	while (!stop) {
		for (int i = 0; i < 200; i++) {
			uint64_t id;
			if (kontor_id_handle_next(own, &id, NULL))
				abort();
			taken_once(id);
		}
		usleep(1000); /* the counters of the bitmap last longer */
	}
	return kontor_id_handle_free(own);
}

/* So that the source is locked at nearly every moment. */
static void *look_until_stop(void *arg)
{
	struct kontor_id_source_stats stats;
	(void)arg;
	while (!stop)
		kontor_id_source_get_stats(source, &stats);
	return NULL;
}

/* While other threads take and the source's own thread fetches, in whatever state a fork finds them. */
static void test_forks_among_busy_threads(void **state)
{
	(void)state;
	pthread_t threads[4];
	if (FORK_PAUSE_US)
		skip();
	stop = false;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_until_stop, NULL), 0);
	assert_int_equal(pthread_create(&threads[3], NULL, look_until_stop, NULL), 0);
	for (int i = 0; i < 20; i++) {
		take_all_ways(3);
		pid_t child = fork_now();
		assert_true(child >= 0);
		if (child == 0) {
			take_all_ways(100);
			_exit(0);
		}
		take_all_ways(20);
		wait_well(child);
	}
	stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void test_a_borrowed_client_is_refused_in_a_child(void **state)
{
	(void)state;
	kontor_client *client = NULL;
	kontor_id_source *borrowing = NULL;
	uint64_t id;
	const struct kontor_client_options client_options = {.endpoint = peer.endpoint};
	assert_int_equal(kontor_client_new(&client_options, &client, &err), 0);
	const struct kontor_id_source_options options = {.id_namespace = "payout", .client = client, .timeout_ms = 300};
	assert_int_equal(kontor_id_source_new(&options, &borrowing, &err), 0);
	assert_int_equal(kontor_id_source_next(borrowing, &id, &err), 0);
	pid_t child = fork_now();
	assert_true(child >= 0);
	if (child == 0) {
		int rc = kontor_id_source_next(borrowing, &id, &err);
		_exit(rc == KONTOR_E_UNAVAILABLE && strstr(err.message, "before fork(2)") ? 0 : 1);
	}
	wait_well(child);
	assert_int_equal(kontor_id_source_next(borrowing, &id, &err), 0);
	kontor_id_source_free(borrowing);
	kontor_client_free(client);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_a_child_never_gets_an_id_of_its_parent),
		TEST(test_a_child_may_free_what_it_inherited),
		TEST(test_forks_among_busy_threads),
		TEST(test_a_borrowed_client_is_refused_in_a_child),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
