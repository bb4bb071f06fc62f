-- received_ms: when the last piece came; ended_ms: when the upload ended, 0 before; by the database's clock. bytes_kept: 0 once the
-- file's bytes, and what else is not kept for ever, are deleted.
ALTER TABLE upload
	ADD COLUMN IF NOT EXISTS received_ms BIGINT NOT NULL DEFAULT 0,
	ADD COLUMN IF NOT EXISTS ended_ms BIGINT NOT NULL DEFAULT 0,
	ADD COLUMN IF NOT EXISTS bytes_kept TINYINT NOT NULL DEFAULT 1,
	ADD KEY IF NOT EXISTS upload_kept (bytes_kept, ended_ms);
-- Uploads that ended before there was such a time.
UPDATE upload SET ended_ms = GREATEST(created_ms, checked_ms, accepted_ms)
	WHERE ended_ms = 0 AND state IN ('accepted', 'refused', 'failed', 'cancelled', 'dry_run');
