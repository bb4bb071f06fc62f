/* SPDX-License-Identifier: Apache-2.0
 *
 * Idempotency keys: (user, method, key) -> result, in the transaction of the effect. Not installed.
 */
#ifndef KONTOR_IDEMPOTENCY_H
#define KONTOR_IDEMPOTENCY_H

#include "kontor/arena.h"
#include "kontor/db.h"

#define KONTOR_BODY_HASH_SIZE 32

struct kontor_idempotency {
	const char *user, *method, *key;
	uint8_t body_sha256[KONTOR_BODY_HASH_SIZE];
};

struct kontor_stored_result {
	const void *data; /* in the arena; NULL: the key was not used before */
	size_t size;
};

/* Takes the key in tx; finds the result when the key has been used with the same body, CONFLICT with another one. While
 * a concurrent twin holds it, this waits for the twin's commit or rollback: so of two requests with one key, one runs
 * and the other finds the result. */
int kontor_idempotency_take(kontor_conn *tx, const struct kontor_idempotency *use, kontor_arena *arena,
			    struct kontor_stored_result *ret_result, struct kontor_error *err);
/* Keeps the result with the key that was taken in the same tx. */
int kontor_idempotency_keep(kontor_conn *tx, const struct kontor_idempotency *use, const void *data, size_t size,
			    struct kontor_error *err);
/* After a lost COMMIT, on another session. Waits for a transaction that still holds the key. */
int kontor_idempotency_find(kontor_conn *conn, const struct kontor_idempotency *use, kontor_arena *arena,
			    struct kontor_stored_result *ret_result, struct kontor_error *err);

#endif
