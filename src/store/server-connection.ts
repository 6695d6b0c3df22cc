import { readFileSync } from "node:fs";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { Kysely, MysqlDialect, type MysqlPool, type MysqlPoolConnection, PostgresDialect, type PostgresPoolClient } from "kysely";
import type { Connection, Tables } from "./connection.ts";
import type { DatabaseServer } from "./database-url.ts";
import { StoreError } from "./errors.ts";
import { asServerError } from "./server-fault.ts";
import { within } from "./within.ts";

/** How long a server may take to let us in, ms. */
const CONNECT_MS = 5_000;
/** How long it may take for all of a piece of work that is a read, ms. */
export const WORK_MS = 15_000;
/**
 * How MariaDB and MySQL treat a session, whatever they are set to: values are written as they are or refused, none is cut or has characters replaced; a backslash
 * stands for itself only where the driver has written two; texts come without what fills up their columns.
 */
const SQL_MODE = "STRICT_ALL_TABLES";
/** How long a goodbye may take, ms. */
const END_MS = 1_000;
/** PostgreSQL's types, by their numbers: whole numbers of 64 bits, and texts that are filled up with blanks. */
const INT8 = 20;
const BPCHAR = 1042;

/** One connection, which is made with the first query, and what cuts it whatever it waits for. */
interface Link {
  readonly dialect: MysqlDialect | PostgresDialect;
  cut(): void;
}

/**
 * Does a piece of work on a database server, on a connection of its own: work is as rare as reloads are, and a connection that is kept for it is one that the server's
 * `wait_timeout`, a firewall or a switch-over has ended when it is wanted. So there is nothing to connect again.
 *
 * The driver is loaded when it is used first.
 *
 * @throws {StoreError} what the server says, or that it has not answered within `limitMs`
 */
export async function onServer<T>(server: DatabaseServer, use: (db: Connection) => Promise<T>, limitMs = WORK_MS): Promise<T> {
  let link: Link | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    link = server.kind === "mysql" ? await mysqlLink(server) : await postgresLink(server);
    const db = new Kysely<Tables>({ dialect: link.dialect });
    const limit = new Promise<never>((_resolve, reject) => {
      const late = new StoreError("CANNOT_OPEN", `Cannot use database "${server.name}": no answer within ${limitMs / 1000} s`);
      timer = setTimeout(() => reject(late), limitMs);
    });
    const result = await Promise.race([use(db), limit]);
    await within(
      db.destroy().catch(() => {}), // the work is done
      END_MS,
    );
    return result;
  } catch (cause) {
    throw asServerError(cause, server);
  } finally {
    clearTimeout(timer);
    link?.cut();
  }
}

async function mysqlLink(server: DatabaseServer): Promise<Link> {
  const { createConnection } = await import("mysql2");
  const { host, port, socket, user, password, database } = server;
  const connection = createConnection({
    ...(socket === undefined ? { host, port } : { socketPath: socket }),
    ...{ user, password, database, connectTimeout: CONNECT_MS },
    charset: "utf8mb4",
    supportBigNumbers: true, // a number that does not fit comes as a text, which the checks refuse
    ...(server.tls !== "disable" && {
      ssl: { ...trustOf(server), rejectUnauthorized: server.tls !== "require", verifyIdentity: server.tls === "verify-full" },
    }),
  });
  connection.on("error", () => {}); // its queries fail
  const pooled = Object.assign(connection, { release: () => {} }) as unknown as MysqlPoolConnection;
  let isSet = false;
  const pool: MysqlPool = {
    getConnection(done) {
      connection.connect((failure) => {
        if (failure || isSet) return done(failure, pooled);
        isSet = true;
        connection.query(`SET SESSION sql_mode = '${SQL_MODE}'`, (error) => done(error, pooled));
      });
    },
    end: (done) => connection.end(done),
  };
  return { dialect: new MysqlDialect({ pool }), cut: () => connection.destroy() };
}

async function postgresLink(server: DatabaseServer): Promise<Link> {
  const { default: pg } = await import("pg");
  const { host, port, socket, user, password, database, tls } = server;
  const client = new pg.Client({
    ...{ host: socket ?? host, port, user, password, database, connectionTimeoutMillis: CONNECT_MS, application_name: "headroom" },
    ssl: tls !== "disable" && {
      ...trustOf(server),
      rejectUnauthorized: tls !== "require",
      // Of an address that is no name Node.js does not know by itself who was asked for.
      checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
        tls === "verify-full" ? checkServerIdentity(host, certificate) : undefined,
    },
    types: {
      getTypeParser: (type: number, format?: "text" | "binary") => textReader(type) ?? pg.types.getTypeParser(type, format as "text"),
    },
  });
  client.on("error", () => {}); // its queries fail
  let connecting: Promise<PostgresPoolClient> | undefined;
  const connect = async (): Promise<PostgresPoolClient> => {
    await client.connect();
    return Object.assign(client, { release: () => {} }) as unknown as PostgresPoolClient;
  };
  const pool = { connect: () => (connecting ??= connect()), end: () => client.end(), options: {} };
  const { connection } = client as unknown as { readonly connection: { readonly stream: { destroy(): void } } };
  return { dialect: new PostgresDialect({ pool }), cut: () => connection.stream.destroy() };
}

/** How a value is read that is otherwise than the checks of rows want it. */
function textReader(type: number): ((text: string) => unknown) | undefined {
  if (type === INT8) return (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : text);
  return type === BPCHAR ? withoutPadding : undefined;
}

function withoutPadding(text: string): string {
  let end = text.length;
  while (text.charAt(end - 1) === " ") end--;
  return text.slice(0, end);
}

/** @throws {StoreError} when the file of authorities cannot be read */
function trustOf({ caFile, name }: DatabaseServer): { ca?: string } {
  if (caFile === undefined) return {};
  try {
    return { ca: readFileSync(caFile, "utf8") };
  } catch (cause) {
    throw new StoreError("CANNOT_OPEN", `Cannot use database "${name}": sslrootcert "${caFile}" cannot be read`, { cause });
  }
}
