import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../store/index.ts";
import { type BalancerProcess, type ListedDestination, startBalancer } from "./balancer-process.ts";
import { Callers } from "./callers.ts";
import { freeUdpPorts } from "./free-ports.ts";
import { MediaServer } from "./media-server.ts";
import { type Output, Screen } from "./screen.ts";
import { LOOPBACK } from "./user-agent.ts";

/** Options of the demo. */
export interface DemoOptions {
  /** Length of the story, without starting and stopping. */
  readonly seconds: number;
  readonly output: Output;
  /** Ends the demo early. */
  readonly signal: AbortSignal;
}

const CAPACITIES = [10, 20, 30, 40];
const TOTAL_CAPACITY = 100;
const FRAME_MS = 200;
const DRAIN_TIMEOUT_MS = 5_000; // a BYE to the server that died takes one second to be given up

/** One chapter: what is told, how long it lasts (a share of the whole), and what happens when it begins. */
interface Chapter {
  readonly text: string;
  readonly share: number;
  begin(): Promise<void> | void;
}

/**
 * Runs the demo: a balancer in a process of its own, four media servers, callers, and a story in four chapters.
 *
 * Leaves no process, no socket and no file behind, also when it is ended early.
 *
 * @returns whether every load was back at zero in the end (true when it was ended early)
 */
export async function runDemo({ seconds, output, signal }: DemoOptions): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "headroom-demo-"));
  const [sipPort = 0, callersPort = 0, ...serverPorts] = await freeUdpPorts(LOOPBACK, 2 + CAPACITIES.length);
  const servers = CAPACITIES.map((capacity, index) => new MediaServer(`media-${index + 1}`, serverPorts[index] ?? 0, capacity));
  const screen = new Screen(output);
  let balancer: BalancerProcess | undefined;
  let callers: Callers | undefined;
  // The last resort, for an exit that no `finally` sees.
  function clearAway(): void {
    balancer?.kill();
    rmSync(folder, { recursive: true, force: true });
    screen.close();
  }
  process.once("exit", clearAway);
  try {
    for (const server of servers) server.start();
    const dbUrl = `sqlite:${join(folder, "headroom.db")}`;
    await writeTable(dbUrl, servers);
    balancer = await startBalancer(folder, sipPort, dbUrl);
    callers = new Callers(callersPort, balancer.uri);
    return await tell({ seconds, signal, screen, servers, callers, balancer });
  } catch (error) {
    if (signal.aborted) return true; // a Ctrl-C reaches the balancer too, so its answers may fail before ours do
    throw error;
  } finally {
    await callers?.close();
    for (const server of servers) server.kill();
    await balancer?.stop();
    process.off("exit", clearAway);
    rmSync(folder, { recursive: true, force: true });
    screen.close();
  }
}

async function writeTable(dbUrl: string, servers: readonly MediaServer[]): Promise<void> {
  const store = await openStore(dbUrl, { table: "load_balancer" });
  await store.import(
    servers.map(({ name, uri, capacity }) => ({ group_id: 1, dst_uri: uri, resources: `calls=${capacity}`, description: name })),
  );
  await store.close();
}

interface Cast {
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly screen: Screen;
  readonly servers: readonly MediaServer[];
  readonly callers: Callers;
  readonly balancer: BalancerProcess;
}

async function tell({ seconds, signal, screen, servers, callers, balancer }: Cast): Promise<boolean> {
  const totalMs = seconds * 1000;
  const holdMs = totalMs * 0.13; // short enough that calls come and go in each chapter
  const largest = servers.at(-1) as MediaServer;

  /** So many calls a second that about `calls` are up at a time, each held for `holdMs`. */
  function paceFor(calls: number, eachHoldMs: number): void {
    callers.pace((calls * 1000) / eachHoldMs, eachHoldMs);
  }
  const chapters: readonly Chapter[] = [
    {
      text: "70 calls at a time spread over servers of 10, 20, 30 and 40 calls: free slots stay level",
      share: 0.3,
      begin: () => paceFor(70, holdMs),
    },
    {
      text: `${largest.name} dies: its calls time out after 1 s and fail over, then it gets no more`,
      share: 0.28,
      begin: () => {
        largest.kill();
        paceFor(40, holdMs);
      },
    },
    {
      text: `${largest.name} is back (lb_status 4 1), and 200 calls want in: all are full, the rest hear 503`,
      share: 0.28,
      begin: async () => {
        largest.start();
        await balancer.mi("lb_status", [4, 1]);
        paceFor(2 * TOTAL_CAPACITY, holdMs);
      },
    },
    { text: "Everybody hangs up: every load goes back to zero", share: 0.14, begin: () => callers.hangUpAll() },
  ];
  const texts = chapters.map(({ text }) => text);
  const startedAtMs = performance.now();

  async function show(chapter: number): Promise<readonly ListedDestination[]> {
    const listed = await balancer.list();
    const bars = servers.map(({ name, running }, index) => {
      const { Resources = [], enabled } = listed[index] ?? { enabled: "no" };
      const { max = 0, load = 0 } = Resources[0] ?? {};
      return { name, running, enabled: enabled === "yes", max, load };
    });
    screen.show({ elapsedMs: performance.now() - startedAtMs, totalMs, chapters: texts, chapter, bars, counts: callers.counts });
    return listed;
  }

  let endsAtMs = startedAtMs;
  for (const [chapter, { share, begin }] of chapters.entries()) {
    endsAtMs += share * totalMs;
    await begin();
    while (performance.now() < endsAtMs) {
      await show(chapter);
      await sleep(Math.max(0, Math.min(FRAME_MS, endsAtMs - performance.now())), undefined, { signal });
    }
  }

  const last = chapters.length - 1;
  const drainUntilMs = performance.now() + DRAIN_TIMEOUT_MS;
  const isIdle = (listed: readonly ListedDestination[]): boolean =>
    listed.every(({ Resources }) => Resources.every(({ load }) => load === 0));
  let idle = isIdle(await show(last));
  while (!idle && performance.now() < drainUntilMs) {
    await sleep(FRAME_MS, undefined, { signal });
    idle = isIdle(await show(last));
  }
  const { placed, failedOver, refused } = callers.counts;
  const overfull = servers.filter(({ peak, capacity }) => peak > capacity).map(({ name }) => name);
  screen.say(
    `${placed} calls, ${failedOver} of them saved by failover, ${refused} refused while all were full; ` +
      `${overfull.length === 0 ? "no server ever had more calls than it can serve" : `${overfull.join(", ")} had more calls than it can serve`}; ` +
      `${idle ? "every load is 0" : "some load is not 0"}`,
  );
  return idle && overfull.length === 0;
}
