import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freeswitchFeeds } from "../freeswitch/index.ts";
import { openStore } from "../store/index.ts";
import { type BalancerProcess, type ListedDestination, startBalancer } from "./balancer-process.ts";
import { Callers } from "./callers.ts";
import { freeUdpPorts } from "./free-ports.ts";
import { MediaServer } from "./media-server.ts";
import { type Output, Screen } from "./screen.ts";
import { SimulatedSwitch } from "./simulated-switch.ts";
import { fixedStory, freeswitchStory } from "./story.ts";
import { LOOPBACK } from "./user-agent.ts";

/** Options of the demo. */
export interface DemoOptions {
  /** Length of the story, without starting and stopping. */
  readonly seconds: number;
  /** The media servers tell their capacities by heartbeats, as FreeSWITCH does. */
  readonly freeswitch: boolean;
  readonly output: Output;
  /** Ends the demo early. */
  readonly signal: AbortSignal;
}

const CAPACITIES = [10, 20, 30, 40];
const FRAME_MS = 200;
const DRAIN_TIMEOUT_MS = 5_000; // a BYE to the server that died takes one second to be given up

/**
 * Runs the demo: a balancer in a process of its own, four media servers, callers, and a story in four chapters.
 *
 * Leaves no process, no socket and no file behind, also when it is ended early.
 *
 * @returns whether every load was back at zero in the end (true when it was ended early)
 */
export async function runDemo({ seconds, freeswitch, output, signal }: DemoOptions): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "headroom-demo-"));
  const [sipPort = 0, callersPort = 0, ...serverPorts] = await freeUdpPorts(LOOPBACK, 2 + CAPACITIES.length);
  const servers = CAPACITIES.map((capacity, index) => new MediaServer(`media-${index + 1}`, serverPorts[index] ?? 0, capacity));
  const screen = new Screen(output);
  let balancer: BalancerProcess | undefined;
  let callers: Callers | undefined;
  const switches: SimulatedSwitch[] = [];
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
    for (const [i, server] of freeswitch ? servers.entries() : []) switches.push(await SimulatedSwitch.open(server, i / servers.length));
    await writeTable(dbUrl, servers, switches);
    balancer = await startBalancer(folder, settingsFor(sipPort, dbUrl), signal);
    callers = new Callers(callersPort, `sip:demo@${LOOPBACK}:${sipPort}`);
    return await tell({ seconds, signal, screen, servers, switches, callers, balancer });
  } catch (error) {
    if (signal.aborted) return true; // a Ctrl-C reaches the balancer too, so its answers may fail before ours do
    throw error;
  } finally {
    await callers?.close();
    for (const server of servers) server.kill();
    for (const one of switches) one.close();
    await balancer?.stop();
    process.off("exit", clearAway);
    rmSync(folder, { recursive: true, force: true });
    screen.close();
  }
}

function settingsFor(sipPort: number, dbUrl: string): object {
  return {
    sip: { listen: [`udp:${LOOPBACK}:${sipPort}`], stop_timeout: 2 },
    tm: { fr_timeout: 1, fr_inv_timeout: 2 }, // seconds: a server that dies while it rings is given up as fast as one that never rang
    load_balancer: { db_url: dbUrl, probing_interval: 0, fetch_freeswitch_stats: true, initial_freeswitch_load: 0 },
    freeswitch: { heartbeat_interval: 1, status_interval: 1 },
    routing: { rules: [{ group: 1, resources: "calls", failover_on: ["408", "5xx"], disable_on: ["408"] }] },
  };
}

async function writeTable(dbUrl: string, servers: readonly MediaServer[], switches: readonly SimulatedSwitch[]): Promise<void> {
  const store = await openStore(dbUrl, { table: "load_balancer", feeds: freeswitchFeeds(0) });
  await store.import(
    servers.map(({ name, uri, capacity }, i) => ({
      group_id: 1,
      dst_uri: uri,
      resources: `calls=${switches[i]?.url ?? capacity}`,
      description: name,
    })),
  );
  await store.close();
}

interface Cast {
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly screen: Screen;
  readonly servers: readonly MediaServer[];
  /** One for each server, or none. */
  readonly switches: readonly SimulatedSwitch[];
  readonly callers: Callers;
  readonly balancer: BalancerProcess;
}

async function tell({ seconds, signal, screen, servers, switches, callers, balancer }: Cast): Promise<boolean> {
  const totalMs = seconds * 1000;
  const holdMs = totalMs * 0.13; // short enough that calls come and go in each chapter
  const parts = { servers, callers, balancer, holdMs };
  const chapters = switches.length > 0 ? freeswitchStory(parts, switches) : fixedStory(parts);
  const texts = chapters.map(({ text }) => text);
  const startedAtMs = performance.now();

  async function show(chapter: number): Promise<readonly ListedDestination[]> {
    const listed = await balancer.list();
    callers.counts.failedOver = await balancer.failovers();
    const bars = servers.map(({ name, running }, index) => {
      const { Resources = [], enabled } = listed[index] ?? { enabled: "no" };
      const { max = 0, load = 0 } = Resources[0] ?? {};
      const note = switches[index]?.note;
      return { name, running, enabled: enabled === "yes", max, load, ...(note !== undefined && { note }) };
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
