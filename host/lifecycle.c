/* SPDX-License-Identifier: Apache-2.0
 *
 * The stages of a unit's life, in order; a stop walks them backwards. What each must find done stands above it.
 */
#include "lifecycle.h"
#include "announcer.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "connection_guard.h"
#include "crash.h"
#include "front.h"
#include "housekeeping.h"
#include "job_runner.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "lanes.h"
#include "network.h"
#include "notify.h"
#include "reload.h"
#include "unit_plugins.h"
#include "unit_stages.h"
#include "workers.h"

#define TURN_MS 1000         /* of the main thread: watchdog */
#define LEAVING_TURN_MS 50   /* while a plugin is being taken out */
#define HEALTH_EVERY_MS 5000 /* how often plugins are asked how they are */
#define FRONT_STUCK_MS 10000 /* a front loop silent for longer is no longer alive: the watchdog is not fed */
#define DRAIN_POLL_MS 10
/* A unit that drains goes on refusing until callers outside have been silent for so long, and have read their answers
 * before: a client calls without a PING before for a shorter time after an answer (FRESH_MS in
 * sdk/src/client_socket.c), so that all have heard of it, on a busy machine too; and libzmq loses what came, but was
 * not read yet, with the connection (ZMQ_IMMEDIATE, 4.3.4). Whoever never stops asking, or never reads, is not waited
 * for. */
#define SILENCE_MS 200
#define SILENCE_SEEN_MS 50 /* as much of it as passes while the unit drains, though nobody has asked for long */
#define SILENCE_LIMIT_MS 1500
#define SOCKETS_LIMIT 8192 /* one per worker, lane thread and endpoint that they call */

const char *unit_state_name(enum unit_state state)
{
	static const char *const names[] = {"starting", "ready", "draining", "stopping"};
	return names[state];
}

/* ---- stages ------------------------------------------------------------------------------------------------------ */

/* Without this the kernel lets libzmq's thread interrupt the front for every single reply, as soon as the front does
 * more than an echo does: most of the time then goes into switching. A thread of SCHED_BATCH begins when a core is free
 * or the other one waits, so it finds many replies at once. Left alone when somebody chose another policy for the
 * process. */
static void let_io_wait_its_turn(void *zmq)
{
	static const struct sched_param none = {.sched_priority = 0};
	/* libzmq ends the process when it may not set what it was told to: so it is tried here. */
	if (sched_getscheduler(0) != SCHED_OTHER || sched_setscheduler(0, SCHED_BATCH, &none))
		return;
	if (!sched_setscheduler(0, SCHED_OTHER, &none))
		zmq_ctx_set(zmq, ZMQ_THREAD_SCHED_POLICY, SCHED_BATCH);
}

/* Each connection takes a descriptor, and one more while the guard looks at it; an accept() that finds none left is
 * tried again at once, for ever. The soft limit is low for programs that use select(2), which nobody here does. */
static void allow_many_connections(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		kontor_log(KONTOR_LOG_WARNING, "the limit of open files stays as it was", "error=%s",
			   KONTOR_QUOTED(strerror(errno)));
}

static int start_messages(struct unit *unit, struct kontor_error *err)
{
	unit->verdicts = verdicts_new();
	if (!unit->verdicts)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	unit->zmq = zmq_ctx_new();
	if (!unit->zmq)
		return kontor_fail(err, KONTOR_E_INTERNAL, "zmq_ctx_new: %s", zmq_strerror(zmq_errno()));
	zmq_ctx_set(unit->zmq, ZMQ_BLOCKY, 0); /* an exit never waits for messages that nobody takes */
	zmq_ctx_set(unit->zmq, ZMQ_MAX_SOCKETS, SOCKETS_LIMIT);
	let_io_wait_its_turn(unit->zmq);
	allow_many_connections();
	return unit_client_open(unit, err);
}

static void stop_messages(struct unit *unit)
{
	unit->verdicts = verdicts_free(unit->verdicts);
	kontor_client_free(unit->client);
	if (unit->zmq)
		zmq_ctx_term(unit->zmq);
}

static const char *host_setting(void *arg, const char *section, const char *title, const char *key)
{
	const struct unit *unit = arg;
	const struct unit_config *config = unit->config;
	return config_value(config->config, section, title, key);
}

static void *host_plugin(void *arg, const char *name)
{
	const struct loaded_plugin *plugin = unit_plugin(arg, name);
	return plugin ? plugin->self : NULL;
}

static int start_host(struct unit *unit, struct kontor_error *err)
{
	const struct unit_config *config = unit->config;
	const struct kontor_host_options options = {
		.client = unit->client,
		.db = unit->db,
		.unit = unit->args->unit,
		.datacenter = config->options.datacenter,
		.datacenter_id = (unsigned)config->here.id,
		.state_folder = unit->args->state_folder,
		.conf_folder = unit->args->conf_folder,
		.currencies = config->currencies,
		.currencies_len = config->currencies_len,
		.regions = config->regions,
		.regions_len = config->regions_len,
		.setting = host_setting,
		.plugin = host_plugin,
		.arg = unit,
	};
	unit->host = kontor_host_new(&options);
	return unit->host ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the host");
}

static void stop_host(struct unit *unit)
{
	unit->host = kontor_host_free(unit->host);
}

static void stop_front(struct unit *unit)
{
	front_stop(unit);
	lanes_free(unit);
	workers_free(unit);
}

static void stop_plugins(struct unit *unit)
{
	for (size_t i = unit->plugins_len; i-- > 0;)
		if (unit_plugin_at(unit, i))
			plugin_stop(unit_plugin_at(unit, i));
}

static int start_plugins(struct unit *unit, struct kontor_error *err)
{
	int rc = 0;
	for (size_t i = 0; i < unit->plugins_len && !rc; i++)
		rc = plugin_start(unit, unit_plugin_at(unit, i), err);
	if (rc)
		stop_plugins(unit);
	return rc;
}

static void sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

/* Counts turns, not the clock: while this process did not run, nobody was silent, and what came meanwhile is still to
 * be read. */
static void wait_for_silence(const struct unit *unit)
{
	int64_t answered_us = unit->front->answered_us, silent_ms = kontor_monotonic_ms() - answered_us / 1000;
	if (silent_ms > SILENCE_MS - SILENCE_SEEN_MS)
		silent_ms = SILENCE_MS - SILENCE_SEEN_MS;
	for (int64_t spent_ms = 0; silent_ms < SILENCE_MS && spent_ms < SILENCE_LIMIT_MS; spent_ms += DRAIN_POLL_MS) {
		sleep_ms(DRAIN_POLL_MS);
		silent_ms += DRAIN_POLL_MS;
		if (unit->front->answered_us != answered_us || connection_guard_unread(unit)) {
			answered_us = unit->front->answered_us;
			silent_ms = 0;
		}
	}
}

/* Requests that were taken are answered before the workers end. */
static void stop_workers(struct unit *unit)
{
	while (atomic_load(&unit->front->outstanding))
		sleep_ms(DRAIN_POLL_MS);
	wait_for_silence(unit);
	for (size_t i = 0; i < unit->plugins_len; i++)
		if (unit_plugin_at(unit, i))
			plugin_drain(unit_plugin_at(unit, i));
	unit->state = UNIT_STOPPING;
	while (atomic_load(&unit->front->outstanding)) /* what a plugin's own threads still called */
		sleep_ms(DRAIN_POLL_MS);
	front_end_workers(unit);
	for (size_t i = 0; i < unit->plugins_len; i++)
		workers_join(unit, i);
}

static int start_workers(struct unit *unit, struct kontor_error *err)
{
	int rc = workers_start(unit, err);
	if (rc)
		stop_workers(unit);
	return rc;
}

static int start_lanes(struct unit *unit, struct kontor_error *err)
{
	int rc = lanes_start(unit, err);
	if (rc) {
		kontor_host_set_draining(unit->host);
		lanes_stop(unit);
	}
	return rc;
}

static int start_serving(struct unit *unit, struct kontor_error *err)
{
	(void)err;
	unit->state = UNIT_READY;
	return 0;
}

static void stop_serving(struct unit *unit)
{
	unit->state = UNIT_DRAINING;
	kontor_host_set_draining(unit->host);
	verdicts_close(unit->verdicts); /* who waits for a reload has a worker, which is needed to end */
}

static const struct stage {
	const char *name;
	int (*start)(struct unit *unit, struct kontor_error *err);
	void (*stop)(struct unit *unit); /* only after a start that succeeded */
} stages[] = {
	{"lock", unit_lock, unit_unlock},
	{"messages", start_messages, stop_messages},
	{"database", unit_database_open, unit_database_close}, /* waits for it; the schema must be the one known here */
	{"host", start_host, stop_host},
	{"housekeeping", housekeeping_start,
	 housekeeping_stop},                      /* leases: before the first step, until after the last */
	{"network", network_start, network_stop}, /* who judges keys is there before anything listens */
	{"front", front_start, stop_front},
	{"guard", connection_guard_start, connection_guard_stop},
	{"plugins", start_plugins, stop_plugins},
	{"announcer", announcer_start, announcer_stop}, /* whoever commits new jobs comes later, and ends before */
	{"workers", start_workers, stop_workers},
	{"lanes", start_lanes, lanes_stop},
	{"serving", start_serving, stop_serving},
};
#define STAGES (sizeof(stages) / sizeof(stages[0]))

/* ---- signals ---- */

static const char drain_timeout_line[] = "<3>level=error event=\"drain timed out\" effect=\"exits at once; jobs go on "
					 "at their checkpoints after the next start\"\n";

static void on_drain_timeout(int number)
{
	(void)number;
	(void)!write(STDERR_FILENO, drain_timeout_line, sizeof(drain_timeout_line) - 1); /* exits either way */
	_exit(1);
}

/* All signals that the main thread waits for are blocked before any other thread is made, which inherits that. */
static sigset_t block_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigset_t blocked = set;
	sigaddset(&blocked, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, on_drain_timeout);
	return set;
}

/* From now on this thread alone takes the alarm. */
static void limit_drain(const struct unit *unit)
{
	const struct unit_config *config = unit->config;
	sigset_t alarm_set;
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alarm_set, NULL);
	alarm((unsigned)(config->options.drain_timeout_ms / 1000) + 1);
}

static void ask_health(struct unit *unit)
{
	for (size_t i = 0; i < unit->plugins_len; i++) {
		struct loaded_plugin *plugin = unit_plugin_at(unit, i);
		if (!plugin || plugin->leaving)
			continue;
		struct kontor_error err = KONTOR_ERROR_INIT;
		bool ill = plugin->api.health && plugin->api.health(plugin->self, &err) != 0;
		if (atomic_exchange(&plugin->ill, ill) == ill)
			continue;
		kontor_log_plugin(plugin->api.name);
		kontor_log(ill ? KONTOR_LOG_ERROR : KONTOR_LOG_NOTICE,
			   ill ? "plugin is not well" : "plugin is well again", ill ? "reason=%s" : "%s",
			   ill ? KONTOR_QUOTED(err.message) : "");
		kontor_log_plugin(NULL);
	}
}

void unit_turn(struct unit *unit, unsigned ms)
{
	struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
	int number = sigtimedwait(unit->stop_signals, NULL, &time);
	unit->interrupted |= number == SIGTERM || number == SIGINT;
	unit->hangup |= number == SIGHUP;
	bool well = network_is_well(unit) && kontor_monotonic_ms() - unit->front->beat_ms < FRONT_STUCK_MS;
	if (well && notify_watchdog_ms() > 0)
		notify("WATCHDOG=1");
}

static void serve(struct unit *unit)
{
	int64_t asked_ms = 0;
	while (!unit->interrupted) {
		unit_turn(unit, unit_plugins_leaving(unit) ? LEAVING_TURN_MS : TURN_MS);
		if (unit->hangup && !unit->interrupted) {
			unit->hangup = false;
			unit_reload(unit);
		}
		unit_plugins_reap(unit);
		int64_t now = kontor_monotonic_ms();
		if (now - asked_ms >= HEALTH_EVERY_MS) {
			ask_health(unit);
			asked_ms = now;
		}
	}
}

int unit_run(struct unit *unit)
{
	sigset_t signals = block_signals();
	unit->stop_signals = &signals;
	struct kontor_error err = KONTOR_ERROR_INIT;
	size_t started = 0;
	int rc = 0;
	for (; started < STAGES && !rc; started += !rc)
		rc = stages[started].start(unit, &err);
	if (!rc) {
		kontor_log(KONTOR_LOG_NOTICE, "unit is ready", "plugins=%zu start_ms=%lld", unit_plugins_count(unit),
			   (long long)(kontor_now_ms() - unit->started_ms));
		notify("READY=1\nSTATUS=serves");
		serve(unit);
		kontor_log(KONTOR_LOG_NOTICE, "unit drains", "%s", "");
	} else if (!unit->interrupted) {
		kontor_log(KONTOR_LOG_ERROR, "unit does not start", "stage=%s error=%s", stages[started].name,
			   KONTOR_QUOTED(err.message));
	}
	notify("STOPPING=1");
	limit_drain(unit);
	while (started-- > 0)
		stages[started].stop(unit);
	alarm(0);
	kontor_log(KONTOR_LOG_NOTICE, "unit has stopped", "%s", "");
	return rc && !unit->interrupted;
}
