-- Layouts beside std63, and guards against a database that is not the one that it was.

-- server: the identity of the database server that was seen last. quarantine_until_ms: until then nobody takes a slot,
-- because the database may have forgotten windows that are still in use.
ALTER TABLE id_cluster
  ADD COLUMN IF NOT EXISTS server VARCHAR(300) NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS quarantine_until_ms BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS quarantine_reason VARCHAR(300) NOT NULL DEFAULT '';

-- Each layout has slots and counters of its own.
ALTER TABLE id_slot
  ADD COLUMN IF NOT EXISTS layout VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'std63' FIRST,
  DROP PRIMARY KEY,
  ADD PRIMARY KEY (layout, slot);

INSERT IGNORE INTO id_slot (layout, slot)
  WITH RECURSIVE numbers AS (SELECT 1 AS slot UNION ALL SELECT slot + 1 FROM numbers WHERE slot < 14)
  SELECT 'js53', slot FROM numbers;

-- max_n: the highest number that was ever reserved, of layout segment; never goes down.
ALTER TABLE id_namespace
  ADD COLUMN IF NOT EXISTS max_n BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS created_ms BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS created_by VARCHAR(64) NOT NULL DEFAULT '';
