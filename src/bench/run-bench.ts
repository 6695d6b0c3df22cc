import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { extname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BalancerProcess, startBalancer } from "../demo/balancer-process.ts";
import { freeUdpPorts } from "../demo/free-ports.ts";
import { LOOPBACK } from "../demo/user-agent.ts";
import { openStore } from "../store/index.ts";
import type { AgentFigures, AgentOrder } from "./agent.ts";
import { quantile, RateSearch, type Step, type Verdict, verdictOf } from "./plan.ts";

/** Options of the benchmark. */
export interface BenchOptions {
  /** Length of all, starting and stopping included; it is kept to within a second or two. */
  readonly seconds: number;
  /** Measures this rate only. */
  readonly callsPerSecond?: number | undefined;
  /** Is told of each step, when it is over. */
  readonly onStep: (step: Step, verdict: Verdict) => void;
  /** Ends the benchmark early. */
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface BenchResult {
  readonly processor: string;
  readonly processors: number;
  readonly node: string;
  readonly steps: readonly (Step & { readonly verdict: Verdict })[];
  /** The highest rate at which nothing was wrong. */
  readonly best: Step | undefined;
  /** What was wrong above it; undefined when time ran out before anything was. */
  readonly limit: Exclude<Verdict, "fine"> | undefined;
}

const DESTINATIONS = 10;
/** More than anybody reaches here. */
const CAPACITY = 1_000_000;
/** A call is hung up after this: long enough that calls are up beside each other, short enough that steps do not take the calls of others. */
const HOLD_MS = 1_000;
const FIRST_RATE = 200;
/** Shares of the time: code is compiled while it runs, and the first seconds tell nothing of the rest. */
const WARM_UP_SHARE = 0.2;
const STEP_SHARE = 0.08;
const MIN_STEP_MS = 700;
const MAX_STEP_MS = 5_000;
/** After a change of the rate, until it is what it shall be. */
const SETTLE_MS = 300;
/** Kept for the end of all processes. */
const STOP_MS = 1_500;
const REPLY_TIMEOUT_MS = 10_000;

/**
 * Measures how many calls a second a balancer on this machine carries: it, callers and callees in processes of their own, on loopback.
 * Leaves no process, no socket and no file behind, also when it is ended early.
 *
 * @throws Error when a process does not start
 */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const endsAtMs = performance.now() + options.seconds * 1000 - STOP_MS;
  const folder = mkdtempSync(join(tmpdir(), "headroom-bench-"));
  const agents: ChildProcess[] = [];
  let balancer: BalancerProcess | undefined;
  // The last resort, for an exit that no `finally` sees.
  function clearAway(): void {
    balancer?.kill();
    for (const agent of agents) agent.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
  process.once("exit", clearAway);
  try {
    const [sipPort = 0, callersPort = 0, ...ports] = await freeUdpPorts(LOOPBACK, 2 + DESTINATIONS);
    const dbUrl = `sqlite:${join(folder, "headroom.db")}`;
    await writeTable(dbUrl, ports);
    const [callees, callers] = await Promise.all([
      startAgent(agents, { type: "callees", ports }),
      startAgent(agents, { type: "callers", port: callersPort, target: sipPort, holdMs: HOLD_MS }),
    ]);
    // Last, and alone: what fails before leaves no balancer that nobody stops.
    balancer = await startBalancer(folder, settingsFor(sipPort, dbUrl), options.signal);
    return await search(new Rig(balancer, callers, callees), endsAtMs, options);
  } finally {
    for (const agent of agents) agent.kill("SIGKILL");
    await balancer?.stop();
    process.off("exit", clearAway);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Everything as it is by default, but for what would keep the calls of this machine from being measured. */
function settingsFor(sipPort: number, dbUrl: string): object {
  return {
    sip: { listen: [`udp:${LOOPBACK}:${sipPort}`], stop_timeout: 0 },
    load_balancer: { db_url: dbUrl, probing_interval: 0 },
    routing: { rules: [{ group: 1, resources: "calls" }] },
    overload: { reqs_density_per_unit: 0 }, // all calls come from one address
    log: { level: "warn" },
  };
}

async function writeTable(dbUrl: string, ports: readonly number[]): Promise<void> {
  const store = await openStore(dbUrl, { table: "load_balancer" });
  await store.import(ports.map((port) => ({ group_id: 1, dst_uri: `sip:${LOOPBACK}:${port}`, resources: `calls=${CAPACITY}` })));
  await store.close();
}

async function startAgent(agents: ChildProcess[], order: AgentOrder): Promise<ChildProcess> {
  const agent = fork(join(import.meta.dirname, `agent${extname(import.meta.filename)}`), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  agents.push(agent);
  agent.send(order);
  await reply(agent);
  return agent;
}

/** The next message of the process. @throws Error when it ends, or says nothing */
async function reply(agent: ChildProcess): Promise<unknown> {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, AbortSignal.timeout(REPLY_TIMEOUT_MS)]);
  const said = once(agent, "message", { signal }).then(([message]: unknown[]) => message);
  const ended = once(agent, "exit", { signal }).then(() => {
    throw new Error("Cannot go on: a process of callers or callees has ended");
  });
  said.catch(() => undefined);
  ended.catch(() => undefined);
  try {
    return await Promise.race([said, ended]);
  } finally {
    done.abort();
  }
}

async function search(rig: Rig, endsAtMs: number, { callsPerSecond, onStep, signal }: BenchOptions): Promise<BenchResult> {
  const leftMs = Math.max(0, endsAtMs - performance.now());
  const stepMs = Math.min(MAX_STEP_MS, Math.max(MIN_STEP_MS, leftMs * STEP_SHARE));
  const steps: (Step & { verdict: Verdict })[] = [];
  const searched = new RateSearch(FIRST_RATE);
  try {
    await rig.warmUp(callsPerSecond ?? FIRST_RATE, leftMs * WARM_UP_SHARE, signal);
    for (let rate = callsPerSecond ?? searched.next; rate !== undefined; rate = callsPerSecond ?? searched.next) {
      if (performance.now() + SETTLE_MS + stepMs > endsAtMs && steps.length > 0) break;
      const step = await rig.measure(
        rate,
        callsPerSecond === undefined ? stepMs : Math.max(MIN_STEP_MS, endsAtMs - performance.now() - SETTLE_MS),
        signal,
      );
      const verdict = verdictOf(step);
      searched.took(step);
      steps.push({ ...step, verdict });
      onStep(step, verdict);
      if (callsPerSecond !== undefined) break;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  const only = callsPerSecond === undefined ? undefined : steps[0];
  const limit = only === undefined ? searched.limit?.verdict : only.verdict;
  return {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    processors: cpus().length,
    node: process.version,
    steps,
    best: searched.best,
    limit: limit === "fine" ? undefined : limit,
  };
}

interface Sample {
  readonly atMs: number;
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
  readonly machineIdleMs: number;
  readonly machineMs: number;
}

/** The processes, and what can be asked of them. */
class Rig {
  readonly #balancer: BalancerProcess;
  readonly #callers: ChildProcess;
  readonly #callees: ChildProcess;

  constructor(balancer: BalancerProcess, callers: ChildProcess, callees: ChildProcess) {
    this.#balancer = balancer;
    this.#callers = callers;
    this.#callees = callees;
  }

  async warmUp(rate: number, forMs: number, signal: AbortSignal): Promise<void> {
    this.#pace(rate);
    await sleep(forMs, undefined, { signal });
  }

  /** What happens at a rate. */
  async measure(wanted: number, forMs: number, signal: AbortSignal): Promise<Step> {
    this.#pace(wanted);
    await sleep(SETTLE_MS, undefined, { signal });
    await this.#window();
    const before = await this.#sample();
    await sleep(forMs, undefined, { signal });
    const after = await this.#sample();
    const [callers, callees] = await this.#window();
    const ms = after.atMs - before.atMs;
    const machineMs = Math.max(1, after.machineMs - before.machineMs);
    const balancerMs = (after.cpuSeconds - before.cpuSeconds) * 1000;
    const idleShare = (after.machineIdleMs - before.machineIdleMs) / machineMs;
    const ours = (balancerMs + callers.cpuMs + callees.cpuMs) / (ms * cpus().length);
    const { latenciesMs, begun, lost, refused } = callers;
    return {
      wanted,
      callsPerSecond: round((begun * 1000) / ms, 1),
      answered: latenciesMs.length,
      lost,
      refused,
      p50Ms: rounded(quantile(latenciesMs, 0.5)),
      p99Ms: rounded(quantile(latenciesMs, 0.99)),
      balancerShare: round(balancerMs / ms, 3),
      cpuMicroseconds: round((balancerMs * 1000) / Math.max(1, latenciesMs.length), 1),
      memoryMb: round(after.memoryBytes / 1e6, 1),
      generatorShare: round(Math.max(callers.cpuMs, callees.cpuMs) / ms, 3),
      othersShare: round(Math.max(0, 1 - idleShare - ours), 3),
      idleShare: round(idleShare, 3),
    };
  }

  #pace(callsPerSecond: number): void {
    this.#callers.send({ type: "pace", callsPerSecond } satisfies AgentOrder);
  }

  /** What callers and callees have counted since the last time. */
  async #window(): Promise<[callers: AgentFigures, callees: AgentFigures]> {
    const figures = [this.#callers, this.#callees].map((agent) => {
      const said = reply(agent);
      agent.send({ type: "window" } satisfies AgentOrder);
      return said;
    });
    return (await Promise.all(figures)) as [AgentFigures, AgentFigures];
  }

  /** Processor time and memory of the balancer, as it tells them itself: that works on every system. */
  async #sample(): Promise<Sample> {
    const text = await fetch(`${this.#balancer.managementUrl}/metrics`, { signal: AbortSignal.timeout(REPLY_TIMEOUT_MS) })
      .then((answer) => answer.text())
      .catch((cause) => {
        throw new Error("Cannot go on: the balancer tells no figures any more", { cause });
      });
    const figure = (name: string): number => Number(new RegExp(`^${name} (\\S+)`, "m").exec(text)?.[1] ?? Number.NaN);
    const times = cpus().map((cpu) => cpu.times);
    return {
      atMs: performance.now(),
      cpuSeconds: figure("process_cpu_seconds_total"),
      memoryBytes: figure("process_resident_memory_bytes"),
      machineIdleMs: times.reduce((sum, { idle }) => sum + idle, 0),
      machineMs: times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0),
    };
  }
}

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : round(ms, 2);
}
