/* SPDX-License-Identifier: Apache-2.0 */
#include "start_barrier.h"

void start_barrier_init(struct start_barrier *barrier)
{
	pthread_mutex_init(&barrier->lock, NULL);
	pthread_cond_init(&barrier->begun, NULL);
}

void start_barrier_destroy(struct start_barrier *barrier)
{
	pthread_cond_destroy(&barrier->begun);
	pthread_mutex_destroy(&barrier->lock);
}

void start_barrier_report(struct start_barrier *barrier, const struct kontor_error *failure)
{
	pthread_mutex_lock(&barrier->lock);
	if (failure && !barrier->failure.code)
		barrier->failure = *failure;
	barrier->reported++;
	pthread_cond_signal(&barrier->begun);
	pthread_mutex_unlock(&barrier->lock);
}

int start_barrier_await(struct start_barrier *barrier, unsigned threads, struct kontor_error *err)
{
	pthread_mutex_lock(&barrier->lock);
	while (barrier->reported < threads)
		pthread_cond_wait(&barrier->begun, &barrier->lock);
	struct kontor_error failure = barrier->failure;
	pthread_mutex_unlock(&barrier->lock);
	return failure.code ? kontor_fail(err, failure.code, "%s", failure.message) : 0;
}
