/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread of a source: fetches the next grant before it is needed, and takes back what is too old.
 */
#include "ids_source.h"

#include <signal.h>
#include <string.h>

#include "kontor/time.h"

/* For one round ahead of time; whoever waits has a timeout of their own. */
#define ROUND_MS 2000
/* When nothing is in stock: just long enough not to matter. */
#define IDLE_MS 3600000

/* ---- age --------------------------------------------------------------------------------------------------------- */

static bool is_live(const struct id_handle *handle)
{
	return __atomic_load_n(&handle->line->end, __ATOMIC_RELAXED) != 0;
}

/* Returns when the next ids become too old. */
static int64_t expire(kontor_id_source *source, int64_t now_ms)
{
	int64_t oldest_ms = kontor_id_source_oldest_ms(source, now_ms), next_ms = now_ms + IDLE_MS;
	kontor_id_stock_expire(source->stock, oldest_ms);
	for (size_t i = 0; i < source->stock->len; i++)
		if (source->stock->grants[i].asked_ms + source->max_age_ms < next_ms)
			next_ms = source->stock->grants[i].asked_ms + source->max_age_ms;
	for (struct id_handle *handle = source->handles; handle; handle = handle->next) {
		if (!is_live(handle))
			continue;
		if (handle->asked_ms <= oldest_ms)
			__atomic_store_n(&handle->line->end, 0, __ATOMIC_RELAXED);
		else if (handle->asked_ms + source->max_age_ms < next_ms)
			next_ms = handle->asked_ms + source->max_age_ms;
	}
	return next_ms;
}

/* ---- ahead of time ----------------------------------------------------------------------------------------------- */

/* Something was taken out of the stock or out of a handle since the last look or the last grant. */
static bool in_use(kontor_id_source *source)
{
	bool used = source->used;
	for (struct id_handle *handle = source->handles; handle; handle = handle->next) {
		uint64_t next = __atomic_load_n(&handle->line->next, __ATOMIC_RELAXED);
		used = used || (is_live(handle) && next != handle->seen_next);
		handle->seen_next = next;
	}
	return used;
}

/* A slow program's ids are renewed before they are too old, so that it never waits either. */
static int64_t renewal_ms(const kontor_id_source *source)
{
	return source->granted_ms + source->max_age_ms * 3 / 5;
}

bool kontor_id_prefetch_due(const kontor_id_source *source, int64_t now_ms)
{
	return now_ms >= renewal_ms(source) || kontor_id_stock_left(source->stock) * 2 < source->stock->last_count;
}

static bool should_fetch(kontor_id_source *source, int64_t now_ms)
{
	if (source->fetching || source->waiters || now_ms < source->not_before_ms)
		return false; /* a waiter asks by itself */
	if (now_ms >= source->granted_ms + source->max_age_ms)
		return false; /* all of it is too old, so nobody has used it for a while */
	return kontor_id_prefetch_due(source, now_ms) && in_use(source);
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

/* When there may be something to do. */
static int64_t next_look_ms(const kontor_id_source *source, int64_t now_ms, int64_t expiry_ms)
{
	int64_t next_ms = expiry_ms;
	if (renewal_ms(source) > now_ms)
		next_ms = earlier(next_ms, renewal_ms(source));
	if (source->not_before_ms > now_ms)
		next_ms = earlier(next_ms, source->not_before_ms);
	return next_ms;
}

static void *run(void *arg)
{
	kontor_id_source *source = arg;
	pthread_mutex_lock(&source->lock);
	while (!source->stopping) {
		int64_t now_ms = kontor_monotonic_ms();
		int64_t expiry_ms = expire(source, now_ms);
		if (should_fetch(source, now_ms))
			kontor_id_source_fetch(source, now_ms + ROUND_MS);
		else
			kontor_id_source_wait(source, &source->wake, next_look_ms(source, now_ms, expiry_ms));
	}
	pthread_mutex_unlock(&source->lock);
	return NULL;
}

int kontor_id_prefetch_start(kontor_id_source *source, struct kontor_error *err)
{
	if (source->has_thread)
		return 0;
	sigset_t all, before;
	sigfillset(&all); /* the program's signals are for its own threads */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int problem = pthread_create(&source->thread, NULL, run, source);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (problem)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "ids of %s: the thread that fetches them: %s",
				   source->id_namespace, strerror(problem));
	source->has_thread = true;
	return 0;
}

void kontor_id_prefetch_stop(kontor_id_source *source)
{
	kontor_id_source_lock(source);
	source->stopping = true;
	bool has_thread = source->has_thread;
	kontor_id_endpoints_stop(&source->endpoints);
	pthread_cond_signal(&source->wake);
	pthread_mutex_unlock(&source->lock);
	if (has_thread)
		pthread_join(source->thread, NULL);
}
