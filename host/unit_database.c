/* SPDX-License-Identifier: Apache-2.0
 *
 * The unit's database: waiting for it, its schema, and --migrate.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "job_runner.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "notify.h"
#include "unit_stages.h"

#define RETRY_MS 20 /* a refused connection is cheap, and the first id shall come 50 ms after the database */
#define LOG_EVERY_MS 5000
#define SDK_OWNER "kontor"

static const char *or_null(const char *text)
{
	return text && text[0] ? text : NULL;
}

static struct kontor_db_options options_of(const struct unit *unit)
{
	const struct database_options *database = &((const struct unit_config *)unit->config)->database;
	return (struct kontor_db_options){
		.socket = or_null(database->host) ? NULL : database->socket,
		.host = or_null(database->host),
		.port = (unsigned)database->port,
		.user = or_null(database->user),
		.password_file = or_null(database->password_file),
		.database = database->name,
		.tls_ca = or_null(database->tls_ca),
		.connect_timeout_ms = (unsigned)database->connect_timeout_ms,
	};
}

/* Sleeps RETRY_MS; true when the unit shall stop. */
static bool interrupted(struct unit *unit)
{
	struct timespec time = {0, RETRY_MS * 1000000L};
	int number = sigtimedwait(unit->stop_signals, NULL, &time);
	unit->interrupted = number == SIGTERM || number == SIGINT;
	return unit->interrupted;
}

static int wait_for_session(struct unit *unit, kontor_conn **ret_conn, struct kontor_error *err)
{
	int64_t timeout_ms = ((const struct unit_config *)unit->config)->options.start_timeout_ms;
	int64_t begun_ms = kontor_monotonic_ms(), logged_ms = 0;
	for (;;) {
		int rc = kontor_db_acquire(unit->db, ret_conn, err);
		int64_t now = kontor_monotonic_ms();
		if (rc != KONTOR_E_UNAVAILABLE || (timeout_ms && now - begun_ms >= timeout_ms))
			return rc;
		if (!logged_ms || now - logged_ms >= LOG_EVERY_MS) {
			kontor_log(KONTOR_LOG_WARNING, "waits for the database", "error=%s",
				   KONTOR_QUOTED(err->message));
			notify("STATUS=waits for the database\nEXTEND_TIMEOUT_USEC=15000000");
			logged_ms = now;
		}
		if (interrupted(unit))
			return kontor_fail(err, KONTOR_E_DRAINING, "stopped while waiting for the database");
	}
}

static int check_plugin_schema(kontor_conn *conn, const struct kontor_plugin *api, struct kontor_error *err)
{
	return api->schema_len ? kontor_schema_check(conn, api->name, api->schema, api->schema_len, err) : 0;
}

static int check_schema(struct unit *unit, kontor_conn *conn, struct kontor_error *err)
{
	int rc = kontor_schema_check(conn, SDK_OWNER, kontor_sdk_schema, kontor_sdk_schema_len, err);
	for (size_t i = 0; i < unit->plugins_len && !rc; i++)
		rc = check_plugin_schema(conn, &unit_plugin_at(unit, i)->api, err);
	return rc;
}

int unit_database_check_plugin(struct unit *unit, const struct kontor_plugin *api, struct kontor_error *err)
{
	kontor_conn *conn = NULL;
	int rc = kontor_db_acquire(unit->db, &conn, err);
	if (!rc)
		rc = check_plugin_schema(conn, api, err);
	kontor_db_release(conn);
	return rc;
}

int unit_database_open(struct unit *unit, struct kontor_error *err)
{
	kontor_conn *conn = NULL;
	struct kontor_db_options options = options_of(unit);
	int rc = kontor_db_open(&options, &unit->db, err);
	if (rc)
		return rc;
	rc = wait_for_session(unit, &conn, err);
	if (!rc)
		rc = check_schema(unit, conn, err);
	if (!rc)
		rc = kontor_job_leases_reclaim(conn, unit->owner, unit->instance, err);
	kontor_db_release(conn);
	unit->database_answers = !rc;
	if (rc)
		unit_database_close(unit);
	return rc;
}

void unit_database_close(struct unit *unit)
{
	unit->db = kontor_db_close(unit->db);
}

/* ---- --migrate ---- */

static int make_database(const struct kontor_db_options *admin, const char *name, struct kontor_error *err)
{
	char sql[160];
	kontor_db *db = NULL;
	kontor_conn *conn = NULL;
	struct kontor_db_options options = *admin;
	options.database = "information_schema"; /* the one that is always there */
	int rc = kontor_db_open(&options, &db, err);
	if (!rc)
		rc = kontor_db_acquire(db, &conn, err);
	/* The name is [a-z0-9_]{1,64}: unit_config.c has seen to it. */
	snprintf(sql, sizeof(sql), "CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4", name);
	if (!rc)
		rc = kontor_db_exec(conn, sql, KONTOR_NO_PARAMS, NULL, err);
	kontor_db_release(conn);
	kontor_db_close(db);
	return rc;
}

static int apply_steps(struct unit *unit, kontor_conn *conn, struct kontor_error *err)
{
	int rc = kontor_schema_migrate(conn, kontor_sdk_schema, kontor_sdk_schema_len, err);
	for (size_t i = 0; i < unit->plugins_len && !rc; i++) {
		const struct kontor_plugin *api = &unit_plugin_at(unit, i)->api;
		if (api->schema_len)
			rc = kontor_schema_migrate(conn, api->schema, api->schema_len, err);
		if (rc)
			kontor_fail_in(err, "tables of plugin %s", api->name);
	}
	return rc;
}

int unit_database_migrate(struct unit *unit, struct kontor_error *err)
{
	struct kontor_db_options options = options_of(unit);
	const struct args *args = unit->args;
	if (args->admin_socket) {
		options.socket = args->admin_socket;
		options.host = NULL;
	}
	if (args->admin_user) {
		options.user = args->admin_user;
		options.password_file = NULL;
	}
	if (args->admin_password_file)
		options.password_file = args->admin_password_file;
	kontor_db *db = NULL;
	kontor_conn *conn = NULL;
	int rc = make_database(&options, options.database, err);
	if (!rc)
		rc = kontor_db_open(&options, &db, err);
	if (!rc)
		rc = kontor_db_acquire(db, &conn, err);
	if (!rc)
		rc = apply_steps(unit, conn, err);
	kontor_db_release(conn);
	kontor_db_close(db);
	return rc;
}
