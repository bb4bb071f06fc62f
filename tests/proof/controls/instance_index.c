/* SPDX-License-Identifier: Apache-2.0
 *
 * Wrong scheme: the worker is an instance index that each database counts from 0. Unique within a datacenter; the
 * second datacenter begins at 0 again.
 */
#include "control.h"

/* The host's index; its first start takes the next one. */
static int find_index(kontor_conn *conn, const char *owner, int64_t *ret_index, struct kontor_error *err)
{
	int rc = kontor_db_query_int(conn, "SELECT instance_no FROM control_instance WHERE owner = ?",
				     KONTOR_PARAMS(P_STRING(owner)), ret_index, err);
	if (rc != KONTOR_E_NOT_FOUND)
		return rc;
	rc = kontor_db_query_int(conn, "SELECT COUNT(*) FROM control_instance", KONTOR_NO_PARAMS, ret_index, err);
	if (!rc)
		rc = kontor_db_exec(conn, "INSERT INTO control_instance (instance_no, owner) VALUES (?, ?)",
				    KONTOR_PARAMS(P_INT(*ret_index), P_STRING(owner)), NULL, err);
	return rc;
}

static int start(void *self, kontor_host *host, struct kontor_error *err)
{
	struct control *control = self;
	kontor_conn *conn = NULL;
	int64_t index = 0;
	int rc = kontor_db_acquire(kontor_host_db(host), &conn, err);
	for (int attempt = 0; !rc && attempt < 10; attempt++) {
		rc = find_index(conn, kontor_host_state_folder(host), &index, err);
		if (rc != KONTOR_E_CONFLICT)
			break;
		rc = 0; /* another host took that index */
	}
	kontor_db_release(conn);
	control->worker = (unsigned)index;
	return rc;
}

static struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "idgen",
	.version = "0",
	.summary = "Wrong on purpose: an instance index that each datacenter counts from 0.",
	.self_size = sizeof(struct control),
	.methods = control_methods,
	.methods_len = CONTROL_METHODS,
	.start = start,
};

KONTOR_PLUGIN_WITH_SCHEMA(plugin, instance_index_schema)
