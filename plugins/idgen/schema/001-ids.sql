-- The datacenter id that this database gives ids for; one row at most.
CREATE TABLE IF NOT EXISTS id_cluster (
  dc_id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  cluster_uuid CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  bound_ms BIGINT NOT NULL,
  bound_by VARCHAR(64) NOT NULL,
  only_row TINYINT NOT NULL DEFAULT 1 UNIQUE CHECK (only_row = 1),
  CHECK (dc_id BETWEEN 1 AND 15)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- One row per slot: who may reserve next (epoch, owner, lease) and the highest counter that was ever reserved (hwm).
-- hwm never goes down; a row is never deleted.
CREATE TABLE IF NOT EXISTS id_slot (
  slot TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  epoch BIGINT UNSIGNED NOT NULL DEFAULT 0,
  owner VARCHAR(128) NOT NULL DEFAULT '',
  hwm BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lease_until_ms BIGINT NOT NULL DEFAULT 0,
  CHECK (slot BETWEEN 1 AND 62)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT IGNORE INTO id_slot (slot)
  WITH RECURSIVE numbers AS (SELECT 1 AS slot UNION ALL SELECT slot + 1 FROM numbers WHERE slot < 62)
  SELECT slot FROM numbers;

-- All namespaces of layout std63 share the slots' counters, so an id is unique across them too.
CREATE TABLE IF NOT EXISTS id_namespace (
  name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  layout VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT IGNORE INTO id_namespace (name, layout) VALUES
  ('billing-item', 'std63'), ('payout', 'std63'), ('job', 'std63'), ('file', 'std63'), ('default', 'std63');
