import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import Database from "better-sqlite3";
import { parse, stringify } from "yaml";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { onProcessExit } from "./cleanup.ts";
import { freeUdpPort, waitFor } from "./net.ts";
import { assertDescribed } from "./openrpc.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
const START_TIMEOUT_MS = 60_000; // a second on an idle machine
const STOP_TIMEOUT_MS = 10_000;
const MI_TIMEOUT_MS = 20_000; // milliseconds, unless the machine has no time
const LOG_TIMEOUT_MS = 5_000;
const MEMORY_OPTIONS = ["--max-semi-space-size=8"];
const MEMORY_ENVIRONMENT = { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "131072" };

/** A row of table `load_balancer`; ids are given in order, from 1. */
export interface Row {
  group?: number;
  uri: string;
  resources: string;
  probeMode?: 0 | 1 | 2;
  attrs?: string;
}

/** One destination as `lb_list` shows it. */
export interface ListedDestination {
  uri: string;
  id: number;
  group: number;
  enabled: "yes" | "no";
  "auto-reenable": "on" | "off";
  Resources: { name: string; max: number; load: number }[];
  attrs?: string;
}

/** The program, running in a child process with a table of its own. */
export interface Headroom {
  /** Where it takes SIP over UDP. */
  readonly address: string;
  readonly port: number;
  readonly folder: string;
  /** Of the process that runs now. */
  readonly pid: number;
  /** Where it takes management methods; `/events` stands beside it. */
  readonly miUrl: string;
  /** Everything it has written so far, standard output and error. */
  log(): string;
  /** Waits until its log has this: a line may come after what it tells of can be seen. @throws Error that shows the log */
  untilLogged(pattern: RegExp): Promise<RegExpExecArray>;
  /** Calls a management method. @throws Error on a JSON-RPC error */
  mi(method: string, params?: readonly unknown[] | Record<string, unknown>): Promise<unknown>;
  list(): Promise<ListedDestination[]>;
  /** Load of the first resource of each destination, in the order of their ids. */
  loads(): Promise<number[]>;
  /** Replaces the table and reloads it. */
  replaceRows(rows: readonly Row[]): Promise<void>;
  /** Waits until every load of every resource is 0 and no dialog is left. */
  untilIdle(timeoutMs?: number): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Ends it with this signal and starts it again on the same configuration, database and ports. SIGKILL is what a power cut does. */
  restart(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Has a new process take over (SIGUSR2), and waits until it has. @throws Error when it is refused, or takes too long */
  restartHot(): Promise<void>;
  /** A process with this id has taken over. */
  follow(pid: number): void;
  /** Ends it at once (SIGKILL), as a power cut does; `stop` then only clears away. */
  kill(): Promise<void>;
  /** Asks it to stop (SIGTERM). @throws Error when it does not, or its exit code is not 0 */
  stop(): Promise<void>;
}

type Settings = { [key: string]: Settings | unknown };

function isSettings(value: unknown): value is Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function merge(base: Settings, over: Settings): Settings {
  const merged: Settings = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isSettings(below) && isSettings(value) ? merge(below, value) : value;
  }
  return merged;
}

/** The first token of an operator that the configuration names; the test asks with it. */
function operatorToken({ mi_http }: Settings): string | undefined {
  const auth = isSettings(mi_http) ? mi_http["auth"] : undefined;
  const tokens = isSettings(auth) ? auth["tokens"] : undefined;
  const found: unknown = Array.isArray(tokens) ? tokens.find((token) => isSettings(token) && token["role"] === "operator") : undefined;
  return isSettings(found) && typeof found["token"] === "string" ? found["token"] : undefined;
}

/**
 * Starts the program on a loopback address and waits until it answers.
 *
 * @param configText YAML laid over the test's defaults (a rule for group 1 and resource "pstn", fr_timeout 1 s, free ports, no
 *   refusals because the event loop is late)
 * @param rows what its table holds
 * @param address its loopback address; sipp and other peers take others
 * @param options of `headroom start`
 * @param nodeOptions what Node.js itself is told, such as `--inspect`. Without its memory options the program begins anew with them, which takes a moment
 * @param main the program: as its sources are, or as they were compiled
 */
export async function startHeadroom(
  configText = "",
  rows: readonly Row[] = [],
  address = "127.0.0.2",
  nodeOptions: readonly string[] = MEMORY_OPTIONS,
  options: readonly string[] = [],
  main = MAIN,
): Promise<Headroom> {
  const folder = mkdtempSync(join(tmpdir(), "headroom-e2e-"));
  const port = await freeUdpPort(address);
  const miPort = await freeTcpPort("127.0.0.1");
  const database = join(folder, "headroom.db");
  const defaults: Settings = {
    sip: { listen: [`udp:${address}:${port}`], stop_timeout: 3 },
    tm: { fr_timeout: 1, fr_inv_timeout: 30 },
    load_balancer: { db_url: `sqlite:${database}`, probing_interval: 0 },
    routing: { rules: [{ group: 1, resources: "pstn", failover_on: ["408", "5xx"], max_failovers: 3, disable_on: ["408"] }] },
    mi_http: { listen: `127.0.0.1:${miPort}` },
    // A machine with other work makes the event loop late, and a call that is refused for it fails a test of something else.
    overload: { max_lag: 0, max_utilization: 0 },
  };
  const over: unknown = parse(configText) ?? {};
  if (!isSettings(over)) throw new Error(`Cannot use configuration "${configText}": want a YAML mapping`);
  const configFile = join(folder, "headroom.yaml");
  writeFileSync(configFile, stringify(merge(defaults, over)));
  const token = operatorToken(over);

  let log = "";
  const run = (): { child: ChildProcess; exited: Promise<unknown> } => {
    const started = spawn(process.execPath, [...nodeOptions, main, "start", "--config", configFile, ...options], {
      cwd: folder,
      env: { ...process.env, ...MEMORY_ENVIRONMENT },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [started.stdout, started.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (log += text));
    return { child: started, exited: once(started, "exit") };
  };
  let { child, exited } = run();
  const forget = onProcessExit(() => {
    child.kill("SIGKILL");
    if (nextPid !== undefined && isThere(nextPid)) process.kill(nextPid, "SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  /** Of a process that has taken over from the one that was started here. */
  let nextPid: number | undefined;
  let requestId = 0;
  let wasKilled = false;

  async function mi(method: string, params?: readonly unknown[] | Record<string, unknown>): Promise<unknown> {
    requestId += 1;
    const reply = await fetch(`http://127.0.0.1:${miPort}/mi`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ jsonrpc: "2.0", id: requestId, method, ...(params === undefined ? {} : { params }) }),
      signal: AbortSignal.timeout(MI_TIMEOUT_MS),
    });
    const answer = (await reply.json()) as { result?: unknown; error?: { code: number; message: string } };
    assertDescribed(method, answer);
    if (answer.error !== undefined) throw new Error(`${method} was refused: ${answer.error.code} ${answer.error.message}`);
    return answer.result;
  }

  async function list(): Promise<ListedDestination[]> {
    const { Destinations } = (await mi("lb_list")) as { Destinations: ListedDestination[] };
    return Destinations.sort((a, b) => a.id - b.id);
  }

  async function untilAnswers(): Promise<void> {
    await waitFor("the management interface answers", START_TIMEOUT_MS, async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended with ${child.exitCode ?? child.signalCode}`);
      return await list().then(
        () => true,
        () => false,
      );
    });
  }

  const headroom: Headroom = {
    address,
    port,
    folder,
    get pid() {
      return nextPid ?? child.pid ?? 0;
    },
    miUrl: `http://127.0.0.1:${miPort}/mi`,
    log: () => log,
    async untilLogged(pattern) {
      return waitFor(`the log has ${pattern}`, LOG_TIMEOUT_MS, () => pattern.exec(log) ?? undefined).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${log}`);
      });
    },
    mi,
    list,
    async loads() {
      return (await list()).map(({ Resources }) => Resources[0]?.load ?? Number.NaN);
    },
    async replaceRows(replacement) {
      const table = new Database(database);
      const insert = table.prepare(
        "INSERT INTO load_balancer (id, group_id, dst_uri, resources, probe_mode, attrs) VALUES (?, ?, ?, ?, ?, ?)",
      );
      table.transaction(() => {
        table.exec("DELETE FROM load_balancer");
        replacement.forEach(({ group = 1, uri, resources, probeMode = 0, attrs = null }, index) => {
          insert.run(index + 1, group, uri, resources, probeMode, attrs);
        });
      })();
      table.close();
      await mi("lb_reload");
    },
    async untilIdle(timeoutMs = 3_000) {
      let seen = "";
      await waitFor("every load at zero and no dialog left", timeoutMs, async () => {
        const loads = (await list()).flatMap(({ Resources }) => Resources.map(({ load }) => load));
        const { Dialogs } = (await mi("dlg_list")) as { Dialogs: unknown[] };
        seen = `loads ${loads.join(", ")}, ${Dialogs.length} dialogs`;
        return loads.every((load) => load === 0) && Dialogs.length === 0;
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}; now: ${seen}\n${log}`);
      });
    },
    signal(name) {
      process.kill(headroom.pid, name);
    },
    follow(pid) {
      nextPid = pid;
    },
    async restartHot() {
      const from = log.length;
      headroom.signal("SIGUSR2");
      const done = await waitFor("a new process takes over", START_TIMEOUT_MS, () => {
        const refused = /Cannot restart without a stop: [^"]*/.exec(log.slice(from));
        if (refused !== null) throw new Error(refused[0]);
        return (
          /"newPid":(\d+)[^\n]*"a new process has taken over/.exec(log.slice(from)) ??
          /"newPid":(\d+)[^\n]*a new process has taken over/.exec(log.slice(from)) ??
          undefined
        );
      });
      nextPid = Number(done[1]);
    },
    async restart(signal) {
      await endNext(nextPid, signal);
      nextPid = undefined;
      child.kill(signal);
      await endOf(child, exited);
      wasKilled = false;
      ({ child, exited } = run());
      await untilAnswers();
    },
    async kill() {
      wasKilled = true;
      await endNext(nextPid, "SIGKILL");
      nextPid = undefined;
      child.kill("SIGKILL");
      await exited;
    },
    async stop() {
      wasKilled ||= nextPid !== undefined; // the exit code of a process that is not ours is not told
      await endNext(nextPid, "SIGTERM");
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      await endOf(child, exited).finally(() => {
        forget();
        rmSync(folder, { recursive: true, force: true });
      });
      if (child.exitCode !== 0 && !wasKilled) throw new Error(`Headroom ended with ${child.exitCode ?? child.signalCode}, want 0\n${log}`);
    },
  };

  try {
    await untilAnswers();
    if (rows.length > 0) await headroom.replaceRows(rows);
    return headroom;
  } catch (error) {
    child.kill("SIGKILL");
    await exited;
    forget();
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`Cannot start Headroom: ${String(error)}\n${log}`);
  }
}

async function endOf(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** Ends a process that is no child of this one. */
async function endNext(pid: number | undefined, signal: NodeJS.Signals): Promise<void> {
  if (pid === undefined || !isThere(pid)) return;
  process.kill(pid, signal);
  await waitFor("the process that has taken over ends", STOP_TIMEOUT_MS, () => !isThere(pid)).catch(() => process.kill(pid, "SIGKILL"));
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
