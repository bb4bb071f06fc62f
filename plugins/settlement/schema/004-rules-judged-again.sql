-- SPDX-License-Identifier: Apache-2.0
-- same_at: the region's revision at which this rule, of an upload that is not accepted yet, would have changed nothing. NULL:
-- it changes something. What is true of one chunk's lines need not be of the whole file, nor when the upload is accepted.
ALTER TABLE shop_rule
	ADD COLUMN IF NOT EXISTS same_at BIGINT UNSIGNED NULL;
