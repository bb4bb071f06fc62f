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
#include "start_barrier.h"

#define DATABASE_RETRY_MS 500 /* advice to a caller while the database is away */

struct worker {
	struct unit *unit;
	struct loaded_plugin *plugin;
	struct crew *crew;
	unsigned number;
	pthread_t thread;
	void *socket;
	kontor_request *request;
};

/* The workers of one plugin. */
struct crew {
	struct start_barrier started;
	unsigned first, len, running;
	struct worker all[];
};

struct workers {
	struct crew *_Atomic crews[PLUGINS_LIMIT]; /* by the plugin's place */
	unsigned next;                             /* counts all that there ever were */
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

size_t worker_place(unsigned worker)
{
	return worker % PLUGINS_LIMIT;
}

unsigned workers_at(const struct unit *unit, size_t place)
{
	const struct crew *crew = unit->workers ? unit->workers->crews[place] : NULL;
	return crew ? crew->len : 0;
}

unsigned worker_at(const struct unit *unit, size_t place, unsigned index)
{
	const struct crew *crew = unit->workers->crews[place];
	return (crew->first + index) * PLUGINS_LIMIT + (unsigned)place;
}

bool worker_is_here(const struct unit *unit, unsigned worker)
{
	size_t place = worker_place(worker);
	const struct crew *crew = unit->workers ? unit->workers->crews[place] : NULL;
	return crew && worker / PLUGINS_LIMIT - crew->first < crew->len;
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

static int run(struct worker *worker, struct exchange *exchange, kontor_conn *conn)
{
	const void *data;
	size_t size;
	int rc = exchange_run(worker->unit, exchange, conn, &worker->request, &data, &size);
	if (rc)
		return rc;
	zmq_msg_close(&exchange->result);
	if (zmq_msg_init_size(&exchange->result, size)) {
		zmq_msg_init(&exchange->result);
		/* After the commit: only asking again with the key can tell the caller the result. */
		return kontor_fail(&exchange->error, KONTOR_E_UNKNOWN_OUTCOME, "out of memory for the answer");
	}
	memcpy(zmq_msg_data(&exchange->result), data, size);
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
	rc = run(worker, exchange, conn);
	kontor_db_release(conn);
	return rc;
}

static void work(struct worker *worker)
{
	struct exchange *exchange = NULL;
	/* The first message is READY without a finished exchange. */
	while (exchange_send(worker->socket, exchange, 0) && exchange_receive(worker->socket, &exchange, 0) && exchange)
		if (exchange->method->flags & KONTOR_METHOD_NO_DATABASE)
			run(worker, exchange, NULL);
		else
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
	start_barrier_report(&worker->crew->started, rc ? &err : NULL);
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

static struct crew *make_crew(struct unit *unit, size_t place)
{
	struct loaded_plugin *plugin = unit_plugin_at(unit, place);
	unsigned len = (unsigned)plugin->options.workers;
	struct crew *crew = calloc(1, sizeof(*crew) + len * sizeof(crew->all[0]));
	if (!crew)
		return NULL;
	start_barrier_init(&crew->started);
	crew->first = unit->workers->next;
	crew->len = len;
	unit->workers->next += len;
	for (unsigned i = 0; i < len; i++)
		crew->all[i] = (struct worker){.unit = unit,
					       .plugin = plugin,
					       .crew = crew,
					       .number = (crew->first + i) * PLUGINS_LIMIT + (unsigned)place};
	unit->workers->crews[place] = crew;
	return crew;
}

static int start_crew(struct crew *crew, struct kontor_error *err)
{
	int rc = 0;
	for (; crew->running < crew->len && !rc; crew->running += !rc) {
		struct worker *worker = &crew->all[crew->running];
		rc = pthread_create(&worker->thread, NULL, worker_main, worker);
	}
	return rc ? kontor_fail(err, KONTOR_E_INTERNAL, "cannot start worker %u of %u: %s", crew->running, crew->len,
				strerror(rc))
		  : 0;
}

int workers_start_plugin(struct unit *unit, size_t place, struct kontor_error *err)
{
	struct crew *crew = make_crew(unit, place);
	if (!crew)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for workers");
	int rc = start_crew(crew, err);
	int failed = start_barrier_await(&crew->started, crew->running, rc ? NULL : err);
	return rc ? rc : failed;
}

/* All threads are made before the first is waited for: their plugins' worker_start may take its time. */
int workers_start(struct unit *unit, struct kontor_error *err)
{
	int rc = 0;
	unit->workers = calloc(1, sizeof(struct workers));
	if (!unit->workers)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for workers");
	for (size_t i = 0; i < unit->plugins_len && !rc; i++) {
		struct crew *crew = make_crew(unit, i);
		rc = crew ? start_crew(crew, err) : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for workers");
	}
	for (size_t i = 0; i < unit->plugins_len; i++) {
		struct crew *crew = unit->workers->crews[i];
		int failed = crew ? start_barrier_await(&crew->started, crew->running, rc ? NULL : err) : 0;
		rc = rc ? rc : failed;
	}
	return rc;
}

void workers_join(struct unit *unit, size_t place)
{
	struct crew *crew = unit->workers ? unit->workers->crews[place] : NULL;
	if (!crew)
		return;
	for (unsigned i = 0; i < crew->running; i++)
		pthread_join(crew->all[i].thread, NULL);
	crew->running = 0;
}

void workers_forget(struct unit *unit, size_t place)
{
	struct crew *crew = unit->workers->crews[place];
	if (!crew)
		return;
	unit->workers->crews[place] = NULL;
	start_barrier_destroy(&crew->started);
	free(crew);
}

void workers_free(struct unit *unit)
{
	for (size_t i = 0; unit->workers && i < PLUGINS_LIMIT; i++)
		workers_forget(unit, i);
	free(unit->workers);
	unit->workers = NULL;
}
