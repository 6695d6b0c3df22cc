import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { pino } from "pino";
import { stringify } from "yaml";
import { parseConfig } from "../../src/config/load.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { openStore } from "../../src/store/index.ts";
import { freeUdpPort } from "./net.ts";

/** What {@link innerNode} makes a node of. */
export interface InnerNodeOptions {
  readonly address: string;
  /** URIs of its destinations: ids from 1, all with resource `pstn=10`. */
  readonly uris: readonly string[];
  /** Section `cluster`. */
  readonly cluster: Readonly<Record<string, unknown>>;
  /** @default null */
  readonly tag?: string | null;
}

/** The program of one node, in this process, with a table and a log of its own. */
export class InnerNode {
  readonly address: string;
  readonly port: number;
  readonly folder: string;
  readonly #text: string;
  readonly #lines: string[] = [];
  #server: RunningServer | undefined;

  constructor(address: string, port: number, folder: string, text: string) {
    this.address = address;
    this.port = port;
    this.folder = folder;
    this.#text = text;
  }

  /** All that it has logged. */
  get log(): string {
    return this.#lines.join("");
  }

  async start(): Promise<void> {
    const log = pino({ level: "debug" }, { write: (line: string) => void this.#lines.push(line) });
    this.#server = await startServer(parseConfig(this.#text, "headroom.yaml", {}), log);
  }

  /** @throws Error with code and message of what it answered */
  async mi(method: string, ...params: unknown[]): Promise<unknown> {
    const response = await fetch(this.#server?.managementUrl ?? "", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      signal: AbortSignal.timeout(5_000),
    });
    const answer = (await response.json()) as { result?: unknown; error?: { code: number; message: string } };
    if (answer.error !== undefined) throw new Error(`${answer.error.code} ${answer.error.message}`);
    return answer.result;
  }

  /** What `lb_list` says of the cluster. */
  async cluster(): Promise<Readonly<Record<string, unknown>>> {
    return ((await this.mi("lb_list")) as { Cluster: Record<string, unknown> }).Cluster;
  }

  /** A file that one of its commands has written; "" when there is none. */
  written(name: string): string {
    try {
      return readFileSync(join(this.folder, name), "utf8");
    } catch {
      return "";
    }
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop();
  }

  /** Stops it when it runs, and leaves nothing. */
  async close(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A node that is still to be started. `FOLDER` in the texts of section `cluster` is its own. */
export async function innerNode({ address, uris, cluster, tag = null }: InnerNodeOptions): Promise<InnerNode> {
  const folder = mkdtempSync(join(tmpdir(), "headroom-inner-"));
  const file = join(folder, "headroom.db");
  await (await openStore(`sqlite:${file}`, { table: "load_balancer" })).close(); // makes the table
  const database = new Database(file);
  const insert = database.prepare("INSERT INTO load_balancer (group_id, dst_uri, resources) VALUES (1, ?, 'pstn=10')");
  for (const uri of uris) insert.run(uri);
  database.close();
  const port = await freeUdpPort(address);
  const config = {
    sip: { listen: [`udp:${address}:${port}`] },
    tm: { fr_timeout: 1, fr_inv_timeout: 30 },
    load_balancer: { db_url: `sqlite:${file}`, probing_interval: 0, cluster_sharing_tag: tag },
    routing: { rules: [{ group: 1, resources: "pstn" }] },
    mi_http: { listen: "127.0.0.1:0" },
    cluster,
  };
  return new InnerNode(address, port, folder, stringify(config).replaceAll("FOLDER", folder));
}
