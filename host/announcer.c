/* SPDX-License-Identifier: Apache-2.0 */
#include "announcer.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "job_runner.h"
#include "kontor/log.h"
#include "kontor/time.h"

#define PEERS_LIMIT 64u
#define LOOK_EVERY_MS 5000 /* for units that have come or gone; one that did not answer is left alone until then */
#define CALL_MS 500
#define PAUSE_MS 5 /* between two rounds: what comes meanwhile goes into one call */
#define SUFFIX ".sock"

struct peer {
	char name[16]; /* as the client knows it */
	bool silent;
};

struct announcer {
	struct unit *unit;
	kontor_client *client;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	/* Under the lock: by place in lane_names; `all` also for lanes that are none of these. */
	bool pending[LANES], any, all, ended;
	/* The thread's own. */
	struct peer peers[PEERS_LIMIT];
	size_t peers_len;
	int64_t looked_ms;
	bool complained;
};

/* ---- who commits ---- */

/* In any thread, right after a commit. */
static void note(void *arg, const char *lane)
{
	struct announcer *announcer = arg;
	pthread_mutex_lock(&announcer->lock);
	bool known = false;
	for (size_t i = 0; lane && i < LANES; i++)
		if (strcmp(lane_names[i], lane) == 0)
			known = announcer->pending[i] = true;
	announcer->all |= !known;
	announcer->any = true;
	pthread_cond_signal(&announcer->woken);
	pthread_mutex_unlock(&announcer->lock);
}

/* ---- whom to tell ---- */

struct directory {
	const struct unit *unit;
	kontor_arena *arena;
	char own[256];
	struct kontor_endpoint endpoints[PEERS_LIMIT];
	size_t len;
};

static void add_endpoint(struct directory *directory, const char *endpoint, const char *server_key)
{
	if (!endpoint || strcmp(endpoint, directory->own) == 0 || directory->len == PEERS_LIMIT)
		return;
	for (size_t i = 0; i < directory->len; i++)
		if (strcmp(directory->endpoints[i].endpoint, endpoint) == 0)
			return;
	directory->endpoints[directory->len++] = (struct kontor_endpoint){endpoint, server_key};
}

static void add_units_of_this_machine(struct directory *directory)
{
	const char *folder = directory->unit->args->runtime_folder;
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		size_t length = strlen(entry->d_name), suffix = sizeof(SUFFIX) - 1;
		if (length > suffix && strcmp(entry->d_name + length - suffix, SUFFIX) == 0)
			add_endpoint(directory,
				     kontor_arena_format(directory->arena, "ipc://%s/%s", folder, entry->d_name), NULL);
	}
	if (dir)
		closedir(dir);
}

/* One key stands for all endpoints of a service, or each has its own. */
static void add_services(struct directory *directory)
{
	const struct unit_config *config = directory->unit->config;
	for (size_t i = 0; i < config->here.services_len; i++) {
		const struct service_entry *service = &config->here.services[i];
		const char *const *key = service->server_keys;
		for (const char *const *endpoint = service->endpoints; endpoint && *endpoint; endpoint++) {
			bool secured = endpoint_is_tcp(*endpoint) && key && *key;
			add_endpoint(directory, *endpoint, secured ? *key : NULL);
			if (secured && key[1])
				key++;
		}
	}
}

static void find_peers(struct announcer *announcer)
{
	struct kontor_route routes[PEERS_LIMIT];
	struct directory directory = {.unit = announcer->unit, .arena = kontor_arena_new(0)};
	if (!directory.arena)
		return;
	snprintf(directory.own, sizeof(directory.own), "ipc://%s/%s" SUFFIX, announcer->unit->args->runtime_folder,
		 announcer->unit->args->unit);
	add_units_of_this_machine(&directory);
	add_services(&directory);
	for (size_t i = 0; i < directory.len; i++) {
		snprintf(announcer->peers[i].name, sizeof(announcer->peers[i].name), "unit-%zu", i);
		announcer->peers[i].silent = false;
		routes[i] = (struct kontor_route){.service = announcer->peers[i].name,
						  .enabled = true,
						  .endpoints = &directory.endpoints[i],
						  .endpoints_len = 1};
	}
	announcer->peers_len =
		kontor_client_set_routes(announcer->client, routes, directory.len, NULL) ? 0 : directory.len;
	announcer->looked_ms = kontor_monotonic_ms();
	kontor_arena_free(directory.arena);
}

/* ---- telling them ---- */

/* One whose unit is away is no news; one that refuses is, once. */
static void judge(struct announcer *announcer, struct peer *peer, const struct kontor_error *err)
{
	peer->silent = true;
	if (announcer->complained || kontor_code_outcome(err->code) != KONTOR_OUTCOME_FINAL)
		return;
	announcer->complained = true;
	kontor_log(KONTOR_LOG_NOTICE, "another unit is not told of new jobs, and finds them by polling", "error=%s",
		   KONTOR_QUOTED(err->message));
}

/* lane NULL: all. */
static void tell(struct announcer *announcer, const char *lane)
{
	for (size_t i = 0; i < announcer->peers_len; i++) {
		struct peer *peer = &announcer->peers[i];
		struct kontor_error err = KONTOR_ERROR_INIT;
		kontor_writer *args = kontor_writer_new();
		if (peer->silent || !args) {
			kontor_writer_free(args);
			continue;
		}
		const struct kontor_call_options options = {
			.timeout_ms = CALL_MS, .patience_ms = 1, .service = peer->name};
		kontor_write_map(args);
		if (lane)
			kontor_put_string(args, "lane", lane);
		kontor_write_end(args);
		if (kontor_call(announcer->client, "jobs.wake", args, &options, NULL, &err))
			judge(announcer, peer, &err);
		kontor_writer_free(args);
	}
}

static bool wait_for_news(struct announcer *announcer, bool *ret_lanes, bool *ret_all)
{
	pthread_mutex_lock(&announcer->lock);
	while (!announcer->any && !announcer->ended)
		pthread_cond_wait(&announcer->woken, &announcer->lock);
	memcpy(ret_lanes, announcer->pending, sizeof(announcer->pending));
	*ret_all = announcer->all;
	memset(announcer->pending, 0, sizeof(announcer->pending));
	announcer->all = announcer->any = false;
	bool go_on = !announcer->ended;
	pthread_mutex_unlock(&announcer->lock);
	return go_on;
}

static void *announcer_main(void *arg)
{
	struct announcer *announcer = arg;
	bool lanes[LANES], all;
	while (wait_for_news(announcer, lanes, &all)) {
		if (!announcer->looked_ms || kontor_monotonic_ms() - announcer->looked_ms >= LOOK_EVERY_MS)
			find_peers(announcer);
		if (all)
			tell(announcer, NULL);
		for (size_t i = 0; i < LANES && !all; i++)
			if (lanes[i])
				tell(announcer, lane_names[i]);
		nanosleep(&(struct timespec){0, PAUSE_MS * 1000000L}, NULL);
	}
	return NULL;
}

/* ---- starting and stopping ---- */

static void announcer_free(struct announcer *announcer)
{
	kontor_client_free(announcer->client);
	pthread_cond_destroy(&announcer->woken);
	pthread_mutex_destroy(&announcer->lock);
	free(announcer);
}

int announcer_start(struct unit *unit, struct kontor_error *err)
{
	const struct unit_config *config = unit->config;
	const char *key_file = config->options.key_file;
	const struct kontor_client_options options = {
		.zmq_context = unit->zmq, .caller = unit->args->unit, .key_file = key_file[0] ? key_file : NULL};
	struct announcer *announcer = calloc(1, sizeof(*announcer));
	if (!announcer)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for telling other units of jobs");
	announcer->unit = unit;
	pthread_mutex_init(&announcer->lock, NULL);
	pthread_cond_init(&announcer->woken, NULL);
	int rc = kontor_client_new(&options, &announcer->client, err);
	int error = rc ? 0 : pthread_create(&announcer->thread, NULL, announcer_main, announcer);
	if (error)
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "cannot start the thread that tells other units of jobs: %s",
				 strerror(error));
	if (rc) {
		announcer_free(announcer);
		return rc;
	}
	unit->announcer = announcer;
	kontor_job_lane_announce(note, announcer);
	return 0;
}

void announcer_stop(struct unit *unit)
{
	struct announcer *announcer = unit->announcer;
	kontor_job_lane_announce(NULL, NULL);
	pthread_mutex_lock(&announcer->lock);
	announcer->ended = true;
	pthread_cond_signal(&announcer->woken);
	pthread_mutex_unlock(&announcer->lock);
	pthread_join(announcer->thread, NULL);
	announcer_free(announcer);
	unit->announcer = NULL;
}
