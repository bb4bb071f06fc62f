/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids from the idgen plugin: whole grants, and single ids out of a small grant that the process keeps.
 */
#include "kontor/ids.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host_state.h"
#include "kontor/time.h"

#define GRANT_TIMEOUT_MS 5000
/* Enough that a busy unit asks a few times a second, little enough that a restart loses nothing worth a thought. */
#define STOCK_GRANT 1000
/* Ids of an older grant would sort far before their time. */
#define STOCK_AGE_MS 5000
#define STOCK_NAMESPACES 16
#define NAMESPACE_SIZE 33

struct stock_entry {
	char name[NAMESPACE_SIZE];
	struct kontor_id_range range;
	uint32_t used;
	int64_t taken_ms; /* monotonic */
};

struct kontor_id_stock {
	pthread_mutex_t lock;
	size_t len;
	struct stock_entry entries[STOCK_NAMESPACES];
};

struct kontor_id_stock *kontor_id_stock_new(void)
{
	struct kontor_id_stock *stock = calloc(1, sizeof(*stock));
	if (stock)
		pthread_mutex_init(&stock->lock, NULL);
	return stock;
}

struct kontor_id_stock *kontor_id_stock_free(struct kontor_id_stock *stock)
{
	if (stock) {
		pthread_mutex_destroy(&stock->lock);
		free(stock);
	}
	return NULL;
}

static bool range_valid(const struct kontor_id_range *range, uint32_t count)
{
	if (range->base == 0 || range->base > INT64_MAX || range->stride == 0 || range->count != count)
		return false;
	return (INT64_MAX - range->base) / range->stride >= count - 1;
}

static int read_grant(const kontor_body *reply, uint32_t count, struct kontor_id_range *ret_range,
		      struct kontor_error *err)
{
	const msgpack_object *map = kontor_body_map(reply);
	struct kontor_id_range range = {
		.base = kontor_get_uint(map, "base", 0),
		.stride = kontor_get_uint(map, "stride", 0),
		.count = (uint32_t)kontor_get_uint(map, "count", 0),
	};
	if (!range_valid(&range, count))
		return kontor_fail(err, KONTOR_E_INTERNAL, "idgen.next answered no valid range of %u ids",
				   (unsigned)count);
	*ret_range = range;
	return 0;
}

int kontor_ids_take(kontor_host *host, const char *id_namespace, uint32_t count, struct kontor_id_range *ret_range,
		    struct kontor_error *err)
{
	kontor_client *client = kontor_host_client(host);
	if (!client)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "ids of %s: this host has no client to reach idgen",
				   id_namespace);
	if (count == 0 || count > KONTOR_ID_GRANT_LIMIT)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "ids of %s: a grant holds 1 to %u ids, not %u",
				   id_namespace, KONTOR_ID_GRANT_LIMIT, (unsigned)count);
	kontor_writer *args = kontor_writer_new();
	if (!args)
		return kontor_fail(err, KONTOR_E_INTERNAL, "ids of %s: out of memory", id_namespace);
	kontor_write_map(args);
	kontor_put_string(args, "namespace", id_namespace);
	kontor_put_uint(args, "count", count);
	kontor_write_end(args);
	int64_t end_ms = kontor_monotonic_ms() + GRANT_TIMEOUT_MS;
	kontor_body *reply = NULL;
	int rc;
	do { /* a grant whose reply got lost is only lost, so an unknown outcome may be asked again without a key */
		int64_t left_ms = end_ms - kontor_monotonic_ms();
		struct kontor_call_options options = {.timeout_ms = left_ms > 1 ? (uint32_t)left_ms : 1};
		rc = kontor_call(client, "idgen.next", args, &options, &reply, err);
	} while (rc == KONTOR_E_UNKNOWN_OUTCOME && kontor_monotonic_ms() < end_ms);
	if (rc == KONTOR_E_UNKNOWN_OUTCOME) {
		rc = KONTOR_E_UNAVAILABLE;
		if (err)
			err->code = rc;
	}
	if (rc == 0)
		rc = read_grant(reply, count, ret_range, err);
	kontor_body_free(reply);
	kontor_writer_free(args);
	return rc;
}

/* The entry of a namespace; NULL when all places are taken by others. */
static struct stock_entry *find_entry(struct kontor_id_stock *stock, const char *name)
{
	for (size_t i = 0; i < stock->len; i++)
		if (strcmp(stock->entries[i].name, name) == 0)
			return &stock->entries[i];
	if (stock->len == STOCK_NAMESPACES)
		return NULL;
	struct stock_entry *entry = &stock->entries[stock->len++];
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	return entry;
}

static bool take_from_stock(struct kontor_id_stock *stock, const char *name, uint64_t *ret_id)
{
	bool taken = false;
	pthread_mutex_lock(&stock->lock);
	struct stock_entry *entry = find_entry(stock, name);
	if (entry && entry->used < entry->range.count && kontor_monotonic_ms() - entry->taken_ms < STOCK_AGE_MS) {
		*ret_id = entry->range.base + entry->range.stride * entry->used++;
		taken = true;
	}
	pthread_mutex_unlock(&stock->lock);
	return taken;
}

int kontor_id_next(kontor_host *host, const char *id_namespace, uint64_t *ret_id, struct kontor_error *err)
{
	if (strlen(id_namespace) >= NAMESPACE_SIZE)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "ids of %s: there is no such namespace", id_namespace);
	if (take_from_stock(host->ids, id_namespace, ret_id))
		return 0;
	/* Asked without the lock, so that one slow grant does not hold up other namespaces. Two threads may ask at
	 * once; the later grant stays in stock, the other's rest is lost. */
	struct kontor_id_range range = {0};
	int rc = kontor_ids_take(host, id_namespace, STOCK_GRANT, &range, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&host->ids->lock);
	struct stock_entry *entry = find_entry(host->ids, id_namespace);
	if (entry) {
		entry->range = range;
		entry->used = 1;
		entry->taken_ms = kontor_monotonic_ms();
	}
	pthread_mutex_unlock(&host->ids->lock);
	*ret_id = range.base;
	return 0;
}

struct kontor_id_parts kontor_id_decode(uint64_t id)
{
	return (struct kontor_id_parts){
		.time_ms = KONTOR_ID_EPOCH_MS + (int64_t)(id >> 22),
		.sequence = (unsigned)(id >> 10) & 0xfff,
		.datacenter = (unsigned)(id >> 6) & 0xf,
		.slot = (unsigned)id & 0x3f,
	};
}
