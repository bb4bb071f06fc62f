-- SPDX-License-Identifier: Apache-2.0
-- A rule counts from the moment its row gets a revision; then it never changes again. Of the rules of one shop, rule and
-- currency that are in force at an instant, the one with the highest (revision, line_no) decides. from_ms -2^63 and until_ms
-- NULL: without beginning, without end. value: as it was written. number: hold 0 or 1, minimum_payout minor units of the
-- currency, commission_percent times 10,000. currency '': all.
ALTER TABLE shop_rule
	ADD COLUMN IF NOT EXISTS number BIGINT NOT NULL DEFAULT 0,
	ADD COLUMN IF NOT EXISTS line_no BIGINT UNSIGNED NOT NULL DEFAULT 0,
	ADD COLUMN IF NOT EXISTS revision BIGINT UNSIGNED NOT NULL DEFAULT 0,
	ADD KEY IF NOT EXISTS by_upload (upload_id, revision);

-- How often the rules of a region have changed. (region, revision) names a set of rules for ever.
CREATE TABLE IF NOT EXISTS shop_rule_revision (
	region CHAR(2) NOT NULL,
	revision BIGINT UNSIGNED NOT NULL,
	PRIMARY KEY (region)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;
