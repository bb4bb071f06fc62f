/* SPDX-License-Identifier: Apache-2.0
 *
 * A database with the SDK's and the upload plugin's tables, the plugin's methods called as a unit calls them, and an
 * upload kind of the tests' own whose jobs run in this thread.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "id_service.h"
#include "job_runner.h"
#include "kontor/approval.h"
#include "kontor/plugin.h"
#include "request.h"
#include "retention.h"
#include "test_database.h"
#include "upload.h"

const struct kontor_plugin *kontor_plugin_entry(void);

static kontor_db *db;
static kontor_client *client;
static kontor_host *host;
static kontor_conn *conn; /* of the tests' own queries */
static struct kontor_error err;

static const char *const kinds[] = {"billing-items", "payees", NULL};
static struct upload_plugin plugin_self = {.kinds = kinds};

static int64_t query_int(const char *sql)
{
	int64_t value = -1;
	ok(kontor_db_query_int(conn, sql, KONTOR_NO_PARAMS, &value, &err));
	return value;
}

static void execute(const char *sql)
{
	ok(kontor_db_exec(conn, sql, KONTOR_NO_PARAMS, NULL, &err));
}

/* ---- the kind: rows of a table (id, amount_minor), amounts are integers ---- */

static struct test_kind {
	bool approval;           /* another user must agree */
	int failure;             /* code that apply() fails with, */
	unsigned failures;       /* so many times */
	unsigned applied;        /* runs of apply() */
	unsigned lost_sessions;  /* runs of apply() that reject a row and then lose their session */
	void (*interrupt)(void); /* called by apply(), once */
	void (*undoing)(void);   /* called by undo(), once */
	unsigned refusals;       /* runs of accept() that fail */
	bool waits;              /* for another upload that has a row too, and is not accepted */
} test_kind;

static const struct kontor_column item_columns[] = {
	{"id", true, "a number"}, {"amount", true, "minor units"}, {"note", false, "text"}};

static int identify_item(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
			 struct kontor_identity *ret_identity, struct kontor_error *e)
{
	(void)self;
	(void)arena;
	(void)e;
	uint64_t id = 0;
	assert_string_equal(upload->region->code, "SG");
	assert_true(upload->has_column[0]);
	if (!kontor_parse_id(row->fields[0], &id)) {
		kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, 0, "not an id");
		return 0;
	}
	memcpy(row->currency, "SGD", sizeof("SGD"));
	if (!kontor_parse_int(row->fields[1], &row->amount_minor)) {
		kontor_row_reject(row, KONTOR_VERDICT_BAD_ROW, 1, "not an amount");
		return 0;
	}
	memcpy(ret_identity->key, &id, sizeof(id));
	memset(ret_identity->key + sizeof(id), 0, sizeof(ret_identity->key) - sizeof(id));
	memcpy(ret_identity->facts, &row->amount_minor, sizeof(row->amount_minor));
	memset(ret_identity->facts + sizeof(id), 0, sizeof(ret_identity->facts) - sizeof(id));
	return 0;
}

/* *ret_upload_id: the upload that has the item and is not accepted yet; 0: none. */
static int find_unaccepted(kontor_conn *tx, uint64_t id, int64_t *ret_upload_id, struct kontor_error *e)
{
	int rc = kontor_db_query_int(tx, "SELECT upload_id FROM test_item WHERE id = ? AND accepted = 0",
				     KONTOR_PARAMS(P_UINT(id)), ret_upload_id, e);
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
}

static int store_item(kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *row,
		      struct kontor_error *e)
{
	int64_t other = 0;
	uint64_t id = 0;
	kontor_parse_id(row->fields[0], &id);
	int rc =
		kontor_db_exec(tx, "INSERT INTO test_item (id, amount_minor, upload_id) VALUES (?, ?, ?)",
			       KONTOR_PARAMS(P_UINT(id), P_INT(row->amount_minor), P_UINT(upload->upload_id)), NULL, e);
	if (rc == KONTOR_E_CONFLICT && test_kind.waits && (rc = find_unaccepted(tx, id, &other, e)) == 0)
		rc = other ? kontor_upload_wait(tx, upload->upload_id, (uint64_t)other, row->line, e)
			   : KONTOR_E_CONFLICT;
	if (rc == KONTOR_E_CONFLICT) {
		kontor_row_reject(row, KONTOR_VERDICT_ALREADY_EXISTS, 0, "item %llu is there", (unsigned long long)id);
		return 0;
	}
	return rc;
}

static int apply_items(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		       size_t rows_len, struct kontor_error *e)
{
	struct test_kind *kind = self;
	kind->applied++;
	if (kind->interrupt) {
		void (*interrupt)(void) = kind->interrupt;
		kind->interrupt = NULL;
		interrupt();
	}
	if (kind->failures > 0) {
		kind->failures--;
		return kontor_fail(e, kind->failure, "the kind fails on purpose");
	}
	int rc = 0;
	for (size_t i = 0; i < rows_len && rc == 0; i++) {
		if (rows[i].verdict == KONTOR_VERDICT_OK && !upload->dry_run)
			rc = store_item(tx, upload, &rows[i], e);
	}
	if (rc == 0 && kind->lost_sessions > 0) {
		kind->lost_sessions--;
		kontor_row_reject(&rows[0], KONTOR_VERDICT_HELD, 0, "only in the run that is lost");
		kontor_db_exec(tx, "KILL CONNECTION_ID()", KONTOR_NO_PARAMS, NULL, NULL);
	}
	return rc;
}

static bool items_need_approval(void *self, const struct kontor_upload *upload,
				const uint64_t counts[KONTOR_VERDICT_COUNT])
{
	(void)upload;
	(void)counts;
	return ((struct test_kind *)self)->approval;
}

static int accept_items(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *e)
{
	struct test_kind *kind = self;
	if (kind->refusals > 0) {
		kind->refusals--;
		return kontor_fail(e, KONTOR_E_STORAGE, "nothing is accepted, on purpose");
	}
	return kontor_db_exec(tx, "UPDATE test_item SET accepted = 1 WHERE upload_id = ?",
			      KONTOR_PARAMS(P_UINT(upload->upload_id)), NULL, e);
}

static int undo_items(void *self, kontor_conn *c, const struct kontor_upload *upload, struct kontor_error *e)
{
	struct test_kind *kind = self;
	if (kind->undoing) {
		void (*undoing)(void) = kind->undoing;
		kind->undoing = NULL;
		undoing();
	}
	return kontor_db_exec(c, "DELETE FROM test_item WHERE upload_id = ?", KONTOR_PARAMS(P_UINT(upload->upload_id)),
			      NULL, e);
}

static const struct kontor_upload_kind item_kind = {.name = "billing-items",
						    .columns = item_columns,
						    .columns_len = 3,
						    .identify = identify_item,
						    .contradictions = KONTOR_VERDICT_CONFLICT,
						    .apply = apply_items,
						    .needs_approval = items_need_approval,
						    .accept = accept_items,
						    .undo = undo_items};

/* ---- start and stop -------------------------------------------------------------------------------------------- */

static const struct kontor_currency sgd = {"SGD", 2, 1};
static struct kontor_region regions[] = {
	{.code = "SG", .home = "dev", .home_here = true, .currencies_len = 1, .currencies = {&sgd}},
	{.code = "MY", .home = "kl", .home_here = false, .currencies_len = 1, .currencies = {&sgd}}};

static kontor_host *new_host(kontor_client *its_client, kontor_db *its_db)
{
	struct kontor_host_options options = {.client = its_client,
					      .db = its_db,
					      .unit = "test",
					      .datacenter = "dev",
					      .datacenter_id = 1,
					      .currencies = &sgd,
					      .currencies_len = 1,
					      .regions = regions,
					      .regions_len = 2};
	return kontor_host_new(&options);
}

static int start(void **state)
{
	(void)state;
	const struct kontor_plugin *plugin = kontor_plugin_entry();
	struct kontor_client_options client_options = {.endpoint = ID_SERVICE_ENDPOINT};
	if (id_service_start())
		return -1;
	client_options.zmq_context = id_service.context;
	ok(kontor_client_new(&client_options, &client, &err));
	db = test_database_open();
	host = new_host(client, db);
	assert_non_null(host);
	ok(kontor_db_acquire(db, &conn, &err));
	ok(kontor_schema_migrate(conn, kontor_sdk_schema, kontor_sdk_schema_len, &err));
	ok(kontor_schema_migrate(conn, plugin->schema, plugin->schema_len, &err));
	execute("CREATE TABLE test_item (id BIGINT UNSIGNED PRIMARY KEY, amount_minor BIGINT NOT NULL, "
		"upload_id BIGINT UNSIGNED NOT NULL, accepted TINYINT NOT NULL DEFAULT 0)");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	kontor_db_release(conn);
	host = kontor_host_free(host);
	client = kontor_client_free(client);
	id_service_stop();
	db = test_database_close(db);
	return 0;
}

static int reset(void **state)
{
	static const char *const statements[] = {
		"DELETE FROM upload",       "DELETE FROM upload_piece",  "DELETE FROM upload_plain",
		"DELETE FROM upload_total", "DELETE FROM upload_reject", "DELETE FROM job",
		"DELETE FROM job_chunk",    "DELETE FROM test_item",     "DELETE FROM approval"};
	(void)state;
	memset(&test_kind, 0, sizeof(test_kind));
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		execute(statements[i]);
	return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static kontor_writer *arguments(void)
{
	kontor_writer *w = kontor_writer_new();
	assert_non_null(w);
	kontor_write_map(w);
	return w;
}

static const struct kontor_method *method_of(const char *name)
{
	const struct kontor_plugin *plugin = kontor_plugin_entry();
	for (size_t i = 0; i < plugin->methods_len; i++) {
		if (strcmp(plugin->methods[i].name, name) == 0)
			return &plugin->methods[i];
	}
	fail_msg("the plugin has no method %s", name);
	return NULL;
}

/* Calls a method as `user` on a session; frees args. On success *ret_reply is to be freed by kontor_body_free(). */
static int call_on(kontor_conn *session, const char *user, const char *method, kontor_writer *args,
		   kontor_body **ret_reply, struct kontor_error *e)
{
	char key[33];
	struct kontor_request_options options = {.host = host,
						 .service = "upload",
						 .method = method_of(method),
						 .self = &plugin_self,
						 .key = kontor_random_key(key),
						 .deadline_ms = kontor_monotonic_ms() + 30000,
						 .db = session};
	kontor_request *request = NULL;
	const void *data = NULL;
	size_t size = 0;
	snprintf(options.user.name, sizeof(options.user.name), "%s", user);
	options.user.roles = strcmp(user, "victor") == 0 ? KONTOR_ROLE_VIEWER : KONTOR_ROLE_OPERATOR;
	kontor_write_end(args);
	int rc = kontor_writer_finish(args, &options.body, &options.body_size, e);
	if (rc == 0)
		rc = kontor_request_begin(&request, &options, e);
	if (rc == 0)
		rc = kontor_request_run(request, &data, &size, e);
	if (rc == 0)
		rc = kontor_body_parse(data, size, ret_reply, e);
	kontor_request_free(request);
	kontor_writer_free(args);
	return rc;
}

static kontor_body *call(const char *method, kontor_writer *args)
{
	kontor_body *reply = NULL;
	int rc = call_on(conn, "alice", method, args, &reply, &err);
	if (rc)
		fail_msg("upload.%s: %d %s", method, rc, err.message);
	return reply;
}

/* The call fails with that code and names `word`. */
static inline void assert_call_fails(const char *user, const char *method, kontor_writer *args, int code,
				     const char *word)
{
	kontor_body *reply = NULL;
	int rc = call_on(conn, user, method, args, &reply, &err);
	kontor_body_free(reply);
	assert_int_equal(rc, code);
	if (!strstr(err.message, word))
		fail_msg("\"%s\" should name \"%s\"", err.message, word);
}

/* ---- a file ------------------------------------------------------------------------------------------------------ */

struct answer {
	uint64_t upload_id, job_id, offset;
	char state[17];
	bool repeated;
};

static struct answer answer_of(kontor_body *reply)
{
	const msgpack_object *map = kontor_body_map(reply);
	struct answer answer = {kontor_get_uint(map, "upload_id", 0), kontor_get_uint(map, "job_id", 0),
				kontor_get_uint(map, "offset", 0)};
	kontor_get_string(map, "state", answer.state, sizeof(answer.state));
	answer.repeated = kontor_get_bool(map, "repeated", false);
	kontor_body_free(reply);
	return answer;
}

static void sha256_of(const void *data, size_t size, uint8_t out[SHA256_SIZE])
{
	assert_int_equal(EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL), 1);
}

enum begin_flag { DRY_RUN = 1, AGAIN = 2 };

static struct answer begin_kind(const char *kind, const void *data, size_t size, unsigned flags)
{
	uint8_t sha256[SHA256_SIZE];
	kontor_writer *args = arguments();
	sha256_of(data, size, sha256);
	kontor_put_string(args, "kind", kind);
	kontor_put_string(args, "region", "SG");
	kontor_put_string(args, "name", "items.csv");
	kontor_put_bytes(args, "sha256", sha256, sizeof(sha256));
	kontor_put_uint(args, "bytes", size);
	kontor_put_bool(args, "dry_run", flags & DRY_RUN);
	kontor_put_bool(args, "again", flags & AGAIN);
	return answer_of(call("begin", args));
}

static kontor_writer *piece_arguments(uint64_t upload_id, uint64_t offset, const void *data, size_t size)
{
	kontor_writer *args = arguments();
	kontor_put_uint(args, "upload_id", upload_id);
	kontor_put_uint(args, "offset", offset);
	kontor_put_bytes(args, "data", data, size);
	return args;
}

static kontor_writer *finish_arguments(uint64_t upload_id, const void *data, size_t size)
{
	uint8_t sha256[SHA256_SIZE];
	kontor_writer *args = arguments();
	sha256_of(data, size, sha256);
	kontor_put_uint(args, "upload_id", upload_id);
	kontor_put_uint(args, "bytes", size);
	kontor_put_bytes(args, "sha256", sha256, sizeof(sha256));
	return args;
}

static void send_pieces(uint64_t upload_id, const char *data, size_t size, size_t piece)
{
	for (size_t offset = 0; offset < size; offset += piece) {
		size_t length = size - offset < piece ? size - offset : piece;
		kontor_body_free(call("piece", piece_arguments(upload_id, offset, data + offset, length)));
	}
}

/* Sends a whole file; its job is queued. */
static struct answer send_bytes(const char *data, size_t size, size_t piece, unsigned flags)
{
	struct answer begun = begin_kind("billing-items", data, size, flags);
	assert_string_equal(begun.state, "receiving");
	send_pieces(begun.upload_id, data, size, piece);
	return answer_of(call("finish", finish_arguments(begun.upload_id, data, size)));
}

static inline struct answer send_file(const char *text)
{
	return send_bytes(text, strlen(text), PIECE_LIMIT, 0);
}

#define MIXED_ROWS 25000 /* three batches */
#define MIXED_BAD (MIXED_ROWS / 1000)
#define MIXED_REPEATED (MIXED_ROWS / 1000)
#define MIXED_GOOD (MIXED_ROWS - MIXED_BAD - MIXED_REPEATED)

/* Of 1000 rows one is bad and one repeats the row before. To be freed. */
static inline char *mixed_file(size_t *ret_size)
{
	const size_t capacity = MIXED_ROWS * 32;
	char *text = malloc(capacity);
	assert_non_null(text);
	size_t size = (size_t)snprintf(text, capacity, "id,amount\n");
	for (int i = 1; i <= MIXED_ROWS; i++)
		size += (size_t)snprintf(text + size, capacity - size, i % 1000 ? "%d,3\n" : "%dx,3\n",
					 i % 1000 == 500 ? i - 1 : i);
	*ret_size = size;
	return text;
}

/* ---- its job ----------------------------------------------------------------------------------------------------- */

static void run_lane(const char *lane)
{
	struct kontor_upload_context context = {.self = &test_kind, .kind = &item_kind};
	struct kontor_job_registration registration = {
		.kind = kontor_upload_job_kind("upload.billing-items"), .self = &context, .plugin = "test"};
	registration.kind.lane = lane;
	struct kontor_job_runner_options options = {.host = host,
						    .lane = lane,
						    .kinds = &registration,
						    .kinds_len = 1,
						    .owner = "test@here",
						    .instance = 1,
						    .lease_ms = 15000};
	kontor_job_runner *runner = NULL;
	ok(kontor_job_runner_new(&options, &runner, &err));
	int rc;
	while ((rc = kontor_job_runner_step(runner, &err)) != 0)
		assert_true(rc > 0);
	kontor_job_runner_free(runner);
}

/* Runs both lanes of uploads until nothing is left to do at once. */
static void run_jobs(void)
{
	run_lane(KONTOR_LANE_INTERACTIVE);
	run_lane(KONTOR_LANE_UPLOAD);
}

/* Until the upload's job has ended, also through back-offs. */
static void run_to_the_end(uint64_t job_id)
{
	struct kontor_job_info info;
	for (int i = 0; i < 600; i++) {
		run_jobs();
		ok(kontor_job_get(conn, job_id, &info, &err));
		if (info.finished_ms)
			return;
		kontor_job_lane_wait(KONTOR_LANE_UPLOAD, 50);
	}
	fail_msg("job %llu is still %s: %s", (unsigned long long)job_id, info.state, info.error);
}

static kontor_body *get_upload(uint64_t upload_id)
{
	kontor_writer *args = arguments();
	kontor_put_uint(args, "upload_id", upload_id);
	return call("get", args);
}

static void assert_state(uint64_t upload_id, const char *expected)
{
	char state[17], error[512];
	kontor_body *upload = get_upload(upload_id);
	kontor_get_string(kontor_body_map(upload), "state", state, sizeof(state));
	kontor_get_string(kontor_body_map(upload), "error", error, sizeof(error));
	kontor_body_free(upload);
	if (strcmp(state, expected) != 0)
		fail_msg("the upload is %s (%s), not %s", state, error, expected);
}

static inline int64_t verdict_rows(uint64_t upload_id, const char *verdict)
{
	kontor_body *upload = get_upload(upload_id);
	const msgpack_object *verdicts = kontor_get(kontor_body_map(upload), "verdicts");
	int64_t rows = kontor_get_int(kontor_get(verdicts, verdict), "rows", 0);
	kontor_body_free(upload);
	return rows;
}

/* ---- retention beside a transaction ------------------------------------------------------------------------------ */

static inline void *take_turn_alone(void *arg)
{
	struct kontor_error e = KONTOR_ERROR_INIT;
	kontor_conn *own = NULL;
	(void)arg;
	int rc = kontor_db_acquire(db, &own, &e);
	if (!rc)
		rc = retention_turn(&plugin_self, own, NULL, &e);
	kontor_db_release(own);
	return (void *)(intptr_t)rc;
}

/* Begins a turn in a thread, and returns once it waits for a row that tx has locked. */
static inline pthread_t begin_turn_beside(kontor_conn *tx)
{
	pthread_t turn;
	assert_int_equal(pthread_create(&turn, NULL, take_turn_alone, NULL), 0);
	assert_true(test_database_wait_for_a_waiter(tx));
	return turn;
}

static inline void end_turn(pthread_t turn)
{
	void *rc = NULL;
	assert_int_equal(pthread_join(turn, &rc), 0);
	assert_int_equal((intptr_t)rc, 0);
}

#endif
