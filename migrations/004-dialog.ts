/**
 * The version of the file of calls, which stands in its `user_version`. A file of a newer one is refused. Version 2 has other sums of calls; it knows those of
 * version 1, and logs have another form of batches.
 *
 * The calls have a file of their own beside the one of the destinations: it is written forty times a second and stays open, while that one is
 * opened for each piece of work, so that an administrator may write it, or put another in its place, at any time.
 */
export const DIALOG_FILE_VERSION = 2;

/**
 * Makes the table of ongoing calls, one row a call, by the name of its dialog. What is known of the call, and what it holds at which destination, is
 * one JSON text: it is always written and read as a whole. Its sum shows when a disk has changed it, which SQLite does not.
 */
export const CREATE_DIALOG_TABLE =
  "CREATE TABLE IF NOT EXISTS headroom_dialog (did TEXT PRIMARY KEY NOT NULL, record TEXT NOT NULL, sum INTEGER NOT NULL)";

/** Makes the table of capacities that somebody has set otherwise than the rows say, by the identity of the destination. */
export const CREATE_CAPACITY_TABLE =
  "CREATE TABLE IF NOT EXISTS headroom_capacity (destination TEXT NOT NULL, resource TEXT NOT NULL, capacity INTEGER NOT NULL, row_capacity INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (destination, resource))";

/** Makes the table of one row that says when the program that writes was last known to live, milliseconds since 1970. */
export const CREATE_LIFE_TABLE = "CREATE TABLE IF NOT EXISTS headroom_life (id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER NOT NULL)";

/**
 * Makes the table of one row that names the file: its place on the disk does not, as a file that is made where another one was removed may get the same
 * (inode numbers are used again).
 */
export const CREATE_NAME_TABLE =
  "CREATE TABLE IF NOT EXISTS headroom_name (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL); INSERT OR IGNORE INTO headroom_name VALUES (1, lower(hex(randomblob(12))))";
