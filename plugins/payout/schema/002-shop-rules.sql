-- SPDX-License-Identifier: Apache-2.0
-- The region's rules that the run applies: those with this revision or an older one (settlement's shop_rule), in force at the
-- window's end. 0: none.
ALTER TABLE run
	ADD COLUMN IF NOT EXISTS rules_revision BIGINT UNSIGNED NOT NULL DEFAULT 0;
