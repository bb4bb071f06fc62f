/* SPDX-License-Identifier: Apache-2.0
 *
 * Every statement on job and job_chunk. Times are the database's clock. Whoever works on a step says which epoch is
 * his: that, and never a clock, keeps a step from having its effect twice; leases only decide when to try.
 *
 * A subquery that must stay a look-up in job_chunk's index is written as a scalar `(SELECT 1 ... LIMIT 1) IS NULL`: the
 * optimiser may turn EXISTS into a scan of all chunks ever made; without FORCE INDEX it reads the done chunks too.
 */
#ifndef KONTOR_JOB_STATEMENTS_H
#define KONTOR_JOB_STATEMENTS_H

/* SQL is laid out by its clauses. */
/* clang-format off */

#define DB_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
/* Error 1205 at once instead of waiting for a row that somebody's transaction holds. */
#define NOWAIT "SET STATEMENT innodb_lock_wait_timeout = 0 FOR "

/* ---- submitting, cancelling, waking ---- */

static const char SQL_JOB_INSERT[] =
	"INSERT INTO job (job_id, kind, lane, region, user, unique_key, unique_name, params, state, stage, created_ms) "
	"VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', 'plan', " DB_NOW_MS ")";
static const char SQL_JOB_BY_KEY[] =
	"SELECT job_id FROM job WHERE unique_key = ?";
static const char SQL_JOB_RIVAL[] =
	"SELECT job_id FROM job WHERE unique_key = (SELECT unique_name FROM job WHERE job_id = ?)";
static const char SQL_JOB_WAKE[] =
	"UPDATE job SET wakes = wakes + 1, run_at_ms = 0 WHERE job_id = ? AND finished_ms = 0";
static const char SQL_CHUNKS_WAKE[] =
	"UPDATE job_chunk SET run_at_ms = 0 WHERE job_id = ? AND state = 'queued'";
static const char SQL_JOB_LOCK[] =
	"SELECT state, stage, finished_ms, lane, kind FROM job WHERE job_id = ? FOR UPDATE";
/* A runner that is in one of its steps keeps its lease until it notices. */
static const char SQL_JOB_TO_UNDO[] =
	"UPDATE job SET outcome = ?, undo_code = ?, undo_reason = ?, stage = 'undo', run_at_ms = 0, "
	"attempts = 0, losses = 0, error_code = 0, error = '' "
	"WHERE job_id = ? AND finished_ms = 0 AND stage <> 'undo'";
static const char SQL_CHUNKS_DELETE[] =
	"DELETE FROM job_chunk WHERE job_id = ?";
static const char SQL_JOB_RESTART[] =
	"UPDATE job SET state = 'queued', stage = 'plan', outcome = '', unique_key = unique_name, epoch = epoch + 1, "
	"owner = '', lease_until_ms = 0, run_at_ms = 0, attempts = 0, losses = 0, total = 0, result = NULL, "
	"error_code = 0, error = '', undo_code = 0, undo_reason = '', done = 0, started_ms = 0, finished_ms = 0 "
	"WHERE job_id = ?";

/* ---- finding and claiming a step ---- */

#define JOB_IS_FREE "j.lease_until_ms <= " DB_NOW_MS " AND j.run_at_ms <= " DB_NOW_MS
#define ANY_CHUNK(condition) \
	"(SELECT 1 FROM job_chunk c FORCE INDEX (due_chunks) WHERE c.job_id = j.job_id AND " condition " LIMIT 1)"
#define ANY_OPEN_CHUNK ANY_CHUNK("c.state IN ('queued', 'running')")
/* When the first one may run that is queued; NULL: none is. By its order, so that those which wait are not looked at. */
#define FIRST_READY_MS \
	"(SELECT c.run_at_ms FROM job_chunk c FORCE INDEX (due_chunks) WHERE c.job_id = j.job_id AND c.state = 'queued' " \
	"ORDER BY c.run_at_ms LIMIT 1)"
#define ANY_LEFT_CHUNK ANY_CHUNK("c.state = 'running' AND c.lease_until_ms <= " DB_NOW_MS)
#define ANY_LIVE_CHUNK ANY_CHUNK("c.state = 'running' AND c.lease_until_ms > " DB_NOW_MS)

/* Jobs of a lane that have work to do now, by user and each one's oldest first: those of the users behind this one, or
 * those of this one and the users before. The kinds follow as placeholders, then SQL_FIND_END. Stage `chunks` has work
 * when a chunk is free or none is left (then finish is next), `undo` when nobody works on a chunk. */
#define FIND_BEGIN(users) \
	"SELECT j.job_id, j.stage, j.epoch, j.user FROM job j FORCE INDEX (open_jobs_of_users) " \
	"WHERE j.finished_ms = 0 AND j.lane = ? AND " users " AND (" \
	FIND_WORK
#define FIND_WORK \
	"(j.stage IN ('plan', 'finish') AND " JOB_IS_FREE ") OR " \
	"(j.stage = 'undo' AND " JOB_IS_FREE " AND " ANY_LIVE_CHUNK " IS NULL) OR " \
	"(j.stage = 'chunks' AND (" FIRST_READY_MS " <= " DB_NOW_MS " OR " ANY_LEFT_CHUNK " IS NOT NULL OR " \
	"(" JOB_IS_FREE " AND " ANY_OPEN_CHUNK " IS NULL)))) " \
	"AND j.kind IN ("
static const char SQL_FIND_BEHIND_BEGIN[] = FIND_BEGIN("j.user > ?");
static const char SQL_FIND_BEFORE_BEGIN[] = FIND_BEGIN("j.user <= ?");
static const char SQL_FIND_END[] =
	") ORDER BY j.user, j.created_ms, j.job_id LIMIT 4";
/* By number; those that had to wait come behind the others. */
static const char SQL_FIND_CHUNKS[] =
	"(SELECT chunk_no, epoch FROM job_chunk FORCE INDEX (due_chunks) "
	"WHERE job_id = ? AND state = 'running' AND lease_until_ms <= " DB_NOW_MS " ORDER BY chunk_no LIMIT 8) "
	"UNION ALL (SELECT chunk_no, epoch FROM job_chunk FORCE INDEX (due_chunks) "
	"WHERE job_id = ? AND state = 'queued' AND run_at_ms <= " DB_NOW_MS " ORDER BY run_at_ms, chunk_no LIMIT 8)";
/* A claim whose answer was lost, taken back: the row has this owner and epoch only if the claim was made. */
static const char SQL_JOB_UNCLAIM[] =
	"UPDATE job SET owner = '', lease_until_ms = 0 "
	"WHERE job_id = ? AND epoch = ? AND owner = ? AND instance = ? AND finished_ms = 0";
static const char SQL_CHUNK_UNCLAIM[] =
	"UPDATE job_chunk SET state = 'queued', owner = '', lease_until_ms = 0 "
	"WHERE job_id = ? AND chunk_no = ? AND epoch = ? AND owner = ? AND instance = ? AND state = 'running'";
/* A row that still has an owner was not given back: its runner died or lost its lease. Assignments run left to right. */
static const char SQL_JOB_CLAIM[] = NOWAIT
	"UPDATE job j SET j.stage = IF(j.stage = 'chunks', 'finish', j.stage), j.state = 'running', "
	"j.error_code = 0, j.error = '', j.losses = IF(j.owner = '', j.losses, j.losses + 1), "
	"j.owner = ?, j.instance = ?, j.lease_until_ms = " DB_NOW_MS " + ?, j.epoch = j.epoch + 1, "
	"j.started_ms = IF(j.started_ms = 0, " DB_NOW_MS ", j.started_ms) "
	"WHERE j.job_id = ? AND j.epoch = ? AND j.stage = ? AND j.finished_ms = 0 AND " JOB_IS_FREE " "
	"AND (j.stage <> 'chunks' OR " ANY_OPEN_CHUNK " IS NULL) AND (j.stage <> 'undo' OR " ANY_LIVE_CHUNK " IS NULL)";
static const char SQL_CHUNK_CLAIM[] = NOWAIT
	"UPDATE job_chunk SET losses = IF(owner = '', losses, losses + 1), owner = ?, instance = ?, "
	"lease_until_ms = " DB_NOW_MS " + ?, epoch = epoch + 1, run_at_ms = 0, state = 'running', "
	"begun_ms = " DB_NOW_MS ", begun_done = done "
	"WHERE job_id = ? AND chunk_no = ? AND epoch = ? AND ((state = 'queued' AND run_at_ms <= " DB_NOW_MS ") "
	"OR (state = 'running' AND lease_until_ms <= " DB_NOW_MS "))";
static const char SQL_JOB_LOAD[] =
	"SELECT kind, region, user, params, state, stage, wakes, losses, undo_code, undo_reason, outcome FROM job "
	"WHERE job_id = ?";
static const char SQL_CHUNK_LOAD[] =
	"SELECT input, checkpoint, losses FROM job_chunk WHERE job_id = ? AND chunk_no = ?";
static const char SQL_JOB_RUNS_AGAIN[] =
	"UPDATE job SET state = 'running', error_code = 0, error = '' "
	"WHERE job_id = ? AND state = 'waiting' AND stage = 'chunks'";
/* Before an undo: whoever still believes to own a chunk of this job can no longer commit. */
static const char SQL_CHUNKS_FENCE[] =
	"UPDATE job_chunk SET epoch = epoch + 1, owner = '', lease_until_ms = 0, state = 'queued' "
	"WHERE job_id = ? AND state IN ('queued', 'running')";

/* ---- inside a step ---- */

static const char SQL_JOB_MOVE[] =
	"UPDATE job SET lane = ? WHERE job_id = ? AND epoch = ? AND finished_ms = 0";
static const char SQL_CHUNK_ADD[] =
	"INSERT INTO job_chunk (job_id, chunk_no, epoch, input) VALUES (?, ?, ?, ?)";
static const char SQL_JOB_PLANNED[] =
	"UPDATE job j SET j.stage = IF(" ANY_OPEN_CHUNK " IS NULL, 'finish', 'chunks'), j.total = ?, j.owner = '', "
	"j.lease_until_ms = 0, j.run_at_ms = 0, j.attempts = 0, j.losses = 0, j.error_code = 0, j.error = '' "
	"WHERE j.job_id = ? AND j.epoch = ? AND j.stage = 'plan' AND j.finished_ms = 0";
static const char SQL_CHUNK_CHECKPOINT[] =
	"UPDATE job_chunk SET checkpoint = ?, done = done + ?, attempts = 0, losses = 0, moved_ms = " DB_NOW_MS ", "
	"lease_until_ms = " DB_NOW_MS " + ? "
	"WHERE job_id = ? AND chunk_no = ? AND epoch = ? AND state = 'running'";
static const char SQL_CHUNK_DONE[] =
	"UPDATE job_chunk SET result = ?, done = done + ?, state = 'done', checkpoint = NULL, owner = '', "
	"lease_until_ms = 0, moved_ms = " DB_NOW_MS " "
	"WHERE job_id = ? AND chunk_no = ? AND epoch = ? AND state = 'running'";
#define DONE_BY_CHUNKS "(SELECT SUM(c.done) FROM job_chunk c WHERE c.job_id = j.job_id)"
static const char SQL_JOB_DONE[] =
	"UPDATE job j SET j.state = 'done', j.result = ?, j.unique_key = NULL, j.owner = '', j.lease_until_ms = 0, "
	"j.error_code = 0, j.error = '', j.done = COALESCE(" DONE_BY_CHUNKS ", j.total), j.finished_ms = " DB_NOW_MS " "
	"WHERE j.job_id = ? AND j.epoch = ? AND j.stage = 'finish' AND j.finished_ms = 0";
/* The fence of a step's other transactions; keeps the lease alive too. */
static const char SQL_JOB_FENCE[] =
	"UPDATE job SET lease_until_ms = " DB_NOW_MS " + ? "
	"WHERE job_id = ? AND epoch = ? AND stage = ? AND finished_ms = 0 AND owner <> ''";
static const char SQL_CHUNK_FENCE[] =
	"UPDATE job_chunk SET lease_until_ms = " DB_NOW_MS " + ? "
	"WHERE job_id = ? AND chunk_no = ? AND epoch = ? AND state = 'running'";
static const char SQL_JOB_STANDS[] =
	"SELECT stage, epoch FROM job WHERE job_id = ?";
static const char SQL_CHUNK_RESULTS[] =
	"SELECT chunk_no, result FROM job_chunk WHERE job_id = ? AND chunk_no >= ? AND state = 'done' "
	"ORDER BY chunk_no LIMIT 200";

/* ---- after a step ---- */

/* All in one transaction that locks the job's row, then the chunk's; so these need no compare-and-set. failing_since_ms
 * counts while there are attempts, so whoever sets these to 0 need not touch it; assignments run left to right. */
#define FAILING_FOR_MS "IF(attempts = 0, 0, " DB_NOW_MS " - failing_since_ms)"
#define FAILS_SINCE "failing_since_ms = IF(attempts = 0, " DB_NOW_MS ", failing_since_ms), attempts = ?"

static const char SQL_JOB_LOCK_STEP[] =
	"SELECT epoch, stage, owner <> '' AND finished_ms = 0, attempts, " FAILING_FOR_MS ", wakes FROM job "
	"WHERE job_id = ? FOR UPDATE";
static const char SQL_CHUNK_LOCK_STEP[] =
	"SELECT epoch, state = 'running', attempts, " FAILING_FOR_MS " FROM job_chunk "
	"WHERE job_id = ? AND chunk_no = ? FOR UPDATE";
static const char SQL_JOB_LATER[] =
	"UPDATE job SET state = 'waiting', error_code = ?, error = ?, " FAILS_SINCE ", losses = 0, owner = '', "
	"lease_until_ms = 0, run_at_ms = " DB_NOW_MS " + ? WHERE job_id = ?";
static const char SQL_CHUNK_LATER[] =
	"UPDATE job_chunk SET state = 'queued', " FAILS_SINCE ", losses = 0, owner = '', lease_until_ms = 0, "
	"run_at_ms = " DB_NOW_MS " + ? WHERE job_id = ? AND chunk_no = ?";
static const char SQL_JOB_SHOWS_WAIT[] =
	"UPDATE job SET state = 'waiting', error_code = ?, error = ? WHERE job_id = ?";
static const char SQL_JOB_RELEASE[] =
	"UPDATE job SET owner = '', lease_until_ms = 0 WHERE job_id = ?";
static const char SQL_CHUNK_RELEASE[] =
	"UPDATE job_chunk SET state = 'queued', owner = '', lease_until_ms = 0 WHERE job_id = ? AND chunk_no = ?";
static const char SQL_JOB_UNDONE[] =
	"UPDATE job j SET j.state = j.outcome, j.error_code = j.undo_code, "
	"j.error = IF(j.outcome = 'cancelled', '', j.undo_reason), j.unique_key = NULL, j.owner = '', "
	"j.lease_until_ms = 0, j.done = COALESCE(" DONE_BY_CHUNKS ", 0), j.finished_ms = " DB_NOW_MS " WHERE j.job_id = ?";

/* ---- leases ---- */

/* A row that is locked belongs to a transaction of its own step, whose commit renews or ends the lease. */
static const char SQL_JOB_RENEW[] = NOWAIT
	"UPDATE job SET lease_until_ms = " DB_NOW_MS " + ? "
	"WHERE job_id = ? AND epoch = ? AND finished_ms = 0 AND owner <> ''";
static const char SQL_CHUNK_RENEW[] = NOWAIT
	"UPDATE job_chunk SET lease_until_ms = " DB_NOW_MS " + ? "
	"WHERE job_id = ? AND chunk_no = ? AND epoch = ? AND state = 'running'";
static const char SQL_JOBS_RECLAIM[] =
	"UPDATE job SET lease_until_ms = 0 WHERE finished_ms = 0 AND owner = ? AND instance <> ? AND lease_until_ms > 0";
static const char SQL_CHUNKS_RECLAIM[] =
	"UPDATE job j JOIN job_chunk c FORCE INDEX (due_chunks) ON c.job_id = j.job_id SET c.lease_until_ms = 0 "
	"WHERE j.finished_ms = 0 AND c.state = 'running' AND c.owner = ? AND c.instance <> ?";

/* ---- what a job made, and history ---- */

static const char SQL_OUTPUT_ADD[] =
	"INSERT INTO job_output (job_id, chunk_no, piece, plain_bytes, data) VALUES (?, ?, ?, ?, ?)";
static const char SQL_OUTPUT_READ[] =
	"SELECT chunk_no, piece, data, plain_bytes FROM job_output "
	"WHERE job_id = ? AND (chunk_no > ? OR (chunk_no = ? AND piece >= ?)) ORDER BY chunk_no, piece LIMIT 1";
static const char SQL_OUTPUT_DELETE[] =
	"DELETE FROM job_output WHERE job_id = ?";
static const char SQL_OUTPUT_EXPIRE[] =
	"DELETE FROM job_output WHERE job_id = ? LIMIT 16";
static const char SQL_CHUNKS_EXPIRE[] =
	"DELETE FROM job_chunk WHERE job_id = ? LIMIT 1000";
static const char SQL_JOB_DELETE[] =
	"DELETE FROM job WHERE job_id = ?";
#define IS_OLD "finished_ms > 0 AND finished_ms < " DB_NOW_MS " - ?"
static const char SQL_OLD_JOB[] =
	"SELECT job_id FROM job FORCE INDEX (open_jobs_of_users) WHERE " IS_OLD " ORDER BY finished_ms LIMIT 1";
static const char SQL_OLD_OUTPUT[] =
	"SELECT o.job_id FROM (SELECT DISTINCT job_id FROM job_output) o JOIN job j ON j.job_id = o.job_id "
	"WHERE " IS_OLD " LIMIT 1";
static const char SQL_OLD_JOB_LOCK[] =
	"SELECT 1 FROM job WHERE job_id = ? AND " IS_OLD " FOR UPDATE";

/* ---- looking ---- */

#define SQL_INFO_SELECT \
	"SELECT j.job_id, j.kind, j.lane, j.state, j.region, j.user, " \
	"CAST(IF(j.finished_ms = 0, COALESCE(" DONE_BY_CHUNKS ", 0), j.done) AS UNSIGNED), j.total, j.created_ms, j.started_ms, j.finished_ms, " \
	"j.run_at_ms, j.error_code, j.error, j.finished_ms = 0 AND j.outcome = 'cancelled' FROM job j "
static const char SQL_JOB_INFO[] = SQL_INFO_SELECT
	"WHERE j.job_id = ?";
/* A search is SQL_LIST_BEGIN, one index, the conditions that were given, and SQL_LIST_END. */
static const char SQL_LIST_BEGIN[] = SQL_INFO_SELECT;
static const char SQL_LIST_IN_STATE[] = "FORCE INDEX (jobs_in_state) WHERE j.job_id < ? AND j.state = ?";
static const char SQL_LIST_OPEN[] = "FORCE INDEX (open_jobs_of_users) WHERE j.job_id < ? AND j.finished_ms = 0";
static const char SQL_LIST_ENDED[] = "FORCE INDEX (PRIMARY) WHERE j.job_id < ? AND j.finished_ms > 0";
static const char SQL_LIST_ALL[] = "FORCE INDEX (PRIMARY) WHERE j.job_id < ?";
static const char SQL_LIST_END[] = " ORDER BY j.job_id DESC LIMIT ?";
/* What the chunks did in the half minute before the job's last progress, by the time until now. A chunk that began
 * earlier counts by the share of its time. */
static const char SQL_JOB_SPEED[] =
	"SELECT CAST(1000 * SUM((c.done - c.begun_done) * GREATEST(c.moved_ms - GREATEST(c.begun_ms, w.from_ms), 1) "
	"/ GREATEST(c.moved_ms - c.begun_ms, 1)) "
	"/ GREATEST(" DB_NOW_MS " - MIN(GREATEST(c.begun_ms, w.from_ms)), 1) AS UNSIGNED) "
	"FROM job_chunk c JOIN (SELECT MAX(moved_ms) - 30000 AS from_ms FROM job_chunk WHERE job_id = ?) w "
	"WHERE c.job_id = ? AND c.moved_ms >= w.from_ms AND c.begun_ms > 0";
/* Open ones by their state, and those that are dead. */
static const char SQL_LANES[] =
	"(SELECT lane, state, COUNT(*) FROM job FORCE INDEX (open_jobs_of_users) WHERE finished_ms = 0 "
	"GROUP BY lane, state) UNION ALL "
	"(SELECT lane, state, COUNT(*) FROM job FORCE INDEX (jobs_in_state) WHERE state = 'dead' GROUP BY lane, state)";
static const char SQL_JOB_RESULT[] =
	"SELECT result FROM job WHERE job_id = ?";
static const char SQL_JOB_PARAMS[] =
	"SELECT params FROM job WHERE job_id = ?";

/* clang-format on */

#endif
