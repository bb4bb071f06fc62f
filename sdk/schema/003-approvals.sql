-- SPDX-License-Identifier: Apache-2.0
-- Approvals (kontor/approval.h).

-- state: pending, given, refused, void. excluded: the user who may not vote (uploader, planner).
CREATE TABLE IF NOT EXISTS approval (
    approval_id BIGINT UNSIGNED NOT NULL,
    subject_kind VARCHAR(32) NOT NULL,
    subject_id BIGINT UNSIGNED NOT NULL,
    digest BINARY(32) NOT NULL,
    summary VARCHAR(500) CHARACTER SET utf8mb4 NOT NULL,
    needed INT UNSIGNED NOT NULL,
    excluded VARCHAR(64) NOT NULL DEFAULT '',
    state VARCHAR(16) NOT NULL,
    wakes_job_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (approval_id),
    KEY subject (subject_kind, subject_id)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS approval_vote (
    approval_id BIGINT UNSIGNED NOT NULL,
    user VARCHAR(64) NOT NULL,
    decision VARCHAR(8) NOT NULL,
    verified TINYINT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (approval_id, user)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;
