import { StoreError } from "./errors.ts";

/** The name of a database that lives in memory and ends with its connection. */
export const MEMORY = ":memory:";

/**
 * The file of an address such as `sqlite:headroom.db` or OpenSIPS's `sqlite:///var/lib/opensips/db.sqlite`.
 *
 * @throws {StoreError} `BAD_URL` for another database or form; the message does not repeat what may hold a password
 */
export function sqliteFile(dbUrl: string): string {
  const scheme = /^[a-z]+(?=:)/i.exec(dbUrl)?.[0].toLowerCase();
  if (scheme === "mysql" || scheme === "postgres" || scheme === "postgresql") {
    throw new StoreError("BAD_URL", `Cannot open the ${scheme} database: this version opens SQLite files only, want sqlite:FILE`);
  }
  const file = dbUrl.slice("sqlite:".length);
  // A path behind exactly two slashes would be read as a host elsewhere, so it is not guessed at.
  if (scheme !== "sqlite" || file === "" || file.includes("\0") || /^\/\/(?!\/)/.test(file)) {
    throw new StoreError("BAD_URL", "Cannot open the database: want sqlite:FILE or sqlite:///ABSOLUTE/FILE");
  }
  return file.startsWith("///") ? file.slice(2) : file;
}
