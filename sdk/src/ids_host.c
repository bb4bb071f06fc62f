/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids for plugins: for each namespace that the unit's plugins use, a source of single ids and a strict one of whole
 * grants, over the host's client. They have no thread: who finds the stock empty or too old asks.
 */
#include <stdlib.h>
#include <string.h>

#include "host_state.h"
#include "ids_source.h"

#define SOURCES_LIMIT 32

struct kontor_host_ids {
	pthread_mutex_t lock;
	size_t len;
	kontor_id_source *sources[SOURCES_LIMIT];
};

struct kontor_host_ids *kontor_host_ids_new(void)
{
	struct kontor_host_ids *ids = calloc(1, sizeof(*ids));
	if (ids)
		pthread_mutex_init(&ids->lock, NULL);
	return ids;
}

struct kontor_host_ids *kontor_host_ids_free(struct kontor_host_ids *ids)
{
	if (!ids)
		return NULL;
	for (size_t i = 0; i < ids->len; i++)
		kontor_id_source_free(ids->sources[i]);
	pthread_mutex_destroy(&ids->lock);
	free(ids);
	return NULL;
}

/* With the lock. */
static int find_or_make(kontor_host *host, const char *id_namespace, bool strict, kontor_id_source **ret_source,
			struct kontor_error *err)
{
	struct kontor_host_ids *ids = host->ids;
	for (size_t i = 0; i < ids->len; i++) {
		if (ids->sources[i]->strict == strict && strcmp(ids->sources[i]->id_namespace, id_namespace) == 0) {
			*ret_source = ids->sources[i];
			return 0;
		}
	}
	if (ids->len == SOURCES_LIMIT)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "ids of %s: this unit takes ids of %d other namespaces already", id_namespace,
				   SOURCES_LIMIT / 2);
	const struct kontor_id_source_options options = {
		.id_namespace = id_namespace, .client = kontor_host_client(host), .strict = strict};
	int rc = kontor_id_source_make(&options, false, &ids->sources[ids->len], err);
	if (!rc)
		*ret_source = ids->sources[ids->len++];
	return rc;
}

static int find_source(kontor_host *host, const char *id_namespace, bool strict, kontor_id_source **ret_source,
		       struct kontor_error *err)
{
	if (!kontor_host_client(host))
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "ids of %s: this host has no client to reach idgen",
				   id_namespace);
	pthread_mutex_lock(&host->ids->lock);
	int rc = find_or_make(host, id_namespace, strict, ret_source, err);
	pthread_mutex_unlock(&host->ids->lock);
	return rc;
}

int kontor_ids_take(kontor_host *host, const char *id_namespace, uint32_t count, struct kontor_id_range *ret_range,
		    struct kontor_error *err)
{
	kontor_id_source *source = NULL;
	struct id_grant grant = {0};
	if (count == 0 || count > KONTOR_ID_GRANT_LIMIT)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "ids of %s: a grant holds 1 to %u ids, not %u",
				   id_namespace, KONTOR_ID_GRANT_LIMIT, (unsigned)count);
	int rc = find_source(host, id_namespace, true, &source, err);
	if (!source)
		return rc;
	kontor_id_source_lock(source);
	rc = kontor_id_source_take(source, count, count, &grant, err);
	pthread_mutex_unlock(&source->lock);
	if (!rc)
		*ret_range = grant.range;
	return rc;
}

int kontor_id_next(kontor_host *host, const char *id_namespace, uint64_t *ret_id, struct kontor_error *err)
{
	kontor_id_source *source = NULL;
	int rc = find_source(host, id_namespace, false, &source, err);
	return source ? kontor_id_source_next(source, ret_id, err) : rc;
}
