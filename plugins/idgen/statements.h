/* SPDX-License-Identifier: Apache-2.0
 *
 * All SQL of idgen. Counters (hwm, max_n) are written by the protocol below and by nothing else, and never downwards;
 * the database's clock decides only who may take a slot, never whether an id is unique.
 */
#ifndef IDGEN_STATEMENTS_H
#define IDGEN_STATEMENTS_H

/* Milliseconds since 1970 by the database's clock. */
#define SQL_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

/* ---- the database itself ---- */

/* Which server answers: not where its files are, which may be moved. The nodes of a Galera cluster are one: what one of
 * them acknowledged, all have. */
#define SQL_READ_SERVER                                                                                                \
	"SELECT IF(@@global.wsrep_on, CONCAT('galera ', (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS"  \
	" WHERE VARIABLE_NAME = 'WSREP_CLUSTER_STATE_UUID')),"                                                         \
	" CONCAT_WS(' ', @@hostname, @@server_id, @@port))"
/* In Galera a read may lag behind what another node acknowledged; not from here on. */
#define SQL_WAIT_FOR_OTHER_NODES "SET SESSION wsrep_sync_wait = 1"

/* One row, also before the database is bound: datacenter 0. */
#define SQL_READ_CLUSTER                                                                                               \
	"SELECT " SQL_NOW_MS ", COALESCE(c.dc_id, 0), COALESCE(c.cluster_uuid, ''), COALESCE(c.server, ''),"           \
	" COALESCE(c.quarantine_until_ms, 0), COALESCE(c.quarantine_reason, '')"                                       \
	" FROM (SELECT 1 AS one) AS always LEFT JOIN id_cluster AS c ON c.only_row = 1"
/* The table has room for one row: a second datacenter id is a duplicate key. */
#define SQL_BIND_CLUSTER                                                                                               \
	"INSERT INTO id_cluster (dc_id, cluster_uuid, bound_ms, bound_by) VALUES (?, ?, " SQL_NOW_MS ", ?)"
#define SQL_SET_FIRST_SERVER "UPDATE id_cluster SET server = ? WHERE server = ''"
/* Another server than the last time; only the first unit that sees it changes the row. */
#define SQL_CHANGE_SERVER "UPDATE id_cluster SET server = ? WHERE server = ?"
#define SQL_QUARANTINE                                                                                                 \
	"UPDATE id_cluster SET quarantine_reason = ?, quarantine_until_ms = GREATEST(quarantine_until_ms, " SQL_NOW_MS \
	" + ?)"

/* ---- slots ---- */

/* The longest unused first. */
#define SQL_LIST_SLOTS                                                                                                 \
	"SELECT slot, epoch, owner, hwm, lease_until_ms, lease_until_ms >= " SQL_NOW_MS                                \
	" FROM id_slot WHERE layout = ? ORDER BY hwm, slot"
/* Takes a slot that nobody leases, and its first window, in one step; not while in quarantine, whenever it began. */
#define SQL_ACQUIRE                                                                                                    \
	"UPDATE id_slot SET epoch = epoch + 1, owner = ?, hwm = ?, lease_until_ms = " SQL_NOW_MS                       \
	" + ? WHERE layout = ? AND slot = ? AND epoch = ? AND hwm = ? AND lease_until_ms < " SQL_NOW_MS                \
	" AND (SELECT quarantine_until_ms FROM id_cluster) <= " SQL_NOW_MS
/* The window grows: only while slot, epoch and high-water mark are as we left them. Repeated as it is when its outcome
 * is unknown: no row then means that it had worked, or that the slot is somebody else's; either way we give it up. */
#define SQL_RESERVE                                                                                                    \
	"UPDATE id_slot SET hwm = ?, lease_until_ms = " SQL_NOW_MS                                                     \
	" + ? WHERE layout = ? AND slot = ? AND epoch = ? AND hwm = ?"
#define SQL_RELEASE "UPDATE id_slot SET lease_until_ms = 0 WHERE layout = ? AND slot = ? AND epoch = ?"
/* Whoever holds it can use up what is reserved, but reserves nothing more. */
#define SQL_EVICT                                                                                                      \
	"UPDATE id_slot SET epoch = epoch + 1, owner = '', lease_until_ms = 0 WHERE layout = ? AND slot = ? AND "      \
	"epoch > 0"
/* The database has forgotten what is known to be reserved: it is told again. Who holds the slot goes on. */
#define SQL_RAISE_SLOT                                                                                                 \
	"UPDATE id_slot SET epoch = GREATEST(epoch, ?), hwm = ?, lease_until_ms = " SQL_NOW_MS                         \
	" + ? WHERE layout = ? AND slot = ? AND hwm < ?"

/* ---- namespaces and their segments ---- */

#define SQL_LIST_NAMESPACES "SELECT name, layout, max_n, created_ms, created_by FROM id_namespace ORDER BY name"
#define SQL_READ_NAMESPACE "SELECT name, layout, max_n, created_ms, created_by FROM id_namespace WHERE name = ?"
#define SQL_CREATE_NAMESPACE                                                                                           \
	"INSERT INTO id_namespace (name, layout, max_n, created_ms, created_by) VALUES (?, ?, ?, " SQL_NOW_MS ", ?)"
#define SQL_READ_MAX_N "SELECT max_n FROM id_namespace WHERE name = ?"
#define SQL_RESERVE_NUMBERS "UPDATE id_namespace SET max_n = ? WHERE name = ? AND max_n = ?"
#define SQL_RAISE_MAX_N "UPDATE id_namespace SET max_n = GREATEST(max_n, ?) WHERE name = ?"
/* Numbers have no clock that could tell which of them were forgotten; so all namespaces jump. */
#define SQL_SKIP_NUMBERS                                                                                               \
	"UPDATE id_namespace SET max_n = CASE WHEN max_n < ? THEN ? ELSE max_n + ? END WHERE layout = 'segment'"

#endif
