/* SPDX-License-Identifier: Apache-2.0
 *
 * The row of id_cluster.
 */
#include "cluster.h"

#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "kontor/client.h"
#include "kontor/log.h"
#include "kontor/time.h"
#include "statements.h"

/* A jump lands at 2^17 numbers for each millisecond since 2026, which is higher than any jump before it, also than one
 * that was itself forgotten. Where more numbers than that (131 million a second) were reserved, or the clock went back,
 * it goes on from where it is by 2^32 and as good as any number up to 2^42, so that two of these do not meet either. */
#define NUMBER_BITS_A_MS 17
#define LEAST_SKIP (UINT64_C(1) << 32)
#define LOT_BITS 10 /* 32 bits of lot, at this place */

_Static_assert(CLUSTER_UUID_SIZE == 33, "kontor_random_key() writes 32 digits");

int cluster_read(kontor_conn *conn, struct cluster *ret_cluster, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_READ_CLUSTER, KONTOR_NO_PARAMS, &rows, err);
	if (code)
		return code;
	struct cluster cluster = {0};
	code = kontor_rows_next(rows, err);
	if (code == 1) {
		cluster.database_ms = kontor_rows_int(rows, 0);
		cluster.datacenter = (unsigned)kontor_rows_uint(rows, 1);
		snprintf(cluster.uuid, sizeof(cluster.uuid), "%s", kontor_rows_string(rows, 2));
		snprintf(cluster.server, sizeof(cluster.server), "%s", kontor_rows_string(rows, 3));
		cluster.quarantine_until_ms = kontor_rows_int(rows, 4);
		snprintf(cluster.quarantine_reason, sizeof(cluster.quarantine_reason), "%s",
			 kontor_rows_string(rows, 5));
	}
	kontor_rows_close(rows);
	if (code < 0)
		return code;
	*ret_cluster = cluster;
	return 0;
}

/* ---- the datacenter id ---------------------------------------------------------------------------------------- */

int cluster_check(const struct cluster *cluster, unsigned datacenter, struct kontor_error *err)
{
	if (cluster->datacenter == 0 || cluster->datacenter == datacenter)
		return 0;
	return kontor_fail(
		err, KONTOR_E_CONFLICT,
		"this database gives the ids of datacenter id %u (cluster %.8s), the configured one is %u, "
		"and two datacenters must never share one: correct `id` in the datacenter's file, or the database",
		cluster->datacenter, cluster->uuid, datacenter);
}

int cluster_bind(kontor_conn *conn, unsigned datacenter, const char *user, struct cluster *ret_cluster, bool *ret_bound,
		 struct kontor_error *err)
{
	*ret_bound = false;
	int code = cluster_read(conn, ret_cluster, err);
	if (code || ret_cluster->datacenter)
		return code ? code : cluster_check(ret_cluster, datacenter, err);
	char uuid[CLUSTER_UUID_SIZE];
	code = kontor_db_exec(conn, SQL_BIND_CLUSTER,
			      KONTOR_PARAMS(P_UINT(datacenter), P_STRING(kontor_random_key(uuid)), P_STRING(user)),
			      NULL, err);
	*ret_bound = code == 0;
	if (!code || code == KONTOR_E_CONFLICT) /* CONFLICT: somebody else was faster */
		code = cluster_read(conn, ret_cluster, err);
	return code ? code : cluster_check(ret_cluster, datacenter, err);
}

/* ---- quarantine ----------------------------------------------------------------------------------------------- */

struct quarantine {
	const char *server_before, *server;   /* NULL: it is still the same server */
	const struct lost_reservations *lost; /* NULL: none is known */
	int64_t for_ms;
	uint64_t skip_to, skip; /* of numbers: to there, or by so many if they are beyond it */
	char reason[CLUSTER_TEXT_SIZE];
};

static int raise_again(kontor_conn *tx, const struct lost_reservation *lost, int64_t lease_ms, struct kontor_error *err)
{
	if (lost->namespace_)
		return kontor_db_exec(tx, SQL_RAISE_MAX_N, KONTOR_PARAMS(P_UINT(lost->hwm), P_STRING(lost->namespace_)),
				      NULL, err);
	return kontor_db_exec(tx, SQL_RAISE_SLOT,
			      KONTOR_PARAMS(P_UINT(lost->epoch), P_UINT(lost->hwm), P_INT(lease_ms),
					    P_STRING(lost->layout->name), P_UINT(lost->slot), P_UINT(lost->hwm)),
			      NULL, err);
}

static int begin_quarantine(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct quarantine *q = arg;
	int code = 0;
	if (q->server) {
		uint64_t affected; /* found rows: also 1 when the row names this server already */
		code = kontor_db_exec(tx, SQL_CHANGE_SERVER,
				      KONTOR_PARAMS(P_STRING(q->server), P_STRING(q->server_before)), &affected, err);
		if (code || !affected) /* another unit saw it first */
			return code;
	}
	for (size_t i = 0; !code && q->lost && i < q->lost->len; i++)
		code = raise_again(tx, &q->lost->items[i], q->for_ms, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_SKIP_NUMBERS,
				      KONTOR_PARAMS(P_UINT(q->skip_to), P_UINT(q->skip_to), P_UINT(q->skip)), NULL,
				      err);
	if (!code)
		code = kontor_db_exec(tx, SQL_QUARANTINE, KONTOR_PARAMS(P_STRING(q->reason), P_INT(q->for_ms)), NULL,
				      err);
	return code;
}

static int quarantine(kontor_conn *conn, struct cluster *cluster, struct quarantine *q, struct kontor_error *err)
{
	int64_t age_ms = cluster->database_ms - KONTOR_ID_EPOCH_MS;
	q->skip_to = age_ms > 0 ? (uint64_t)age_ms << NUMBER_BITS_A_MS : 0;
	uLong lot = crc32(crc32(0, (const Bytef *)q->reason, (uInt)strlen(q->reason)),
			  (const Bytef *)&cluster->database_ms, sizeof(cluster->database_ms));
	q->skip = LEAST_SKIP + ((uint64_t)lot << LOT_BITS);
	int code = kontor_db_transaction(conn, begin_quarantine, q, err);
	if (code)
		return code;
	kontor_log(KONTOR_LOG_ERROR, "id slots in quarantine", "for_ms=%lld reason=%s", (long long)q->for_ms,
		   KONTOR_QUOTED(q->reason));
	return cluster_read(conn, cluster, err);
}

static int read_server(kontor_conn *conn, char server[CLUSTER_TEXT_SIZE], struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_READ_SERVER, KONTOR_NO_PARAMS, &rows, err);
	if (!code && (code = kontor_rows_next(rows, err)) == 1) {
		snprintf(server, CLUSTER_TEXT_SIZE, "%s", kontor_rows_string(rows, 0));
		code = 0;
	}
	kontor_rows_close(rows);
	if (!code && strncmp(server, "galera ", strlen("galera ")) == 0)
		code = kontor_db_exec(conn, SQL_WAIT_FOR_OTHER_NODES, KONTOR_NO_PARAMS, NULL, err);
	return code;
}

int cluster_watch_server(kontor_conn *conn, struct cluster *cluster, char seen[CLUSTER_TEXT_SIZE],
			 int64_t quarantine_ms, struct kontor_error *err)
{
	char server[CLUSTER_TEXT_SIZE] = "";
	struct quarantine q = {.server_before = cluster->server, .server = server, .for_ms = quarantine_ms};
	const char *was = NULL;
	int code = read_server(conn, server, err);
	if (code)
		return code;
	if (!cluster->server[0])
		code = kontor_db_exec(conn, SQL_SET_FIRST_SERVER, KONTOR_PARAMS(P_STRING(server)), NULL, err);
	else if (strcmp(server, cluster->server) != 0)
		was = cluster->server;
	else if (seen[0] && strcmp(server, seen) != 0 && cluster_check_quarantine(cluster, NULL) == 0)
		was = seen; /* an old server is back, and knows nothing of having been away */
	if (was) {
		snprintf(q.reason, sizeof(q.reason),
			 "the database moved from server '%.100s' to '%.100s': it may not have all that the other "
			 "acknowledged",
			 was, server);
		code = quarantine(conn, cluster, &q, err);
	}
	if (!code)
		memcpy(seen, server, CLUSTER_TEXT_SIZE);
	return code;
}

int cluster_restore(kontor_conn *conn, struct cluster *cluster, const struct lost_reservations *lost,
		    int64_t quarantine_ms, struct kontor_error *err)
{
	struct quarantine q = {.lost = lost, .for_ms = quarantine_ms};
	const struct lost_reservation *first = &lost->items[0];
	char what[64];
	if (first->namespace_)
		snprintf(what, sizeof(what), "namespace %s", first->namespace_);
	else
		snprintf(what, sizeof(what), "%s slot %u", first->layout->name, first->slot);
	snprintf(q.reason, sizeof(q.reason),
		 "the database lost reservations that it had acknowledged (%s, reserved up to %llu%s): was an old "
		 "backup "
		 "restored?",
		 what, (unsigned long long)first->hwm, lost->len > 1 ? ", and others" : "");
	return quarantine(conn, cluster, &q, err);
}

int cluster_check_quarantine(const struct cluster *cluster, struct kontor_error *err)
{
	int64_t left_ms = cluster->quarantine_until_ms - cluster->database_ms;
	if (left_ms <= 0)
		return 0;
	return kontor_fail(err, KONTOR_E_UNAVAILABLE, "no id slot is taken for another %lld s: %s",
			   (long long)(left_ms + 999) / 1000, cluster->quarantine_reason);
}
