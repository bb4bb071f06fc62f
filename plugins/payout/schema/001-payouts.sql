-- SPDX-License-Identifier: Apache-2.0
-- Where a shop is paid. At most one version of a (region, shop, currency) is in force: the unique key says so.
CREATE TABLE IF NOT EXISTS payee (
	region CHAR(2) NOT NULL,
	shop_user_id BIGINT UNSIGNED NOT NULL,
	currency CHAR(3) NOT NULL,
	version INT UNSIGNED NOT NULL,
	state VARCHAR(16) NOT NULL COMMENT 'pending (first version of an upload that is not accepted), waiting (change that waits for approval), in_force, superseded',
	name VARCHAR(140) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	name_latin VARCHAR(140) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
	country CHAR(2) NOT NULL,
	iban VARCHAR(34) NULL,
	account VARCHAR(34) NULL,
	bank_code VARCHAR(34) NULL,
	bic VARCHAR(11) NULL,
	town VARCHAR(35) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
	upload_id BIGINT UNSIGNED NOT NULL,
	created_ms BIGINT NOT NULL,
	in_force TINYINT AS (IF(state = 'in_force', 1, NULL)) PERSISTENT,
	PRIMARY KEY (region, shop_user_id, currency, version),
	UNIQUE KEY one_in_force (region, shop_user_id, currency, in_force),
	KEY by_upload (upload_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- generation counts how often the run was taken back: whoever takes it back for an older generation is stopped by it.
CREATE TABLE IF NOT EXISTS run (
	run_id BIGINT UNSIGNED NOT NULL,
	region CHAR(2) NOT NULL,
	window_no INT UNSIGNED NOT NULL,
	kind VARCHAR(16) NOT NULL COMMENT 'auto, manual',
	state VARCHAR(16) NOT NULL COMMENT 'planning, running, balanced, failed_control',
	generation INT UNSIGNED NOT NULL DEFAULT 0,
	job_id BIGINT UNSIGNED NOT NULL,
	user VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	payouts BIGINT UNSIGNED NOT NULL DEFAULT 0,
	items BIGINT UNSIGNED NOT NULL DEFAULT 0,
	created_ms BIGINT NOT NULL,
	finished_ms BIGINT NOT NULL DEFAULT 0,
	unique_window VARCHAR(16) NULL COMMENT 'SG202645: a window has one automatic run',
	PRIMARY KEY (run_id),
	UNIQUE KEY one_run_per_window (unique_window)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS run_chunk (
	run_id BIGINT UNSIGNED NOT NULL,
	chunk_no INT UNSIGNED NOT NULL,
	currency CHAR(3) NOT NULL,
	shop_from BIGINT UNSIGNED NOT NULL,
	shop_to BIGINT UNSIGNED NOT NULL,
	payouts BIGINT UNSIGNED NOT NULL,
	items BIGINT UNSIGNED NOT NULL,
	items_minor BIGINT NOT NULL,
	carry_in_minor BIGINT NOT NULL,
	payouts_minor BIGINT NOT NULL,
	held_minor BIGINT NOT NULL,
	carried_minor BIGINT NOT NULL,
	fees_minor BIGINT NOT NULL,
	reserve_minor BIGINT NOT NULL,
	PRIMARY KEY (run_id, chunk_no, currency)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- The unique key is in the order in which payment files and lists read a run.
CREATE TABLE IF NOT EXISTS payout (
	payout_id BIGINT UNSIGNED NOT NULL,
	run_id BIGINT UNSIGNED NOT NULL,
	region CHAR(2) NOT NULL,
	window_no INT UNSIGNED NOT NULL,
	shop_user_id BIGINT UNSIGNED NOT NULL,
	currency CHAR(3) NOT NULL,
	items BIGINT UNSIGNED NOT NULL,
	gross_minor BIGINT NOT NULL,
	fees_minor BIGINT NOT NULL,
	carry_in_minor BIGINT NOT NULL,
	net_minor BIGINT NOT NULL,
	carry_out_minor BIGINT NOT NULL,
	reserve_minor BIGINT NOT NULL,
	state VARCHAR(16) NOT NULL COMMENT 'ready, held, carried, zero, batched',
	reason VARCHAR(32) NOT NULL,
	attempt TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the last one that was made',
	PRIMARY KEY (payout_id),
	UNIQUE KEY one_payout_per_shop (run_id, currency, shop_user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS payout_attempt (
	payout_id BIGINT UNSIGNED NOT NULL,
	attempt TINYINT UNSIGNED NOT NULL,
	safefile_id BIGINT UNSIGNED NOT NULL,
	e2e_id CHAR(22) NOT NULL,
	amount_minor BIGINT NOT NULL,
	currency CHAR(3) NOT NULL,
	state VARCHAR(16) NOT NULL COMMENT 'batched, cancelled',
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (payout_id, attempt),
	UNIQUE KEY one_attempt_per_id (e2e_id),
	KEY by_safefile (safefile_id, payout_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS payout_event (
	payout_id BIGINT UNSIGNED NOT NULL,
	seq INT UNSIGNED NOT NULL,
	at_ms BIGINT NOT NULL,
	from_state VARCHAR(16) NOT NULL,
	to_state VARCHAR(16) NOT NULL,
	user VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	reason VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	PRIMARY KEY (payout_id, seq)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- What a run could not pay. Open while to_run is 0.
CREATE TABLE IF NOT EXISTS carry (
	region CHAR(2) NOT NULL,
	shop_user_id BIGINT UNSIGNED NOT NULL,
	currency CHAR(3) NOT NULL,
	from_run BIGINT UNSIGNED NOT NULL,
	amount_minor BIGINT NOT NULL,
	to_run BIGINT UNSIGNED NOT NULL DEFAULT 0,
	PRIMARY KEY (region, shop_user_id, currency, from_run),
	KEY by_state (region, to_run, shop_user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS ledger_tx (
	ledger_tx_id BIGINT UNSIGNED NOT NULL,
	kind VARCHAR(16) NOT NULL COMMENT 'settle',
	ref_run BIGINT UNSIGNED NOT NULL,
	ref_chunk INT UNSIGNED NOT NULL,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (ledger_tx_id),
	UNIQUE KEY one_per_chunk (kind, ref_run, ref_chunk)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS ledger_entry (
	ledger_tx_id BIGINT UNSIGNED NOT NULL,
	leg INT UNSIGNED NOT NULL,
	account VARCHAR(32) NOT NULL COMMENT 'clearing, carry_forward, commission, payable, held; the last two per shop',
	shop_user_id BIGINT UNSIGNED NOT NULL COMMENT '0 = none',
	currency CHAR(3) NOT NULL,
	debit_minor BIGINT NOT NULL,
	credit_minor BIGINT NOT NULL,
	PRIMARY KEY (ledger_tx_id, leg)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;
