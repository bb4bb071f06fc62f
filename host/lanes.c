/* SPDX-License-Identifier: Apache-2.0
 *
 * A lane thread asks for a step of any job of its kinds, runs it, and asks again.
 */
#include "lanes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "crash.h"
#include "job_runner.h"
#include "kontor/log.h"
#include "kontor/time.h"

#define IDLE_WAIT_MS 500   /* another process may have submitted a job, and cannot wake us */
#define FAULT_WAIT_MS 1000 /* after the database failed */
#define FAULT_LOG_MS 30000 /* one line about it that often */
#define UPLOAD_PREFIX "upload."

struct lane {
	const char *name;
	struct kontor_job_registration *kinds;
	size_t kinds_len;
	int64_t threads;
	_Atomic unsigned busy;
};

struct lane_thread {
	struct unit *unit;
	struct lane *lane;
	pthread_t thread;
};

struct lanes {
	pthread_mutex_t lock;
	pthread_cond_t started;
	unsigned running, reported;
	struct kontor_error failure;
	struct lane all[LANES];
	struct kontor_upload_context *contexts; /* of all upload kinds of the unit */
	char (*context_names)[64];
	size_t contexts_len;
	struct lane_thread *threads;
};

/* Each plugin that has a kind in the lane gets worker_start and worker_stop in each of its threads. */
static bool has_kind_in(const struct loaded_plugin *plugin, const struct lane *lane)
{
	for (size_t i = 0; i < lane->kinds_len; i++)
		if (lane->kinds[i].plugin == plugin->api.name)
			return true;
	return false;
}

static void stop_plugins(const struct lane_thread *thread, size_t len)
{
	for (size_t i = len; i-- > 0;) {
		const struct loaded_plugin *plugin = thread->unit->plugins[i];
		if (plugin->api.worker_stop && has_kind_in(plugin, thread->lane))
			plugin->api.worker_stop(plugin->self);
	}
}

static int start_plugins(const struct lane_thread *thread, struct kontor_error *err)
{
	for (size_t i = 0; i < thread->unit->plugins_len; i++) {
		const struct loaded_plugin *plugin = thread->unit->plugins[i];
		if (!plugin->api.worker_start || !has_kind_in(plugin, thread->lane))
			continue;
		int rc = plugin->api.worker_start(plugin->self, err);
		if (rc) {
			kontor_fail_in(err, "lane %s, plugin %s: worker_start", thread->lane->name, plugin->api.name);
			stop_plugins(thread, i);
			return rc;
		}
	}
	return 0;
}

static int make_runner(const struct lane_thread *thread, kontor_job_runner **ret_runner, struct kontor_error *err)
{
	const struct kontor_job_runner_options options = {
		.host = thread->unit->host,
		.lane = thread->lane->name,
		.kinds = thread->lane->kinds,
		.kinds_len = thread->lane->kinds_len,
		.owner = thread->unit->owner,
		.instance = thread->unit->instance,
		.lease_ms = LEASE_MS,
	};
	return kontor_job_runner_new(&options, ret_runner, err);
}

static void run_steps(const struct lane_thread *thread, kontor_job_runner *runner)
{
	struct lane *lane = thread->lane;
	int64_t logged_ms = 0;
	while (!kontor_host_draining(thread->unit->host)) {
		struct kontor_error err = KONTOR_ERROR_INIT;
		crash_working_on(NULL, lane->name, 0);
		lane->busy++;
		int rc = kontor_job_runner_step(runner, &err);
		lane->busy--;
		if (rc > 0) {
			counter_add(COUNTER_JOB_STEPS);
			continue;
		}
		if (rc < 0) {
			counter_add(COUNTER_JOB_FAULTS);
			if (!logged_ms || kontor_monotonic_ms() - logged_ms >= FAULT_LOG_MS) {
				kontor_log(KONTOR_LOG_WARNING, "a lane cannot work, it tries again", "lane=%s error=%s",
					   lane->name, KONTOR_QUOTED(err.message));
				logged_ms = kontor_monotonic_ms();
			}
		}
		kontor_job_lane_wait(lane->name, rc < 0 ? FAULT_WAIT_MS : IDLE_WAIT_MS);
	}
}

static void report_start(struct lanes *lanes, const struct kontor_error *failure)
{
	pthread_mutex_lock(&lanes->lock);
	if (failure && !lanes->failure.code)
		lanes->failure = *failure;
	lanes->reported++;
	pthread_cond_signal(&lanes->started);
	pthread_mutex_unlock(&lanes->lock);
}

static void *lane_main(void *arg)
{
	const struct lane_thread *thread = arg;
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_job_runner *runner = NULL;
	int rc = make_runner(thread, &runner, &err);
	if (!rc)
		rc = start_plugins(thread, &err);
	report_start(thread->unit->lanes, rc ? &err : NULL);
	if (!rc) {
		run_steps(thread, runner);
		stop_plugins(thread, thread->unit->plugins_len);
	}
	kontor_job_runner_free(runner);
	return NULL;
}

/* ---- which kinds run where ---- */

static int add_kind(struct lanes *lanes, const struct kontor_job_kind *kind, void *self, const char *plugin,
		    struct kontor_error *err)
{
	for (size_t i = 0; i < LANES; i++) {
		struct lane *lane = &lanes->all[i];
		if (strcmp(lane->name, kind->lane) != 0)
			continue;
		struct kontor_job_registration *kinds = reallocarray(lane->kinds, lane->kinds_len + 1, sizeof(*kinds));
		if (!kinds)
			break;
		kinds[lane->kinds_len++] = (struct kontor_job_registration){*kind, self, plugin};
		lane->kinds = kinds;
		return 0;
	}
	return kontor_fail(err, KONTOR_E_INTERNAL, "job kind %s: no lane '%s', or out of memory", kind->name,
			   kind->lane);
}

static int add_upload_kind(struct lanes *lanes, struct loaded_plugin *plugin, const struct kontor_upload_kind *kind,
			   struct kontor_error *err)
{
	size_t place = lanes->contexts_len++;
	lanes->contexts[place] = (struct kontor_upload_context){plugin->self, kind};
	snprintf(lanes->context_names[place], sizeof(lanes->context_names[place]), UPLOAD_PREFIX "%s", kind->name);
	struct kontor_job_kind job_kind = kontor_upload_job_kind(lanes->context_names[place]);
	return add_kind(lanes, &job_kind, &lanes->contexts[place], plugin->api.name, err);
}

static int collect_kinds(const struct unit *unit, struct lanes *lanes, struct kontor_error *err)
{
	size_t uploads = 0;
	for (size_t i = 0; i < unit->plugins_len; i++)
		uploads += unit->plugins[i]->api.upload_kinds_len;
	lanes->contexts = calloc(uploads + 1, sizeof(*lanes->contexts));
	lanes->context_names = calloc(uploads + 1, sizeof(*lanes->context_names));
	if (!lanes->contexts || !lanes->context_names)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for lanes");
	int rc = 0;
	for (size_t i = 0; i < unit->plugins_len; i++) {
		struct loaded_plugin *plugin = unit->plugins[i];
		for (size_t k = 0; k < plugin->api.job_kinds_len && !rc; k++)
			rc = add_kind(lanes, &plugin->api.job_kinds[k], plugin->self, plugin->api.name, err);
		for (size_t k = 0; k < plugin->api.upload_kinds_len && !rc; k++)
			rc = add_upload_kind(lanes, plugin, &plugin->api.upload_kinds[k], err);
	}
	return rc;
}

static int start_threads(struct unit *unit, struct lanes *lanes, struct kontor_error *err)
{
	size_t wanted = 0;
	for (size_t i = 0; i < LANES; i++)
		wanted += lanes->all[i].kinds_len ? (size_t)lanes->all[i].threads : 0;
	lanes->threads = calloc(wanted + 1, sizeof(*lanes->threads));
	if (!lanes->threads)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for lanes");
	for (size_t i = 0; i < LANES; i++)
		for (int64_t n = 0; lanes->all[i].kinds_len && n < lanes->all[i].threads; n++) {
			struct lane_thread *thread = &lanes->threads[lanes->running];
			*thread = (struct lane_thread){.unit = unit, .lane = &lanes->all[i]};
			int error = pthread_create(&thread->thread, NULL, lane_main, thread);
			if (error)
				return kontor_fail(err, KONTOR_E_INTERNAL, "cannot start a thread of lane %s: %s",
						   thread->lane->name, strerror(error));
			lanes->running++;
		}
	return 0;
}

int lanes_start(struct unit *unit, struct kontor_error *err)
{
	struct lanes *lanes = calloc(1, sizeof(*lanes));
	if (!lanes)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for lanes");
	pthread_mutex_init(&lanes->lock, NULL);
	pthread_cond_init(&lanes->started, NULL);
	const struct unit_config *config = unit->config;
	for (size_t i = 0; i < LANES; i++) {
		lanes->all[i].name = config->lanes[i].name;
		lanes->all[i].threads = config->lanes[i].threads;
	}
	unit->lanes = lanes;
	int rc = collect_kinds(unit, lanes, err);
	if (!rc)
		rc = start_threads(unit, lanes, err);
	pthread_mutex_lock(&lanes->lock);
	while (lanes->reported < lanes->running)
		pthread_cond_wait(&lanes->started, &lanes->lock);
	if (!rc && lanes->failure.code)
		rc = kontor_fail(err, lanes->failure.code, "%s", lanes->failure.message);
	pthread_mutex_unlock(&lanes->lock);
	return rc;
}

void lanes_stop(struct unit *unit)
{
	struct lanes *lanes = unit->lanes;
	if (!lanes)
		return;
	kontor_job_lane_wake(NULL);
	for (unsigned i = 0; i < lanes->running; i++)
		pthread_join(lanes->threads[i].thread, NULL);
	lanes->running = 0;
}

void lanes_free(struct unit *unit)
{
	struct lanes *lanes = unit->lanes;
	if (!lanes)
		return;
	unit->lanes = NULL;
	for (size_t i = 0; i < LANES; i++)
		free(lanes->all[i].kinds);
	free(lanes->contexts);
	free(lanes->context_names);
	free(lanes->threads);
	pthread_cond_destroy(&lanes->started);
	pthread_mutex_destroy(&lanes->lock);
	free(lanes);
}

void lanes_put(const struct unit *unit, kontor_writer *w)
{
	kontor_put_array(w, "lanes");
	for (size_t i = 0; i < LANES; i++) {
		const struct lane *lane = &unit->lanes->all[i];
		if (!lane->kinds_len)
			continue;
		kontor_write_map(w);
		kontor_put_string(w, "lane", lane->name);
		kontor_put_int(w, "threads", lane->threads);
		kontor_put_uint(w, "busy", lane->busy);
		kontor_put_array(w, "kinds");
		for (size_t k = 0; k < lane->kinds_len; k++)
			kontor_write_string(w, lane->kinds[k].kind.name);
		kontor_write_end(w);
		kontor_write_end(w);
	}
	kontor_write_end(w);
}
