/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a source of ids, and taking from it.
 */
#include "ids_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kontor/time.h"

#define DEFAULT_AGE_MS 5000
#define DEFAULT_TIMEOUT_MS 5000
/* What a source that adapts begins with: a program that needs a few ids wastes little. */
#define FIRST_GRANT 1024

/* ---- memory that a fork wipes ------------------------------------------------------------------------------------ */

size_t kontor_id_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void *kontor_id_page_new(size_t pages)
{
	size_t size = pages * kontor_id_page_size();
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, kontor_id_page_size(), MADV_WIPEONFORK)) {
		int problem = errno;
		munmap(page, size);
		errno = problem;
		return NULL;
	}
	return page;
}

void kontor_id_page_free(void *page, size_t pages)
{
	if (page)
		munmap(page, pages * kontor_id_page_size());
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static int check_options(const struct kontor_id_source_options *options, struct kontor_error *err)
{
	const char *name = options->id_namespace;
	if (!name || !name[0] || strlen(name) >= ID_NAMESPACE_SIZE)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "ids of \"%s\": the name of a namespace has 1 to %d bytes", name ? name : "",
				   ID_NAMESPACE_SIZE - 1);
	bool has_endpoints = options->endpoints && options->endpoints[0];
	if (has_endpoints == (options->client != NULL))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "ids of %s: name either endpoints or a client", name);
	if (options->grant > KONTOR_ID_GRANT_LIMIT)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "ids of %s: a grant holds at most %u ids, not %u", name,
				   KONTOR_ID_GRANT_LIMIT, options->grant);
	return 0;
}

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

int kontor_id_source_make(const struct kontor_id_source_options *options, bool ahead, kontor_id_source **ret_source,
			  struct kontor_error *err)
{
	int rc = check_options(options, err);
	if (rc)
		return rc;
	kontor_id_source *source = calloc(1, sizeof(*source));
	if (!source)
		return kontor_fail(err, KONTOR_E_INTERNAL, "ids of %s: out of memory", options->id_namespace);
	snprintf(source->id_namespace, sizeof(source->id_namespace), "%s", options->id_namespace);
	source->grant = options->grant;
	source->size = options->grant ? options->grant : FIRST_GRANT;
	source->max_age_ms = options->max_age_ms ? options->max_age_ms : DEFAULT_AGE_MS;
	source->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
	source->strict = options->strict;
	source->ahead = ahead && !options->strict;
	pthread_mutex_init(&source->lock, NULL);
	init_condition(&source->changed);
	init_condition(&source->wake);
	source->stock = kontor_id_page_new(1);
	if (source->stock)
		source->stock->alive = 1;
	rc = source->stock ? kontor_id_endpoints_init(&source->endpoints, options, err)
			   : kontor_fail(err, KONTOR_E_INTERNAL,
					 "a page that is wiped on fork (madvise MADV_WIPEONFORK, Linux 4.14): %s",
					 strerror(errno));
	kontor_id_fork_watch(source);
	if (rc) {
		kontor_id_source_free(source);
		return kontor_fail_in(err, "ids of %s", options->id_namespace);
	}
	*ret_source = source;
	return 0;
}

int kontor_id_source_new(const struct kontor_id_source_options *options, kontor_id_source **ret_source,
			 struct kontor_error *err)
{
	return kontor_id_source_make(options, true, ret_source, err);
}

kontor_id_source *kontor_id_source_free(kontor_id_source *source)
{
	if (!source)
		return NULL;
	if (source->stock)
		kontor_id_prefetch_stop(source);
	kontor_id_fork_forget(source);
	kontor_id_endpoints_free(&source->endpoints);
	kontor_id_page_free(source->stock, 1);
	pthread_cond_destroy(&source->wake);
	pthread_cond_destroy(&source->changed);
	pthread_mutex_destroy(&source->lock);
	free(source);
	return NULL;
}

/* ---- a child of fork(2) ------------------------------------------------------------------------------------------ */

/* The threads that waited, asked or fetched ahead belong to the parent. */
static void begin_anew(kontor_id_source *source)
{
	init_condition(&source->changed);
	init_condition(&source->wake);
	kontor_id_endpoints_orphan(&source->endpoints);
	source->fetching = source->has_thread = source->stopping = false;
	source->waiters = NULL;
	source->failure = (struct kontor_error)KONTOR_ERROR_INIT;
	source->failures = 0;
	source->not_before_ms = 0;
	source->stats = (struct kontor_id_source_stats){0};
	source->stock->alive = 1;
}

void kontor_id_source_lock(kontor_id_source *source)
{
	pthread_mutex_lock(&source->lock);
	if (!source->stock->alive)
		begin_anew(source);
}

/* ---- taking ------------------------------------------------------------------------------------------------------ */

int64_t kontor_id_source_oldest_ms(const kontor_id_source *source, int64_t now_ms)
{
	return now_ms - source->max_age_ms;
}

void kontor_id_source_wait(kontor_id_source *source, pthread_cond_t *condition, int64_t until_ms)
{
	const struct timespec until = {until_ms / 1000, (until_ms % 1000) * 1000000};
	pthread_cond_timedwait(condition, &source->lock, &until);
}

static void queue_up(kontor_id_source *source, struct id_waiter *waiter)
{
	struct id_waiter **link = &source->waiters;
	if (!source->waiters)
		source->not_before_ms = 0; /* whatever failed before, a new call is tried once at least */
	while (*link)
		link = &(*link)->next;
	*link = waiter;
	source->stats.waits++;
}

static void leave_queue(kontor_id_source *source, const struct id_waiter *waiter)
{
	for (struct id_waiter **link = &source->waiters; *link; link = &(*link)->next) {
		if (*link == waiter) {
			*link = waiter->next;
			return;
		}
	}
}

/* The time is over: what the last request said is the reason. */
static int fail_in_time(const kontor_id_source *source, struct kontor_error *err)
{
	const struct kontor_error *reason = &source->failure;
	int code = kontor_code_outcome(reason->code) == KONTOR_OUTCOME_NOTHING && reason->code != KONTOR_E_DEADLINE
			   ? reason->code
			   : KONTOR_E_UNAVAILABLE;
	kontor_fail(err, code, "no ids of %s within %lld ms: %s", source->id_namespace, (long long)source->timeout_ms,
		    reason->code ? reason->message : "a request for them is under way");
	if (err)
		err->retry_after_ms = reason->retry_after_ms;
	return code;
}

static int await_grant(kontor_id_source *source, uint32_t least, uint32_t most, struct id_grant *ret_piece,
		       struct kontor_error *err)
{
	struct id_waiter waiter = {.least = least, .most = most, .error = KONTOR_ERROR_INIT};
	int64_t now_ms = kontor_monotonic_ms(), end_ms = now_ms + source->timeout_ms;
	queue_up(source, &waiter);
	while (!waiter.done && now_ms < end_ms) {
		if (source->fetching)
			kontor_id_source_wait(source, &source->changed, end_ms);
		else if (now_ms < source->not_before_ms)
			kontor_id_source_wait(source, &source->changed,
					      source->not_before_ms < end_ms ? source->not_before_ms : end_ms);
		else
			kontor_id_source_fetch(source, end_ms);
		now_ms = kontor_monotonic_ms();
	}
	if (!waiter.done) {
		leave_queue(source, &waiter);
		return fail_in_time(source, err);
	}
	if (waiter.result) {
		if (err)
			*err = waiter.error;
		return kontor_fail_in(err, "ids of %s", source->id_namespace);
	}
	*ret_piece = waiter.piece;
	return 0;
}

int kontor_id_source_take(kontor_id_source *source, uint32_t least, uint32_t most, struct id_grant *ret_piece,
			  struct kontor_error *err)
{
	int64_t now_ms = kontor_monotonic_ms(), oldest_ms = kontor_id_source_oldest_ms(source, now_ms);
	if (source->strict || !kontor_id_stock_cut(source->stock, least, most, oldest_ms, ret_piece))
		return await_grant(source, least, most, ret_piece, err);
	source->used = true;
	if (!source->ahead || source->fetching || !kontor_id_prefetch_due(source, now_ms))
		return 0;
	pthread_cond_signal(&source->wake);
	return kontor_id_prefetch_start(source, err);
}

int kontor_id_source_next(kontor_id_source *source, uint64_t *ret_id, struct kontor_error *err)
{
	struct id_grant piece = {0};
	kontor_id_source_lock(source);
	int rc = kontor_id_source_take(source, 1, 1, &piece, err);
	pthread_mutex_unlock(&source->lock);
	if (!rc)
		*ret_id = piece.range.base;
	return rc;
}

void kontor_id_source_revoke(kontor_id_source *source)
{
	kontor_id_source_lock(source);
	source->stock->len = 0;
	source->revocations++;
	for (struct id_handle *handle = source->handles; handle; handle = handle->next)
		__atomic_store_n(&handle->line->end, 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&source->lock);
}

void kontor_id_source_get_stats(kontor_id_source *source, struct kontor_id_source_stats *ret_stats)
{
	kontor_id_source_lock(source);
	*ret_stats = source->stats;
	pthread_mutex_unlock(&source->lock);
}
