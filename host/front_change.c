/* SPDX-License-Identifier: Apache-2.0
 *
 * Plugins that come and go while the front runs. The main thread says what; the front's own thread does it, between two
 * messages, so that nothing on the way of a message needs a lock.
 */
#include <stdlib.h>
#include <string.h>

#include "front.h"
#include "workers.h"

int front_open_pool(struct front *front, size_t place, struct kontor_error *err)
{
	struct pool *pool = &front->pools[place];
	const struct loaded_plugin *plugin = unit_plugin_at(front->unit, place);
	*pool = (struct pool){.idle = calloc((size_t)plugin->options.workers + 1, sizeof(*pool->idle))};
	pool->queue_tail = &pool->queue_head;
	return pool->idle ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the front");
}

struct change {
	size_t place;
	const struct plugin_options *options;
	bool busy;
	int rc;
	struct kontor_error *err;
};

static void open_pool(struct front *front, void *arg)
{
	struct change *change = arg;
	change->rc = front_open_pool(front, change->place, change->err);
}

int front_add_plugin(struct unit *unit, size_t place, struct kontor_error *err)
{
	struct change change = {.place = place, .err = err};
	front_run(unit, open_pool, &change);
	return change.rc;
}

static void list_methods(struct front *front, void *arg)
{
	struct change *change = arg;
	change->rc = front_list_methods(front, change->err);
}

int front_change_methods(struct unit *unit, struct kontor_error *err)
{
	struct change change = {.err = err};
	front_run(unit, list_methods, &change);
	return change.rc;
}

static void set_queue(struct front *front, void *arg)
{
	const struct change *change = arg;
	struct plugin_options *options = &unit_plugin_at(front->unit, change->place)->options;
	options->queue = change->options->queue;
	options->queue_bytes = change->options->queue_bytes;
	options->queue_time_ms = change->options->queue_time_ms;
}

void front_change_queue(struct unit *unit, size_t place, const struct plugin_options *options)
{
	front_run(unit, set_queue, &(struct change){.place = place, .options = options});
}

static void look_at_pool(struct front *front, void *arg)
{
	struct change *change = arg;
	const struct pool *pool = &front->pools[change->place];
	change->busy = pool->queued || pool->running_count;
}

bool front_is_busy(struct unit *unit, size_t place)
{
	struct change change = {.place = place};
	front_run(unit, look_at_pool, &change);
	return change.busy;
}

static void end_workers_of(struct front *front, void *arg)
{
	const struct change *change = arg;
	front->workers.unread = true;
	for (unsigned i = 0; i < workers_at(front->unit, change->place); i++) {
		char name[WORKER_NAME_SIZE];
		int size = worker_name(worker_at(front->unit, change->place, i), name);
		/* A worker that failed to start is not there: its part is dropped. */
		if (zmq_send(front->workers.socket, name, (size_t)size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
			exchange_send(front->workers.socket, NULL, ZMQ_DONTWAIT);
	}
}

void front_end_workers_of(struct unit *unit, size_t place)
{
	front_run(unit, end_workers_of, &(struct change){.place = place});
}

void front_end_workers(struct unit *unit)
{
	for (size_t i = 0; i < unit->plugins_len; i++)
		front_end_workers_of(unit, i);
}

static void remove_plugin(struct front *front, void *arg)
{
	const struct change *change = arg;
	struct unit *unit = front->unit;
	struct loaded_plugin *plugin = unit_plugin_at(unit, change->place);
	workers_forget(unit, change->place);
	free(front->pools[change->place].idle);
	front->pools[change->place] = (struct pool){0};
	plugin->next_retired = unit->retired;
	unit->retired = plugin;
	unit->plugins[change->place] = NULL;
}

void front_remove_plugin(struct unit *unit, size_t place)
{
	front_run(unit, remove_plugin, &(struct change){.place = place});
}
