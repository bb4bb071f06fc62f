/* SPDX-License-Identifier: Apache-2.0
 *
 * Upload kind shop-rules. Each row is a version of one rule of a shop:
 *
 *   ok          stored without a revision, in force under the region's next one when its upload is accepted
 *   unchanged   the same rule is there, and no newer one covers any instant of it; stored like the others, and dropped
 *               when its upload is accepted, unless that is no longer so
 *
 * A version is never changed or removed once it is in force. The newest version that covers an instant decides: the one
 * of the upload (or command) that was accepted last, in one file the line further down.
 */
#include <stdlib.h>

#include "rule_store.h"
#include "statements.h"
#include "upload_kinds.h"

int shop_rules_apply(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		     size_t rows_len, struct kontor_error *err)
{
	(void)self;
	struct rule_change *changes = calloc(rows_len + 1, sizeof(*changes));
	if (!changes)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a batch of shop rules");
	size_t len = 0;
	for (size_t i = 0; i < rows_len; i++)
		if (rows[i].verdict == KONTOR_VERDICT_OK)
			changes[len++] =
				(struct rule_change){.rule = rows[i].parsed, .line = rows[i].line, .row = &rows[i]};
	struct rule_source source = {upload->region->code, upload->upload_id, upload->dry_run};
	int rc = rule_store(tx, &source, changes, len, err);
	for (size_t i = 0; i < len && !rc; i++)
		if (changes[i].unchanged)
			changes[i].row->verdict = KONTOR_VERDICT_UNCHANGED;
	free(changes);
	return rc;
}

int shop_rules_accept(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *err)
{
	(void)self;
	int rc = rule_begin_revision(tx, upload->region->code, err);
	return rc ? rc
		  : rule_give_revision(tx, &(struct rule_source){upload->region->code, upload->upload_id, false}, err);
}

int shop_rules_undo(void *self, kontor_conn *conn, const struct kontor_upload *upload, struct kontor_error *err)
{
	const struct settlement *settlement = self;
	uint64_t deleted;
	int rc;
	do
		rc = kontor_db_exec(conn, SQL_UNDO_RULES,
				    KONTOR_PARAMS(P_UINT(upload->upload_id), P_INT(settlement->undo_rows)), &deleted,
				    err);
	while (!rc && deleted > 0);
	return rc;
}
