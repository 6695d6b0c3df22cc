import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { freeTcpPort } from "./free-ports.ts";
import { LOOPBACK } from "./user-agent.ts";

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 5_000;
const MI_TIMEOUT_MS = 3_000;
const POLL_MS = 50;
const LOG_TAIL_CHARS = 4_000;

/** One destination as `lb_list` tells it. */
export interface ListedDestination {
  readonly id: number;
  readonly enabled: "yes" | "no";
  readonly Resources: readonly { readonly name: string; readonly max: number; readonly load: number }[];
}

/** The balancer itself, as `headroom start` runs it, in a process of its own. */
export interface BalancerProcess {
  /** Address of its management, without a path. */
  readonly managementUrl: string;
  /** Calls a management method. @throws Error when it is refused or does not answer */
  mi(method: string, params?: readonly unknown[]): Promise<unknown>;
  list(): Promise<readonly ListedDestination[]>;
  /** How often a call went on to another destination. */
  failovers(): Promise<number>;
  /** Ends the process: gracefully, or by force when that takes too long. */
  stop(): Promise<void>;
  /** Ends the process by force, at once. */
  kill(): void;
}

/**
 * Starts `headroom start` with a configuration in `folder`, and waits until it answers. It ends with this process, however that ends.
 *
 * @param settings the configuration, without `mi_http`: management gets a free port
 * @param signal gives the start up, and leaves no process
 * @throws Error with the end of its log when it does not start
 */
export async function startBalancer(folder: string, settings: object, signal?: AbortSignal): Promise<BalancerProcess> {
  const miPort = await freeTcpPort(LOOPBACK);
  const managementUrl = `http://${LOOPBACK}:${miPort}`;
  const configFile = join(folder, "headroom.yaml");
  const config = { ...settings, mi_http: { listen: `${LOOPBACK}:${miPort}` } };
  writeFileSync(configFile, stringify(config));

  // The compiled program runs .js, the sources run .ts.
  const main = join(import.meta.dirname, `../attended-start${extname(import.meta.filename)}`);
  const child = spawn(process.execPath, [main, "start", "--config", configFile], { cwd: folder, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => undefined); // nothing is written there
  let logTail = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      logTail = (logTail + text).slice(-LOG_TAIL_CHARS);
    });
  }
  const exited = once(child, "exit");
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;

  async function mi(method: string, params: readonly unknown[] = []): Promise<unknown> {
    const reply = await fetch(`${managementUrl}/mi`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      signal: AbortSignal.timeout(MI_TIMEOUT_MS),
    });
    const { result, error } = (await reply.json()) as { result?: unknown; error?: { message: string } };
    if (error !== undefined) throw new Error(`Cannot run ${method}: ${error.message}`);
    return result;
  }
  async function list(): Promise<readonly ListedDestination[]> {
    return ((await mi("lb_list")) as { Destinations: ListedDestination[] }).Destinations;
  }
  async function failovers(): Promise<number> {
    return ((await mi("get_statistics", [["tm:failovers"]])) as Record<string, number>)["tm:failovers"] ?? 0;
  }
  async function stop(): Promise<void> {
    if (hasEnded()) return;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }

  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  const answers = (): Promise<boolean> => list().then(Boolean, () => false);
  while (!(await answers())) {
    if (hasEnded() || performance.now() > deadlineMs || signal?.aborted) {
      await stop();
      throw new Error(`Cannot start the balancer:\n${logTail}`);
    }
    await sleep(POLL_MS);
  }
  return { managementUrl, mi, list, failovers, stop, kill: () => child.kill("SIGKILL") };
}
