/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting until threads that were made have begun, each with a success or a failure.
 */
#ifndef KONTORD_START_BARRIER_H
#define KONTORD_START_BARRIER_H

#include <pthread.h>

#include "kontor/error.h"

struct start_barrier {
	pthread_mutex_t lock;
	pthread_cond_t begun;
	unsigned reported;
	struct kontor_error failure; /* the first one */
};

void start_barrier_init(struct start_barrier *barrier);
void start_barrier_destroy(struct start_barrier *barrier);
/* In each thread, once; failure is NULL when it has begun well. */
void start_barrier_report(struct start_barrier *barrier, const struct kontor_error *failure);
/* Until so many have reported; the first failure, or 0. */
int start_barrier_await(struct start_barrier *barrier, unsigned threads, struct kontor_error *err);

#endif
