/* SPDX-License-Identifier: Apache-2.0 */
#include "examine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "kontor/time.h"
#include "lanes.h"
#include "statements.h"
#include "unit.h"
#include "unit_stages.h"

#define CLOCK_DIFFERENCE_MS 1000         /* lateness of items and leases are judged by the database's clock */
#define PACKET_BYTES (INT64_C(64) << 20) /* docs/configuration.md, Database; as are the next two */
#define REDO_BYTES (INT64_C(1) << 30)
#define POOL_BYTES (INT64_C(1) << 30)
#define DEAD_JOBS_MS INT64_C(604800000) /* of the last week: older ones were seen */
#define OLD_LEASE_MS 60000              /* four leases */
#define UNTOUCHED_MS INT64_C(600000)    /* a job in the queue that nobody began */
#define DISK_BYTES (UINT64_C(1) << 30)
#define DISK_PERCENT 10

static void find(kontor_writer *w, const char *why, const char *cure, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void find(kontor_writer *w, const char *why, const char *cure, const char *format, ...)
{
	char text[640];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	kontor_write_map(w);
	kontor_put_string(w, "finding", text);
	kontor_put_string(w, "why", why);
	kontor_put_string(w, "cure", cure);
	kontor_write_end(w);
}

/* ---- the database ------------------------------------------------------------------------------------------------ */

/* Plugins with jobs move millions of rows. */
static bool has_jobs(const struct unit *unit)
{
	for (size_t i = 0; i < unit->plugins_len; i++) {
		const struct loaded_plugin *plugin = unit_plugin_at(unit, i);
		if (plugin && plugin->api.job_kinds_len + plugin->api.upload_kinds_len > 0)
			return true;
	}
	return false;
}

/* What its workers and lanes may hold at once; others beside them for a moment. */
static int64_t sessions_of(const struct unit *unit)
{
	int64_t sessions = lanes_connections(unit);
	for (size_t i = 0; i < unit->plugins_len; i++) {
		const struct loaded_plugin *plugin = unit_plugin_at(unit, i);
		sessions += plugin ? plugin->options.workers : 0;
	}
	return sessions;
}

struct server {
	int64_t now_ms, durable, packet, pool, redo, connections;
};

static int read_server(kontor_conn *conn, struct server *ret, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_SERVER, KONTOR_NO_PARAMS, &rows, err);
	if (!rc && kontor_rows_next(rows, err) == 1)
		*ret = (struct server){kontor_rows_int(rows, 0), kontor_rows_int(rows, 1), kontor_rows_int(rows, 2),
				       kontor_rows_int(rows, 3), kontor_rows_int(rows, 4), kontor_rows_int(rows, 5)};
	kontor_rows_close(rows);
	return rc;
}

static void judge_server(const struct unit *unit, const struct server *server, int64_t now_ms, kontor_writer *w)
{
	int64_t ahead_ms = server->now_ms - now_ms;
	if (ahead_ms > CLOCK_DIFFERENCE_MS || ahead_ms < -CLOCK_DIFFERENCE_MS)
		find(w, "late items, leases and ids are judged by these clocks",
		     "let chrony or ntpd keep both machines",
		     "the database's clock is %" PRId64 " ms %s this machine's", ahead_ms < 0 ? -ahead_ms : ahead_ms,
		     ahead_ms < 0 ? "behind" : "ahead of");
	if (server->durable != 1)
		find(w, "a crash of the database's machine loses what it had confirmed: money",
		     "set innodb_flush_log_at_trx_commit = 1", "innodb_flush_log_at_trx_commit is %" PRId64,
		     server->durable);
	if (server->packet < PACKET_BYTES)
		find(w, "chunks of big uploads will be refused", "set max_allowed_packet = 64M",
		     "max_allowed_packet is %" PRId64 " MiB", server->packet >> 20);
	if (server->connections < sessions_of(unit))
		find(w, "calls and jobs fail at random when the unit is busy",
		     "set max_connections for all units together, or give lanes fewer threads and plugins fewer "
		     "workers",
		     "max_connections is %" PRId64 ", and the lanes and workers of this unit may hold %" PRId64
		     " sessions",
		     server->connections, sessions_of(unit));
	if (has_jobs(unit) && server->redo < REDO_BYTES)
		find(w, "big uploads and runs wait for the disk", "set innodb_log_file_size = 1G or more",
		     "the redo log has %" PRId64 " MiB", server->redo >> 20);
	if (has_jobs(unit) && server->pool < POOL_BYTES)
		find(w, "runs read their window from the disk again and again",
		     "set innodb_buffer_pool_size to what the open windows need", "the buffer pool has %" PRId64 " MiB",
		     server->pool >> 20);
}

/* One finding with the number of jobs and the oldest one, when there are any. */
struct job_question {
	const char *sql, *what, *why, *cure;
	int64_t limit_ms;
};

static int ask_jobs(kontor_conn *conn, const struct job_question *question, kontor_writer *w, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, question->sql, KONTOR_PARAMS(P_INT(question->limit_ms)), &rows,
				 err);
	if (!rc && kontor_rows_next(rows, err) == 1 && kontor_rows_int(rows, 0) > 0)
		find(w, question->why, question->cure, "%" PRId64 " %s, like job %" PRIu64 " (%s)",
		     kontor_rows_int(rows, 0), question->what, kontor_rows_uint(rows, 1), kontor_rows_string(rows, 2));
	kontor_rows_close(rows);
	return rc;
}

static int examine_jobs(kontor_conn *conn, int64_t now_ms, kontor_writer *w, struct kontor_error *err)
{
	const struct job_question questions[] = {
		{SQL_DEAD_JOBS, "jobs used up their retries within a week", "their work is not done",
		 "kontor jobs show ID tells why, and what to do", now_ms - DEAD_JOBS_MS},
		{SQL_OLD_LEASES, "jobs lost their runner more than a minute ago and nobody went on",
		 "no unit that answers has their plugin", "start its unit, or take the plugin into one (kontor reload)",
		 now_ms - OLD_LEASE_MS},
		{SQL_UNTOUCHED_JOBS, "jobs have waited for ten minutes and nobody began",
		 "no unit has their plugin, or its lane is full", "kontor status: who has the lane, and is it busy",
		 now_ms - UNTOUCHED_MS},
	};
	int rc = 0;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]) && !rc; i++)
		rc = ask_jobs(conn, &questions[i], w, err);
	return rc;
}

static void examine_schema(struct unit *unit, kontor_writer *w)
{
	for (size_t i = 0; i < unit->plugins_len; i++) {
		const struct loaded_plugin *plugin = unit_plugin_at(unit, i);
		struct kontor_error err = KONTOR_ERROR_INIT;
		if (plugin && unit_database_check_plugin(unit, &plugin->api, &err))
			find(w, "the unit will not start again on these tables",
			     "kontor db migrate with the version that shall run", "%s", err.message);
	}
}

static void examine_database(struct unit *unit, kontor_writer *w)
{
	kontor_conn *conn = NULL;
	struct server server = {0};
	struct kontor_error err = KONTOR_ERROR_INIT;
	int rc = kontor_db_acquire(unit->db, &conn, &err);
	if (!rc)
		rc = read_server(conn, &server, &err);
	if (!rc) {
		judge_server(unit, &server, kontor_now_ms(), w);
		rc = examine_jobs(conn, server.now_ms, w, &err);
	}
	kontor_db_release(conn);
	if (rc)
		find(w, "nothing that is kept there can be read or changed",
		     "start it, or see why it does not let us in", "database: %s", err.message);
	else
		examine_schema(unit, w);
}

/* ---- the unit ---- */

static void examine_plugins(const struct unit *unit, kontor_writer *w)
{
	for (size_t i = 0; i < unit->plugins_len; i++) {
		const struct loaded_plugin *plugin = unit_plugin_at(unit, i);
		if (plugin && plugin->ill)
			find(w, "it says so itself", "the unit's log has the reason (event \"plugin is not well\")",
			     "plugin %s is not well", plugin->api.name);
		if (plugin && plugin->leaving)
			find(w, "something that it runs does not end",
			     "kontor status shows what runs; a restart of the unit ends it",
			     "plugin %s is still being taken out", plugin->api.name);
	}
}

static void examine_configuration(const struct unit *unit, kontor_writer *w)
{
	const struct unit_config *config = unit->config;
	if (unit_config_trusts(config))
		find(w, "every listed user may approve as anybody", "approvals = \"untrusted\", then a restart",
		     "approvals = trusted: for development only");
	if (config->faults_len)
		find(w, "calls fail on purpose", "take the fault blocks out of the configuration, then a restart",
		     "%zu faults are configured", config->faults_len);
}

static void examine_disk(const struct unit *unit, kontor_writer *w)
{
	struct statvfs disk;
	if (statvfs(unit->args->state_folder, &disk) || !disk.f_blocks)
		return;
	uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
	uint64_t percent = (uint64_t)disk.f_bavail * 100 / disk.f_blocks;
	if (left < DISK_BYTES || percent < DISK_PERCENT)
		find(w, "payment files and reports are written there", "make room, or move the state folder",
		     "the disk of %s has %" PRIu64 " MiB left (%" PRIu64 " %%)", unit->args->state_folder, left >> 20,
		     percent);
}

int examine(void *self, kontor_request *request)
{
	struct unit *unit = self;
	kontor_writer *w = kontor_reply(request);
	kontor_put_string(w, "unit", unit->args->unit);
	kontor_put_array(w, "rows");
	examine_plugins(unit, w);
	examine_configuration(unit, w);
	examine_disk(unit, w);
	examine_database(unit, w);
	kontor_write_end(w);
	return 0;
}
