/* SPDX-License-Identifier: Apache-2.0 */
#include "retention.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kontor/host.h"
#include "kontor/log.h"
#include "statements.h"

#define TURN_EVERY_S 600
#define UPLOADS_PER_TURN 100
#define DAY_MS INT64_C(86400000)

struct retention {
	struct upload_plugin *plugin;
	kontor_host *host;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	atomic_bool stopping;
};

static const char *const account_kinds[] = {"payees"};

bool kind_holds_accounts(const char *kind)
{
	for (size_t i = 0; i < sizeof(account_kinds) / sizeof(account_kinds[0]); i++)
		if (strcmp(kind, account_kinds[i]) == 0)
			return true;
	return false;
}

/* ---- one turn ---------------------------------------------------------------------------------------------------- */

struct turn {
	const struct upload_plugin *plugin;
	kontor_conn *conn;
	const atomic_bool *stopping;
	size_t len;
	uint64_t ids[UPLOADS_PER_TURN];
	bool accounts[UPLOADS_PER_TURN];
};

static bool shall_stop(const struct turn *turn)
{
	return turn->stopping && atomic_load(turn->stopping);
}

static int list_uploads(struct turn *turn, const char *sql, int64_t days, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	turn->len = 0;
	int rc = kontor_db_query(turn->conn, KONTOR_READ_ALL, sql,
				 KONTOR_PARAMS(P_INT(days * DAY_MS), P_INT(UPLOADS_PER_TURN)), &rows, err);
	if (rc)
		return rc;
	while (turn->len < UPLOADS_PER_TURN && (rc = kontor_rows_next(rows, err)) > 0) {
		turn->ids[turn->len] = kontor_rows_uint(rows, 0);
		turn->accounts[turn->len++] = kind_holds_accounts(kontor_rows_string(rows, 1));
	}
	kontor_rows_close(rows);
	return rc < 0 ? rc : 0;
}

struct deletion {
	const char *sql;
	uint64_t upload_id, deleted;
};

/* Under the upload's lock: a dead one may have been started again meanwhile, and reads its bytes. */
static int delete_some(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct deletion *deletion = arg;
	const struct kontor_param *upload_id = KONTOR_PARAMS(P_UINT(deletion->upload_id));
	int64_t ended_ms;
	deletion->deleted = 0;
	int rc = kontor_db_query_int(tx, SQL_LOCK_ENDED, upload_id, &ended_ms, err);
	if (rc)
		return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
	return kontor_db_exec(tx, deletion->sql, upload_id, &deletion->deleted, err);
}

static int delete_all(const struct turn *turn, const char *sql, uint64_t upload_id, struct kontor_error *err)
{
	struct deletion deletion = {sql, upload_id, 1};
	int rc = 0;
	while (rc == 0 && deletion.deleted > 0 && !shall_stop(turn))
		rc = kontor_db_transaction(turn->conn, delete_some, &deletion, err);
	return rc;
}

/* It says so last: a turn that is broken off before begins again with the same upload. */
static int forget_bytes(const struct turn *turn, uint64_t upload_id, bool accounts, struct kontor_error *err)
{
	int rc = delete_all(turn, SQL_DELETE_SOME_PIECES, upload_id, err);
	if (rc == 0)
		rc = delete_all(turn, SQL_DELETE_SOME_PLAIN, upload_id, err);
	if (rc == 0 && accounts)
		rc = delete_all(turn, SQL_DELETE_SOME_REJECTS, upload_id, err);
	if (rc == 0 && !shall_stop(turn))
		rc = kontor_db_exec(turn->conn, SQL_BYTES_ARE_GONE, KONTOR_PARAMS(P_UINT(upload_id)), NULL, err);
	return rc;
}

static int abandon_uploads(struct turn *turn, struct kontor_error *err)
{
	int64_t days = turn->plugin->upload_abandon_days;
	int rc = list_uploads(turn, SQL_LIST_ABANDONED, days, err);
	for (size_t i = 0; i < turn->len && rc == 0 && !shall_stop(turn); i++) {
		uint64_t found = 0;
		rc = kontor_db_exec(turn->conn, SQL_ABANDON,
				    KONTOR_PARAMS(P_INT(days), P_UINT(turn->ids[i]), P_INT(days * DAY_MS)), &found,
				    err);
		if (rc == 0 && found)
			kontor_log(KONTOR_LOG_NOTICE, "an upload was abandoned", "upload_id=%llu",
				   (unsigned long long)turn->ids[i]);
	}
	return rc;
}

int retention_turn(const struct upload_plugin *self, kontor_conn *conn, const atomic_bool *stopping,
		   struct kontor_error *err)
{
	struct turn turn = {.plugin = self, .conn = conn, .stopping = stopping};
	int rc = abandon_uploads(&turn, err);
	if (rc == 0)
		rc = list_uploads(&turn, SQL_LIST_ENDED, self->upload_keep_days, err);
	for (size_t i = 0; i < turn.len && rc == 0 && !shall_stop(&turn); i++)
		rc = forget_bytes(&turn, turn.ids[i], turn.accounts[i], err);
	return rc;
}

/* ---- its thread -------------------------------------------------------------------------------------------------- */

static void take_turn(struct retention *retention)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_conn *conn = NULL;
	int rc = kontor_db_acquire(kontor_host_db(retention->host), &conn, &err);
	if (rc == 0)
		rc = retention_turn(retention->plugin, conn, &retention->stopping, &err);
	if (rc)
		kontor_log(KONTOR_LOG_WARNING, "old uploads were not deleted; it is tried again", "error=%s",
			   KONTOR_QUOTED(err.message));
	kontor_db_release(conn);
}

static void *retention_run(void *arg)
{
	struct retention *retention = arg;
	kontor_log_plugin("upload");
	pthread_mutex_lock(&retention->lock);
	while (!retention->stopping) {
		pthread_mutex_unlock(&retention->lock);
		take_turn(retention);
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += TURN_EVERY_S;
		pthread_mutex_lock(&retention->lock);
		while (!retention->stopping &&
		       pthread_cond_timedwait(&retention->wake, &retention->lock, &until) != ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&retention->lock);
	return NULL;
}

int retention_start(struct upload_plugin *self, kontor_host *host, struct kontor_error *err)
{
	struct retention *retention = calloc(1, sizeof(*retention));
	if (!retention)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	retention->plugin = self;
	retention->host = host;
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&retention->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&retention->lock, NULL);
	int failure = pthread_create(&retention->thread, NULL, retention_run, retention);
	if (failure) {
		free(retention);
		return kontor_fail(err, KONTOR_E_INTERNAL, "no thread for deleting old uploads: %s", strerror(failure));
	}
	self->retention = retention;
	return 0;
}

void retention_stop_soon(struct upload_plugin *self)
{
	struct retention *retention = self->retention;
	if (!retention)
		return;
	pthread_mutex_lock(&retention->lock);
	retention->stopping = true;
	pthread_cond_signal(&retention->wake);
	pthread_mutex_unlock(&retention->lock);
}

void retention_stop(struct upload_plugin *self)
{
	struct retention *retention = self->retention;
	if (!retention)
		return;
	retention_stop_soon(self);
	pthread_join(retention->thread, NULL);
	pthread_cond_destroy(&retention->wake);
	pthread_mutex_destroy(&retention->lock);
	free(retention);
	self->retention = NULL;
}
