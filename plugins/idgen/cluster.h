/* SPDX-License-Identifier: Apache-2.0
 *
 * Which datacenter id this database gives ids for. Two databases that both believed to be datacenter 1 once issued the
 * same billing item ids; so a database is bound to one id, once, and a unit of another id refuses it.
 */
#ifndef IDGEN_CLUSTER_H
#define IDGEN_CLUSTER_H

#include "kontor/db.h"

#define CLUSTER_UUID_SIZE 33u

struct cluster {
	unsigned datacenter; /* 0: not bound */
	char uuid[CLUSTER_UUID_SIZE];
};

int cluster_read(kontor_conn *conn, struct cluster *ret_cluster, struct kontor_error *err);
/* Binds the database to the datacenter id, or finds it bound to it already (*ret_bound false). CONFLICT when it is
 * bound to another one. `user` is written down. Also inside a transaction. */
int cluster_bind(kontor_conn *conn, unsigned datacenter, const char *user, struct cluster *ret_cluster, bool *ret_bound,
		 struct kontor_error *err);
/* CONFLICT, in words for the operator, when the database is bound to another id than `datacenter`. */
int cluster_check(const struct cluster *cluster, unsigned datacenter, struct kontor_error *err);

#endif
