/* SPDX-License-Identifier: Apache-2.0
 *
 * A source of ids: what its files share. Not installed.
 *
 *   ids_source.c    makes it; gives a piece of the stock, or waits for a grant
 *   ids_fetch.c     one request for everybody who waits
 *   ids_prefetch.c  the thread that fetches ahead and takes back what is too old
 *   ids_handle.c    a thread's part
 *   ids_fork.c      what a child of fork(2) finds
 *
 * Who finds no stock queues up as a waiter. One of the waiters (or the thread, ahead of time) sends the request, the
 * others wait for its grant, which serves them in the order they came; the rest is stock.
 */
#ifndef KONTOR_IDS_SOURCE_H
#define KONTOR_IDS_SOURCE_H

#include <pthread.h>

#include "ids_endpoints.h"
#include "ids_stock.h"

/* What all waiters together may ask for, and the largest grant that a source that adapts takes: 16 ms of a slot's ids
 * in std63, 2 s of them (the most that idgen gives at once) in js53. A single waiter may need more. */
#define ID_WANTED_LIMIT 65536

struct id_waiter {
	struct id_waiter *next;
	uint32_t least, most;
	bool asked; /* it queued up before the request that is under way was sent */
	bool done;
	int result;            /* with done */
	struct id_grant piece; /* result 0 */
	struct kontor_error error;
};

/* Beside the page of the public struct kontor_id_handle; guarded by the source's lock. */
struct id_handle {
	kontor_id_source *source;
	kontor_id_handle *line;
	int64_t asked_ms;   /* of the ids in it */
	uint64_t seen_next; /* when the thread looked last */
	struct id_handle *next;
};

struct kontor_id_source {
	char id_namespace[ID_NAMESPACE_SIZE];
	uint32_t grant; /* 0: adapts */
	int64_t max_age_ms, timeout_ms;
	bool strict;
	bool ahead; /* fetches ahead, by a thread */

	pthread_mutex_t lock;          /* guards all below; not held while a request is under way */
	pthread_cond_t changed;        /* for waiters */
	pthread_cond_t wake;           /* for the thread */
	struct id_stock *stock;        /* in memory that fork wipes */
	uint32_t size;                 /* of the next grant */
	struct id_endpoints endpoints; /* used by whoever set `fetching`, without the lock */
	bool fetching;
	struct id_waiter *waiters; /* in the order they came */
	struct id_handle *handles;
	size_t handles_len;

	struct kontor_error failure; /* of the last request; code 0: it succeeded */
	unsigned failures;           /* in a row */
	int64_t not_before_ms;       /* no request before that */
	int64_t granted_ms;          /* when the last grant came */
	uint64_t revocations;
	bool used; /* something was taken since the last grant came */

	pthread_t thread;
	bool has_thread, stopping;
	struct kontor_id_source_stats stats;
	struct kontor_id_source *next; /* ids_fork.c */
};

/* ---- ids_source.c ---- */

/* ahead = false: no thread; the age is looked at when ids are taken, so no handles may be made. */
int kontor_id_source_make(const struct kontor_id_source_options *options, bool ahead, kontor_id_source **ret_source,
			  struct kontor_error *err);
/* Locks, after setting up anew what a fork left. */
void kontor_id_source_lock(kontor_id_source *source);
/* least .. most ids out of one grant; waits for one within the source's timeout. Called and left with the lock. */
int kontor_id_source_take(kontor_id_source *source, uint32_t least, uint32_t most, struct id_grant *ret_piece,
			  struct kontor_error *err);
/* Ids asked for before it are too old. */
int64_t kontor_id_source_oldest_ms(const kontor_id_source *source, int64_t now_ms);
/* Waits on one of the source's conditions, at most until a monotonic time. */
void kontor_id_source_wait(kontor_id_source *source, pthread_cond_t *condition, int64_t until_ms);
/* A zeroed page that is wiped in a child of fork(2); NULL with errno. pages - 1 ordinary ones follow it. */
void *kontor_id_page_new(size_t pages);
void kontor_id_page_free(void *page, size_t pages);
size_t kontor_id_page_size(void);

/* ---- ids_fetch.c ---- */

/* One request, for the waiters and for the stock. Called and left with the lock, `fetching` not set. */
void kontor_id_source_fetch(kontor_id_source *source, int64_t until_ms);

/* ---- ids_prefetch.c ---- */

/* Starts the thread if it does not run. With the lock. */
int kontor_id_prefetch_start(kontor_id_source *source, struct kontor_error *err);
/* Ends the thread. Without the lock. */
void kontor_id_prefetch_stop(kontor_id_source *source);
/* It is time for the next grant. With the lock. */
bool kontor_id_prefetch_due(const kontor_id_source *source, int64_t now_ms);

/* ---- ids_fork.c ---- */

void kontor_id_fork_watch(kontor_id_source *source);
void kontor_id_fork_forget(kontor_id_source *source);

#endif
