/**
 * What readers of the dashboard cost: `node bench/dashboard.ts [destinations] [readers] [share of the rows that change each second]`. A feed as the program has it,
 * with a table of its own, connections over loopback, and readers in a process of their own. Tells how long its turns of the event loop are, on the wall: a machine
 * that does other work stops some of them for a while, so the sum and the longest say most on a quiet one.
 */
import { fork } from "node:child_process";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { performance } from "node:perf_hooks";
import { Balancer, parseResources } from "../src/balancer/index.ts";
import { Feed, type FeedClock } from "../src/dashboard/index.ts";

const SECONDS = 10;
const WARM_UP_SECONDS = 5;
const MS_A_SECOND = 1_000;
/** Of processor times. */
const MICROSECONDS_A_MS = 1_000;

async function measure(destinations: number, readers: number, share: number): Promise<void> {
  const addresses = [{ ip: "192.0.2.1", port: 5060, transport: "udp" }] as const;
  const balancer = new Balancer({ below: () => 0, nowMs: () => performance.now() });
  balancer.replaceTable(
    Array.from({ length: destinations }, (_, i) => ({
      ...{ id: i + 1, group: i % 10, uri: `sip:gateway${i}.example.org`, resources: parseResources("pstn=30;conference=10") },
      ...{ probeMode: 0 as const, attrs: undefined, description: undefined, addresses },
    })),
  );
  const clock = new MeasuringClock();
  const feed = new Feed({
    identity: { version: "0", name: "bench", startedAtMs: Date.now(), node: null },
    rows: { balancer, drains: { of: () => undefined, drained: () => undefined }, probes: () => undefined, feedState: () => undefined },
    totals: {
      calls: () => ({ ongoing: 0, early: 0, begun: 0 }),
      failovers: () => 0,
      refused: () => 0,
      takeLagMs: () => 0,
      memoryBytes: () => process.memoryUsage.rss(),
      cluster: undefined,
    },
    events: { latest: () => [], subscribe: () => () => undefined },
    clock,
    onFault: (error) => {
      throw error;
    },
  });
  const server = createServer((_request, response) =>
    feed.handle(response, { by: "", role: "viewer", needsToken: false, methods: [], mi: "/mi" }),
  );
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const child = fork(import.meta.filename, ["--read", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, String(readers)]);

  const cells = balancer.destinations().map(({ resources }) => resources[0]!.cell);
  const changing = Math.round(destinations * share);
  let load = 0;
  const beat = setInterval(() => {
    load = (load + 1) % 30;
    for (let i = 0; i < changing; i++) balancer.setRemoteLoad(cells[i]!, load);
  }, MS_A_SECOND);
  await seconds(WARM_UP_SECONDS);
  clock.turnsMs.length = 0;
  const before = process.cpuUsage();
  await seconds(SECONDS);
  const { user, system } = process.cpuUsage(before);
  clearInterval(beat);
  const turns = clock.turnsMs.toSorted((a, b) => a - b);
  const feedMs = turns.reduce((sum, ms) => sum + ms, 0) / SECONDS;
  const [high, longest] = [turns[Math.floor(turns.length * 0.99)] ?? 0, turns.at(-1) ?? 0];
  const processMs = (user + system) / MICROSECONDS_A_MS / SECONDS;
  process.stdout.write(
    `${destinations} destinations, ${readers} readers, ${changing} rows change a second: the feed takes ${feedMs.toFixed(1)} ms a second in ` +
      `${Math.round(turns.length / SECONDS)} turns, 99 % of them below ${high.toFixed(1)} ms, the longest ${longest.toFixed(1)} ms; ` +
      `processor time of the whole process ${processMs.toFixed(1)} ms a second\n`,
  );
  child.kill();
  feed.close();
  server.close();
}

/** The clock of the program, which measures what it is asked to run. */
class MeasuringClock implements FeedClock {
  readonly turnsMs: number[] = [];

  wallMs(): number {
    return Date.now();
  }

  nowMs(): number {
    return performance.now();
  }

  every(ms: number, run: () => void): () => void {
    const timer = setInterval(() => this.#measure(run), ms);
    return () => clearInterval(timer);
  }

  soon(run: () => void): void {
    setImmediate(() => this.#measure(run));
  }

  #measure(run: () => void): void {
    const beganMs = performance.now();
    run();
    this.turnsMs.push(performance.now() - beganMs);
  }
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, count * MS_A_SECOND));
}

if (process.argv[2] === "--read") {
  for (let i = 0; i < Number(process.argv[4]); i++) get(process.argv[3]!, (response) => void response.resume());
} else {
  const [destinations = 1_000, readers = 1, share = 1] = process.argv.slice(2).map(Number);
  await measure(destinations, readers, share);
}
