/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker says READY, gets one exchange, runs it and gives it back, which says READY again.
 */
#include "workers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "front.h"
#include "kontor/log.h"

#define DATABASE_RETRY_MS 500 /* advice to a caller while the database is away */

struct worker {
	struct unit *unit;
	struct loaded_plugin *plugin;
	size_t plugin_place;
	unsigned number;
	pthread_t thread;
	void *socket;
	kontor_request *request;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t started;
	unsigned len, running, reported;
	struct kontor_error failure; /* of the first worker_start that failed */
	struct worker all[];
};

int worker_name(unsigned worker, char *out)
{
	return snprintf(out, WORKER_NAME_SIZE, "w%u", worker);
}

unsigned worker_number(const char *name, size_t size)
{
	uint64_t number = UINT32_MAX;
	if (size > 1 && name[0] == 'w')
		kontor_parse_uint((struct kontor_text){name + 1, size - 1}, &number);
	return (unsigned)number;
}

size_t worker_plugin(const struct unit *unit, unsigned worker)
{
	return unit->workers->all[worker].plugin_place;
}

unsigned workers_count(const struct unit *unit)
{
	return unit->workers ? unit->workers->len : 0;
}

static void report_start(struct workers *workers, const struct kontor_error *failure)
{
	pthread_mutex_lock(&workers->lock);
	if (failure && !workers->failure.code)
		workers->failure = *failure;
	workers->reported++;
	pthread_cond_signal(&workers->started);
	pthread_mutex_unlock(&workers->lock);
}

static int open_socket(struct worker *worker, struct kontor_error *err)
{
	char name[WORKER_NAME_SIZE];
	int size = worker_name(worker->number, name);
	worker->socket = zmq_socket(worker->unit->zmq, ZMQ_DEALER);
	if (!worker->socket)
		return kontor_fail(err, KONTOR_E_INTERNAL, "worker of %s: %s", worker->plugin->api.name,
				   zmq_strerror(zmq_errno()));
	zmq_setsockopt(worker->socket, ZMQ_LINGER, &(int){0}, sizeof(int));
	zmq_setsockopt(worker->socket, ZMQ_ROUTING_ID, name, (size_t)size);
	if (zmq_connect(worker->socket, WORKERS_ENDPOINT) < 0)
		return kontor_fail(err, KONTOR_E_INTERNAL, "worker of %s: %s", worker->plugin->api.name,
				   zmq_strerror(zmq_errno()));
	return 0;
}

static int run_with_database(struct worker *worker, struct exchange *exchange)
{
	kontor_conn *conn = NULL;
	int rc = kontor_db_acquire(worker->unit->db, &conn, &exchange->error);
	if (rc) {
		if (!exchange->error.retry_after_ms)
			exchange->error.retry_after_ms = DATABASE_RETRY_MS;
		return rc;
	}
	const void *data;
	size_t size;
	rc = exchange_run(worker->unit, exchange, conn, &worker->request, &data, &size);
	if (!rc) {
		zmq_msg_close(&exchange->result);
		if (zmq_msg_init_size(&exchange->result, size)) {
			zmq_msg_init(&exchange->result);
			/* After the commit: only asking again with the key can tell the caller the result. */
			rc = kontor_fail(&exchange->error, KONTOR_E_UNKNOWN_OUTCOME, "out of memory for the answer");
		} else {
			memcpy(zmq_msg_data(&exchange->result), data, size);
		}
	}
	kontor_db_release(conn);
	return rc;
}

static void work(struct worker *worker)
{
	struct exchange *exchange = NULL;
	/* The first message is READY without a finished exchange. */
	while (exchange_send(worker->socket, exchange, 0) && exchange_receive(worker->socket, &exchange, 0) && exchange)
		run_with_database(worker, exchange);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	const struct kontor_plugin *api = &worker->plugin->api;
	struct kontor_error err = KONTOR_ERROR_INIT;
	int rc = open_socket(worker, &err);
	if (!rc && api->worker_start && (rc = api->worker_start(worker->plugin->self, &err)))
		kontor_fail_in(&err, "plugin %s: worker_start", api->name);
	report_start(worker->unit->workers, rc ? &err : NULL);
	if (!rc) {
		work(worker);
		if (api->worker_stop)
			api->worker_stop(worker->plugin->self);
	}
	kontor_request_free(worker->request);
	if (worker->socket)
		zmq_close(worker->socket);
	return NULL;
}

static size_t count_workers(const struct unit *unit)
{
	size_t len = 0;
	for (size_t i = 0; i < unit->plugins_len; i++)
		len += (size_t)unit->plugins[i]->options.workers;
	return len;
}

static void describe(struct unit *unit, struct workers *workers)
{
	for (size_t i = 0; i < unit->plugins_len; i++)
		for (int64_t n = 0; n < unit->plugins[i]->options.workers; n++) {
			workers->all[workers->len] = (struct worker){
				.unit = unit, .plugin = unit->plugins[i], .plugin_place = i, .number = workers->len};
			workers->len++;
		}
}

int workers_start(struct unit *unit, struct kontor_error *err)
{
	struct workers *workers = calloc(1, sizeof(*workers) + count_workers(unit) * sizeof(workers->all[0]));
	if (!workers)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for workers");
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->started, NULL);
	describe(unit, workers);
	unit->workers = workers;
	int rc = 0;
	for (; workers->running < workers->len && !rc; workers->running += !rc) {
		struct worker *worker = &workers->all[workers->running];
		rc = pthread_create(&worker->thread, NULL, worker_main, worker);
	}
	pthread_mutex_lock(&workers->lock);
	while (workers->reported < workers->running)
		pthread_cond_wait(&workers->started, &workers->lock);
	struct kontor_error failure = workers->failure;
	pthread_mutex_unlock(&workers->lock);
	if (rc)
		return kontor_fail(err, KONTOR_E_INTERNAL, "cannot start worker %u of %u: %s", workers->running,
				   workers->len, strerror(rc));
	if (failure.code)
		return kontor_fail(err, failure.code, "%s", failure.message);
	return 0;
}

void workers_stop(struct unit *unit)
{
	struct workers *workers = unit->workers;
	if (!workers)
		return;
	for (unsigned i = 0; i < workers->running; i++)
		pthread_join(workers->all[i].thread, NULL);
	workers->running = 0;
}

void workers_free(struct unit *unit)
{
	struct workers *workers = unit->workers;
	if (!workers)
		return;
	pthread_cond_destroy(&workers->started);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
	unit->workers = NULL;
}
