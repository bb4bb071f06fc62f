/* SPDX-License-Identifier: Apache-2.0
 *
 * One request for everybody who waits.
 */
#include "ids_source.h"

#include "kontor/time.h"

#define PAUSE_MS 10
#define PAUSE_LIMIT_MS 500
#define ADAPTED_LEAST 64

/* Marks those whom the request is for. */
static uint32_t count_wanted(kontor_id_source *source)
{
	uint64_t wanted = 0;
	for (struct id_waiter *waiter = source->waiters; waiter; waiter = waiter->next) {
		waiter->asked = true;
		wanted += waiter->most;
	}
	if (wanted > ID_WANTED_LIMIT)
		wanted = ID_WANTED_LIMIT;
	if (source->waiters && wanted < source->waiters->least)
		wanted = source->waiters->least;
	return source->strict || wanted > source->size ? (uint32_t)wanted : source->size;
}

static void finish_first(kontor_id_source *source, int result)
{
	struct id_waiter *waiter = source->waiters;
	source->waiters = waiter->next;
	waiter->result = result;
	waiter->done = true;
}

/* In the order they came. A strict one that queued up after the request was sent is left for the next request: its ids
 * must be allocated after its call began. */
static void serve_waiters(kontor_id_source *source, struct id_grant *grant)
{
	if (source->waiters)
		source->stock->len = 0; /* too little for them, and older than what they get now */
	while (source->waiters && grant->range.count >= source->waiters->least) {
		if (source->strict && !source->waiters->asked)
			break;
		source->waiters->piece = kontor_id_grant_cut(grant, source->waiters->most);
		finish_first(source, 0);
		source->used = true;
	}
}

/* A grant shall last for about half of the age that ids may have: what is in stock then covers a restart of a unit, and
 * little of it becomes too old. */
static void adapt_size(kontor_id_source *source, int64_t now_ms)
{
	if (source->grant)
		return;
	if (source->granted_ms && now_ms - source->granted_ms < source->max_age_ms * 2 / 5 &&
	    source->size < ID_WANTED_LIMIT)
		source->size *= 2;
	else if (now_ms - source->granted_ms > source->max_age_ms / 2 && source->size > ADAPTED_LEAST)
		source->size /= 2;
}

static void accept_grant(kontor_id_source *source, struct id_grant *grant)
{
	int64_t now_ms = kontor_monotonic_ms();
	source->failure.code = 0;
	source->failures = 0;
	source->not_before_ms = 0;
	source->stats.granted += grant->range.count;
	source->used = false;
	adapt_size(source, now_ms);
	source->granted_ms = now_ms;
	source->stock->last_count = grant->range.count;
	serve_waiters(source, grant);
	if (!source->strict && grant->range.count > 0)
		kontor_id_stock_put(source->stock, grant);
}

/* A refusal for good is that of everybody who waits; other failures are tried again while there is time. */
static void accept_failure(kontor_id_source *source, const struct kontor_error *problem)
{
	uint32_t pause_ms = source->failures < 6 ? PAUSE_MS << source->failures : PAUSE_LIMIT_MS;
	source->failure = *problem;
	source->failures++;
	if (pause_ms < problem->retry_after_ms)
		pause_ms = problem->retry_after_ms;
	source->not_before_ms = kontor_monotonic_ms() + (pause_ms < PAUSE_LIMIT_MS ? pause_ms : PAUSE_LIMIT_MS);
	if (problem->code == KONTOR_E_BUSY && !source->grant && source->size > ADAPTED_LEAST)
		source->size /= 2; /* less is to be had sooner */
	if (kontor_code_outcome(problem->code) != KONTOR_OUTCOME_FINAL)
		return;
	while (source->waiters) {
		source->waiters->error = *problem;
		finish_first(source, problem->code);
	}
}

void kontor_id_source_fetch(kontor_id_source *source, int64_t until_ms)
{
	struct kontor_error problem = KONTOR_ERROR_INIT;
	uint32_t count = count_wanted(source);
	uint64_t revocations = source->revocations;
	int rc = kontor_id_endpoints_open(&source->endpoints, &problem);
	source->fetching = true;
	source->stats.requests++;
	pthread_mutex_unlock(&source->lock);

	struct id_grant grant = {.asked_ms = kontor_monotonic_ms()};
	if (!rc)
		rc = kontor_id_endpoints_ask(&source->endpoints, source->id_namespace, count, until_ms, &grant.range,
					     &problem);

	pthread_mutex_lock(&source->lock);
	source->fetching = false;
	source->stats.failovers = source->endpoints.failovers;
	if (rc)
		accept_failure(source, &problem);
	else if (source->revocations == revocations)
		accept_grant(source, &grant);
	pthread_cond_broadcast(&source->changed);
	pthread_cond_signal(&source->wake);
}
