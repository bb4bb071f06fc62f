-- Each host's index, counted from 0 in each database.
CREATE TABLE IF NOT EXISTS control_instance (
  instance_no INT UNSIGNED NOT NULL PRIMARY KEY,
  owner VARCHAR(255) NOT NULL UNIQUE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
