-- SPDX-License-Identifier: Apache-2.0
-- Durable jobs (kontor/job.h). The table schema_step is made by kontor_schema_migrate() itself.

-- stage: which step comes next (plan, chunks, finish, undo); state: what people see.
-- outcome: what the job will be once its undo has run (failed, dead, cancelled); undo_code and undo_reason say why.
-- unique_key is NULL once the job has ended; unique_name keeps it, for a retry.
-- epoch moves with each claim: a transaction of an older epoch cannot commit. losses: leases in a row that ran out.
-- wakes: number of kontor_job_wake(), so that a wake between a step's look and its falling asleep is not lost.
-- The index leads from the jobs that have not ended (finished_ms = 0), in a lane, to the oldest.
CREATE TABLE IF NOT EXISTS job (
    job_id BIGINT UNSIGNED NOT NULL,
    kind VARCHAR(64) NOT NULL,
    lane VARCHAR(32) NOT NULL,
    region CHAR(2) NOT NULL DEFAULT '',
    user VARCHAR(64) NOT NULL DEFAULT '',
    unique_key VARCHAR(128) NULL,
    unique_name VARCHAR(128) NULL,
    params MEDIUMBLOB NOT NULL,
    result MEDIUMBLOB NULL,
    state VARCHAR(16) NOT NULL,
    stage VARCHAR(8) NOT NULL,
    outcome VARCHAR(16) NOT NULL DEFAULT '',
    epoch BIGINT UNSIGNED NOT NULL DEFAULT 0,
    owner VARCHAR(128) NOT NULL DEFAULT '',
    instance BIGINT UNSIGNED NOT NULL DEFAULT 0,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    run_at_ms BIGINT NOT NULL DEFAULT 0,
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    losses INT UNSIGNED NOT NULL DEFAULT 0,
    wakes BIGINT UNSIGNED NOT NULL DEFAULT 0,
    total BIGINT UNSIGNED NOT NULL DEFAULT 0,
    error_code INT NOT NULL DEFAULT 0,
    error VARCHAR(512) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
    undo_code INT NOT NULL DEFAULT 0,
    undo_reason VARCHAR(512) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
    created_ms BIGINT NOT NULL,
    started_ms BIGINT NOT NULL DEFAULT 0,
    finished_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id),
    UNIQUE KEY unique_key (unique_key),
    KEY open_jobs (finished_ms, lane, created_ms, job_id)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;

-- state: queued, running, done. done: units of progress; summed when somebody asks, so that chunks that run side by side
-- never wait for one row.
CREATE TABLE IF NOT EXISTS job_chunk (
    job_id BIGINT UNSIGNED NOT NULL,
    chunk_no INT UNSIGNED NOT NULL,
    state VARCHAR(8) NOT NULL DEFAULT 'queued',
    epoch BIGINT UNSIGNED NOT NULL DEFAULT 0,
    owner VARCHAR(128) NOT NULL DEFAULT '',
    instance BIGINT UNSIGNED NOT NULL DEFAULT 0,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    run_at_ms BIGINT NOT NULL DEFAULT 0,
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    losses INT UNSIGNED NOT NULL DEFAULT 0,
    done BIGINT UNSIGNED NOT NULL DEFAULT 0,
    input MEDIUMBLOB NULL,
    checkpoint MEDIUMBLOB NULL,
    result MEDIUMBLOB NULL,
    PRIMARY KEY (job_id, chunk_no),
    KEY open_chunks (job_id, state, chunk_no)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;
