/* SPDX-License-Identifier: Apache-2.0
 *
 * The key's row is inserted before the handler runs and gets its result afterwards. Inserting first makes a concurrent
 * twin wait on the primary key instead of running the handler a second time and failing there for another reason.
 */
#include "idempotency.h"

#include <string.h>

#include "kontor/time.h"
#include "request.h"

#define KEPT_MS (INT64_C(30) * 24 * 3600 * 1000)
#define DUPLICATE_KEY 1062

static const char SQL_TAKE_KEY[] =
	"INSERT INTO idempotency (user, method, idem_key, body_sha256, result, created_ms) VALUES (?, ?, ?, ?, '', ?)";
static const char SQL_KEEP_RESULT[] =
	"UPDATE idempotency SET result = ? WHERE user = ? AND method = ? AND idem_key = ?";
static const char SQL_FIND_KEY[] = "SELECT body_sha256, result FROM idempotency WHERE user = ? AND method = ? AND "
				   "idem_key = ? LOCK IN SHARE MODE";
static const char SQL_EXPIRE[] = "DELETE FROM idempotency WHERE created_ms < ? ORDER BY created_ms LIMIT 10000";

static struct kontor_param key_param(const struct kontor_idempotency *use)
{
	return P_BYTES(use->key, strlen(use->key));
}

int kontor_idempotency_find(kontor_conn *conn, const struct kontor_idempotency *use, kontor_arena *arena,
			    struct kontor_stored_result *ret_result, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	*ret_result = (struct kontor_stored_result){0};
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_FIND_KEY,
				 KONTOR_PARAMS(P_STRING(use->user), P_STRING(use->method), key_param(use)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		struct kontor_text hash = kontor_rows_text(rows, 0), result = kontor_rows_text(rows, 1);
		rc = 0;
		if (hash.size != sizeof(use->body_sha256) || memcmp(hash.data, use->body_sha256, hash.size) != 0)
			rc = kontor_fail(err, KONTOR_E_CONFLICT,
					 "%s: this idempotency key was used with other arguments; a new request needs "
					 "a new key",
					 use->method);
		else {
			ret_result->data = kontor_arena_copy(arena, result.data, result.size);
			ret_result->size = result.size;
			if (!ret_result->data)
				rc = kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory for the stored result",
						 use->method);
		}
	}
	kontor_rows_close(rows);
	return rc;
}

int kontor_idempotency_take(kontor_conn *tx, const struct kontor_idempotency *use, kontor_arena *arena,
			    struct kontor_stored_result *ret_result, struct kontor_error *err)
{
	*ret_result = (struct kontor_stored_result){0};
	int rc = kontor_db_exec(tx, SQL_TAKE_KEY,
				KONTOR_PARAMS(P_STRING(use->user), P_STRING(use->method), key_param(use),
					      P_BYTES(use->body_sha256, sizeof(use->body_sha256)),
					      P_INT(kontor_now_ms())),
				NULL, err);
	if (rc == 0 || kontor_db_errno(tx) != DUPLICATE_KEY)
		return rc;
	rc = kontor_idempotency_find(tx, use, arena, ret_result, err);
	if (rc == 0 && !ret_result->data) /* it expired between the two statements */
		return kontor_fail(err, KONTOR_E_BUSY, "%s: its idempotency key has just expired; ask again",
				   use->method);
	return rc;
}

int kontor_idempotency_keep(kontor_conn *tx, const struct kontor_idempotency *use, const void *data, size_t size,
			    struct kontor_error *err)
{
	return kontor_db_exec(
		tx, SQL_KEEP_RESULT,
		KONTOR_PARAMS(P_BYTES(data, size), P_STRING(use->user), P_STRING(use->method), key_param(use)), NULL,
		err);
}

int kontor_idempotency_expire(kontor_conn *conn, uint64_t *ret_deleted, struct kontor_error *err)
{
	return kontor_db_exec(conn, SQL_EXPIRE, KONTOR_PARAMS(P_INT(kontor_now_ms() - KEPT_MS)), ret_deleted, err);
}
