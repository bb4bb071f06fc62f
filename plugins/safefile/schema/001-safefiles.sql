-- SPDX-License-Identifier: Apache-2.0
-- Safefiles: planned rows with final values, the data files made of them, and the chain of published manifests.
CREATE TABLE IF NOT EXISTS safefile (
    safefile_id BIGINT UNSIGNED NOT NULL,
    region CHAR(2) NOT NULL,
    window_no INT UNSIGNED NOT NULL,
    run_id BIGINT UNSIGNED NOT NULL,
    profile VARCHAR(32) NOT NULL,
    profile_text VARCHAR(2048) CHARACTER SET utf8mb4 NOT NULL,
    state VARCHAR(16) NOT NULL,
    job_id BIGINT UNSIGNED NOT NULL,
    publish_job_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
    cancel_job_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
    user VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL,
    payments INT UNSIGNED NOT NULL DEFAULT 0,
    path VARCHAR(1023) CHARACTER SET utf8mb4 NOT NULL,
    sequence BIGINT UNSIGNED NOT NULL DEFAULT 0,
    supersedes BIGINT UNSIGNED NOT NULL DEFAULT 0,
    previous_manifest BINARY(32) NULL,
    manifest_sha256 BINARY(32) NULL,
    digest BINARY(32) NULL,
    execution_date CHAR(10) NOT NULL,
    created_ms BIGINT NOT NULL,
    published_ms BIGINT NOT NULL DEFAULT 0,
    unique_run VARCHAR(64) NULL,
    PRIMARY KEY (safefile_id),
    UNIQUE KEY unique_run (unique_run),
    KEY region_window (region, window_no)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS safefile_part (
    safefile_id BIGINT UNSIGNED NOT NULL,
    part_no INT UNSIGNED NOT NULL,
    file_name VARCHAR(95) NOT NULL,
    message_id VARCHAR(35) NOT NULL,
    payments INT UNSIGNED NOT NULL,
    bytes BIGINT UNSIGNED NULL,
    sha256 BINARY(32) NULL,
    PRIMARY KEY (safefile_id, part_no)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS safefile_total (
    safefile_id BIGINT UNSIGNED NOT NULL,
    part_no INT UNSIGNED NOT NULL,
    currency CHAR(3) NOT NULL,
    payments INT UNSIGNED NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (safefile_id, part_no, currency)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS safefile_payment (
    safefile_id BIGINT UNSIGNED NOT NULL,
    part_no INT UNSIGNED NOT NULL,
    currency CHAR(3) NOT NULL,
    seq INT UNSIGNED NOT NULL,
    payout_id BIGINT UNSIGNED NOT NULL,
    attempt INT UNSIGNED NOT NULL,
    e2e_id VARCHAR(35) NOT NULL,
    shop_user_id BIGINT UNSIGNED NOT NULL,
    amount_minor BIGINT NOT NULL,
    name VARCHAR(140) NOT NULL,
    country VARCHAR(2) NOT NULL,
    town VARCHAR(35) NOT NULL,
    iban VARCHAR(34) NOT NULL,
    account VARCHAR(34) NOT NULL,
    bank_code VARCHAR(35) NOT NULL,
    bic VARCHAR(11) NOT NULL,
    PRIMARY KEY (safefile_id, part_no, currency, seq),
    UNIQUE KEY payout_attempt (payout_id, attempt)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS safefile_unpayable (
    safefile_id BIGINT UNSIGNED NOT NULL,
    payout_id BIGINT UNSIGNED NOT NULL,
    shop_user_id BIGINT UNSIGNED NOT NULL,
    reason VARCHAR(200) CHARACTER SET utf8mb4 NOT NULL,
    PRIMARY KEY (safefile_id, payout_id)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;

-- The last published safefile of a profile; publishing_id: the safefile that is being published right now, 0 if none.
CREATE TABLE IF NOT EXISTS profile_chain (
    profile VARCHAR(32) NOT NULL,
    sequence BIGINT UNSIGNED NOT NULL,
    manifest_sha256 BINARY(32) NULL,
    publishing_id BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (profile)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;
