/* SPDX-License-Identifier: Apache-2.0
 *
 * Wrong scheme: a worker number is leased and the lease renewed in the background, but issuing never looks at it. A
 * host that was stopped beyond its lease goes on with a number that is another's by then.
 */
#include "control.h"

#include <time.h>

#include "kontor/log.h"

#define LEASE_MS 2000
#define RENEW_EVERY_MS 500
#define DATACENTER_SHIFT 6
#define NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

/* The lowest worker number that nobody leases. */
static int acquire(struct control *control, kontor_conn *conn, unsigned datacenter, struct kontor_error *err)
{
	int64_t slot = 0;
	uint64_t affected = 0;
	for (int attempt = 0; attempt < 10 && !affected; attempt++) {
		int rc = kontor_db_query_int(conn, "SELECT MIN(slot) FROM control_lease WHERE until_ms < " NOW_MS,
					     KONTOR_NO_PARAMS, &slot, err);
		if (!rc)
			rc = kontor_db_exec(conn,
					    "UPDATE control_lease SET owner = ?, until_ms = " NOW_MS
					    " + ? WHERE slot = ? AND until_ms < " NOW_MS,
					    KONTOR_PARAMS(P_STRING(control->owner), P_INT(LEASE_MS), P_INT(slot)),
					    &affected, err);
		if (rc)
			return rc;
	}
	if (!affected)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "no worker number is free");
	control->worker = datacenter << DATACENTER_SHIFT | (unsigned)slot;
	return 0;
}

static void *renew(void *arg)
{
	struct control *control = arg;
	kontor_log_plugin("idgen");
	while (!control->ending) {
		kontor_conn *conn = NULL;
		uint64_t affected = 1;
		nanosleep(&(struct timespec){.tv_nsec = RENEW_EVERY_MS * 1000000L}, NULL);
		if (kontor_db_acquire(control->db, &conn, NULL) == 0)
			kontor_db_exec(
				conn, "UPDATE control_lease SET until_ms = " NOW_MS " + ? WHERE slot = ? AND owner = ?",
				KONTOR_PARAMS(P_INT(LEASE_MS), P_UINT(control->worker & ((1u << DATACENTER_SHIFT) - 1)),
					      P_STRING(control->owner)),
				&affected, NULL);
		kontor_db_release(conn);
		if (!affected) /* and that is all that is done */
			kontor_log(KONTOR_LOG_WARNING, "the lease is lost", "worker=%u", control->worker);
	}
	return NULL;
}

static int start(void *self, kontor_host *host, struct kontor_error *err)
{
	struct control *control = self;
	kontor_conn *conn = NULL;
	control->db = kontor_host_db(host);
	kontor_random_key(control->owner);
	int rc = kontor_db_acquire(control->db, &conn, err);
	if (!rc)
		rc = acquire(control, conn, kontor_host_datacenter_id(host), err);
	kontor_db_release(conn);
	if (!rc && pthread_create(&control->thread, NULL, renew, control))
		rc = kontor_fail(err, KONTOR_E_INTERNAL, "no thread for renewals");
	return rc;
}

static void stop(void *self)
{
	struct control *control = self;
	control->ending = true;
	pthread_join(control->thread, NULL);
}

static struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "idgen",
	.version = "0",
	.summary = "Wrong on purpose: a lease that issuing does not look at.",
	.self_size = sizeof(struct control),
	.methods = control_methods,
	.methods_len = CONTROL_METHODS,
	.start = start,
	.stop = stop,
};

KONTOR_PLUGIN_WITH_SCHEMA(plugin, unfenced_lease_schema)
