-- SPDX-License-Identifier: Apache-2.0
-- What a lane needs to serve its users in turn, and people to see how fast a job is.

-- done: units of progress of a job that has ended; of one that has not, the sum over its chunks is asked for.
-- open_jobs leads from the jobs that have not ended (finished_ms = 0), in a lane, through the users, to each one's oldest;
-- what is behind job_id saves the look at the row of one that has nothing to do now.
ALTER TABLE job
    ADD COLUMN IF NOT EXISTS done BIGINT UNSIGNED NOT NULL DEFAULT 0 AFTER total,
    DROP KEY IF EXISTS open_jobs,
    ADD KEY IF NOT EXISTS open_jobs_of_users
        (finished_ms, lane, user, created_ms, job_id, stage, lease_until_ms, run_at_ms, kind, epoch),
    ADD KEY IF NOT EXISTS jobs_in_state (state, job_id);

-- begun_ms, begun_done: when the chunk was claimed last, and what was done by then. moved_ms: its last progress.
-- due_chunks leads from a job and state to the chunk that may run first (run_at_ms is 0 for one that runs).
ALTER TABLE job_chunk
    ADD COLUMN IF NOT EXISTS begun_ms BIGINT NOT NULL DEFAULT 0 AFTER done,
    ADD COLUMN IF NOT EXISTS begun_done BIGINT UNSIGNED NOT NULL DEFAULT 0 AFTER begun_ms,
    ADD COLUMN IF NOT EXISTS moved_ms BIGINT NOT NULL DEFAULT 0 AFTER begun_done,
    DROP KEY IF EXISTS open_chunks,
    ADD KEY IF NOT EXISTS due_chunks (job_id, state, run_at_ms, chunk_no);

UPDATE job j SET j.done = COALESCE((SELECT SUM(c.done) FROM job_chunk c WHERE c.job_id = j.job_id), IF(j.state = 'done', j.total, 0))
    WHERE j.finished_ms > 0;
