/* SPDX-License-Identifier: Apache-2.0
 *
 * The row of id_cluster.
 */
#include <stdio.h>

#include "cluster.h"
#include "kontor/client.h"
#include "statements.h"

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
		cluster.datacenter = (unsigned)kontor_rows_uint(rows, 0);
		snprintf(cluster.uuid, sizeof(cluster.uuid), "%s", kontor_rows_string(rows, 1));
	}
	kontor_rows_close(rows);
	if (code < 0)
		return code;
	*ret_cluster = cluster;
	return 0;
}

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
	struct cluster cluster = {.datacenter = datacenter};
	kontor_random_key(cluster.uuid);
	code = kontor_db_exec(conn, SQL_BIND_CLUSTER,
			      KONTOR_PARAMS(P_UINT(datacenter), P_STRING(cluster.uuid), P_STRING(user)), NULL, err);
	if (code == KONTOR_E_CONFLICT) { /* somebody else was faster */
		code = cluster_read(conn, ret_cluster, err);
		return code ? code : cluster_check(ret_cluster, datacenter, err);
	}
	if (code)
		return code;
	*ret_cluster = cluster;
	*ret_bound = true;
	return 0;
}
