/* SPDX-License-Identifier: Apache-2.0
 *
 * Single ids through a handle of the SDK, each written down as it was returned. With forks: parent and child both go on
 * with the handle in the middle of its stock, each with a file of its own.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "idgen_client.h"
#include "kontor/ids.h"
#include "kontor/time.h"

#define TURN_MS 10
#define ASK_MS 2000
#define CHILD_MS 1500          /* a child's life */
#define CHILD_PATIENCE_MS 5000 /* then it is killed: what it has used is in its file */
#define CHILD_RECORDS (64u << 10)

struct user {
	const struct client_options *options;
	struct records_writer *records;
	struct client_counts *counts;
	kontor_id_handle *handle;
	int64_t start_ms, next_fork_ms;
	uint64_t used; /* since start_ms */
	pid_t child;   /* 0: none */
	int64_t child_end_ms;
};

static void count_refusal(struct user *u, const struct kontor_error *err)
{
	if (err->code == KONTOR_E_BUSY || err->code == KONTOR_E_UNAVAILABLE || err->code == KONTOR_E_DRAINING)
		u->counts->refused++;
	else if (u->counts->failed++ == 0)
		fprintf(stderr, "idgen_client: code %d: %s\n", err->code, err->message);
}

/* False when the file of records is full. */
static bool use_some(struct user *u, uint64_t count)
{
	while (count-- && client_running()) {
		uint64_t id;
		struct kontor_error err = KONTOR_ERROR_INIT;
		if (kontor_id_handle_next(u->handle, &id, &err)) {
			count_refusal(u, &err);
			return true;
		}
		if (!records_add_id(u->records, id)) {
			fprintf(stderr, "idgen_client: %s is full\n", u->options->records);
			return false;
		}
		u->counts->ids++;
		u->used++;
	}
	return true;
}

/* As many ids as are due by now, at most a second's. */
static bool use_due(struct user *u)
{
	uint64_t due = (uint64_t)(kontor_monotonic_ms() - u->start_ms) * u->options->rate / 1000;
	if (due > u->used + u->options->rate)
		u->used = due - u->options->rate;
	bool fine = use_some(u, due > u->used ? due - u->used : 0);
	nanosleep(&(struct timespec){.tv_nsec = TURN_MS * 1000000L}, NULL);
	return fine;
}

/* ---- forks ------------------------------------------------------------------------------------------------------- */

/* In the child: uses ids for a while and ends without any cleaning up, as a child that shares all with its parent must.
 */
static void be_a_child(struct user *u)
{
	struct records_writer own;
	struct records_header header = *u->records->header;
	char path[512];
	snprintf(path, sizeof(path), "%s.fork%llu", u->options->records, (unsigned long long)u->counts->forks);
	header.pid = (uint32_t)getpid();
	if (!records_create(&own, path, &header, CHILD_RECORDS)) {
		fprintf(stderr, "idgen_client: %s: %s\n", path, strerror(errno));
		_exit(1);
	}
	records_close(u->records);
	u->records = &own;
	u->start_ms = kontor_monotonic_ms();
	u->used = 0;
	int64_t end_ms = u->start_ms + CHILD_MS;
	bool fine = true;
	while (fine && client_running() && kontor_monotonic_ms() < end_ms)
		fine = use_due(u);
	_exit(fine && own.len > 0 ? 0 : 1);
}

static void end_child(struct user *u, bool now)
{
	int status = 0;
	if (!u->child)
		return;
	if (now || kontor_monotonic_ms() > u->child_end_ms)
		kill(u->child, SIGKILL);
	if (waitpid(u->child, &status, now ? 0 : WNOHANG) != u->child)
		return;
	u->child = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		u->counts->forks_fine++;
}

static void fork_when_due(struct user *u)
{
	int64_t now_ms = kontor_monotonic_ms();
	if (!u->options->fork_every || u->child || now_ms < u->next_fork_ms)
		return;
	u->next_fork_ms = now_ms + (int64_t)u->options->fork_every;
	u->child_end_ms = now_ms + CHILD_PATIENCE_MS;
	u->counts->forks++;
	fflush(NULL);
	u->child = fork();
	if (u->child == 0)
		be_a_child(u);
	if (u->child < 0)
		u->child = 0;
}

/* ---- the client -------------------------------------------------------------------------------------------------- */

static bool open_handle(const struct client_options *options, kontor_id_source **ret_source,
			kontor_id_handle **ret_handle)
{
	const char *const endpoints[] = {options->endpoint, options->second_endpoint, NULL};
	struct kontor_id_source_options source = {.id_namespace = options->id_namespace,
						  .endpoints = endpoints,
						  .timeout_ms = ASK_MS,
						  .strict = options->strict};
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_id_source_new(&source, ret_source, &err) || kontor_id_handle_new(*ret_source, ret_handle, &err)) {
		fprintf(stderr, "idgen_client: %s\n", err.message);
		return false;
	}
	return true;
}

bool client_take_ids(const struct client_options *options, struct records_writer *records, struct client_counts *counts)
{
	struct user u = {.options = options, .records = records, .counts = counts, .start_ms = kontor_monotonic_ms()};
	kontor_id_source *source = NULL;
	bool fine = open_handle(options, &source, &u.handle);
	u.next_fork_ms = u.start_ms + (int64_t)options->fork_every;
	while (fine && client_running()) {
		fine = use_due(&u);
		end_child(&u, false);
		fork_when_due(&u);
	}
	end_child(&u, true);
	kontor_id_handle_free(u.handle);
	kontor_id_source_free(source);
	return fine;
}
