/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk's side of publishing one safefile: data files as approved, signature, chain, and manifest.json last.
 */
#ifndef SAFEFILE_PUBLICATION_H
#define SAFEFILE_PUBLICATION_H

#include "stored.h"

struct publication;

/* All pointers are borrowed until it is closed; conn has no transaction open. file has its sequence. */
int publication_open(kontor_conn *conn, const struct stored_file *file, const struct stored_part *parts, size_t len,
		     kontor_arena *arena, struct publication **ret_publication, struct kontor_error *err);
struct publication *publication_close(struct publication *publication); /* NULL is fine; returns NULL */

/* Nothing newer than the database was published, and every data file has the bytes that were approved; one that is
 * missing is written anew. CONFLICT naming the one that differs. */
int publication_check(struct publication *publication, struct kontor_error *err);
/* Signature, chain, manifest. Again after a crash: the same bytes. */
int publication_write(struct publication *publication, const char *key_file, uint8_t *ret_manifest_sha256,
		      struct kontor_error *err);
/* Takes back what is not yet published; *ret_published says that the manifest is there, and so it is published. */
int publication_withdraw(struct publication *publication, bool *ret_published, uint8_t *ret_manifest_sha256,
			 struct kontor_error *err);

#endif
