-- SPDX-License-Identifier: Apache-2.0
-- What jobs made for people to take away (reports), as zstd frames: those of a chunk in order of piece, the chunks by number.
CREATE TABLE IF NOT EXISTS job_output (
    job_id BIGINT UNSIGNED NOT NULL,
    chunk_no INT UNSIGNED NOT NULL,
    piece INT UNSIGNED NOT NULL,
    plain_bytes INT UNSIGNED NOT NULL,
    data MEDIUMBLOB NOT NULL,
    PRIMARY KEY (job_id, chunk_no, piece)
) ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin;
