-- SPDX-License-Identifier: Apache-2.0
-- Windows are INT: ISO week-year * 100 + week. Instants are BIGINT milliseconds since 1970 UTC. Amounts are minor units.

-- from_ms and to_ms are computed once, when the row is made, and never again: a later time zone update moves no border.
-- close_job: the job that is closing it (state closing); run_id: the automatic run that settles it.
CREATE TABLE IF NOT EXISTS `window` (
	region CHAR(2) NOT NULL,
	window_no INT UNSIGNED NOT NULL,
	state VARCHAR(16) NOT NULL,
	from_ms BIGINT NOT NULL,
	to_ms BIGINT NOT NULL,
	run_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
	items BIGINT UNSIGNED NOT NULL DEFAULT 0,
	closed_ms BIGINT NOT NULL DEFAULT 0,
	close_job BIGINT UNSIGNED NOT NULL DEFAULT 0,
	PRIMARY KEY (region, window_no)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- What a closed window holds; written once, in the transaction that closes it.
CREATE TABLE IF NOT EXISTS window_total (
	region CHAR(2) NOT NULL,
	window_no INT UNSIGNED NOT NULL,
	currency CHAR(3) NOT NULL,
	items BIGINT UNSIGNED NOT NULL,
	amount_minor BIGINT NOT NULL,
	PRIMARY KEY (region, window_no, currency)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- The fence of close. Writer 0 is the region itself: its epoch, the oldest open window, and in n the last writer's number.
-- The other rows belong to one thread each; n counts the items that it offered.
CREATE TABLE IF NOT EXISTS window_writer (
	region CHAR(2) NOT NULL,
	writer BIGINT UNSIGNED NOT NULL,
	epoch BIGINT UNSIGNED NOT NULL,
	open_from INT UNSIGNED NOT NULL,
	n BIGINT UNSIGNED NOT NULL DEFAULT 0,
	used_ms BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (region, writer)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Immutable facts. item_type: 1 order, 2 refund, 3 adjustment, 4 fee, 5 tax, 6 voucher. upload_id 0: settlement.add_items.
CREATE TABLE IF NOT EXISTS billing_item (
	region CHAR(2) NOT NULL,
	window_no INT UNSIGNED NOT NULL,
	shop_user_id BIGINT UNSIGNED NOT NULL,
	billing_item_id BIGINT UNSIGNED NOT NULL,
	order_id VARCHAR(32) NOT NULL,
	item_type TINYINT UNSIGNED NOT NULL,
	amount_minor BIGINT NOT NULL,
	currency CHAR(3) NOT NULL,
	occurred_ms BIGINT NOT NULL,
	note VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
	late TINYINT UNSIGNED NOT NULL,
	upload_id BIGINT UNSIGNED NOT NULL,
	line_no BIGINT UNSIGNED NOT NULL,
	fact_key BINARY(16) NOT NULL,
	PRIMARY KEY (region, window_no, shop_user_id, billing_item_id),
	UNIQUE KEY item (region, billing_item_id, shop_user_id),
	UNIQUE KEY fact (region, fact_key)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- How many items of a window came from where. source: an upload's id, or a writer's number (small) for settlement.add_items.
CREATE TABLE IF NOT EXISTS item_batch (
	region CHAR(2) NOT NULL,
	window_no INT UNSIGNED NOT NULL,
	source BIGINT UNSIGNED NOT NULL,
	upload_id BIGINT UNSIGNED NOT NULL,
	accepted TINYINT UNSIGNED NOT NULL,
	items BIGINT UNSIGNED NOT NULL,
	late BIGINT UNSIGNED NOT NULL,
	PRIMARY KEY (region, window_no, source),
	KEY unaccepted (region, accepted, source)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Items that the window's automatic run leaves alone, because something else settles them.
CREATE TABLE IF NOT EXISTS claim (
	region CHAR(2) NOT NULL,
	window_no INT UNSIGNED NOT NULL,
	shop_user_id BIGINT UNSIGNED NOT NULL,
	billing_item_id BIGINT UNSIGNED NOT NULL,
	kind VARCHAR(16) NOT NULL,
	run_id BIGINT UNSIGNED NOT NULL,
	upload_id BIGINT UNSIGNED NOT NULL,
	line_no BIGINT UNSIGNED NOT NULL,
	PRIMARY KEY (region, window_no, shop_user_id, billing_item_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS shop_rule (
	region CHAR(2) NOT NULL,
	shop_user_id BIGINT UNSIGNED NOT NULL,
	rule VARCHAR(32) NOT NULL,
	currency CHAR(3) NOT NULL,
	version INT UNSIGNED NOT NULL,
	value VARCHAR(32) NOT NULL,
	from_ms BIGINT NOT NULL,
	until_ms BIGINT NULL,
	upload_id BIGINT UNSIGNED NOT NULL,
	PRIMARY KEY (region, shop_user_id, rule, currency, version)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;
