-- The tables that Headroom reads, for PostgreSQL, in the form that OpenSIPS 3.x (load_balancer, version 3) and Kamailio (dispatcher, version 4) use.
-- Databases that their own scripts have made have them already.
CREATE TABLE IF NOT EXISTS version (
  table_name CHAR(32) NOT NULL,
  table_version INTEGER NOT NULL DEFAULT 0,
  CONSTRAINT version_t_name_idx UNIQUE (table_name)
);

CREATE TABLE IF NOT EXISTS load_balancer (
  id SERIAL PRIMARY KEY NOT NULL,
  group_id INTEGER NOT NULL DEFAULT 0,
  dst_uri CHAR(128) NOT NULL,
  resources CHAR(255) NOT NULL,
  probe_mode INTEGER NOT NULL DEFAULT 0,
  attrs CHAR(255) DEFAULT NULL,
  description CHAR(128) DEFAULT NULL
);
CREATE INDEX IF NOT EXISTS load_balancer_dsturi_idx ON load_balancer (dst_uri);
INSERT INTO version (table_name, table_version) VALUES ('load_balancer', 3) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS dispatcher (
  id SERIAL PRIMARY KEY NOT NULL,
  setid INTEGER NOT NULL DEFAULT 0,
  destination VARCHAR(192) NOT NULL DEFAULT '',
  flags INTEGER NOT NULL DEFAULT 0,
  priority INTEGER NOT NULL DEFAULT 0,
  attrs VARCHAR(128) NOT NULL DEFAULT '',
  description VARCHAR(64) NOT NULL DEFAULT ''
);
INSERT INTO version (table_name, table_version) VALUES ('dispatcher', 4) ON CONFLICT DO NOTHING;
