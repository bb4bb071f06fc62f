/* SPDX-License-Identifier: Apache-2.0
 *
 * Approvals: people confirm exactly what they were shown. A request names a subject ("safefile", 123), the digest of
 * what was shown (hash, count, sums), how many different users must agree, and who may not (uploader, planner).
 */
#ifndef KONTOR_APPROVAL_H
#define KONTOR_APPROVAL_H

#include "kontor/db.h"
#include "kontor/message.h"
#include "kontor/user.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KONTOR_DIGEST_SIZE 32

struct kontor_approval_new {
	uint64_t approval_id;     /* from kontor_id_next("default") */
	const char *subject_kind; /* "upload", "payee", "safefile" */
	uint64_t subject_id;
	const uint8_t *digest; /* SHA-256, KONTOR_DIGEST_SIZE bytes */
	const char *summary;   /* one line for people: what they approve, with counts and sums; <= 500 bytes */
	unsigned needed;       /* different users, 1 or 2 */
	const char *excluded;  /* the user who made it; may not approve */
	uint64_t wakes_job_id; /* woken by every decision; 0 = none */
};

/* In the caller's transaction. An older request for the same subject with another digest becomes void. Repeating it for
 * the same subject and digest changes nothing. */
int kontor_approval_request(kontor_conn *tx, const struct kontor_approval_new *request, struct kontor_error *err);

/* Nothing is left to decide: the subject was cancelled or has failed. Its requests become void, also those that were
 * given; who decides then is told so. In the caller's transaction; safe to repeat. */
int kontor_approval_void(kontor_conn *tx, const char *subject_kind, uint64_t subject_id, struct kontor_error *err);

enum kontor_approval_state {
	KONTOR_APPROVAL_NONE,
	KONTOR_APPROVAL_PENDING,
	KONTOR_APPROVAL_GIVEN,
	KONTOR_APPROVAL_REFUSED
};

/* State of the subject's request with exactly this digest; votes of another digest never count. */
int kontor_approval_state(kontor_conn *conn, const char *subject_kind, uint64_t subject_id, const uint8_t *digest,
			  enum kontor_approval_state *ret_state, struct kontor_error *err);

/* Decides as `user`; in the caller's transaction. DENIED with the reason: the maker himself, the same user twice, no
 * role approver, the request is void (what was shown has changed) or decided. */
int kontor_approval_decide(kontor_conn *tx, uint64_t approval_id, const struct kontor_user *user, bool give,
			   struct kontor_error *err);
/* The open request of a subject, for `safefile approve ID`; NOT_FOUND when there is none, CONFLICT when it is decided.
 */
int kontor_approval_find(kontor_conn *conn, const char *subject_kind, uint64_t subject_id, uint64_t *ret_approval_id,
			 struct kontor_error *err);
/* Puts an array of {user, decision, at, verified} under `key`. */
int kontor_approval_put_votes(kontor_conn *conn, const char *subject_kind, uint64_t subject_id, const uint8_t *digest,
			      kontor_writer *w, const char *key, struct kontor_error *err);
/* Puts one approval's entries {approval_id, subject_kind, subject_id, state, summary, digest, needed, given, votes}
 * into the open map; NOT_FOUND. */
int kontor_approval_put(kontor_conn *conn, uint64_t approval_id, kontor_writer *w, struct kontor_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
