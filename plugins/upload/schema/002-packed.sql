-- Files that came packed. packing: gzip, zstd, or '' for a plain file. plain_bytes: of the unpacked file, 0 for a plain one.
ALTER TABLE upload
	ADD COLUMN IF NOT EXISTS packing VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
	ADD COLUMN IF NOT EXISTS plain_bytes BIGINT UNSIGNED NOT NULL DEFAULT 0;
-- What a packed file unpacks to, in pieces of 1 MiB as in upload_piece: chunks begin in the middle.
CREATE TABLE IF NOT EXISTS upload_plain (
	upload_id BIGINT UNSIGNED NOT NULL,
	file_offset BIGINT UNSIGNED NOT NULL,
	data MEDIUMBLOB NOT NULL,
	PRIMARY KEY (upload_id, file_offset)
);
