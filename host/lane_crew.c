/* SPDX-License-Identifier: Apache-2.0
 *
 * A lane thread asks for a step of any job of its kinds, runs it, and asks again.
 */
#include "lane_crew.h"

#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "crash.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "lanes.h"

#define FULL_WAIT_MS 20    /* other threads have all that the lane may have */
#define FAULT_WAIT_MS 1000 /* after the database failed */
#define FAULT_LOG_MS 30000 /* one line about it that often */

/* ---- in the threads ---------------------------------------------------------------------------------------------- */

/* The crew's plugins, each once: a plugin's kinds stand together. */
static bool is_first_kind(const struct lane_crew *crew, size_t i)
{
	return i == 0 || crew->plugins[i] != crew->plugins[i - 1];
}

/* Each plugin that has a kind in the lane gets worker_start and worker_stop in each of its threads. */
static void stop_plugins(const struct lane_crew *crew, size_t len)
{
	for (size_t i = len; i-- > 0;) {
		const struct loaded_plugin *plugin = crew->plugins[i];
		if (plugin->api.worker_stop && is_first_kind(crew, i))
			plugin->api.worker_stop(plugin->self);
	}
}

static int start_plugins(const struct lane_crew *crew, struct kontor_error *err)
{
	for (size_t i = 0; i < crew->kinds_len; i++) {
		const struct loaded_plugin *plugin = crew->plugins[i];
		if (!plugin->api.worker_start || !is_first_kind(crew, i))
			continue;
		int rc = plugin->api.worker_start(plugin->self, err);
		if (rc) {
			kontor_fail_in(err, "lane %s, plugin %s: worker_start", crew->lane->name, plugin->api.name);
			stop_plugins(crew, i);
			return rc;
		}
	}
	return 0;
}

static int make_runner(const struct lane_crew *crew, kontor_job_runner **ret_runner, struct kontor_error *err)
{
	const struct kontor_job_runner_options options = {
		.host = crew->unit->host,
		.lane = crew->lane->name,
		.kinds = crew->kinds,
		.kinds_len = crew->kinds_len,
		.owner = crew->unit->owner,
		.instance = crew->unit->instance,
		.lease_ms = LEASE_MS,
		.patience_ms = crew->unit->config->options.job_patience_ms,
		.sessions = crew->lane->sessions,
	};
	return kontor_job_runner_new(&options, ret_runner, err);
}

/* While threads of an earlier crew still have steps in hand, the lane has no more threads at work than it may. */
static bool begin_work(struct lane *lane)
{
	if (++lane->busy <= lane->threads)
		return true;
	lane->busy--;
	return false;
}

static void run_steps(const struct lane_crew *crew, kontor_job_runner *runner)
{
	struct lane *lane = crew->lane;
	int64_t logged_ms = 0;
	while (!crew->ended && !kontor_host_draining(crew->unit->host)) {
		struct kontor_error err = KONTOR_ERROR_INIT;
		if (!begin_work(lane)) {
			kontor_job_lane_wait(lane->name, FULL_WAIT_MS);
			continue;
		}
		crash_working_on(NULL, lane->name, 0);
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
		kontor_job_lane_wait(lane->name, rc < 0 ? FAULT_WAIT_MS : lane->poll_ms);
	}
}

static void *lane_main(void *arg)
{
	struct lane_crew *crew = arg;
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_job_runner *runner = NULL;
	int rc = make_runner(crew, &runner, &err);
	if (!rc)
		rc = start_plugins(crew, &err);
	start_barrier_report(&crew->started, rc ? &err : NULL);
	if (!rc) {
		run_steps(crew, runner);
		stop_plugins(crew, crew->kinds_len);
	}
	kontor_job_runner_free(runner);
	crew->working--;
	return NULL;
}

/* ---- which kinds, in the main thread ----------------------------------------------------------------------------- */

static void add_kind(struct lane_crew *crew, struct loaded_plugin *plugin, const struct kontor_job_kind *kind,
		     void *self)
{
	if (strcmp(crew->lane->name, kind->lane) != 0)
		return;
	crew->plugins[crew->kinds_len] = plugin;
	crew->kinds[crew->kinds_len++] =
		(struct kontor_job_registration){*kind, self, plugin->api.name, &plugin->jobs_stop};
}

static void add_upload_kind(struct lane_crew *crew, struct loaded_plugin *plugin, const struct kontor_upload_kind *kind)
{
	size_t place = crew->contexts_len++;
	crew->contexts[place] =
		(struct kontor_upload_context){plugin->self, kind, plugin->api.worker_start, plugin->api.worker_stop};
	snprintf(crew->context_names[place], sizeof(crew->context_names[place]), KONTOR_UPLOAD_JOB_PREFIX "%s",
		 kind->name);
	struct kontor_job_kind job_kind = kontor_upload_job_kind(crew->context_names[place]);
	/* Also in the lane of clicks: small files are there (KONTOR_UPLOAD_SMALL), so that none waits for a big one. */
	if (strcmp(crew->lane->name, KONTOR_LANE_INTERACTIVE) == 0)
		job_kind.lane = KONTOR_LANE_INTERACTIVE;
	add_kind(crew, plugin, &job_kind, &crew->contexts[place]);
}

static bool make_room(struct lane_crew *crew)
{
	size_t kinds = 0, uploads = 0;
	for (size_t i = 0; i < crew->unit->plugins_len; i++) {
		const struct loaded_plugin *plugin = unit_plugin_at(crew->unit, i);
		kinds += plugin ? plugin->api.job_kinds_len + plugin->api.upload_kinds_len : 0;
		uploads += plugin ? plugin->api.upload_kinds_len : 0;
	}
	crew->kinds = calloc(kinds + 1, sizeof(*crew->kinds));
	crew->plugins = calloc(kinds + 1, sizeof(struct loaded_plugin *));
	crew->contexts = calloc(uploads + 1, sizeof(*crew->contexts));
	crew->context_names = calloc(uploads + 1, sizeof(*crew->context_names));
	crew->threads = calloc((size_t)crew->lane->threads, sizeof(*crew->threads));
	return crew->kinds && crew->plugins && crew->contexts && crew->context_names && crew->threads;
}

static void collect_kinds(struct lane_crew *crew)
{
	for (size_t i = 0; i < crew->unit->plugins_len; i++) {
		struct loaded_plugin *plugin = unit_plugin_at(crew->unit, i);
		if (!plugin || plugin->leaving)
			continue;
		for (size_t k = 0; k < plugin->api.job_kinds_len; k++)
			add_kind(crew, plugin, &plugin->api.job_kinds[k], plugin->self);
		for (size_t k = 0; k < plugin->api.upload_kinds_len; k++)
			add_upload_kind(crew, plugin, &plugin->api.upload_kinds[k]);
	}
}

int lane_crew_new(struct unit *unit, struct lane *lane, struct lane_crew **ret_crew, struct kontor_error *err)
{
	struct lane_crew *crew = calloc(1, sizeof(*crew));
	*ret_crew = NULL;
	if (!crew)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for lanes");
	start_barrier_init(&crew->started);
	crew->unit = unit;
	crew->lane = lane;
	if (!make_room(crew)) {
		lane_crew_free(crew);
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for lanes");
	}
	collect_kinds(crew);
	*ret_crew = crew->kinds_len ? crew : lane_crew_free(crew);
	return 0;
}

/* ---- its threads ---- */

int lane_crew_start(struct lane_crew *crew, struct kontor_error *err)
{
	for (int64_t n = 0; n < crew->lane->threads; n++) {
		crew->working++;
		int error = pthread_create(&crew->threads[crew->running], NULL, lane_main, crew);
		if (error) {
			crew->working--;
			return kontor_fail(err, KONTOR_E_INTERNAL, "cannot start a thread of lane %s: %s",
					   crew->lane->name, strerror(error));
		}
		crew->running++;
	}
	return 0;
}

int lane_crew_await(struct lane_crew *crew, struct kontor_error *err)
{
	return start_barrier_await(&crew->started, crew->running, err);
}

void lane_crew_end(struct lane_crew *crew)
{
	crew->ended = true;
	kontor_job_lane_wake(crew->lane->name);
}

bool lane_crew_works(const struct lane_crew *crew)
{
	return crew->working > 0;
}

void lane_crew_join(struct lane_crew *crew)
{
	for (unsigned i = 0; i < crew->running; i++)
		pthread_join(crew->threads[i], NULL);
	crew->running = 0;
}

struct lane_crew *lane_crew_free(struct lane_crew *crew)
{
	if (!crew)
		return NULL;
	lane_crew_join(crew);
	free(crew->kinds);
	free(crew->plugins);
	free(crew->contexts);
	free(crew->context_names);
	free(crew->threads);
	start_barrier_destroy(&crew->started);
	free(crew);
	return NULL;
}
