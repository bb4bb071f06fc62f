/* SPDX-License-Identifier: Apache-2.0
 *
 * Who did what: one row, in the transaction that has the effect.
 */
#include "kontor/approval.h"
#include "kontor/time.h"
#include "request.h"

static const char SQL_ADD_AUDIT[] = "INSERT INTO audit (at_ms, user, method, digest, outcome) VALUES (?, ?, ?, ?, ?)";

int kontor_audit(kontor_conn *tx, const char *user, const char *method, const uint8_t *digest, const char *outcome,
		 struct kontor_error *err)
{
	return kontor_db_exec(tx, SQL_ADD_AUDIT,
			      KONTOR_PARAMS(P_INT(kontor_now_ms()), P_STRING(user), P_STRING(method),
					    P_BYTES(digest, KONTOR_DIGEST_SIZE), P_STRING(outcome)),
			      NULL, err);
}
