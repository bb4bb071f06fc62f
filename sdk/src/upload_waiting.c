/* SPDX-License-Identifier: Apache-2.0
 *
 * Uploads that wait for each other. Which one waits for which stands in upload.waits_for, so that a circle is seen by
 * whoever looks last, in whatever unit. It is only written and read when an upload has to wait.
 */
#include <inttypes.h>

#include "db_session.h"
#include "job_work.h"
#include "upload_file.h"
#include "upload_statements.h"

#define CIRCLE_LIMIT 16 /* uploads in a circle; a longer one is not seen */

struct wait {
	uint64_t upload_id, other_id, other_line;
};

/* ret_waits_for 0: for nobody, it is not imported any more, or its rows are being taken back. */
static int read_waits_for(kontor_conn *conn, uint64_t upload_id, uint64_t *ret_waits_for, struct kontor_error *err)
{
	int64_t waits_for = 0;
	int rc = kontor_db_query_int(conn, SQL_WAITS_FOR, KONTOR_PARAMS(P_UINT(upload_id)), &waits_for, err);
	*ret_waits_for = (uint64_t)waits_for;
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
}

/* Whether the upload waits for itself, by way of others, and is the youngest of them. All of a circle see the same, but
 * only one may give way. */
static int find_circle(kontor_conn *conn, const struct wait *wait, bool *ret_youngest, struct kontor_error *err)
{
	uint64_t next = wait->other_id, youngest = wait->upload_id;
	int rc = 0;
	for (int i = 0; rc == 0 && next && next != wait->upload_id && i < CIRCLE_LIMIT; i++) {
		if (next > youngest)
			youngest = next;
		rc = read_waits_for(conn, next, &next, err);
	}
	*ret_youngest = rc == 0 && next == wait->upload_id && youngest == wait->upload_id;
	return rc;
}

static int give_way(kontor_job *job, const struct wait *wait, struct kontor_error *err)
{
	job->gives_up = true;
	return kontor_fail(err, KONTOR_E_STORAGE,
			   "upload %" PRIu64 " and upload %" PRIu64 ", which is not accepted yet, wait for rows of "
			   "each other: the younger one gave way; when the other is accepted or cancelled",
			   wait->upload_id, wait->other_id);
}

/* Outside of the transaction that found it has to wait, which is rolled back. */
static int note_wait(kontor_conn *conn, void *arg, struct kontor_error *err)
{
	const struct wait *wait = arg;
	kontor_job *job = conn->before_commit == job_fence ? conn->before_commit_arg : NULL;
	bool youngest = false;
	if (job) {
		int rc = kontor_db_exec(
			conn, SQL_NOTE_WAIT,
			KONTOR_PARAMS(P_UINT(wait->other_id), P_UINT(wait->upload_id), P_UINT(wait->other_id)), NULL,
			err);
		if (rc == 0)
			rc = find_circle(conn, wait, &youngest, err);
		if (rc)
			return rc;
	}
	if (youngest)
		return give_way(job, wait, err);
	return kontor_fail(err, KONTOR_E_BUSY,
			   "a row is also on line %" PRIu64 " of upload %" PRIu64 ", which is not accepted yet: this "
			   "upload goes on by itself when that one is accepted or cancelled",
			   wait->other_line, wait->other_id);
}

int kontor_upload_wait(kontor_conn *tx, uint64_t upload_id, uint64_t other_id, uint64_t other_line,
		       struct kontor_error *err)
{
	const struct wait wait = {upload_id, other_id, other_line};
	return kontor_db_step_aside(tx, note_wait, &wait, sizeof(wait), err);
}
