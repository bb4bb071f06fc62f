/* SPDX-License-Identifier: Apache-2.0
 *
 * One request from its checked arguments to its result.
 */
#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "idempotency.h"
#include "kontor/client.h"
#include "kontor/host.h"
#include "kontor/time.h"
#include "message_small.h"
#include "request_args.h"

#define REPEATED_SIZE 128 /* bytes of a body that is remembered */

struct kontor_request {
	struct kontor_request_options options;
	char method[KONTOR_METHOD_NAME_SIZE]; /* "settlement.close" */
	kontor_arena *arena;
	kontor_writer *reply;
	msgpack_object_kv small[KONTOR_SMALL_MAP]; /* the entries of a small body; a larger one is in `body` */
	kontor_body *body;
	struct kontor_arg_value *values; /* as many as the method has arguments */
	size_t values_room;
	kontor_arena *values_arena; /* their strings */
	/* A caller's requests are often the same: then the values are those of the request before. */
	const struct kontor_method *repeated_method; /* NULL: nothing is remembered */
	const kontor_host *repeated_host;            /* whose regions the values were checked against */
	size_t repeated_size;
	unsigned char repeated_body[REPEATED_SIZE];
	struct kontor_error error;
	struct kontor_idempotency idempotency;
};

static kontor_request *request_new(struct kontor_error *err)
{
	kontor_request *r = calloc(1, sizeof(*r));
	if (r) {
		r->arena = kontor_arena_new(0);
		r->values_arena = kontor_arena_new(0);
		r->reply = kontor_writer_new();
	}
	if (!r || !r->arena || !r->values_arena || !r->reply) {
		kontor_request_free(r);
		kontor_fail(err, KONTOR_E_INTERNAL, "request: out of memory");
		return NULL;
	}
	return r;
}

kontor_request *kontor_request_free(kontor_request *r)
{
	if (r) {
		kontor_body_free(r->body);
		kontor_writer_free(r->reply);
		kontor_arena_free(r->arena);
		kontor_arena_free(r->values_arena);
		free(r->values);
		free(r);
	}
	return NULL;
}

/* Room for the method's values, all absent. */
static int clear_values(kontor_request *r, struct kontor_error *err)
{
	size_t count = r->options.method->args_len;
	if (count > r->values_room) {
		free(r->values);
		r->values = calloc(count, sizeof(*r->values));
		r->values_room = r->values ? count : 0;
		if (!r->values)
			return kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory for the arguments", r->method);
	} else if (count > 0)
		memset(r->values, 0, count * sizeof(*r->values));
	return 0;
}

static void name_method(kontor_request *r, const char *service, const char *method)
{
	size_t service_size = strnlen(service, sizeof(r->method) - 2);
	size_t method_size = strnlen(method, sizeof(r->method) - 2 - service_size);
	memcpy(r->method, service, service_size);
	r->method[service_size] = '.';
	memcpy(r->method + service_size + 1, method, method_size);
	r->method[service_size + 1 + method_size] = '\0';
}

/* The body's map; a small one stands in the request itself, its strings in the message. */
static int read_body(kontor_request *r, msgpack_object *ret_map, struct kontor_error *err)
{
	r->body = kontor_body_free(r->body);
	if (kontor_read_small_map(r->options.body, r->options.body_size, r->small, ret_map))
		return 0;
	if (kontor_body_parse(r->options.body, r->options.body_size, &r->body, err))
		return kontor_fail_in(err, "%s", r->method);
	*ret_map = *kontor_body_map(r->body);
	return 0;
}

static bool is_repeated(const kontor_request *r)
{
	const struct kontor_request_options *options = &r->options;
	return options->method == r->repeated_method && options->host == r->repeated_host &&
	       options->body_size == r->repeated_size &&
	       (!r->repeated_size || memcmp(options->body, r->repeated_body, r->repeated_size) == 0);
}

/* The entries of a small map point into the message, which goes; what was copied out of it stays. */
static void remember(kontor_request *r)
{
	for (size_t i = 0; i < r->options.method->args_len; i++)
		if (r->values[i].object || r->options.method->args[i].type == KONTOR_ARG_BYTES)
			return;
	if (r->body || r->options.body_size > sizeof(r->repeated_body))
		return;
	if (r->options.body_size)
		memcpy(r->repeated_body, r->options.body, r->options.body_size);
	r->repeated_size = r->options.body_size;
	r->repeated_method = r->options.method;
	r->repeated_host = r->options.host;
}

static int check_values(kontor_request *r, struct kontor_error *err)
{
	const struct kontor_request_options *options = &r->options;
	msgpack_object map;
	r->repeated_method = NULL;
	kontor_arena_reset(r->values_arena);
	name_method(r, options->service, options->method->name);
	int rc = clear_values(r, err);
	if (rc == 0)
		rc = read_body(r, &map, err);
	if (rc)
		return rc;
	struct kontor_arg_check check = {options->host, options->service, options->method, r->values_arena, err};
	rc = kontor_args_check(&check, &map, r->values);
	if (rc == 0)
		remember(r);
	return rc;
}

int kontor_request_begin(kontor_request **request, const struct kontor_request_options *options,
			 struct kontor_error *err)
{
	kontor_request *r = *request ? *request : request_new(err);
	if (!r)
		return KONTOR_E_INTERNAL;
	*request = r;
	r->options = *options;
	kontor_error_clear(&r->error);
	kontor_arena_reset(r->arena);
	return is_repeated(r) ? 0 : check_values(r, err);
}

/* ---- running ------------------------------------------------------------------------------------------------- */

static int check_may(kontor_request *r)
{
	const struct kontor_method *method = r->options.method;
	const struct kontor_user *user = &r->options.user;
	const char *who = user->name[0] ? user->name : "the caller (not listed in users.conf)";
	if (method->visibility == KONTOR_INTERNAL && !kontor_user_may(user, KONTOR_ROLE_UNIT))
		return kontor_fail(&r->error, KONTOR_E_DENIED, "%s answers only units of Kontor, and %s is none",
				   r->method, who);
	if (!kontor_user_may(user, method->role))
		return kontor_fail(&r->error, KONTOR_E_DENIED, "%s needs the role %s, which %s has not", r->method,
				   kontor_role_name(method->role), who);
	return 0;
}

static int check_key(kontor_request *r)
{
	size_t size = strlen(kontor_request_key(r));
	if (!(r->options.method->flags & KONTOR_METHOD_CHANGES) || (size > 0 && size < KONTOR_KEY_SIZE))
		return 0;
	return kontor_fail(&r->error, KONTOR_E_BAD_REQUEST,
			   "%s changes something and needs an idempotency key of 1 to %d bytes (element 6 of the "
			   "header)",
			   r->method, KONTOR_KEY_SIZE - 1);
}

static int check_deadline(kontor_request *r)
{
	/* An inline method has not waited: its deadline was set when it was received. */
	if (r->options.deadline_ms == 0 || (r->options.method->flags & KONTOR_METHOD_INLINE) ||
	    kontor_monotonic_ms() < r->options.deadline_ms)
		return 0;
	return kontor_fail(&r->error, KONTOR_E_DEADLINE,
			   "%s: its time was over before it could begin; nothing was done", r->method);
}

/* Runs the handler into an empty reply; the finished map is in *ret_data until the reply's next change. */
static int handle(kontor_request *r, const void **ret_data, size_t *ret_size)
{
	kontor_writer_reset(r->reply);
	kontor_write_map(r->reply);
	int rc = r->options.method->handle(r->options.self, r);
	if (rc) {
		if (r->error.code == 0)
			kontor_fail(&r->error, rc < 0 ? rc : KONTOR_E_INTERNAL, "%s failed without saying why",
				    r->method);
		return r->error.code;
	}
	kontor_write_end(r->reply);
	rc = kontor_writer_finish(r->reply, ret_data, ret_size, &r->error);
	if (rc)
		return rc;
	if (*ret_size > KONTOR_FRAME_LIMIT)
		return kontor_fail(&r->error, KONTOR_E_TOO_BIG,
				   "%s: the answer has %zu bytes, more than the %u of a message; ask for less at once",
				   r->method, *ret_size, KONTOR_FRAME_LIMIT);
	return 0;
}

static const char *outcome_text(const kontor_request *r, const char *verified, const char *unverified)
{
	return r->options.user.verified ? verified : unverified;
}

/* What one run of the transaction hands out. */
struct run {
	kontor_request *request;
	const void *data;
	size_t size;
};

/* Key, effect, result and audit row, in one transaction. */
static int change(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct run *run = arg;
	kontor_request *r = run->request;
	struct kontor_stored_result stored;
	kontor_error_clear(&r->error);
	int rc = kontor_idempotency_take(tx, &r->idempotency, r->arena, &stored, err);
	if (rc)
		return rc;
	if (stored.data) {
		run->data = stored.data;
		run->size = stored.size;
		return 0;
	}
	kontor_error_clear(&r->error);
	rc = handle(r, &run->data, &run->size);
	if (rc)
		return rc;
	rc = kontor_idempotency_keep(tx, &r->idempotency, run->data, run->size, err);
	if (rc == 0 && !(r->options.method->flags & KONTOR_METHOD_NO_AUDIT))
		rc = kontor_audit(tx, r->options.user.name, r->method, r->idempotency.body_sha256,
				  outcome_text(r, "done", "done (unverified user)"), err);
	return rc;
}

/* A refusal is worth an audit row too, but its transaction was rolled back. */
static void audit_denial(kontor_request *r)
{
	struct kontor_error ignored = KONTOR_ERROR_INIT;
	kontor_audit(r->options.db, r->options.user.name, r->method, r->idempotency.body_sha256,
		     outcome_text(r, "denied", "denied (unverified user)"), &ignored);
}

/* The session was lost during COMMIT: only the key's row says what happened. When it is not there, or cannot be read,
 * the outcome stays unknown and the caller asks again with the same key. */
static int read_outcome(kontor_request *r, struct run *run)
{
	kontor_conn *conn = NULL;
	struct kontor_stored_result stored = {0};
	struct kontor_error ignored = KONTOR_ERROR_INIT;
	int rc = kontor_db_acquire(kontor_host_db(r->options.host), &conn, &ignored);
	if (rc == 0)
		rc = kontor_idempotency_find(conn, &r->idempotency, r->arena, &stored, &ignored);
	kontor_db_release(conn);
	if (rc || !stored.data)
		return KONTOR_E_UNKNOWN_OUTCOME;
	run->data = stored.data;
	run->size = stored.size;
	return 0;
}

static int run_change(kontor_request *r, struct run *run)
{
	r->idempotency = (struct kontor_idempotency){
		.user = r->options.user.name, .method = r->method, .key = kontor_request_key(r)};
	if (!EVP_Digest(r->options.body_size ? r->options.body : "", r->options.body_size, r->idempotency.body_sha256,
			NULL, EVP_sha256(), NULL))
		return kontor_fail(&r->error, KONTOR_E_INTERNAL, "%s: SHA-256 of the request failed", r->method);
	int rc = kontor_db_transaction(r->options.db, change, run, &r->error);
	if (rc == KONTOR_E_UNKNOWN_OUTCOME)
		rc = read_outcome(r, run);
	if (rc == KONTOR_E_DENIED && !(r->options.method->flags & KONTOR_METHOD_NO_AUDIT))
		audit_denial(r);
	return rc;
}

int kontor_request_run(kontor_request *r, const void **ret_data, size_t *ret_size, struct kontor_error *err)
{
	struct run run = {.request = r};
	kontor_error_clear(&r->error);
	int rc = check_may(r);
	if (rc == 0)
		rc = check_key(r);
	if (rc == 0)
		rc = check_deadline(r);
	if (rc == 0 && (r->options.method->flags & KONTOR_METHOD_CHANGES))
		rc = run_change(r, &run);
	else if (rc == 0)
		rc = handle(r, &run.data, &run.size);
	if (rc) {
		if (err)
			*err = r->error;
		return rc;
	}
	*ret_data = run.data;
	*ret_size = run.size;
	return 0;
}

/* ---- inside a handler -------------------------------------------------------------------------------------------- */

/* Asking for what the table does not have is a bug of the plugin that no caller can cause. A plugin's equal constants
 * are mostly one string, which needs no comparing. */
static const struct kontor_arg_value *find_value(const kontor_request *r, const char *name, unsigned types)
{
	const struct kontor_method *method = r->options.method;
	for (size_t i = 0; i < method->args_len; i++)
		if (method->args[i].name == name && (types & 1u << method->args[i].type))
			return &r->values[i];
	for (size_t i = 0; i < method->args_len; i++)
		if (strcmp(method->args[i].name, name) == 0 && (types & 1u << method->args[i].type))
			return &r->values[i];
	fprintf(stderr, "<2>bug: the handler of %s asks for argument %s, which its table has not with that type\n",
		r->method, name);
	abort();
}

#define OF(type) (1u << KONTOR_ARG_##type)

bool kontor_arg_given(const kontor_request *r, const char *name)
{
	return find_value(r, name, ~0u)->given;
}

int64_t kontor_arg_int(const kontor_request *r, const char *name)
{
	return find_value(r, name, OF(INT))->number;
}

uint64_t kontor_arg_id(const kontor_request *r, const char *name)
{
	return (uint64_t)find_value(r, name, OF(ID))->number;
}

bool kontor_arg_bool(const kontor_request *r, const char *name)
{
	return find_value(r, name, OF(BOOL))->number != 0;
}

const char *kontor_arg_string(const kontor_request *r, const char *name)
{
	const char *string = find_value(r, name, OF(STRING) | OF(NAME) | OF(REGION))->text.data;
	return string ? string : "";
}

struct kontor_text kontor_arg_bytes(const kontor_request *r, const char *name)
{
	return find_value(r, name, OF(BYTES) | OF(STRING))->text;
}

uint32_t kontor_arg_window(const kontor_request *r, const char *name)
{
	return (uint32_t)find_value(r, name, OF(WINDOW))->number;
}

int64_t kontor_arg_time(const kontor_request *r, const char *name)
{
	return find_value(r, name, OF(TIME))->number;
}

const msgpack_object_array *kontor_arg_list(const kontor_request *r, const char *name)
{
	const msgpack_object *object = find_value(r, name, OF(LIST) | OF(IDS))->object;
	return object ? &object->via.array : NULL;
}

kontor_writer *kontor_reply(kontor_request *r)
{
	return r->reply;
}

int kontor_request_fail(kontor_request *r, int code, const char *format, ...)
{
	char message[sizeof(r->error.message)];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return kontor_fail(&r->error, code, "%s", message);
}

struct kontor_error *kontor_request_error(kontor_request *r)
{
	return &r->error;
}

kontor_conn *kontor_request_db(kontor_request *r)
{
	return r->options.db;
}

kontor_arena *kontor_request_arena(kontor_request *r)
{
	return r->arena;
}

const struct kontor_user *kontor_request_user(const kontor_request *r)
{
	return &r->options.user;
}

kontor_host *kontor_request_host(const kontor_request *r)
{
	return r->options.host;
}

const char *kontor_request_key(const kontor_request *r)
{
	return r->options.key ? r->options.key : "";
}

int64_t kontor_request_deadline_ms(const kontor_request *r)
{
	return r->options.deadline_ms;
}

bool kontor_request_cancelled(const kontor_request *r)
{
	return (r->options.cancelled && atomic_load_explicit(r->options.cancelled, memory_order_relaxed)) ||
	       (r->options.deadline_ms && kontor_monotonic_ms() >= r->options.deadline_ms);
}
