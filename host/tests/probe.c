/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that lets a test see what the host does with slow methods, failing ones, changes and jobs.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kontor/host.h"
#include "kontor/plugin.h"
#include "kontor/time.h"

struct probe {
	const char *word;
	int64_t limit;
	const char *secret;
	const char *const *list;
	kontor_host *host;
	_Atomic unsigned cancelled;
};

static const struct kontor_conf_row conf[] = {
	{"word", KONTOR_CONF_STRING, offsetof(struct probe, word), "built-in", .help = "any word", .reloadable = true},
	{"limit", KONTOR_CONF_INT, offsetof(struct probe, limit), "5", 1, 10, .help = "any number"},
	{"secret", KONTOR_CONF_SECRET, offsetof(struct probe, secret), "", .help = "any file"},
	{"list", KONTOR_CONF_LIST, offsetof(struct probe, list), "{\"a\", \"b\"}", .help = "any words"},
};

static int check(const void *self, struct kontor_error *err)
{
	const struct probe *probe = self;
	return strcmp(probe->word, "refused") ? 0 : kontor_fail(err, KONTOR_E_BAD_REQUEST, "this word is refused");
}

static int start(void *self, kontor_host *host, struct kontor_error *err)
{
	struct probe *probe = self;
	probe->host = host;
	return strcmp(probe->word, "unstartable") ? 0
						  : kontor_fail(err, KONTOR_E_UNAVAILABLE, "this word does not start");
}

static int reload(void *self, const void *new_self, struct kontor_error *err)
{
	(void)err;
	((struct probe *)self)->word = ((const struct probe *)new_self)->word;
	return 0;
}

static void sleep_ms(int64_t ms)
{
	nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000}, NULL);
}

static int wait_a_while(void *self, kontor_request *request)
{
	(void)self;
	sleep_ms(kontor_arg_int(request, "ms"));
	kontor_put_int(kontor_reply(request), "slept_ms", kontor_arg_int(request, "ms"));
	return 0;
}

/* What a call costs that does a little. */
static int nap(void *self, kontor_request *request)
{
	(void)self;
	(void)request;
	sleep_ms(5);
	return 0;
}

/* Until nobody waits for it any more, or 10 s. */
static int wait_for_the_end(void *self, kontor_request *request)
{
	struct probe *probe = self;
	for (int i = 0; i < 1000 && !kontor_request_cancelled(request); i++)
		sleep_ms(10);
	if (kontor_request_cancelled(request))
		probe->cancelled++;
	return 0;
}

/* Until there is a file of this name, or a minute: a test decides how long a call takes. */
static int wait_for_file(void *self, kontor_request *request)
{
	(void)self;
	for (int i = 0; i < 6000 && access(kontor_arg_string(request, "file"), F_OK); i++)
		sleep_ms(10);
	return 0;
}

static void status(void *self, kontor_writer *w)
{
	kontor_put_uint(w, "cancelled", ((struct probe *)self)->cancelled);
}

static int who(void *self, kontor_request *request)
{
	const struct probe *probe = self;
	const struct kontor_user *user = kontor_request_user(request);
	kontor_writer *w = kontor_reply(request);
	kontor_put_string(w, "user", user->name);
	kontor_put_uint(w, "roles", user->roles);
	kontor_put_bool(w, "verified", user->verified);
	kontor_put_string(w, "word", probe->word);
	return 0;
}

static int crash(void *self, kontor_request *request)
{
	(void)self;
	(void)request;
	abort();
}

/* The same question through the unit's own client: it comes back as the unit. */
static int who_inside(void *self, kontor_request *request)
{
	struct probe *probe = self;
	kontor_body *reply = NULL;
	int rc = kontor_call(kontor_host_client(probe->host), "probe.who", NULL, NULL, &reply,
			     kontor_request_error(request));
	if (!rc)
		kontor_put_object(kontor_reply(request), "inside", kontor_body_map(reply));
	kontor_body_free(reply);
	return rc;
}

/* Any method without arguments but a region, through the unit's own client. */
static int call(void *self, kontor_request *request)
{
	struct probe *probe = self;
	struct kontor_call_options options = {.timeout_ms = 5000};
	const char *about = kontor_arg_string(request, "about");
	kontor_body *reply = NULL;
	kontor_writer *args = about[0] ? kontor_writer_new() : NULL;
	if (args) {
		kontor_write_map(args);
		kontor_put_string(args, "region", about);
		kontor_write_end(args);
	}
	int rc = kontor_call(kontor_host_client(probe->host), kontor_arg_string(request, "method"), args, &options,
			     &reply, kontor_request_error(request));
	if (!rc && args)
		kontor_put_object(kontor_reply(request), "reply", kontor_body_map(reply));
	kontor_body_free(reply);
	kontor_writer_free(args);
	return rc;
}

static int submit(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_job_new job = {.job_id = kontor_arg_id(request, "job_id"),
				     .kind = kontor_arg_given(request, "kind") ? kontor_arg_string(request, "kind")
									       : NAME ".count",
				     .lane = KONTOR_LANE_INTERACTIVE,
				     .user = kontor_request_user(request)->name,
				     .params = "\x80",
				     .params_size = 1};
	int rc = kontor_job_submit(kontor_request_db(request), &job, kontor_request_error(request));
	if (!rc)
		kontor_put_uint(kontor_reply(request), "job_id", job.job_id);
	return rc;
}

/* ---- a job of ten slow chunks ---- */

#define CHUNKS 10
#define CHUNK_MS 50

struct step {
	kontor_job *job;
	kontor_chunk *chunk;
};

static int plan_tx(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	int rc = 0;
	for (uint32_t i = 0; i < CHUNKS && !rc; i++)
		rc = kontor_job_add_chunk(tx, arg, i, NULL, 0, err);
	return rc ? rc : kontor_job_planned(tx, arg, CHUNKS, err);
}

static int plan(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	return kontor_db_transaction(kontor_job_db(job), plan_tx, job, err);
}

static int chunk_tx(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	return kontor_chunk_done(tx, ((struct step *)arg)->chunk, NULL, 0, 1, err);
}

static int run_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err)
{
	(void)self;
	struct step step = {job, chunk};
	sleep_ms(CHUNK_MS);
	return kontor_db_transaction(kontor_job_db(job), chunk_tx, &step, err);
}

static int finish_tx(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	static const char result[] = "\x81\xa6"
				     "answer"
				     "\x2a"; /* {"answer": 42} */
	return kontor_job_done(tx, arg, result, sizeof(result) - 1, err);
}

static int finish(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	return kontor_db_transaction(kontor_job_db(job), finish_tx, job, err);
}

/* ---- a job that takes sessions beside its own until it gets no more ---- */

#define SESSIONS_LIMIT 8

static int plan_nothing_tx(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	return kontor_job_planned(tx, arg, 0, err);
}

static int plan_nothing(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	return kontor_db_transaction(kontor_job_db(job), plan_nothing_tx, job, err);
}

struct sessions {
	kontor_job *job;
	unsigned count;
};

static int sessions_tx(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct sessions *sessions = arg;
	const char result[] = {'\x81', '\xa5', 'c', 'o', 'u', 'n', 't', (char)sessions->count}; /* {"count": n} */
	return kontor_job_done(tx, sessions->job, result, sizeof(result), err);
}

static int count_sessions(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	struct sessions sessions = {.job = job};
	kontor_conn *held[SESSIONS_LIMIT];
	kontor_db *db = kontor_host_db(kontor_job_host(job));
	while (sessions.count < SESSIONS_LIMIT && !kontor_db_acquire(db, &held[sessions.count], NULL))
		sessions.count++;
	for (unsigned i = 0; i < sessions.count; i++)
		kontor_db_release(held[i]);
	return kontor_db_transaction(kontor_job_db(job), sessions_tx, &sessions, err);
}

static const struct kontor_job_kind kinds[] = {
	{NAME ".count", KONTOR_LANE_INTERACTIVE, "Counts to ten.", plan, run_chunk, finish, NULL, 0},
	{NAME ".sessions", KONTOR_LANE_INTERACTIVE, "Counts sessions.", plan_nothing, NULL, count_sessions, NULL, 0},
};

static const struct kontor_arg wait_args[] = {
	{"ms", KONTOR_ARG_INT, .required = true, .min = 0, .max = 10000, .help = "milliseconds"},
};
static const struct kontor_arg wait_for_file_args[] = {
	{"file", KONTOR_ARG_STRING, .required = true, .help = "its path"},
};
static const struct kontor_arg submit_args[] = {
	{"job_id", KONTOR_ARG_ID, .required = true, .help = "id of the new job"},
	{"kind", KONTOR_ARG_STRING, .max = 64, .help = "of another plugin"},
};
static const struct kontor_arg call_args[] = {
	{"method", KONTOR_ARG_STRING, .required = true, .help = "its full name"},
	{"about", KONTOR_ARG_STRING, .help = "sent along as its argument region"},
};
static const struct kontor_arg money_args[] = {
	{"region", KONTOR_ARG_REGION, .required = true, .help = "whose money"},
};
static const struct kontor_method methods[] = {
	{"wait", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, wait_args, 1, .handle = wait_a_while},
	{"who", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, .handle = who},
	{"who_inside", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, .handle = who_inside},
	{"internal", 0, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, .handle = who},
	{"crash", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, .handle = crash},
	{"submit", KONTOR_METHOD_CHANGES, KONTOR_PUBLIC, KONTOR_ROLE_OPERATOR, submit_args, 2, .handle = submit},
	{"nap", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, .handle = nap},
	{"wait_for_the_end", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, .handle = wait_for_the_end},
	{"wait_for_file", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, wait_for_file_args, 1, .handle = wait_for_file},
	{"call", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, call_args, 2, .handle = call},
	{"money", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, money_args, 1, .handle = who},
};

#ifdef CALLS
static const char *const calls[] = {CALLS, NULL};
#endif

static const struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = NAME,
	.version = "1.0",
	.summary = "for tests of the host",
	.self_size = sizeof(struct probe),
	.conf = conf,
	.conf_len = sizeof(conf) / sizeof(conf[0]),
	.methods = methods,
	.methods_len = sizeof(methods) / sizeof(methods[0]),
	.job_kinds = kinds,
	.job_kinds_len = sizeof(kinds) / sizeof(kinds[0]),
	.check = check,
	.start = start,
	.reload = reload,
	.status = status,
#ifdef CALLS
	.calls = calls,
#endif
};
KONTOR_PLUGIN(plugin)
