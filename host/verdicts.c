/* SPDX-License-Identifier: Apache-2.0
 *
 * One reload at a time; each who asks is answered by one that began after he asked.
 */
#include "verdicts.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kontor/time.h"

#define ROWS_LIMIT 512u /* further ones are only in the log */
#define LOOK_MS 100     /* how often who waits looks whether his time is over */

struct row {
	enum verdict verdict;
	char *place, *message;
};

struct verdicts {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t asked, answers, done; /* numbers of askers: the last one, and the last that a reload answers */
	bool closed, refused;
	struct row rows[ROWS_LIMIT];
	size_t len;
};

struct verdicts *verdicts_new(void)
{
	struct verdicts *verdicts = calloc(1, sizeof(*verdicts));
	if (!verdicts)
		return NULL;
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&verdicts->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&verdicts->lock, NULL);
	return verdicts;
}

static void forget_rows(struct verdicts *verdicts)
{
	for (size_t i = 0; i < verdicts->len; i++) {
		free(verdicts->rows[i].place);
		free(verdicts->rows[i].message);
	}
	verdicts->len = 0;
	verdicts->refused = false;
}

struct verdicts *verdicts_free(struct verdicts *verdicts)
{
	if (verdicts) {
		forget_rows(verdicts);
		pthread_cond_destroy(&verdicts->changed);
		pthread_mutex_destroy(&verdicts->lock);
		free(verdicts);
	}
	return NULL;
}

/* ---- the main thread ---- */

void verdicts_begin(struct verdicts *verdicts)
{
	pthread_mutex_lock(&verdicts->lock);
	forget_rows(verdicts);
	verdicts->answers = verdicts->asked;
	pthread_mutex_unlock(&verdicts->lock);
}

void verdicts_add(struct verdicts *verdicts, enum verdict verdict, const char *file, unsigned line, const char *format,
		  ...)
{
	char place[PATH_MAX + 16] = "", message[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (file)
		snprintf(place, sizeof(place), line ? "%s:%u" : "%s", file, line);
	struct row row = {verdict, strdup(place), strdup(message)};
	pthread_mutex_lock(&verdicts->lock);
	verdicts->refused |= verdict == VERDICT_REFUSED;
	if (row.place && row.message && verdicts->len < ROWS_LIMIT) {
		verdicts->rows[verdicts->len++] = row;
	} else {
		free(row.place);
		free(row.message);
	}
	pthread_mutex_unlock(&verdicts->lock);
}

void verdicts_end(struct verdicts *verdicts)
{
	pthread_mutex_lock(&verdicts->lock);
	verdicts->done = verdicts->answers;
	pthread_cond_broadcast(&verdicts->changed);
	pthread_mutex_unlock(&verdicts->lock);
}

void verdicts_close(struct verdicts *verdicts)
{
	pthread_mutex_lock(&verdicts->lock);
	verdicts->closed = true;
	pthread_cond_broadcast(&verdicts->changed);
	pthread_mutex_unlock(&verdicts->lock);
}

/* ---- a worker ---- */

static const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {"taken", "restart", "failed", "refused"};
	return names[verdict];
}

static void put_rows(const struct verdicts *verdicts, kontor_writer *w)
{
	kontor_put_bool(w, "taken", !verdicts->refused);
	kontor_put_array(w, "rows");
	for (size_t i = 0; i < verdicts->len; i++) {
		kontor_write_map(w);
		kontor_put_string(w, "verdict", verdict_name(verdicts->rows[i].verdict));
		kontor_put_string(w, "place", verdicts->rows[i].place);
		kontor_put_string(w, "message", verdicts->rows[i].message);
		kontor_write_end(w);
	}
	kontor_write_end(w);
}

/* With the lock. */
static void wait_for(struct verdicts *verdicts, uint64_t number, const kontor_request *request)
{
	while (verdicts->done < number && !verdicts->closed && !kontor_request_cancelled(request)) {
		int64_t until = kontor_monotonic_ms() + LOOK_MS;
		struct timespec deadline = {until / 1000, (until % 1000) * 1000000};
		pthread_cond_timedwait(&verdicts->changed, &verdicts->lock, &deadline);
	}
}

int verdicts_await(struct verdicts *verdicts, kontor_request *request)
{
	pthread_mutex_lock(&verdicts->lock);
	uint64_t number = ++verdicts->asked;
	if (!verdicts->closed)
		kill(getpid(), SIGHUP); /* what the main thread waits for */
	wait_for(verdicts, number, request);
	int rc = 0;
	if (verdicts->done >= number)
		put_rows(verdicts, kontor_reply(request));
	else if (verdicts->closed)
		rc = kontor_request_fail(request, KONTOR_E_DRAINING, "the unit stops");
	else
		rc = kontor_request_fail(request, KONTOR_E_DEADLINE,
					 "the reload has not ended yet and goes on: the log will tell");
	pthread_mutex_unlock(&verdicts->lock);
	return rc;
}
