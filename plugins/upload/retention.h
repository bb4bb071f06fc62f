/* SPDX-License-Identifier: Apache-2.0
 *
 * What is deleted when: the bytes of files that have ended, and files that nobody goes on sending. Any number of units
 * may do it at the same time.
 */
#ifndef UPLOAD_RETENTION_H
#define UPLOAD_RETENTION_H

#include <stdatomic.h>

#include "upload.h"

/* Whether the rows of a kind hold bank accounts: their rejects go with the file's bytes, viewers do not see them, and
 * no copy is made of them. Nothing else of such an upload holds any: the reason of a reject never quotes its row. */
bool kind_holds_accounts(const char *kind);

/* One turn: bounded transactions, safe to break off and to repeat. `stopping` (NULL: never) is looked at between them.
 */
int retention_turn(const struct upload_plugin *self, kontor_conn *conn, const atomic_bool *stopping,
		   struct kontor_error *err);

/* A thread that takes a turn now and then. */
int retention_start(struct upload_plugin *self, kontor_host *host, struct kontor_error *err);
void retention_stop_soon(struct upload_plugin *self);
void retention_stop(struct upload_plugin *self);

#endif
