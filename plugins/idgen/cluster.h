/* SPDX-License-Identifier: Apache-2.0
 *
 * Which datacenter id this database gives ids for, and whether it still is the database that it was.
 *
 * Two databases that both believed to be datacenter 1 once issued the same billing item ids; so a database is bound to
 * one id, once, and a unit of another id refuses it. And a database that was restored or failed over may have forgotten
 * windows that units still use; so then nobody takes a slot until all of them have ended.
 */
#ifndef IDGEN_CLUSTER_H
#define IDGEN_CLUSTER_H

#include "kontor/db.h"
#include "layout.h"

#define CLUSTER_UUID_SIZE 33u
#define CLUSTER_TEXT_SIZE 301u

struct cluster {
	unsigned datacenter; /* 0: not bound */
	char uuid[CLUSTER_UUID_SIZE];
	int64_t database_ms; /* the database's clock when this was read, since 1970 */
	char server[CLUSTER_TEXT_SIZE];
	int64_t quarantine_until_ms; /* by the database's clock */
	char quarantine_reason[CLUSTER_TEXT_SIZE];
};

int cluster_read(kontor_conn *conn, struct cluster *ret_cluster, struct kontor_error *err);
/* Binds the database to the datacenter id, or finds it bound to it already (*ret_bound false). CONFLICT when it is
 * bound to another one. `user` is written down. Also inside a transaction. */
int cluster_bind(kontor_conn *conn, unsigned datacenter, const char *user, struct cluster *ret_cluster, bool *ret_bound,
		 struct kontor_error *err);
/* CONFLICT, in words for the operator, when the database is bound to another id than `datacenter`. */
int cluster_check(const struct cluster *cluster, unsigned datacenter, struct kontor_error *err);

/* Compares the server that answers with the one that the database names as the last, and with the one that this unit
 * saw last ("": none yet); another one puts the database in quarantine for quarantine_ms. *cluster and seen follow. */
int cluster_watch_server(kontor_conn *conn, struct cluster *cluster, char seen[CLUSTER_TEXT_SIZE],
			 int64_t quarantine_ms, struct kontor_error *err);

/* A reservation that is known to be made and that the database does not have any more. */
struct lost_reservation {
	const struct layout *layout;
	unsigned slot;          /* of a layout with slots */
	const char *namespace_; /* of layout segment */
	uint64_t epoch, hwm;    /* as known */
};

#define LOST_LIMIT 128u /* more than there are slots and namespaces */
struct lost_reservations {
	struct lost_reservation items[LOST_LIMIT];
	size_t len;
};

/* Tells the database again what it lost, at least one reservation, and puts it in quarantine: it may have lost more.
 * Who holds a slot can go on with it. *cluster follows. */
int cluster_restore(kontor_conn *conn, struct cluster *cluster, const struct lost_reservations *lost,
		    int64_t quarantine_ms, struct kontor_error *err);

/* UNAVAILABLE while the quarantine lasts: until when, and why. */
int cluster_check_quarantine(const struct cluster *cluster, struct kontor_error *err);

#endif
