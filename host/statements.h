/* SPDX-License-Identifier: Apache-2.0
 *
 * SQL of the host's built-in services.
 */
#ifndef KONTORD_STATEMENTS_H
#define KONTORD_STATEMENTS_H

/* Newest first, below an id; a state or all of them. */
static const char SQL_LIST_APPROVALS[] =
	"SELECT approval_id FROM approval WHERE approval_id < ? AND (? IS NULL OR state = ?) "
	"ORDER BY approval_id DESC LIMIT ?";

/* The server's clock, and what kontor.examine judges. */
static const char SQL_SERVER[] =
	"SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), @@innodb_flush_log_at_trx_commit, "
	"@@max_allowed_packet, @@innodb_buffer_pool_size, @@innodb_log_file_size, @@max_connections";
/* How many, and the oldest one with its kind. The first index leads to each: jobs that have not ended, or ended since.
 */
static const char SQL_DEAD_JOBS[] = "SELECT COUNT(*), COALESCE(MIN(job_id), 0), COALESCE(MIN(kind), '') FROM job "
				    "WHERE finished_ms > ? AND state = 'dead'";
static const char SQL_OLD_LEASES[] = "SELECT COUNT(*), COALESCE(MIN(job_id), 0), COALESCE(MIN(kind), '') FROM job "
				     "WHERE finished_ms = 0 AND lease_until_ms > 0 AND lease_until_ms < ?";
static const char SQL_UNTOUCHED_JOBS[] =
	"SELECT COUNT(*), COALESCE(MIN(job_id), 0), COALESCE(MIN(kind), '') FROM job "
	"WHERE finished_ms = 0 AND state = 'queued' AND started_ms = 0 AND GREATEST(created_ms, run_at_ms) < ?";

#endif
