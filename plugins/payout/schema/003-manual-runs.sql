-- SPDX-License-Identifier: Apache-2.0
-- Of a manual run: the manual-settlement upload whose claims it pays. An upload has one run.
ALTER TABLE run
	ADD COLUMN IF NOT EXISTS upload_id BIGINT UNSIGNED NULL,
	ADD UNIQUE KEY IF NOT EXISTS one_run_per_upload (upload_id);
