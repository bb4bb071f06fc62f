/* SPDX-License-Identifier: Apache-2.0
 *
 * Single ids through the SDK, each written down as it was returned.
 */
#include <stdio.h>
#include <time.h>

#include "idgen_client.h"
#include "kontor/client.h"
#include "kontor/time.h"

#define TURN_MS 10
#define ASK_MS 2000

struct user {
	const struct client_options *options;
	struct records_writer *records;
	struct client_counts *counts;
	kontor_client *client;
	uint64_t random, base, stride, left;
};

static bool refill(struct user *u)
{
	kontor_writer *args = kontor_writer_new();
	kontor_body *reply = NULL;
	kontor_write_map(args);
	kontor_put_string(args, "namespace", u->options->id_namespace);
	kontor_put_uint(args, "count", 1 + (uint64_t)(client_random(&u->random) * (double)u->options->most));
	kontor_write_end(args);
	struct kontor_call_options call = {.timeout_ms = ASK_MS, .patience_ms = 100};
	int rc = kontor_call(u->client, "idgen.next", args, &call, &reply, NULL);
	if (rc == 0) {
		const msgpack_object *map = kontor_body_map(reply);
		u->base = kontor_get_uint(map, "base", 0);
		u->stride = kontor_get_uint(map, "stride", 0);
		u->left = kontor_get_uint(map, "count", 0);
		u->counts->grants++;
	} else if (rc == KONTOR_E_BUSY || rc == KONTOR_E_UNAVAILABLE || rc == KONTOR_E_DRAINING)
		u->counts->refused++;
	else if (rc == KONTOR_E_UNKNOWN_OUTCOME || rc == KONTOR_E_DEADLINE)
		u->counts->lost++;
	else
		u->counts->failed++;
	kontor_body_free(reply);
	kontor_writer_free(args);
	return rc == 0;
}

static bool next_id(struct user *u, uint64_t *ret_id)
{
	if (!u->left && !refill(u))
		return false;
	*ret_id = u->base;
	u->base += u->stride;
	u->left--;
	return true;
}

/* False when the file of records is full. */
static bool use_some(struct user *u, uint64_t count)
{
	uint64_t id;
	while (count-- && next_id(u, &id)) {
		if (!records_add_id(u->records, id))
			return false;
		u->counts->ids++;
	}
	return true;
}

bool client_take_ids(const struct client_options *options, struct records_writer *records, struct client_counts *counts)
{
	struct user u = {.options = options, .records = records, .counts = counts, .random = options->seed};
	struct kontor_client_options client = {.endpoint = options->endpoint};
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (kontor_client_new(&client, &u.client, &err)) {
		fprintf(stderr, "idgen_client: %s\n", err.message);
		return false;
	}
	bool fine = true;
	int64_t start_ms = kontor_monotonic_ms();
	while (client_running() && fine) {
		uint64_t due = (uint64_t)(kontor_monotonic_ms() - start_ms) * options->rate / 1000;
		if (due > counts->ids)
			fine = use_some(&u, due - counts->ids < options->rate ? due - counts->ids : options->rate);
		nanosleep(&(struct timespec){.tv_nsec = TURN_MS * 1000000L}, NULL);
	}
	if (!fine)
		fprintf(stderr, "idgen_client: %s is full\n", options->records);
	kontor_client_free(u.client);
	return fine;
}
