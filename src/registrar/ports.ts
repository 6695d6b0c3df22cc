import type { Chance } from "../transaction/index.ts";
import type { RowChange } from "./row.ts";

/** Algorithms of RFC 2617 and RFC 8760 that a challenge can name; their `-sess` forms are not offered. */
export type DigestAlgorithm = "MD5" | "SHA-256";

/** Hash functions, as the core sees them. Text is latin1, one character a byte; results are hexadecimal in lower case. */
export interface DigestHash {
  digest(algorithm: DigestAlgorithm, text: string): string;
  /** HMAC-SHA-256. */
  mac(key: string, text: string): string;
}

/** Where a request came from. */
export interface Source {
  /** As text without brackets. */
  readonly address: string;
  readonly port: number;
  readonly transport: "udp" | "tcp" | "tls" | "ws" | "wss";
}

/** Structured logging, as pino does it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the registrar needs of the rest of the program. */
export interface RegistrarPorts {
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Milliseconds since 1970: for snapshots, which outlive a process. */
  readonly wallMs: () => number;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly chance: Chance;
  readonly hash: DigestHash;
  readonly log: Log;
  /** Is told of each row that comes, stays, leaves, returns or is gone, after it did. What it throws is logged. */
  readonly onChange?: (change: RowChange) => void;
  /** Whether host and port are our own: a destination there would send calls in a circle. `host` without brackets, lower case. */
  readonly isOwn?: (host: string, port: number) => boolean;
  /** Whether a row of the database has this id. Asked when an id is given out. */
  readonly isTakenId?: (id: number) => boolean;
  /** The Date header's text, such as `Sat, 13 Nov 2010 23:29:00 GMT` (RFC 3261 §20.17). Without it answers have no Date. */
  readonly dateText?: () => string;
}
