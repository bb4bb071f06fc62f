/* SPDX-License-Identifier: Apache-2.0
 *
 * Which worker gets which request. A request goes only to a worker that said READY; what has to wait is bounded by
 * count and by bytes, because libzmq's high-water marks bound neither.
 */
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "front.h"
#include "kontor/time.h"
#include "workers.h"

#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 5000
#define MEAN_WEIGHT 16 /* of the past against the newest, in the moving mean of run times */

/* When a place in the queue should be free: the time that what waits now needs, shared by the workers. */
static uint32_t retry_after_ms(const struct pool *pool, const struct plugin_options *options)
{
	int64_t ms = (int64_t)pool->queued * pool->mean_us / options->workers / 1000;
	return (uint32_t)(ms < RETRY_MIN_MS ? RETRY_MIN_MS : ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms);
}

static void finish(struct front *front, struct exchange *exchange)
{
	atomic_fetch_sub(&front->outstanding, 1);
	exchange_free(exchange);
}

static void run_on(struct front *front, struct pool *pool, unsigned worker, struct exchange *exchange)
{
	exchange->next = pool->running;
	pool->running = exchange;
	pool->running_count++;
	front_read_clock(front);
	exchange->started_us = front->now_us;
	front->workers.unread = true;
	char name[WORKER_NAME_SIZE];
	int size = worker_name(worker, name);
	/* Cannot fail: the worker is connected and waits, and its pipe holds nothing else. */
	if (zmq_send(front->workers.socket, name, (size_t)size, ZMQ_SNDMORE) < 0 ||
	    !exchange_send(front->workers.socket, exchange, 0))
		abort();
}

static void expire(struct front *front, struct exchange *exchange)
{
	counter_add(COUNTER_EXPIRED);
	struct kontor_error error = KONTOR_ERROR_INIT;
	kontor_fail(&error, KONTOR_E_DEADLINE, "%s waited for a worker until its time was over; nothing was done",
		    exchange->header.method);
	front_send_error(front, exchange, &error);
	finish(front, exchange);
}

/* Takes a request that waits out of its pool's queue. */
static void unlink_queued(struct pool *pool, struct exchange **link)
{
	struct exchange *queued = *link;
	*link = queued->next;
	if (!*link)
		pool->queue_tail = link;
	pool->queued--;
	pool->queued_bytes -= zmq_msg_size(&queued->body);
}

static void refuse(struct front *front, struct pool *pool, struct exchange *exchange)
{
	const struct plugin_options *options = &exchange->plugin->options;
	pool->busy++;
	counter_add(COUNTER_BUSY);
	front_refuses(pool, front->now_us);
	struct kontor_error error = KONTOR_ERROR_INIT;
	kontor_fail(&error, KONTOR_E_BUSY, "%s is busy: %zu requests wait already", exchange->plugin->api.name,
		    pool->queued);
	error.retry_after_ms = retry_after_ms(pool, options);
	front_send_error(front, exchange, &error);
	finish(front, exchange);
}

/* The oldest that are more than may wait in an overload: they would be the slowest. */
static void shed(struct front *front, struct pool *pool, const struct plugin_options *options)
{
	while (pool->queued > front_waiting_limit(pool, options)) {
		struct exchange *exchange = pool->queue_head;
		unlink_queued(pool, &pool->queue_head);
		refuse(front, pool, exchange);
	}
}

/* The next request that waits and is still wanted, or NULL. */
static struct exchange *take_queued(struct front *front, struct pool *pool)
{
	while (pool->queue_head) {
		struct exchange *exchange = pool->queue_head;
		unlink_queued(pool, &pool->queue_head);
		int64_t now_us = monotonic_us();
		if (front_begins_late(exchange->plugin, pool, now_us - exchange->queued_us, now_us))
			shed(front, pool, &exchange->plugin->options);
		if (now_us / 1000 < exchange->deadline_ms)
			return exchange;
		expire(front, exchange);
	}
	return NULL;
}

void front_dispatch(struct front *front, struct exchange *exchange)
{
	struct pool *pool = exchange->pool;
	const struct plugin_options *options = &exchange->plugin->options;
	size_t bytes = zmq_msg_size(&exchange->body);
	pool->requests++;
	atomic_fetch_add(&front->outstanding, 1);
	exchange->queued_us = front->now_us;
	if (pool->idle_count) {
		front_begins_late(exchange->plugin, pool, 0, front->now_us);
		run_on(front, pool, pool->idle[--pool->idle_count], exchange);
		return;
	}
	if (pool->queued >= front_waiting_limit(pool, options) || pool->queued_bytes + bytes > options->queue_bytes) {
		refuse(front, pool, exchange);
		return;
	}
	exchange->next = NULL;
	*pool->queue_tail = exchange;
	pool->queue_tail = &exchange->next;
	pool->queued++;
	pool->queued_bytes += bytes;
}

static void remove_running(struct pool *pool, struct exchange *exchange)
{
	struct exchange **link = &pool->running;
	while (*link != exchange)
		link = &(*link)->next;
	*link = exchange->next;
	pool->running_count--;
}

static void deliver(struct front *front, struct pool *pool, struct exchange *exchange)
{
	remove_running(pool, exchange);
	front_read_clock(front);
	int64_t took_us = front->now_us - exchange->started_us;
	pool->mean_us += (took_us - pool->mean_us) / MEAN_WEIGHT;
	if (exchange->error.code)
		pool->errors++;
	if (exchange->cancelled)
		counter_add(COUNTER_CANCELLED);
	else if (exchange->error.code)
		front_send_error(front, exchange, &exchange->error);
	else
		front_send_message(front, exchange, &exchange->result);
	finish(front, exchange);
}

void front_worker_ready(struct front *front, unsigned worker, struct exchange *finished)
{
	struct pool *pool = &front->pools[worker_place(worker)];
	if (finished)
		deliver(front, pool, finished);
	struct exchange *next = take_queued(front, pool);
	if (next)
		run_on(front, pool, worker, next);
	else
		pool->idle[pool->idle_count++] = worker;
}

void front_expire(struct front *front)
{
	int64_t now = kontor_monotonic_ms();
	for (size_t i = 0; i < front->unit->plugins_len; i++) {
		struct pool *pool = &front->pools[i];
		for (struct exchange **link = &pool->queue_head; *link;) {
			struct exchange *queued = *link;
			if (now < queued->deadline_ms) {
				link = &queued->next;
				continue;
			}
			unlink_queued(pool, link);
			expire(front, queued);
		}
	}
}

static bool is_of(struct exchange *exchange, struct caller *caller, uint64_t id)
{
	zmq_msg_t *own = &exchange->caller.route, *other = &caller->route;
	size_t size = zmq_msg_size(own);
	return exchange->header.id == id && exchange->caller.source == caller->source && size == zmq_msg_size(other) &&
	       memcmp(zmq_msg_data(own), zmq_msg_data(other), size) == 0;
}

void front_cancel(struct front *front, struct caller *caller, uint64_t id)
{
	for (size_t i = 0; i < front->unit->plugins_len; i++) {
		struct pool *pool = &front->pools[i];
		for (struct exchange *running = pool->running; running; running = running->next)
			if (is_of(running, caller, id))
				running->cancelled = true; /* its handler may look; its reply is not sent */
		for (struct exchange **link = &pool->queue_head; *link; link = &(*link)->next) {
			struct exchange *queued = *link;
			if (!is_of(queued, caller, id))
				continue;
			unlink_queued(pool, link);
			counter_add(COUNTER_CANCELLED);
			finish(front, queued);
			return;
		}
	}
}
