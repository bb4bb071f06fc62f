/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole plugin on a real database: its own method table, its upload kind, and a peer that answers idgen.next.
 */
#ifndef SETTLEMENT_FIXTURE_H
#define SETTLEMENT_FIXTURE_H

#include <inttypes.h>
#include <stdatomic.h>

#include <pthread.h>
#include <zmq.h>

#include "test_database.h"
#include "test_region.h"

#include "request.h"
#include "statements.h"
#include "store.h"
#include "upload_kinds.h"
#include "writer.h"

#define UNUSED __attribute__((unused))

const struct kontor_plugin *kontor_plugin_entry(void);

static kontor_db *db;
static kontor_host *host;
static kontor_client *client;
static void *zmq;
static struct settlement self;
static const struct kontor_plugin *plugin;
static _Thread_local struct kontor_error err;

static void check(int rc)
{
	if (rc)
		fail_msg("%s: %s", kontor_code_name(rc), err.message);
}

/* ---- a peer in place of idgen: the same wire, ids from a counter ---- */

static atomic_bool ids_stop;
static pthread_t ids_thread;
static uint64_t ids_next = UINT64_C(1) << 40;

static void ids_answer(void *router)
{
	char identity[256], frame[1024], body_bytes[1024];
	struct kontor_frame_header in;
	int identity_size = zmq_recv(router, identity, sizeof(identity), 0);
	int size = zmq_recv(router, frame, sizeof(frame), 0);
	int body_size = zmq_recv(router, body_bytes, sizeof(body_bytes), 0);
	if (kontor_frame_parse(frame, (size_t)size, &in, NULL) || in.kind == KONTOR_FRAME_CANCEL)
		return;
	struct kontor_frame_header out = {.version = 1,
					  .kind = in.kind == KONTOR_FRAME_PING ? KONTOR_FRAME_PONG : KONTOR_FRAME_REPLY,
					  .id = in.id};
	kontor_body *body = NULL;
	kontor_body_parse(body_bytes, (size_t)body_size, &body, NULL);
	uint64_t count = kontor_get_uint(kontor_body_map(body), "count", 1);
	kontor_writer *header = kontor_writer_new(), *reply = kontor_writer_new();
	kontor_write_map(reply);
	kontor_put_uint(reply, "instance", 1);
	kontor_put_uint(reply, "base", ids_next);
	kontor_put_uint(reply, "count", count);
	kontor_put_uint(reply, "stride", KONTOR_ID_STRIDE);
	kontor_write_end(reply);
	ids_next += count * KONTOR_ID_STRIDE;
	const void *data;
	size_t data_size;
	kontor_frame_write(header, &out);
	zmq_send(router, identity, (size_t)identity_size, ZMQ_SNDMORE);
	if (kontor_writer_finish(header, &data, &data_size, NULL) == 0)
		zmq_send(router, data, data_size, ZMQ_SNDMORE);
	if (kontor_writer_finish(reply, &data, &data_size, NULL) == 0)
		zmq_send(router, data, data_size, 0);
	kontor_writer_free(header);
	kontor_writer_free(reply);
	kontor_body_free(body);
}

static void *ids_run(void *router)
{
	while (!ids_stop) {
		zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};
		if (zmq_poll(&item, 1, 10) > 0)
			ids_answer(router);
	}
	zmq_close(router);
	return NULL;
}

/* ---- set-up ---- */

static int fixture_open(void **state)
{
	(void)state;
	zmq = zmq_ctx_new();
	void *router = zmq_socket(zmq, ZMQ_ROUTER);
	assert_int_equal(zmq_bind(router, "inproc://idgen"), 0);
	ids_stop = false;
	pthread_create(&ids_thread, NULL, ids_run, router);
	struct kontor_client_options options = {.zmq_context = zmq, .endpoint = "inproc://idgen"};
	check(kontor_client_new(&options, &client, &err));
	db = test_database_open();
	host = test_host_new(db, client);
	self = (struct settlement){.host = host, .undo_rows = 100, .close_retry_ms = 20};
	plugin = kontor_plugin_entry();
	kontor_conn *conn;
	check(kontor_db_acquire(db, &conn, &err));
	check(kontor_schema_migrate(conn, kontor_sdk_schema, kontor_sdk_schema_len, &err));
	check(kontor_schema_migrate(conn, plugin->schema, plugin->schema_len, &err));
	kontor_db_release(conn);
	return 0;
}

static int fixture_close(void **state)
{
	(void)state;
	writer_thread_end();
	item_thread_end();
	client = kontor_client_free(client);
	ids_stop = true;
	pthread_join(ids_thread, NULL);
	zmq_ctx_term(zmq);
	host = kontor_host_free(host);
	db = test_database_close(db);
	return 0;
}

/* ---- SQL ---- */

UNUSED static int64_t sql_int(const char *sql)
{
	kontor_conn *conn;
	int64_t value = 0;
	check(kontor_db_acquire(db, &conn, &err));
	int rc = kontor_db_query_int(conn, sql, KONTOR_NO_PARAMS, &value, &err);
	kontor_db_release(conn);
	if (rc != KONTOR_E_NOT_FOUND)
		check(rc);
	return value;
}

UNUSED static void sql_run(const char *sql)
{
	kontor_conn *conn;
	check(kontor_db_acquire(db, &conn, &err));
	check(kontor_db_exec(conn, sql, KONTOR_NO_PARAMS, NULL, &err));
	kontor_db_release(conn);
}

/* ---- a batch of an upload of billing items ---- */

#define BATCH_LIMIT 2000

struct batch {
	struct kontor_upload upload;
	struct kontor_row rows[BATCH_LIMIT];
	size_t len;
	kontor_arena *arena;
};

UNUSED static struct batch *batch_new(uint64_t upload_id)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	batch->upload = (struct kontor_upload){.upload_id = upload_id,
					       .kind = "billing-items",
					       .region = &test_region,
					       .user = "alice",
					       .checked_ms = kontor_now_ms()};
	batch->arena = kontor_arena_new(0);
	return batch;
}

UNUSED static void batch_free(struct batch *batch)
{
	kontor_arena_free(batch->arena);
	free(batch);
}

/* id 0: none. */
UNUSED static struct kontor_row *batch_add(struct batch *batch, uint64_t shop, const char *order, const char *amount,
					   const char *at, uint64_t id)
{
	struct kontor_row *row = &batch->rows[batch->len++];
	row->line = batch->len + 1;
	row->fields[ITEM_SHOP] = kontor_text_of(kontor_arena_format(batch->arena, "%" PRIu64, shop));
	row->fields[ITEM_ORDER] = kontor_text_of(kontor_arena_format(batch->arena, "%s", order));
	row->fields[ITEM_TYPE] = KONTOR_TEXT("order");
	row->fields[ITEM_AMOUNT] = kontor_text_of(amount);
	row->fields[ITEM_CURRENCY] = KONTOR_TEXT("SGD");
	row->fields[ITEM_OCCURRED] = kontor_text_of(at);
	row->fields[ITEM_ID] = kontor_text_of(id ? kontor_arena_format(batch->arena, "%" PRIu64, id) : "");
	struct kontor_identity identity;
	check(upload_kinds[KIND_BILLING_ITEMS].identify(&self, &batch->upload, row, batch->arena, &identity, &err));
	return row;
}

static int batch_apply_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct batch *batch = arg;
	for (size_t i = 0; i < batch->len; i++)
		if (batch->rows[i].parsed)
			batch->rows[i].verdict = KONTOR_VERDICT_OK;
	return upload_kinds[KIND_BILLING_ITEMS].apply(&self, tx, &batch->upload, batch->rows, batch->len, e);
}

UNUSED static int batch_apply(struct batch *batch)
{
	return kontor_db_transact(db, batch_apply_tx, batch, &err);
}

static int batch_accept_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct batch *batch = arg;
	return upload_kinds[KIND_BILLING_ITEMS].accept(&self, tx, &batch->upload, e);
}

UNUSED static void batch_accept(struct batch *batch)
{
	check(kontor_db_transact(db, batch_accept_tx, batch, &err));
}

UNUSED static void batch_undo(struct batch *batch)
{
	kontor_conn *conn;
	check(kontor_db_acquire(db, &conn, &err));
	check(upload_kinds[KIND_BILLING_ITEMS].undo(&self, conn, &batch->upload, &err));
	kontor_db_release(conn);
}

UNUSED static size_t batch_count(const struct batch *batch, enum kontor_verdict verdict)
{
	size_t count = 0;
	for (size_t i = 0; i < batch->len; i++)
		count += batch->rows[i].verdict == verdict;
	return count;
}

/* ---- methods, as the host runs them ---- */

static const struct kontor_method *find_method(const char *name)
{
	for (size_t i = 0; i < plugin->methods_len; i++)
		if (strcmp(plugin->methods[i].name, name) == 0)
			return &plugin->methods[i];
	fail_msg("there is no method %s", name);
	return NULL;
}

/* `args` (an open map) is closed and freed here. On success *ret_body is the caller's. */
UNUSED static int call(const char *name, kontor_writer *args, kontor_body **ret_body, struct kontor_error *e)
{
	char key[KONTOR_KEY_SIZE];
	const void *data;
	size_t size;
	kontor_write_end(args);
	check(kontor_writer_finish(args, &data, &size, &err));
	struct kontor_request_options options = {.host = host,
						 .service = "settlement",
						 .method = find_method(name),
						 .self = &self,
						 .user = {"test", KONTOR_ROLE_UNIT, true},
						 .key = kontor_random_key(key),
						 .traceparent = "",
						 .body = data,
						 .body_size = size,
						 .deadline_ms = kontor_monotonic_ms() + 30000};
	check(kontor_db_acquire(db, &options.db, &err));
	kontor_request *request = NULL;
	int rc = kontor_request_begin(&request, &options, e);
	if (!rc)
		rc = kontor_request_run(request, &data, &size, e);
	if (!rc)
		check(kontor_body_parse(data, size, ret_body, &err));
	kontor_request_free(request);
	kontor_db_release(options.db);
	kontor_writer_free(args);
	return rc;
}

UNUSED static kontor_writer *arguments(void)
{
	kontor_writer *w = kontor_writer_new();
	kontor_write_map(w);
	kontor_put_string(w, "region", "SG");
	return w;
}

#endif
