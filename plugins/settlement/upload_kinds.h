/* SPDX-License-Identifier: Apache-2.0
 *
 * The upload kinds of this plugin and their callbacks, those of struct kontor_upload_kind.
 */
#ifndef SETTLEMENT_UPLOAD_KINDS_H
#define SETTLEMENT_UPLOAD_KINDS_H

#include "kontor/upload.h"

enum { KIND_BILLING_ITEMS, KIND_SHOP_RULES, KIND_MANUAL_SETTLEMENT, UPLOAD_KINDS };
extern const struct kontor_upload_kind upload_kinds[UPLOAD_KINDS];

/* items_upload.c */
int items_identify(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
		   struct kontor_identity *ret_identity, struct kontor_error *err);
int items_apply(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		size_t rows_len, struct kontor_error *err);
int items_accept(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *err);
int items_undo(void *self, kontor_conn *conn, const struct kontor_upload *upload, struct kontor_error *err);

/* shop_rules.c */
int shop_rules_apply(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		     size_t rows_len, struct kontor_error *err);
int shop_rules_accept(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *err);
int shop_rules_undo(void *self, kontor_conn *conn, const struct kontor_upload *upload, struct kontor_error *err);

/* manual_upload.c */
int manual_apply(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		 size_t rows_len, struct kontor_error *err);
bool manual_needs_approval(void *self, const struct kontor_upload *upload, const uint64_t counts[KONTOR_VERDICT_COUNT]);
int manual_accept(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *err);
int manual_undo(void *self, kontor_conn *conn, const struct kontor_upload *upload, struct kontor_error *err);

#endif
