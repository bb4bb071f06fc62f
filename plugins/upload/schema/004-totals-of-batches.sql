-- SPDX-License-Identifier: Apache-2.0
-- A chunk's rows are stored in batches, each in a transaction with its part of the totals.
ALTER TABLE upload_total
	ADD COLUMN IF NOT EXISTS batch_no INT UNSIGNED NOT NULL DEFAULT 0 AFTER chunk_no,
	DROP PRIMARY KEY,
	ADD PRIMARY KEY (upload_id, chunk_no, batch_no, verdict, currency);
