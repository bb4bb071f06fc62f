-- SPDX-License-Identifier: Apache-2.0
-- waits_for: the upload whose rows this one had to wait for last, 0: none. Two may have come to wait for each other.
ALTER TABLE upload
	ADD COLUMN IF NOT EXISTS waits_for BIGINT UNSIGNED NOT NULL DEFAULT 0,
	ADD KEY IF NOT EXISTS upload_waits_for (waits_for);
