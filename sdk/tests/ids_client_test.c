/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources and handles of ids against peers that stall, repeat, keep back, refuse and go away. Each id that a test takes
 * is entered in a bitmap: one that comes twice ends the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "ids_peer.h"
#include "ids_taken.h"
#include "kontor/ids.h"

static struct peer peer, other;
static struct kontor_error err;
static const char *endpoints[3];

static int begin(void **state)
{
	(void)state;
	peer_begin(&peer, 1);
	peer_begin(&other, 2);
	endpoints[0] = peer.endpoint;
	endpoints[1] = NULL;
	taken_begin();
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	return 0;
}

static int end(void **state)
{
	(void)state;
	taken_end();
	peer_end(&peer);
	peer_end(&other);
	return 0;
}

static kontor_id_source *new_source(struct kontor_id_source_options options)
{
	kontor_id_source *source = NULL;
	options.id_namespace = "payout";
	if (!options.client)
		options.endpoints = endpoints;
	assert_int_equal(kontor_id_source_new(&options, &source, &err), 0);
	return source;
}

static kontor_id_handle *new_handle(kontor_id_source *source)
{
	kontor_id_handle *handle = NULL;
	assert_int_equal(kontor_id_handle_new(source, &handle, &err), 0);
	return handle;
}

static uint64_t next(kontor_id_handle *handle)
{
	uint64_t id = 0;
	if (kontor_id_handle_next(handle, &id, &err))
		fail_msg("%s", err.message);
	taken_once(id);
	return id;
}

/* Or they were taken back. */
static bool has_none(const kontor_id_handle *handle)
{
	return __atomic_load_n(&handle->end, __ATOMIC_RELAXED) <= handle->next;
}

static struct kontor_id_source_stats stats_of(kontor_id_source *source)
{
	struct kontor_id_source_stats stats;
	kontor_id_source_get_stats(source, &stats);
	return stats;
}

#define PATIENCE_MS 20000
/* For what other threads do in time of their own. */
#define WAIT_FOR(condition)                                                                                            \
	for (int64_t end_ms = kontor_monotonic_ms() + PATIENCE_MS; !(condition); usleep(1000))                         \
	assert_true(kontor_monotonic_ms() < end_ms)

/* ---- each id once ------------------------------------------------------------------------------------------------ */

#define MANY_THREADS 4
#define MANY_ROUNDS 800

static void *take_many(void *arg)
{
	static const size_t fills[] = {1, 3, 1000, 2500};
	kontor_id_handle *handle = new_handle(arg);
	uint64_t last = 0, *ids = malloc(2500 * sizeof(*ids));
	for (int round = 0; round < MANY_ROUNDS; round++) {
		struct kontor_id_range range = {0};
		size_t count = fills[round % 4];
		for (int i = 0; i < 1500; i++) {
			uint64_t id = next(handle);
			assert_true(id > last);
			last = id;
		}
		assert_int_equal(kontor_id_handle_fill(handle, ids, count, &err), 0);
		for (size_t i = 0; i < count; i++)
			taken_once(ids[i]);
		assert_true(ids[0] > last);
		assert_int_equal(kontor_id_handle_range(handle, (uint32_t)count, &range, &err), 0);
		assert_int_equal(range.count, count);
		for (uint32_t i = 0; i < range.count; i++)
			taken_once(range.base + i * range.stride);
		assert_true(range.base > ids[count - 1]);
		last = range.base + (range.count - 1) * range.stride;
	}
	free(ids);
	return kontor_id_handle_free(handle);
}

static void test_threads_never_get_an_id_twice(void **state)
{
	(void)state;
	pthread_t threads[MANY_THREADS];
	kontor_id_source *source = new_source((struct kontor_id_source_options){0});
	for (int i = 0; i < MANY_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_many, source), 0);
	for (int i = 0; i < MANY_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(taken_count() >= 10000000);
	WAIT_FOR(stats_of(source).granted == peer.counter - 1); /* one may be under way */
	WAIT_FOR(stats_of(source).requests == peer.requests);
	assert_in_range(peer.last_count, 4096, 65536); /* it has adapted: not a request for every 1024 */
	kontor_id_source_free(source);
}

static void *take_shared(void *arg)
{
	for (int i = 0; i < 100000; i++) {
		uint64_t id;
		assert_int_equal(kontor_id_source_next(arg, &id, NULL), 0);
		taken_once(id);
	}
	return NULL;
}

static void test_threads_may_share_the_stock(void **state)
{
	(void)state;
	pthread_t threads[MANY_THREADS];
	kontor_id_source *source = new_source((struct kontor_id_source_options){0});
	for (int i = 0; i < MANY_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_shared, source), 0);
	for (int i = 0; i < MANY_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(taken_count(), MANY_THREADS * 100000);
	kontor_id_source_free(source);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

#define TOGETHER 16

static pthread_barrier_t together;

static void *take_together(void *arg)
{
	kontor_id_handle *handle = new_handle(arg);
	pthread_barrier_wait(&together);
	next(handle);
	pthread_barrier_wait(&together);
	return kontor_id_handle_free(handle);
}

static void test_threads_that_start_at_once_cause_one_request(void **state)
{
	(void)state;
	pthread_t threads[TOGETHER];
	kontor_id_source *source = new_source((struct kontor_id_source_options){.max_age_ms = 600000});
	peer.delay_ms = 100;
	pthread_barrier_init(&together, NULL, TOGETHER);
	for (int i = 0; i < TOGETHER; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_together, source), 0);
	for (int i = 0; i < TOGETHER; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	assert_int_equal(taken_count(), TOGETHER);
	assert_int_equal(peer.requests, 1);
	kontor_id_source_free(source);
}

static void test_the_next_grant_is_fetched_when_half_is_used(void **state)
{
	(void)state;
	kontor_id_source *source = new_source((struct kontor_id_source_options){.grant = 1024, .max_age_ms = 600000});
	kontor_id_handle *handle = new_handle(source);
	for (int i = 0; i < 512; i++)
		next(handle);
	usleep(50000);
	assert_int_equal(peer.requests, 1);
	next(handle);
	WAIT_FOR(stats_of(source).granted == 2048);
	for (int i = 513; i < 1500; i++)
		next(handle);
	assert_int_equal(stats_of(source).waits, 1);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

static void test_a_unit_that_stalls_is_not_felt_while_there_is_stock(void **state)
{
	(void)state;
	kontor_id_source *source = new_source(
		(struct kontor_id_source_options){.grant = 10000, .max_age_ms = 600000, .timeout_ms = 60000});
	kontor_id_handle *handle = new_handle(source);
	next(handle);
	peer.deaf = true;
	for (int i = 1; i < 10000; i++)
		next(handle);
	assert_int_equal(stats_of(source).waits, 1);
	peer.deaf = false;
	next(handle);
	assert_int_equal(stats_of(source).waits, 2);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

/* ---- age --------------------------------------------------------------------------------------------------------- */

#define AGE_MS 200

static void test_ids_of_an_old_grant_are_taken_back(void **state)
{
	(void)state;
	uint64_t ids[100];
	kontor_id_source *source = new_source((struct kontor_id_source_options){.grant = 1000, .max_age_ms = AGE_MS});
	kontor_id_handle *handle = new_handle(source);
	next(handle);
	assert_false(has_none(handle));
	WAIT_FOR(has_none(handle));
	assert_true(next(handle) / PEER_STRIDE > 1000); /* 999 of the first grant are lost */
	WAIT_FOR(has_none(handle));
	uint64_t granted = peer.counter;
	usleep(AGE_MS * 1000);
	assert_int_equal(kontor_id_handle_fill(handle, ids, 100, &err), 0);
	assert_true(ids[0] / PEER_STRIDE >= granted);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

/* Here the clock is looked at, so it is exact. */
static void test_old_ids_are_not_in_the_shared_stock(void **state)
{
	(void)state;
	uint64_t id;
	kontor_id_source *source = new_source((struct kontor_id_source_options){.grant = 1000, .max_age_ms = AGE_MS});
	for (int i = 0; i < 3; i++) {
		uint64_t granted = peer.counter;
		usleep(AGE_MS * 1000);
		assert_int_equal(kontor_id_source_next(source, &id, &err), 0);
		assert_true(id / PEER_STRIDE >= granted);
	}
	kontor_id_source_free(source);
}

static void test_ids_in_use_are_renewed_before_they_are_too_old(void **state)
{
	(void)state;
	kontor_id_source *source = new_source((struct kontor_id_source_options){.grant = 8192, .max_age_ms = 4000});
	kontor_id_handle *handle = new_handle(source);
	for (int64_t end_ms = kontor_monotonic_ms() + PATIENCE_MS; peer.requests < 2; usleep(10000)) {
		assert_true(kontor_monotonic_ms() < end_ms);
		next(handle);
	}
	assert_false(has_none(handle)); /* they are still good */
	assert_int_equal(stats_of(source).waits, 1);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

static void test_a_source_that_is_not_used_does_not_ask(void **state)
{
	(void)state;
	kontor_id_source *source = new_source((struct kontor_id_source_options){.max_age_ms = AGE_MS});
	kontor_id_handle *handle = new_handle(source);
	next(handle);
	WAIT_FOR(has_none(handle));
	usleep(2 * AGE_MS * 1000); /* what the last id caused is over */
	unsigned requests = peer.requests;
	usleep(5 * AGE_MS * 1000);
	assert_int_equal(peer.requests, requests);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

static void test_revoked_ids_are_not_given_out(void **state)
{
	(void)state;
	kontor_id_source *source = new_source((struct kontor_id_source_options){.grant = 1000});
	kontor_id_handle *handle = new_handle(source);
	next(handle);
	kontor_id_source_revoke(source);
	assert_true(next(handle) / PEER_STRIDE > 1000);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

/* ---- strict ------------------------------------------------------------------------------------------------------ */

#define STRICT_THREADS 4

/* The peer allocates and answers 2 ms later: an id of a request that was under way already would be below `before`. */
static void *take_strictly(void *arg)
{
	kontor_id_handle *handle = new_handle(arg);
	for (int i = 0; i < 100; i++) {
		uint64_t before = peer.counter;
		assert_true(next(handle) / PEER_STRIDE >= before);
	}
	return kontor_id_handle_free(handle);
}

static void test_strict_ids_are_allocated_after_the_call_began(void **state)
{
	(void)state;
	pthread_t threads[STRICT_THREADS];
	kontor_id_source *source = new_source((struct kontor_id_source_options){.strict = true, .timeout_ms = 60000});
	peer.delay_ms = 2;
	for (int i = 0; i < STRICT_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_strictly, source), 0);
	for (int i = 0; i < STRICT_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(peer.counter - 1, taken_count()); /* nothing in stock */
	assert_int_equal(taken_count(), STRICT_THREADS * 100);
	kontor_id_source_free(source);
}

static void test_strict_ranges_are_one_request(void **state)
{
	(void)state;
	struct kontor_id_range range;
	uint64_t ids[1000];
	kontor_id_source *source = new_source((struct kontor_id_source_options){.strict = true});
	kontor_id_handle *handle = new_handle(source);
	assert_int_equal(kontor_id_handle_range(handle, KONTOR_ID_GRANT_LIMIT, &range, &err), 0);
	assert_int_equal(range.count, KONTOR_ID_GRANT_LIMIT);
	assert_int_equal(peer.requests, 1);
	assert_int_equal(kontor_id_handle_fill(handle, ids, 1000, &err), 0);
	assert_int_equal(peer.requests, 2);
	next(handle);
	next(handle);
	assert_int_equal(peer.requests, 4);
	assert_int_equal(peer.counter - 1, KONTOR_ID_GRANT_LIMIT + 1000 + 2);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

/* ---- a bus that repeats and keeps back --------------------------------------------------------------------------- */

static void test_replies_that_come_twice_give_nothing_twice(void **state)
{
	(void)state;
	kontor_id_source *source = new_source((struct kontor_id_source_options){.strict = true, .timeout_ms = 60000});
	kontor_id_handle *handle = new_handle(source);
	peer.repeat = true;
	for (int i = 0; i < 1000; i++)
		next(handle);
	assert_int_equal(peer.requests, 1000);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

static void test_a_late_reply_is_not_taken_for_the_next_one(void **state)
{
	(void)state;
	struct kontor_id_range range;
	endpoints[1] = other.endpoint; /* so that the first is given up after half a second */
	endpoints[2] = NULL;
	kontor_id_source *source = new_source((struct kontor_id_source_options){.strict = true, .timeout_ms = 60000});
	kontor_id_handle *handle = new_handle(source);
	next(handle);
	peer.keep = 1; /* counter 2 */
	other.refuse = KONTOR_E_UNAVAILABLE;
	assert_int_equal(kontor_id_handle_range(handle, 1, &range, &err), 0);
	assert_int_equal(peer.keep, 0);
	assert_true(range.base / PEER_STRIDE > 2);
	taken_once(range.base);
	for (int i = 0; i < 100; i++)
		assert_true(next(handle) / PEER_STRIDE > 2);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

/* ---- other units ------------------------------------------------------------------------------------------------- */

static kontor_id_source *new_source_of_two(struct kontor_id_source_options options)
{
	endpoints[1] = other.endpoint;
	endpoints[2] = NULL;
	return new_source(options);
}

static void test_another_unit_serves_when_one_does_not(void **state)
{
	(void)state;
	static const int refusals[] = {KONTOR_E_UNAVAILABLE, KONTOR_E_DRAINING, KONTOR_E_BUSY, KONTOR_E_STORAGE, 0};
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		kontor_id_source *source =
			new_source_of_two((struct kontor_id_source_options){.grant = 10, .timeout_ms = 60000});
		kontor_id_handle *handle = new_handle(source);
		assert_int_equal(next(handle) % PEER_STRIDE, 1);
		peer.refuse = refusals[i];
		peer.deaf = refusals[i] == 0;
		for (int n = 0; n < 100; n++)
			next(handle);
		assert_int_equal(next(handle) % PEER_STRIDE, 2);
		assert_int_equal(stats_of(source).failovers, 1);
		peer.refuse = 0;
		peer.deaf = false;
		for (int n = 0; n < 100; n++)
			next(handle);
		assert_int_equal(next(handle) % PEER_STRIDE, 2); /* it stays where it was served */
		kontor_id_handle_free(handle);
		kontor_id_source_free(source);
	}
}

static void test_nobody_with_ids_is_told_with_the_reason(void **state)
{
	(void)state;
	uint64_t id = 7;
	kontor_id_source *source = new_source_of_two((struct kontor_id_source_options){.timeout_ms = 300});
	kontor_id_handle *handle = new_handle(source);
	peer.refuse = other.refuse = KONTOR_E_UNAVAILABLE;
	assert_int_equal(kontor_id_handle_next(handle, &id, &err), KONTOR_E_UNAVAILABLE);
	assert_int_equal(err.code, KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "no ids of payout within 300 ms"));
	assert_non_null(strstr(err.message, "told to refuse"));
	assert_int_equal(id, 7);
	assert_true(other.requests > 0);
	peer.refuse = other.refuse = KONTOR_E_BUSY;
	assert_int_equal(kontor_id_handle_next(handle, &id, &err), KONTOR_E_BUSY);
	peer.deaf = other.deaf = true;
	assert_int_equal(kontor_id_handle_next(handle, &id, &err), KONTOR_E_UNAVAILABLE);
	peer.deaf = other.deaf = false;
	peer.refuse = other.refuse = 0;
	next(handle);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

static void test_a_refusal_for_good_is_told_at_once(void **state)
{
	(void)state;
	uint64_t id;
	kontor_id_source *source = new_source_of_two((struct kontor_id_source_options){.timeout_ms = 600000});
	kontor_id_handle *handle = new_handle(source);
	peer.refuse = KONTOR_E_NOT_FOUND;
	assert_int_equal(kontor_id_handle_next(handle, &id, &err), KONTOR_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "ids of payout: "));
	assert_int_equal(other.requests, 0);
	peer.refuse = 0;
	next(handle);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

static void test_an_answer_that_is_no_range_is_refused(void **state)
{
	(void)state;
	uint64_t id = 7;
	kontor_id_source *source = new_source((struct kontor_id_source_options){.timeout_ms = 500});
	kontor_id_handle *handle = new_handle(source);
	for (int wrong = 1; wrong <= 4; wrong++) {
		peer.wrong = wrong;
		assert_int_equal(kontor_id_handle_next(handle, &id, &err), KONTOR_E_UNAVAILABLE);
		assert_non_null(strstr(err.message, "no valid range"));
		assert_int_equal(id, 7);
	}
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

static void test_a_brief_refusal_is_waited_for(void **state)
{
	(void)state;
	kontor_id_source *source = new_source((struct kontor_id_source_options){.timeout_ms = 60000});
	pthread_t thread;
	peer.refuse = KONTOR_E_UNAVAILABLE;
	pthread_barrier_init(&together, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, take_together, source), 0);
	pthread_barrier_wait(&together);
	WAIT_FOR(peer.requests >= 3);
	peer.refuse = 0;
	pthread_barrier_wait(&together);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&together);
	assert_int_equal(taken_count(), 1);
	kontor_id_source_free(source);
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static void test_options_are_checked(void **state)
{
	(void)state;
	static const char *const none[] = {NULL};
	const struct kontor_id_source_options wrong[] = {
		{.endpoints = endpoints},
		{.id_namespace = "", .endpoints = endpoints},
		{.id_namespace = "a-namespace-whose-name-is-too-long", .endpoints = endpoints},
		{.id_namespace = "payout"},
		{.id_namespace = "payout", .endpoints = none},
		{.id_namespace = "payout", .endpoints = endpoints, .grant = KONTOR_ID_GRANT_LIMIT + 1},
		{.id_namespace = "payout", .endpoints = endpoints, .client = (kontor_client *)endpoints},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		kontor_id_source *source = NULL;
		assert_int_equal(kontor_id_source_new(&wrong[i], &source, &err), KONTOR_E_BAD_REQUEST);
		assert_null(source);
	}
	kontor_id_source *source = new_source((struct kontor_id_source_options){0});
	kontor_id_handle *handle = new_handle(source);
	struct kontor_id_range range;
	assert_int_equal(kontor_id_handle_range(handle, 0, &range, &err), KONTOR_E_BAD_REQUEST);
	assert_int_equal(kontor_id_handle_range(handle, KONTOR_ID_GRANT_LIMIT + 1, &range, &err), KONTOR_E_BAD_REQUEST);
	assert_int_equal(kontor_id_handle_fill(handle, NULL, 0, &err), 0);
	assert_int_equal(peer.requests, 0);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
}

static void test_a_borrowed_client_is_used_and_kept(void **state)
{
	(void)state;
	kontor_client *client = NULL;
	const struct kontor_client_options options = {.endpoint = peer.endpoint};
	assert_int_equal(kontor_client_new(&options, &client, &err), 0);
	kontor_id_source *source = new_source((struct kontor_id_source_options){.client = client});
	kontor_id_handle *handle = new_handle(source);
	next(handle);
	kontor_id_handle_free(handle);
	kontor_id_source_free(source);
	struct kontor_call_options quick = {.timeout_ms = PATIENCE_MS};
	assert_int_equal(kontor_call(client, "idgen.next", NULL, &quick, NULL, &err), 0);
	kontor_client_free(client);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_threads_never_get_an_id_twice),
		TEST(test_threads_may_share_the_stock),
		TEST(test_threads_that_start_at_once_cause_one_request),
		TEST(test_the_next_grant_is_fetched_when_half_is_used),
		TEST(test_a_unit_that_stalls_is_not_felt_while_there_is_stock),
		TEST(test_ids_of_an_old_grant_are_taken_back),
		TEST(test_old_ids_are_not_in_the_shared_stock),
		TEST(test_ids_in_use_are_renewed_before_they_are_too_old),
		TEST(test_a_source_that_is_not_used_does_not_ask),
		TEST(test_revoked_ids_are_not_given_out),
		TEST(test_strict_ids_are_allocated_after_the_call_began),
		TEST(test_strict_ranges_are_one_request),
		TEST(test_replies_that_come_twice_give_nothing_twice),
		TEST(test_a_late_reply_is_not_taken_for_the_next_one),
		TEST(test_another_unit_serves_when_one_does_not),
		TEST(test_nobody_with_ids_is_told_with_the_reason),
		TEST(test_a_refusal_for_good_is_told_at_once),
		TEST(test_an_answer_that_is_no_range_is_refused),
		TEST(test_a_brief_refusal_is_waited_for),
		TEST(test_options_are_checked),
		TEST(test_a_borrowed_client_is_used_and_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
