-- The tables that Headroom reads, for MariaDB and MySQL, in the form that OpenSIPS 3.x (load_balancer, version 3) and Kamailio (dispatcher, version 4) use.
-- Databases that their own scripts have made have them already.
CREATE TABLE IF NOT EXISTS version (
  table_name CHAR(32) NOT NULL,
  table_version INT UNSIGNED NOT NULL DEFAULT 0,
  CONSTRAINT t_name_idx UNIQUE (table_name)
) ENGINE=InnoDB;

CREATE TABLE IF NOT EXISTS load_balancer (
  id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL,
  group_id INT UNSIGNED NOT NULL DEFAULT 0,
  dst_uri CHAR(128) NOT NULL,
  resources CHAR(255) NOT NULL,
  probe_mode INT UNSIGNED NOT NULL DEFAULT 0,
  attrs CHAR(255) DEFAULT NULL,
  description CHAR(128) DEFAULT NULL,
  KEY dsturi_idx (dst_uri)
) ENGINE=InnoDB;
INSERT IGNORE INTO version (table_name, table_version) VALUES ('load_balancer', 3);

CREATE TABLE IF NOT EXISTS dispatcher (
  id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL,
  setid INT NOT NULL DEFAULT 0,
  destination VARCHAR(192) NOT NULL DEFAULT '',
  flags INT NOT NULL DEFAULT 0,
  priority INT NOT NULL DEFAULT 0,
  attrs VARCHAR(128) NOT NULL DEFAULT '',
  description VARCHAR(64) NOT NULL DEFAULT ''
) ENGINE=InnoDB;
INSERT IGNORE INTO version (table_name, table_version) VALUES ('dispatcher', 4);
