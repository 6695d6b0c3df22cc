import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createConnection } from "mysql2";
import pg from "pg";
import { commandOf, MARIADB, POSTGRES } from "../../scripts/ensure-tools.ts";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { onProcessExit } from "./cleanup.ts";
import { waitFor } from "./net.ts";

const START_MS = 60_000; // seconds on an idle machine
const HOST = "127.0.0.1";
const ADMINISTRATOR = "administrator";
const PASSWORD = "first / password";
/** "nobody": neither server runs as root. */
const NOBODY = 65_534;

export type DatabaseKind = "mysql" | "postgres";
export const DATABASE_KINDS: readonly DatabaseKind[] = ["mysql", "postgres"];

/** A real MariaDB or PostgreSQL on 127.0.0.1, in a folder of its own, with a database `opensips`. `await using` or {@link close} ends it, and the end of the process does. */
export class DatabaseServer implements AsyncDisposable {
  readonly kind: DatabaseKind;
  readonly port: number;
  readonly folder: string;
  readonly #forget: () => void;
  #process: ChildProcess | undefined;
  #tls: readonly string[] = [];

  constructor(kind: DatabaseKind, port: number, folder: string) {
    this.kind = kind;
    this.port = port;
    this.folder = folder;
    this.#forget = onProcessExit(() => this.#erase());
  }

  /** The address of its database for a user, or for the administrator. */
  url(user = ADMINISTRATOR, password = PASSWORD): string {
    return `${this.kind}://${user}:${encodeURIComponent(password)}@${HOST}:${this.port}/opensips`;
  }

  /** Makes its files. */
  prepare(): void {
    const data = join(this.folder, "data");
    if (this.kind === "mysql") {
      const options = ["--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=normal", "--skip-test-db"];
      execFileSync("mariadb-install-db", options, { ...identity(), stdio: "pipe" });
      const start = join(this.folder, "start.sql");
      const user = `'${ADMINISTRATOR}'@'${HOST}' IDENTIFIED BY '${PASSWORD}'`;
      writeFileSync(start, `CREATE DATABASE IF NOT EXISTS opensips;\nGRANT ALL ON *.* TO ${user} WITH GRANT OPTION;\n`, { mode: 0o644 });
      return;
    }
    const secret = join(this.folder, "password");
    writeFileSync(secret, PASSWORD, { mode: 0o644 });
    const options = ["-D", data, "-U", ADMINISTRATOR, "-A", "scram-sha-256", `--pwfile=${secret}`, "-E", "UTF8", "--no-locale", "-N"];
    execFileSync(join(dirname(postgres()), "initdb"), options, { ...identity(), stdio: "pipe" });
  }

  /** Starts it and waits until it answers. @throws Error with what it printed */
  async start(): Promise<void> {
    const [command, words] = this.#command();
    let printed = "";
    const server = spawn(command, [...words, ...this.#tls], { ...identity(), cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] });
    this.#process = server;
    server.on("error", ({ message }) => {
      printed += message;
    });
    for (const stream of [server.stdout, server.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        printed = (printed + text).slice(-4000);
      });
    }
    await waitFor(`${this.kind} on port ${this.port}`, START_MS, async () => {
      if (server.exitCode !== null || server.pid === undefined) throw new Error(`Cannot start ${this.kind}: ${printed}`);
      return this.execute("SELECT 1").then(
        () => true,
        () => false,
      );
    });
  }

  /** Has it offer TLS from its next start on, with these PEM files. */
  secure(certificate: string, key: string): void {
    const { uid, gid } = identity();
    for (const [from, name] of [
      [certificate, "server.pem"],
      [key, "server.key"],
    ] as const) {
      const to = join(this.folder, name);
      writeFileSync(to, readFileSync(from), { mode: 0o600 });
      if (uid !== undefined && gid !== undefined) chownSync(to, uid, gid);
    }
    const [pem, secret] = [join(this.folder, "server.pem"), join(this.folder, "server.key")];
    this.#tls =
      this.kind === "mysql"
        ? [`--ssl-cert=${pem}`, `--ssl-key=${secret}`]
        : ["-c", "ssl=on", "-c", `ssl_cert_file=${pem}`, "-c", `ssl_key_file=${secret}`];
  }

  /** Runs statements as the administrator, one after the other. */
  async execute(statements: string): Promise<void> {
    if (this.kind === "mysql") await onMysql({ port: this.port, database: "opensips" }, statements);
    else await onPostgres({ port: this.port, database: "opensips" }, statements);
  }

  /** Makes a user who may do this with the tables that there are, such as "SELECT". */
  async addUser(name: string, password: string, rights: string, tables: readonly string[]): Promise<void> {
    const user = this.kind === "mysql" ? `'${name}'@'${HOST}'` : name;
    const made = this.kind === "mysql" ? `CREATE USER ${user} IDENTIFIED BY '${password}'` : `CREATE USER ${user} PASSWORD '${password}'`;
    await this.execute([made, ...tables.map((table) => `GRANT ${rights} ON ${table} TO ${user}`)].join(";\n"));
  }

  /** The `socket` of its address. */
  get socket(): string {
    return this.kind === "mysql" ? join(this.folder, "socket") : this.folder;
  }

  /** Has it let the administrator in by the Unix socket; to MariaDB that is somebody else. */
  async allowSocket(): Promise<void> {
    if (this.kind === "mysql") await this.execute(`GRANT ALL ON *.* TO '${ADMINISTRATOR}'@'localhost' IDENTIFIED BY '${PASSWORD}'`);
  }

  /** Kills it, as kill -9 does. */
  async stop(): Promise<void> {
    const server = this.#process;
    this.#process = undefined;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return;
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill(this.kind === "mysql" ? "SIGKILL" : "SIGQUIT"); // PostgreSQL's processes of its own end with SIGQUIT, which is its kill
    await ended;
  }

  /** It hangs: nobody is let in, nothing is answered. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  async close(): Promise<void> {
    this.resume();
    await this.stop();
    this.#forget();
    this.#erase();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #command(): [string, string[]] {
    const data = join(this.folder, "data");
    if (this.kind === "postgres")
      return [
        postgres(),
        ["-D", data, "-p", String(this.port), "-h", HOST, "-k", this.folder, "-c", "fsync=off", "-c", "shared_buffers=16MB"],
      ];
    const place = [`--datadir=${data}`, `--port=${this.port}`, `--bind-address=${HOST}`, `--socket=${join(this.folder, "socket")}`];
    // What is committed survives a kill, and a power cut does not happen here.
    const small = ["--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=2", "--skip-name-resolve"];
    const pid = `--pid-file=${join(this.folder, "pid")}`;
    return [commandOf(MARIADB) ?? "mariadbd", ["--no-defaults", ...place, ...small, pid, `--init-file=${join(this.folder, "start.sql")}`]];
  }

  #erase(): void {
    this.#process?.kill("SIGCONT");
    this.#process?.kill(this.kind === "mysql" ? "SIGKILL" : "SIGQUIT");
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Starts a server; close it in `finally`. */
export async function startDatabase(kind: DatabaseKind): Promise<DatabaseServer> {
  const folder = mkdtempSync(join(tmpdir(), `headroom-${kind}-`));
  chmodSync(folder, 0o755);
  const { uid, gid } = identity();
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
  const server = new DatabaseServer(kind, await freeTcpPort(HOST), folder);
  try {
    server.prepare();
    if (kind === "mysql") await server.start();
    else await startPostgres(server);
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** Its database can be made only once it runs. */
async function startPostgres(server: DatabaseServer): Promise<void> {
  const starting = server.start();
  const made = waitFor("database opensips", START_MS, () =>
    onPostgres({ port: server.port, database: "postgres" }, "CREATE DATABASE opensips").then(
      () => true,
      () => false,
    ),
  );
  await Promise.all([starting, made]);
}

function identity(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
}

function postgres(): string {
  const command = commandOf(POSTGRES) ?? "postgres";
  return execFileSync("readlink", ["-f", command.includes("/") ? command : execFileSync("which", [command], { encoding: "utf8" }).trim()], {
    encoding: "utf8",
  }).trim();
}

interface Place {
  readonly port: number;
  readonly database: string;
}

async function onMysql({ port, database }: Place, statements: string): Promise<void> {
  const options = { host: HOST, port, database, user: ADMINISTRATOR, password: PASSWORD, multipleStatements: true, connectTimeout: 1_000 };
  const connection = createConnection(options);
  connection.on("error", () => {}); // the query fails
  try {
    await new Promise<void>((resolve, reject) => connection.query(statements, (error) => (error ? reject(error) : resolve())));
  } finally {
    connection.destroy();
  }
}

async function onPostgres({ port, database }: Place, statements: string): Promise<void> {
  const client = new pg.Client({ host: HOST, port, database, user: ADMINISTRATOR, password: PASSWORD, connectionTimeoutMillis: 1_000 });
  client.on("error", () => {}); // the query fails
  await client.connect();
  try {
    await client.query(statements);
  } finally {
    await client.end();
  }
}
