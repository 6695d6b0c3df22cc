import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { onProcessExit } from "./cleanup.ts";
import { waitFor } from "./net.ts";

const START_MS = 10_000;

export interface RedisOptions {
  /** @default a free one */
  readonly port?: number;
  /** Words for redis-server's command line, such as `--requirepass`, `secret`. */
  readonly args?: readonly string[];
  /** Whether what it holds survives {@link RedisServer.stop} (append-only file). @default false */
  readonly isPersistent?: boolean;
  /** It is a Sentinel, with this file, which it rewrites. */
  readonly sentinelConfig?: string;
  /** What its own client says to be let in. */
  readonly password?: string;
}

/** A real redis-server on 127.0.0.1 in a folder of its own. `await using` or {@link close} ends it, and the end of the process does. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly #options: RedisOptions;
  readonly #forget: () => void;
  #process: ChildProcess | undefined;
  #client: Redis | undefined;

  constructor(port: number, folder: string, options: RedisOptions) {
    this.port = port;
    this.folder = folder;
    this.#options = options;
    this.#forget = onProcessExit(() => this.#erase());
  }

  get url(): string {
    const { password } = this.#options;
    return `redis://${password === undefined ? "" : `:${encodeURIComponent(password)}@`}127.0.0.1:${this.port}`;
  }

  /** Starts it and waits until it answers. @throws Error with what it printed */
  async start(): Promise<void> {
    const { args = [], isPersistent = false, sentinelConfig } = this.#options;
    const persistence = isPersistent ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
    const common = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.folder];
    const words =
      sentinelConfig === undefined
        ? [...common, "--save", "", "--repl-diskless-sync-delay", "0", ...persistence, ...args]
        : [sentinelConfig, "--sentinel", ...common, ...args];
    let printed = "";
    const server = spawn("redis-server", words, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = server;
    server.on("error", ({ message }) => {
      printed += message;
    });
    for (const stream of [server.stdout, server.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        printed = (printed + text).slice(-4000);
      });
    }
    await waitFor(`redis-server on port ${this.port}`, START_MS, async () => {
      if (server.exitCode !== null || server.pid === undefined) throw new Error(`Cannot start redis-server: ${printed}`);
      return (await this.cli("PING").catch(() => undefined)) === "PONG";
    });
  }

  /** Kills it, as kill -9 does. */
  async stop(): Promise<void> {
    this.#client?.disconnect();
    this.#client = undefined;
    const server = this.#process;
    this.#process = undefined;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return;
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGKILL");
    await ended;
  }

  /** Kills it when it runs, and starts it again on the same port. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** It hangs: connections stay, nothing is answered. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Redis loses all it has. Connections stay. */
  async flush(): Promise<void> {
    await this.cli("FLUSHALL");
  }

  /** Runs one command on a connection of its own. Hashes come as flat arrays. @throws Error what Redis answers */
  async cli(command: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const { password } = this.#options;
    if (this.#client?.status === "end") this.#client = undefined; // Redis may have cut it
    this.#client ??= new Redis({
      host: "127.0.0.1",
      port: this.port,
      protocol: 2,
      lazyConnect: true,
      retryStrategy: () => null,
      ...(password === undefined ? {} : { password }),
    }).on("error", () => {}); // its commands fail
    // ioredis makes objects of replies to commands that it knows, and it knows them in lower case.
    return this.#client.call(command.toUpperCase(), ...args);
  }

  async close(): Promise<void> {
    await this.stop();
    this.#forget();
    this.#erase();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #erase(): void {
    this.#process?.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Starts a redis-server; close it in `finally`. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const port = options.port ?? (await freeTcpPort());
  const server = new RedisServer(port, await mkdtemp(join(tmpdir(), "headroom-redis-")), options);
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** A TCP port of 127.0.0.1 that nobody uses, now. */
export async function freeTcpPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
