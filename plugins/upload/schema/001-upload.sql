-- Uploaded files. libkontor's upload job reads and writes these tables too, in the unit that owns the rows of the kind.
CREATE TABLE IF NOT EXISTS upload (
	upload_id BIGINT UNSIGNED NOT NULL,
	region CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	user VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	sha256 BINARY(32) NULL,
	bytes BIGINT UNSIGNED NOT NULL DEFAULT 0,
	received_bytes BIGINT UNSIGNED NOT NULL DEFAULT 0,
	pieces INT UNSIGNED NOT NULL DEFAULT 0,
	dry_run TINYINT NOT NULL,
	again TINYINT NOT NULL,
	job_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
	header VARCHAR(4096) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
	rows_total BIGINT UNSIGNED NOT NULL DEFAULT 0,
	error_code INT NOT NULL DEFAULT 0,
	error VARCHAR(512) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
	created_ms BIGINT NOT NULL,
	checked_ms BIGINT NOT NULL DEFAULT 0,
	accepted_ms BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (upload_id),
	KEY upload_same_bytes (region, kind, sha256),
	KEY upload_of_region (region, upload_id)
);
-- The file's bytes in order, each piece one zstd frame of at most 1 MiB of the file.
CREATE TABLE IF NOT EXISTS upload_piece (
	upload_id BIGINT UNSIGNED NOT NULL,
	file_offset BIGINT UNSIGNED NOT NULL,
	data MEDIUMBLOB NOT NULL,
	PRIMARY KEY (upload_id, file_offset)
);
CREATE TABLE IF NOT EXISTS upload_reject (
	upload_id BIGINT UNSIGNED NOT NULL,
	line_no BIGINT UNSIGNED NOT NULL,
	column_no INT UNSIGNED NOT NULL,
	column_name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	verdict VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	reason VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
	raw MEDIUMBLOB NOT NULL,
	PRIMARY KEY (upload_id, line_no)
);
CREATE TABLE IF NOT EXISTS upload_total (
	upload_id BIGINT UNSIGNED NOT NULL,
	chunk_no INT UNSIGNED NOT NULL,
	verdict VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	currency VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	row_count BIGINT UNSIGNED NOT NULL,
	amount_minor BIGINT NOT NULL,
	PRIMARY KEY (upload_id, chunk_no, verdict, currency)
);
