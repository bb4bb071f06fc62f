/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a method: validate the arguments by the method's table, check who may, open the transaction, find or keep the
 * idempotency key, audit. Used by kontord's front and workers; not installed.
 */
#ifndef KONTOR_REQUEST_H
#define KONTOR_REQUEST_H

#include <stdatomic.h>

#include "kontor/method.h"

#pragma GCC visibility push(default)

struct kontor_request_options {
	kontor_host *host;
	const char *service; /* "settlement" */
	const struct kontor_method *method;
	void *self;
	struct kontor_user user;
	uint64_t id;     /* of the message; for the log */
	const char *key; /* idempotency key, "" if none */
	const char *traceparent;
	const void *body; /* msgpack; borrowed until kontor_request_free() */
	size_t body_size;
	int64_t deadline_ms;          /* kontor_monotonic_ms() */
	const atomic_bool *cancelled; /* set when the caller cancels; NULL: never */
	kontor_conn *db;              /* NULL for methods without one */
};

/* Parses and validates. On failure *err says which argument and why; nothing was run. A `kontor_request` is reused by a
 * thread: one that is passed in (not NULL) is reset, so the hot path allocates nothing. */
int kontor_request_begin(kontor_request **request, const struct kontor_request_options *options,
			 struct kontor_error *err);
/* Checks role, visibility and the key's presence, then runs the handler: alone, or for KONTOR_METHOD_CHANGES in one
 * transaction with its idempotency row and audit row. After UNKNOWN_OUTCOME of the COMMIT it reads the key on a new
 * session. 0: the reply map is complete in *ret_data. */
int kontor_request_run(kontor_request *request, const void **ret_data, size_t *ret_size, struct kontor_error *err);
kontor_request *kontor_request_free(kontor_request *request); /* NULL is fine; returns NULL */

/* Deletes idempotency rows older than 30 days, at most 10,000; *ret_deleted. */
int kontor_idempotency_expire(kontor_conn *conn, uint64_t *ret_deleted, struct kontor_error *err);
/* An audit row in the caller's transaction; digest (32 bytes) may be NULL. */
int kontor_audit(kontor_conn *tx, const char *user, const char *method, const uint8_t *digest, const char *outcome,
		 struct kontor_error *err);

#pragma GCC visibility pop
#endif
