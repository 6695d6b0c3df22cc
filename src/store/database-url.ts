import { isIP } from "node:net";
import { StoreError } from "./errors.ts";

/** The name of a database that lives in memory and ends with its connection. */
export const MEMORY = ":memory:";

/**
 * How the way to a database server is secured, in the words of PostgreSQL: not at all; encrypted, whoever answers; encrypted, by somebody whom an authority
 * vouches for; and by the very host that was asked for.
 */
export type ServerTls = "disable" | "require" | "verify-ca" | "verify-full";

/** A database on a server: where it is, and who asks. */
export interface DatabaseServer {
  readonly kind: "mysql" | "postgres";
  readonly host: string;
  readonly port: number;
  /** The Unix socket in place of host and port: of MySQL the socket itself, of PostgreSQL the folder that it is in. */
  readonly socket: string | undefined;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: ServerTls;
  /** PEM file with the authorities to be trusted; the system's when it is left out. */
  readonly caFile: string | undefined;
  /** How messages name it: without the password. */
  readonly name: string;
}

const SCHEMES: Readonly<Record<string, DatabaseServer["kind"]>> = { mysql: "mysql", postgres: "postgres", postgresql: "postgres" };
const PORTS = { mysql: 3306, postgres: 5432 } as const;
const TLS_WORDS: readonly ServerTls[] = ["disable", "require", "verify-ca", "verify-full"];
const PARAMETERS = ["sslmode", "sslrootcert", "socket"];

/**
 * What an address of a database names: a server, or undefined for anything else, which {@link sqliteFile} reads. Form:
 * `mysql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE&socket=PATH`, or `postgres://…`.
 *
 * @throws {StoreError} `BAD_URL`; the message does not repeat what may hold a password
 */
export function databaseServer(dbUrl: string): DatabaseServer | undefined {
  const scheme = /^[a-z]+(?=:\/\/)/i.exec(dbUrl)?.[0].toLowerCase() ?? "";
  const kind = SCHEMES[scheme];
  if (kind === undefined) return undefined;
  const refuse = (why: string) =>
    new StoreError("BAD_URL", `Cannot open the ${kind} database: ${why}, want ${scheme}://USER:PASSWORD@HOST:PORT/DATABASE`);
  const url = URL.canParse(dbUrl) ? new URL(dbUrl) : undefined;
  if (url === undefined) throw refuse("its address cannot be read (a special character in the password is written %XX)");
  const user = decoded(url.username);
  const database = decoded(url.pathname.slice(1));
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1") || "localhost";
  const port = url.port === "" ? PORTS[kind] : Number(url.port);
  if (user === "") throw refuse("its address names no user");
  if (database === "" || database.includes("/")) throw refuse("its address names no database");
  if (url.hash !== "") throw refuse('there is a "#" in its address (in a password it is written %23)');
  for (const name of url.searchParams.keys())
    if (!PARAMETERS.includes(name)) throw refuse(`its address has an unknown parameter (known: ${PARAMETERS.join(", ")})`);
  const tls = (url.searchParams.get("sslmode") ?? "disable") as ServerTls;
  if (!TLS_WORDS.includes(tls)) throw refuse(`sslmode is none of ${TLS_WORDS.join(", ")}`);
  // The driver compares no address with a certificate.
  if (kind === "mysql" && tls === "verify-full" && isIP(host) !== 0) throw refuse("sslmode=verify-full wants the name of its host");
  const socket = url.searchParams.get("socket") ?? undefined;
  const caFile = url.searchParams.get("sslrootcert") ?? undefined;
  const place = socket ?? `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const name = `${kind}://${user}@${place}/${database}`;
  return { kind, host, port, socket, user, password: decoded(url.password), database, tls, caFile, name };
}

/**
 * The file of an address such as `sqlite:headroom.db` or OpenSIPS's `sqlite:///var/lib/opensips/db.sqlite`.
 *
 * @throws {StoreError} `BAD_URL` for another database or form; the message does not repeat what may hold a password
 */
export function sqliteFile(dbUrl: string): string {
  const scheme = /^[a-z]+(?=:)/i.exec(dbUrl)?.[0].toLowerCase();
  const file = dbUrl.slice("sqlite:".length);
  // A path behind exactly two slashes would be read as a host elsewhere, so it is not guessed at.
  if (scheme !== "sqlite" || file === "" || file.includes("\0") || /^\/\/(?!\/)/.test(file)) {
    throw new StoreError("BAD_URL", "Cannot open the database: want sqlite:FILE or sqlite:///ABSOLUTE/FILE");
  }
  return file.startsWith("///") ? file.slice(2) : file;
}

/** A part of an address. OpenSIPS takes it as it stands, so a `%` that begins no code is one. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
