/* SPDX-License-Identifier: Apache-2.0
 *
 * Approvals. The row of `approval` is locked by whoever decides, so votes are counted one after the other.
 */
#include "kontor/approval.h"

#include <stdio.h>
#include <string.h>

#include "kontor/job.h"
#include "kontor/time.h"

static const char SQL_VOID_OTHERS[] =
	"UPDATE approval SET state = 'void' WHERE subject_kind = ? AND subject_id = ? AND "
	"digest <> ? AND state <> 'void'";
static const char SQL_VOID_ALL[] =
	"UPDATE approval SET state = 'void' WHERE subject_kind = ? AND subject_id = ? AND state <> 'void'";
static const char SQL_SAME_REQUEST[] = "SELECT approval_id FROM approval WHERE subject_kind = ? AND subject_id = ? AND "
				       "digest = ? AND state <> 'void' ORDER BY approval_id DESC LIMIT 1 FOR UPDATE";
static const char SQL_ADD_REQUEST[] =
	"INSERT INTO approval (approval_id, subject_kind, subject_id, digest, summary, needed, excluded, state, "
	"wakes_job_id, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?)";
static const char SQL_STATE[] = "SELECT state FROM approval WHERE subject_kind = ? AND subject_id = ? AND digest = ? "
				"AND state <> 'void' ORDER BY approval_id DESC LIMIT 1";
static const char SQL_LOCK[] = "SELECT state, needed, excluded, wakes_job_id, subject_kind, subject_id FROM approval "
			       "WHERE approval_id = ? FOR UPDATE";
static const char SQL_VOTE_OF[] = "SELECT decision FROM approval_vote WHERE approval_id = ? AND user = ?";
static const char SQL_ADD_VOTE[] =
	"INSERT INTO approval_vote (approval_id, user, decision, verified, at_ms) VALUES (?, ?, ?, ?, ?)";
static const char SQL_COUNT_GIVEN[] = "SELECT COUNT(*) FROM approval_vote WHERE approval_id = ? AND decision = 'give'";
static const char SQL_DECIDED[] = "UPDATE approval SET state = ? WHERE approval_id = ?";
static const char SQL_LATEST_OF[] = "SELECT approval_id, state FROM approval WHERE subject_kind = ? AND subject_id = ? "
				    "AND state <> 'void' ORDER BY approval_id DESC LIMIT 1";
static const char SQL_VOTES_OF_SUBJECT[] =
	"SELECT v.user, v.decision, v.at_ms, v.verified FROM approval a JOIN approval_vote v USING (approval_id) WHERE "
	"a.subject_kind = ? AND a.subject_id = ? AND a.digest = ? AND a.state <> 'void' ORDER BY v.at_ms, v.user";
static const char SQL_VOTES[] =
	"SELECT user, decision, at_ms, verified FROM approval_vote WHERE approval_id = ? ORDER BY at_ms, user";
static const char SQL_ONE[] = "SELECT subject_kind, subject_id, state, summary, digest, needed, excluded, created_ms "
			      "FROM approval WHERE approval_id = ?";

int kontor_approval_request(kontor_conn *tx, const struct kontor_approval_new *request, struct kontor_error *err)
{
	struct kontor_param kind = P_STRING(request->subject_kind), id = P_UINT(request->subject_id),
			    digest = P_BYTES(request->digest, KONTOR_DIGEST_SIZE);
	int rc = kontor_db_exec(tx, SQL_VOID_OTHERS, KONTOR_PARAMS(kind, id, digest), NULL, err);
	if (rc)
		return rc;
	int64_t same = 0;
	rc = kontor_db_query_int(tx, SQL_SAME_REQUEST, KONTOR_PARAMS(kind, id, digest), &same, err);
	if (rc != KONTOR_E_NOT_FOUND)
		return rc;
	return kontor_db_exec(tx, SQL_ADD_REQUEST,
			      KONTOR_PARAMS(P_UINT(request->approval_id), kind, id, digest, P_STRING(request->summary),
					    P_UINT(request->needed),
					    P_STRING(request->excluded ? request->excluded : ""),
					    P_UINT(request->wakes_job_id), P_INT(kontor_now_ms())),
			      NULL, err);
}

int kontor_approval_void(kontor_conn *tx, const char *subject_kind, uint64_t subject_id, struct kontor_error *err)
{
	return kontor_db_exec(tx, SQL_VOID_ALL, KONTOR_PARAMS(P_STRING(subject_kind), P_UINT(subject_id)), NULL, err);
}

/* Reads the first row's first column as text; KONTOR_E_NOT_FOUND (no message) when there is none. */
static int query_text(kontor_conn *conn, const char *sql, const struct kontor_param *params, char *ret, size_t size,
		      struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, sql, params, &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc > 0)
		snprintf(ret, size, "%s", kontor_rows_string(rows, 0));
	kontor_rows_close(rows);
	return rc > 0 ? 0 : rc < 0 ? rc : KONTOR_E_NOT_FOUND;
}

int kontor_approval_state(kontor_conn *conn, const char *subject_kind, uint64_t subject_id, const uint8_t *digest,
			  enum kontor_approval_state *ret_state, struct kontor_error *err)
{
	char state[17] = "";
	int rc = query_text(
		conn, SQL_STATE,
		KONTOR_PARAMS(P_STRING(subject_kind), P_UINT(subject_id), P_BYTES(digest, KONTOR_DIGEST_SIZE)), state,
		sizeof(state), err);
	if (rc && rc != KONTOR_E_NOT_FOUND)
		return rc;
	if (strcmp(state, "given") == 0)
		*ret_state = KONTOR_APPROVAL_GIVEN;
	else if (strcmp(state, "refused") == 0)
		*ret_state = KONTOR_APPROVAL_REFUSED;
	else
		*ret_state = state[0] ? KONTOR_APPROVAL_PENDING : KONTOR_APPROVAL_NONE;
	return 0;
}

/* One request, locked for the length of the transaction. */
struct locked_request {
	uint64_t approval_id, subject_id, wakes_job_id;
	unsigned needed;
	char state[17], excluded[KONTOR_USER_SIZE + 1], subject_kind[33];
};

static int lock_request(kontor_conn *tx, uint64_t approval_id, struct locked_request *ret, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(tx, KONTOR_READ_ALL, SQL_LOCK, KONTOR_PARAMS(P_UINT(approval_id)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		ret->approval_id = approval_id;
		snprintf(ret->state, sizeof(ret->state), "%s", kontor_rows_string(rows, 0));
		ret->needed = (unsigned)kontor_rows_uint(rows, 1);
		snprintf(ret->excluded, sizeof(ret->excluded), "%s", kontor_rows_string(rows, 2));
		ret->wakes_job_id = kontor_rows_uint(rows, 3);
		snprintf(ret->subject_kind, sizeof(ret->subject_kind), "%s", kontor_rows_string(rows, 4));
		ret->subject_id = kontor_rows_uint(rows, 5);
	}
	kontor_rows_close(rows);
	if (rc == 0)
		return kontor_fail(err, KONTOR_E_NOT_FOUND, "there is no approval %llu; see: kontor approval list",
				   (unsigned long long)approval_id);
	return rc < 0 ? rc : 0;
}

/* Whether this user may decide this request at all. */
static int check_decider(const struct locked_request *request, const struct kontor_user *user, struct kontor_error *err)
{
	unsigned long long id = request->approval_id;
	if ((user->roles & KONTOR_ROLE_UNIT) || !kontor_user_may(user, KONTOR_ROLE_APPROVER))
		return kontor_fail(err, KONTOR_E_DENIED,
				   "approval %llu: %s is no approver; users.conf lists who has the role approver", id,
				   user->name[0] ? user->name : "the caller");
	if (strcmp(request->state, "void") == 0)
		return kontor_fail(
			err, KONTOR_E_DENIED,
			"approval %llu of %s %llu is void: what was shown has changed or was taken back; what is open "
			"now: kontor approval list",
			id, request->subject_kind, (unsigned long long)request->subject_id);
	if (strcmp(request->excluded, user->name) == 0)
		return kontor_fail(err, KONTOR_E_DENIED, "approval %llu: %s made this %s; another user must decide", id,
				   user->name, request->subject_kind);
	return 0;
}

static int check_first_vote(kontor_conn *tx, const struct locked_request *request, const struct kontor_user *user,
			    struct kontor_error *err)
{
	char decision[17] = "";
	int rc = query_text(tx, SQL_VOTE_OF, KONTOR_PARAMS(P_UINT(request->approval_id), P_STRING(user->name)),
			    decision, sizeof(decision), err);
	if (rc == 0)
		return kontor_fail(err, KONTOR_E_DENIED,
				   "approval %llu: %s has decided already (%s); it needs %u different users",
				   (unsigned long long)request->approval_id, user->name, decision, request->needed);
	if (rc != KONTOR_E_NOT_FOUND)
		return rc;
	if (strcmp(request->state, "pending") != 0)
		return kontor_fail(err, KONTOR_E_DENIED, "approval %llu is decided already: it was %s",
				   (unsigned long long)request->approval_id, request->state);
	return 0;
}

/* The request's new state after one more vote; "pending" when more users must agree. */
static int settle_state(kontor_conn *tx, const struct locked_request *request, bool give, struct kontor_error *err)
{
	const char *state = "refused";
	if (give) {
		int64_t given = 0;
		int rc = kontor_db_query_int(tx, SQL_COUNT_GIVEN, KONTOR_PARAMS(P_UINT(request->approval_id)), &given,
					     err);
		if (rc)
			return rc;
		if (given < (int64_t)request->needed)
			return 0;
		state = "given";
	}
	return kontor_db_exec(tx, SQL_DECIDED, KONTOR_PARAMS(P_STRING(state), P_UINT(request->approval_id)), NULL, err);
}

int kontor_approval_decide(kontor_conn *tx, uint64_t approval_id, const struct kontor_user *user, bool give,
			   struct kontor_error *err)
{
	struct locked_request request = {0};
	int rc = lock_request(tx, approval_id, &request, err);
	if (rc == 0)
		rc = check_decider(&request, user, err);
	if (rc == 0)
		rc = check_first_vote(tx, &request, user, err);
	if (rc == 0)
		rc = kontor_db_exec(tx, SQL_ADD_VOTE,
				    KONTOR_PARAMS(P_UINT(approval_id), P_STRING(user->name),
						  P_STRING(give ? "give" : "refuse"), P_INT(user->verified),
						  P_INT(kontor_now_ms())),
				    NULL, err);
	if (rc == 0)
		rc = settle_state(tx, &request, give, err);
	if (rc == 0 && request.wakes_job_id)
		rc = kontor_job_wake(tx, request.wakes_job_id, err);
	return rc;
}

int kontor_approval_find(kontor_conn *conn, const char *subject_kind, uint64_t subject_id, uint64_t *ret_approval_id,
			 struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LATEST_OF,
				 KONTOR_PARAMS(P_STRING(subject_kind), P_UINT(subject_id)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc == 0)
		rc = kontor_fail(err, KONTOR_E_NOT_FOUND, "%s %llu waits for no approval; see: kontor approval list",
				 subject_kind, (unsigned long long)subject_id);
	else if (rc > 0 && strcmp(kontor_rows_string(rows, 1), "pending") != 0)
		rc = kontor_fail(err, KONTOR_E_CONFLICT, "approval %llu of %s %llu is decided already: it was %s",
				 (unsigned long long)kontor_rows_uint(rows, 0), subject_kind,
				 (unsigned long long)subject_id, kontor_rows_string(rows, 1));
	else if (rc > 0) {
		*ret_approval_id = kontor_rows_uint(rows, 0);
		rc = 0;
	}
	kontor_rows_close(rows);
	return rc;
}

/* An array of {user, decision, at, verified} under key; *ret_given counts those who agreed. */
static int put_votes(kontor_conn *conn, const char *sql, const struct kontor_param *params, kontor_writer *w,
		     const char *key, unsigned *ret_given, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, sql, params, &rows, err);
	if (rc)
		return rc;
	unsigned given = 0;
	kontor_put_array(w, key);
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		given += strcmp(kontor_rows_string(rows, 1), "give") == 0;
		kontor_write_map(w);
		kontor_put_string(w, "user", kontor_rows_string(rows, 0));
		kontor_put_string(w, "decision", kontor_rows_string(rows, 1));
		kontor_put_time(w, "at", kontor_rows_int(rows, 2));
		kontor_put_bool(w, "verified", kontor_rows_int(rows, 3) != 0);
		kontor_write_end(w);
	}
	kontor_write_end(w);
	kontor_rows_close(rows);
	*ret_given = given;
	return rc;
}

int kontor_approval_put_votes(kontor_conn *conn, const char *subject_kind, uint64_t subject_id, const uint8_t *digest,
			      kontor_writer *w, const char *key, struct kontor_error *err)
{
	unsigned given;
	return put_votes(conn, SQL_VOTES_OF_SUBJECT,
			 KONTOR_PARAMS(P_STRING(subject_kind), P_UINT(subject_id), P_BYTES(digest, KONTOR_DIGEST_SIZE)),
			 w, key, &given, err);
}

int kontor_approval_put(kontor_conn *conn, uint64_t approval_id, kontor_writer *w, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_ONE, KONTOR_PARAMS(P_UINT(approval_id)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		char digest[2 * KONTOR_DIGEST_SIZE + 1] = "";
		struct kontor_text bytes = kontor_rows_text(rows, 4);
		if (bytes.size == KONTOR_DIGEST_SIZE)
			kontor_hex(bytes.data, bytes.size, digest);
		kontor_put_uint(w, "approval_id", approval_id);
		kontor_put_string(w, "subject_kind", kontor_rows_string(rows, 0));
		kontor_put_uint(w, "subject_id", kontor_rows_uint(rows, 1));
		kontor_put_string(w, "state", kontor_rows_string(rows, 2));
		kontor_put_string(w, "summary", kontor_rows_string(rows, 3));
		kontor_put_string(w, "digest", digest);
		kontor_put_uint(w, "needed", kontor_rows_uint(rows, 5));
		kontor_put_string(w, "excluded", kontor_rows_string(rows, 6));
		kontor_put_time(w, "created", kontor_rows_int(rows, 7));
	}
	kontor_rows_close(rows);
	if (rc == 0)
		return kontor_fail(err, KONTOR_E_NOT_FOUND, "there is no approval %llu; see: kontor approval list",
				   (unsigned long long)approval_id);
	if (rc < 0)
		return rc;
	unsigned given = 0;
	rc = put_votes(conn, SQL_VOTES, KONTOR_PARAMS(P_UINT(approval_id)), w, "votes", &given, err);
	kontor_put_uint(w, "given", given);
	return rc;
}
