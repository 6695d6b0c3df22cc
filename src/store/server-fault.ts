import type { DatabaseServer } from "./database-url.ts";
import { StoreError, type StoreErrorCode } from "./errors.ts";

/** What a failure means to who runs the database: the reason, and whether it is one of the connection. */
type Reason = readonly [StoreErrorCode, string];

/** Codes of the system, of MariaDB and MySQL (`ER_…`), and of PostgreSQL (SQLSTATE; the two characters of a class stand for all of it). */
const REASONS: Readonly<Record<string, Reason>> = {
  ECONNREFUSED: ["CANNOT_OPEN", "nobody listens there"],
  ENOENT: ["CANNOT_OPEN", "there is no such socket"],
  EACCES: ["CANNOT_OPEN", "this user may not use the socket"],
  ENOTFOUND: ["CANNOT_OPEN", "its host is not known"],
  EAI_AGAIN: ["CANNOT_OPEN", "the name servers do not answer"],
  EHOSTUNREACH: ["CANNOT_OPEN", "its host cannot be reached"],
  ENETUNREACH: ["CANNOT_OPEN", "its host cannot be reached"],
  ETIMEDOUT: ["CANNOT_OPEN", "it does not answer"],
  ECONNRESET: ["CANNOT_OPEN", "it has cut the connection"],
  EPIPE: ["CANNOT_OPEN", "it has cut the connection"],
  PROTOCOL_CONNECTION_LOST: ["CANNOT_OPEN", "it has cut the connection"],
  HANDSHAKE_NO_SSL_SUPPORT: ["CANNOT_OPEN", "it offers no TLS"],
  ER_ACCESS_DENIED_ERROR: ["CANNOT_OPEN", "it refuses this user or the password"],
  ER_DBACCESS_DENIED_ERROR: ["CANNOT_OPEN", "this user may not use the database"],
  ER_BAD_DB_ERROR: ["CANNOT_OPEN", "there is no such database"],
  ER_CON_COUNT_ERROR: ["CANNOT_OPEN", "it has too many connections"],
  ER_TOO_MANY_USER_CONNECTIONS: ["CANNOT_OPEN", "this user has too many connections"],
  ER_SERVER_SHUTDOWN: ["CANNOT_OPEN", "it is shutting down"],
  ER_OPTION_PREVENTS_STATEMENT: ["DENIED", "it may only be read"],
  ER_LOCK_WAIT_TIMEOUT: ["FAILED", "another program is writing it"],
  ER_LOCK_DEADLOCK: ["FAILED", "another program is writing it"],
  "40001": ["FAILED", "another program is writing it"],
  "40P01": ["FAILED", "another program is writing it"],
  "28": ["CANNOT_OPEN", "it refuses this user or the password"],
  "3D": ["CANNOT_OPEN", "there is no such database"],
  "53300": ["CANNOT_OPEN", "it has too many connections"],
  "57P01": ["CANNOT_OPEN", "it is shutting down"],
  "57P02": ["CANNOT_OPEN", "it has crashed"],
  "57P03": ["CANNOT_OPEN", "it is starting up or shutting down"],
  "25006": ["DENIED", "it may only be read"],
};

/** Codes of a table that is not there, of a column that is not there, and of a table that this user may not touch. */
const NO_TABLE = new Set(["ER_NO_SUCH_TABLE", "42P01"]);
const NO_COLUMN = new Set(["ER_BAD_FIELD_ERROR", "42703"]);
const DENIED = new Set(["ER_TABLEACCESS_DENIED_ERROR", "ER_COLUMNACCESS_DENIED_ERROR", "42501"]);

/** A failure of a database server as a sentence; what is one already stays. */
export function asServerError(cause: unknown, { name }: Pick<DatabaseServer, "name">): StoreError {
  if (cause instanceof StoreError) return cause;
  const { code: errno = "", message } = innermost(cause);
  const known = REASONS[errno] ?? (/^[0-9A-Z]{5}$/.test(errno) ? REASONS[errno.slice(0, 2)] : undefined);
  const [code, reason] = known ?? tableReason(errno, message);
  return new StoreError(code, `Cannot use database "${name}": ${reason}`, { cause });
}

function tableReason(errno: string, message: string): Reason {
  if (NO_TABLE.has(errno)) return ["BAD_TABLE", `a table is missing, which the scripts of OpenSIPS or Kamailio make: ${oneLine(message)}`];
  if (NO_COLUMN.has(errno)) return ["BAD_TABLE", `a column is missing: ${oneLine(message)}`];
  if (DENIED.has(errno)) return ["DENIED", `this user may not do that: ${oneLine(message)}`];
  if (/does not support SSL/i.test(message)) return ["CANNOT_OPEN", "it offers no TLS"];
  if (/timeout expired/i.test(message)) return ["CANNOT_OPEN", "it does not answer"];
  if (/Connection terminated/i.test(message)) return ["CANNOT_OPEN", "it has cut the connection"];
  return ["FAILED", oneLine(message)];
}

/** Of a host with several addresses Node.js tells one failure for each; the last one is what the others come to. */
function innermost(cause: unknown): { readonly code?: string; readonly message: string } {
  if (cause instanceof AggregateError && cause.errors.length > 0) return innermost(cause.errors.at(-1));
  if (cause instanceof Error) return cause;
  return { message: String(cause) };
}

function oneLine(message: string): string {
  return message.replace(/\s+/g, " ").trim() || "it gave no reason";
}
