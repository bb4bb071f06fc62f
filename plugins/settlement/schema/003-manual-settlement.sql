-- SPDX-License-Identifier: Apache-2.0
-- How often rows of this window were offered for manual settlement. Writing it is what lets a claim and the start of the
-- window's run exclude each other.
ALTER TABLE `window`
	ADD COLUMN IF NOT EXISTS claim_offers BIGINT UNSIGNED NOT NULL DEFAULT 0;

-- kind MANUAL: run_id is 0, manual_settlement has it.
ALTER TABLE claim
	ADD KEY IF NOT EXISTS by_upload (region, upload_id, shop_user_id, billing_item_id);

-- What an upload of kind manual-settlement has claimed in a window, and whether it counts yet.
CREATE TABLE IF NOT EXISTS claim_batch (
	region CHAR(2) NOT NULL,
	window_no INT UNSIGNED NOT NULL,
	upload_id BIGINT UNSIGNED NOT NULL,
	currency CHAR(3) NOT NULL,
	accepted TINYINT UNSIGNED NOT NULL DEFAULT 0,
	claims BIGINT UNSIGNED NOT NULL,
	amount_minor BIGINT NOT NULL,
	PRIMARY KEY (region, window_no, upload_id, currency),
	KEY by_upload (region, upload_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- An accepted upload of kind manual-settlement and the run that pays what it claims. window_no: the oldest open window when
-- it was accepted. state: accepted; settled once the run has balanced.
CREATE TABLE IF NOT EXISTS manual_settlement (
	region CHAR(2) NOT NULL,
	upload_id BIGINT UNSIGNED NOT NULL,
	window_no INT UNSIGNED NOT NULL,
	run_id BIGINT UNSIGNED NOT NULL,
	job_id BIGINT UNSIGNED NOT NULL,
	user VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	state VARCHAR(16) NOT NULL,
	payouts BIGINT UNSIGNED NOT NULL DEFAULT 0,
	accepted_ms BIGINT NOT NULL,
	PRIMARY KEY (region, upload_id),
	KEY by_window (region, window_no)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;
