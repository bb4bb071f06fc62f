-- SPDX-License-Identifier: Apache-2.0
-- What a request leaves behind: its result under its key (kept 30 days), and who did what.

CREATE TABLE IF NOT EXISTS idempotency (
    user VARCHAR(64) NOT NULL,
    method VARCHAR(64) NOT NULL,
    idem_key VARBINARY(64) NOT NULL,
    body_sha256 BINARY(32) NOT NULL,
    result MEDIUMBLOB NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (user, method, idem_key),
    KEY created (created_ms)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS audit (
    audit_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    at_ms BIGINT NOT NULL,
    user VARCHAR(64) NOT NULL,
    method VARCHAR(64) NOT NULL,
    digest BINARY(32) NULL,
    outcome VARCHAR(64) NOT NULL,
    PRIMARY KEY (audit_id)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;
