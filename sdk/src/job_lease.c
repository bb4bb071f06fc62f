/* SPDX-License-Identifier: Apache-2.0
 *
 * The leases that this process holds. Losing one is never a danger to the data (the epoch sees to that), only work done
 * for nothing.
 */
#include <mysqld_error.h>
#include <pthread.h>
#include <stdlib.h>

#include "job_statements.h"
#include "job_work.h"

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct job_lease *held;

void job_lease_hold(struct job_lease *lease)
{
	pthread_mutex_lock(&held_lock);
	lease->next = held;
	held = lease;
	pthread_mutex_unlock(&held_lock);
}

void job_lease_drop(struct job_lease *lease)
{
	pthread_mutex_lock(&held_lock);
	struct job_lease **at = &held;
	while (*at && *at != lease)
		at = &(*at)->next;
	if (*at)
		*at = lease->next;
	pthread_mutex_unlock(&held_lock);
}

/* What identifies a lease after its step may have ended. */
struct lease_copy {
	uint64_t job_id, epoch;
	uint32_t chunk_no, lease_ms;
	bool is_chunk;
};

static struct lease_copy *copy_held(size_t *ret_len)
{
	pthread_mutex_lock(&held_lock);
	size_t len = 0;
	for (const struct job_lease *at = held; at; at = at->next)
		len++;
	struct lease_copy *copies = calloc(len ? len : 1, sizeof(*copies));
	size_t i = 0;
	for (const struct job_lease *at = held; copies && at; at = at->next)
		copies[i++] = (struct lease_copy){at->job_id, at->epoch, at->chunk_no, at->lease_ms, at->is_chunk};
	pthread_mutex_unlock(&held_lock);
	*ret_len = len;
	return copies;
}

static void mark_lost(const struct lease_copy *copy)
{
	pthread_mutex_lock(&held_lock);
	for (struct job_lease *at = held; at; at = at->next)
		if (at->job_id == copy->job_id && at->epoch == copy->epoch && at->is_chunk == copy->is_chunk &&
		    at->chunk_no == copy->chunk_no)
			atomic_store(&at->lost, true);
	pthread_mutex_unlock(&held_lock);
}

static int renew(kontor_conn *conn, const struct lease_copy *lease, struct kontor_error *err)
{
	uint64_t renewed = 0;
	int rc = lease->is_chunk ? kontor_db_exec(conn, SQL_CHUNK_RENEW,
						  KONTOR_PARAMS(P_UINT(lease->lease_ms), P_UINT(lease->job_id),
								P_UINT(lease->chunk_no), P_UINT(lease->epoch)),
						  &renewed, err)
				 : kontor_db_exec(conn, SQL_JOB_RENEW,
						  KONTOR_PARAMS(P_UINT(lease->lease_ms), P_UINT(lease->job_id),
								P_UINT(lease->epoch)),
						  &renewed, err);
	if (rc && kontor_db_errno(conn) == ER_LOCK_WAIT_TIMEOUT)
		return 0;
	if (!rc && !renewed)
		mark_lost(lease);
	return rc;
}

int kontor_job_leases_renew(kontor_conn *conn, struct kontor_error *err)
{
	size_t len = 0;
	struct lease_copy *copies = copy_held(&len);
	if (!copies)
		return kontor_fail(err, KONTOR_E_INTERNAL, "jobs: out of memory while renewing %zu leases", len);
	int rc = 0;
	for (size_t i = 0; !rc && i < len; i++)
		rc = renew(conn, &copies[i], err);
	free(copies);
	return rc;
}

int kontor_job_leases_reclaim(kontor_conn *conn, const char *owner, uint64_t instance, struct kontor_error *err)
{
	int rc = kontor_db_exec(conn, SQL_JOBS_RECLAIM, KONTOR_PARAMS(P_STRING(owner), P_UINT(instance)), NULL, err);
	return rc ? rc
		  : kontor_db_exec(conn, SQL_CHUNKS_RECLAIM, KONTOR_PARAMS(P_STRING(owner), P_UINT(instance)), NULL,
				   err);
}
