-- Leases on worker numbers. The low bits of a worker are the slot, above it stands the datacenter.
CREATE TABLE IF NOT EXISTS control_lease (
  slot TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  owner CHAR(32) NOT NULL,
  until_ms BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT IGNORE INTO control_lease (slot, owner, until_ms) VALUES (1, '', 0), (2, '', 0), (3, '', 0), (4, '', 0);
