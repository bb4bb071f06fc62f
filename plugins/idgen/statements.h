/* SPDX-License-Identifier: Apache-2.0
 *
 * All SQL of idgen. Counters (hwm) are written by the protocol below and by nothing else; the database's clock decides
 * only who may take a slot, never whether an id is unique.
 */
#ifndef IDGEN_STATEMENTS_H
#define IDGEN_STATEMENTS_H

/* Milliseconds since 1970 by the database's clock. */
#define SQL_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

#define SQL_READ_NOW "SELECT " SQL_NOW_MS

/* The window grows: only while slot, epoch and high-water mark are as we left them. Repeated as it is when its outcome
 * is unknown: no row then means that it had worked, or that the slot is somebody else's; either way we give it up. */
#define SQL_RESERVE                                                                                                    \
	"UPDATE id_slot SET hwm = ?, lease_until_ms = " SQL_NOW_MS " + ? WHERE slot = ? AND epoch = ? AND hwm = ?"

/* A slot nobody leases and whose counters all lie before both clocks. The longest unused first. */
#define SQL_FIND_FREE_SLOT                                                                                             \
	"SELECT slot, epoch, hwm FROM id_slot WHERE slot BETWEEN 1 AND ? AND lease_until_ms < " SQL_NOW_MS             \
	" AND hwm < ? ORDER BY hwm, slot LIMIT 1"
/* Takes it and its first window in one step. */
#define SQL_ACQUIRE                                                                                                    \
	"UPDATE id_slot SET epoch = epoch + 1, owner = ?, hwm = ?, lease_until_ms = " SQL_NOW_MS                       \
	" + ? WHERE slot = ? AND epoch = ? AND hwm = ?"
#define SQL_RELEASE "UPDATE id_slot SET lease_until_ms = 0 WHERE slot = ? AND epoch = ?"

#define SQL_LIST_SLOTS                                                                                                 \
	"SELECT slot, epoch, owner, hwm, lease_until_ms, lease_until_ms >= " SQL_NOW_MS                                \
	" FROM id_slot WHERE slot BETWEEN 1 AND ? AND epoch > 0 ORDER BY slot"
#define SQL_COUNT_FREE_SLOTS                                                                                           \
	"SELECT COUNT(*) FROM id_slot WHERE slot BETWEEN 1 AND ? AND lease_until_ms < " SQL_NOW_MS " AND hwm < ?"

#define SQL_READ_CLUSTER "SELECT dc_id, cluster_uuid FROM id_cluster"
/* The table has room for one row: a second datacenter id is a duplicate key. */
#define SQL_BIND_CLUSTER                                                                                               \
	"INSERT INTO id_cluster (dc_id, cluster_uuid, bound_ms, bound_by) VALUES (?, ?, " SQL_NOW_MS ", ?)"

#define SQL_LIST_NAMESPACES "SELECT name, layout FROM id_namespace ORDER BY name"

#endif
