import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Assets } from "../../src/dashboard/assets.ts";
import { PAGE_POLICY, SECURITY_HEADERS } from "../../src/management/index.ts";
import { seededRandom } from "./random.ts";

type Load = [load: number, max: number, capacity: number, remote: number, foreign: number];

/** One destination of the feed, as the server tells it. */
export interface FedDestination {
  readonly id: number;
  readonly group: number;
  readonly uri: string;
  readonly attrs: string | null;
  readonly resources: readonly string[];
  readonly probe: number;
  status: string;
  why: string;
  loads: Load[];
  drain: { load: number; deadline: number | null } | null;
  probeMs: number | null;
  probeAvgMs: number | null;
  lastCode: number | null;
  factor: number;
}

/** What the page is told; `change` is called before each second's figures. */
export interface FedFigures {
  readonly hello?: Record<string, unknown>;
  readonly groups: readonly { id: number; name?: string }[];
  readonly destinations: readonly FedDestination[];
  readonly totals: (atMs: number) => Record<string, unknown>;
  readonly events?: readonly Record<string, unknown>[];
  readonly methods?: Readonly<Record<string, unknown>>;
  /** Seconds of history that come at once. */
  readonly history?: number;
  change(): void;
}

export interface DashboardServer {
  readonly url: string;
  /** Readers of the feed now. */
  readonly readers: number;
  /** Ends every feed, as a restart of the program does. */
  drop(): void;
  /** While it is false, every request is refused by ending its connection. */
  isUp: boolean;
  close(): Promise<void>;
}

/** Serves the page with figures that a test makes up: as many and as lively as it wants. */
export async function startDashboardServer(figures: FedFigures, intervalMs = 1000): Promise<DashboardServer> {
  const assets = new Assets();
  const readers = new Set<ServerResponse>();
  let isUp = true;
  const server = createServer((request, response) => {
    if (!isUp) return void request.socket.destroy();
    const path = (request.url ?? "/").split("?", 1)[0]!;
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    if (path === "/dashboard/feed") return greet(figures, readers, response);
    if (path === "/mi") return void answer(figures, request, response);
    const asset = assets.answer(path, request.headers);
    if (asset === undefined) return void response.writeHead(400).end();
    response.writeHead(asset.status, { ...asset.headers, "content-security-policy": PAGE_POLICY }).end(asset.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const timer = setInterval(() => {
    figures.change();
    const at = Date.now();
    const text = `${frame("figures", { at, rows: rowsOf(figures) })}${frame("totals", figures.totals(at))}`;
    for (const reader of readers) reader.write(text);
  }, intervalMs);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    get readers() {
      return readers.size;
    },
    drop: () => server.closeAllConnections(),
    get isUp() {
      return isUp;
    },
    set isUp(value: boolean) {
      isUp = value;
    },
    async close() {
      clearInterval(timer);
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function greet(figures: FedFigures, readers: Set<ServerResponse>, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const at = Date.now();
  const hello = {
    ...{ version: "0.1.0", name: "headroom", role: "operator", by: "anna", needsToken: false, startedAt: at - 86_400_000, node: null },
    methods: ["lb_drain", "lb_undrain", "lb_status", "lb_resize", "lb_explain", "capture", "dlg_find", "audit_log"],
    ...figures.hello,
  };
  const table = {
    groups: figures.groups,
    destinations: figures.destinations.map(({ id, group, uri, attrs, resources, probe }) => ({ id, group, uri, attrs, resources, probe })),
  };
  response.write(frame("hello", hello) + frame("table", table) + frame("figures", { at, rows: rowsOf(figures) }));
  for (let second = figures.history ?? 0; second >= 0; second--) response.write(frame("totals", figures.totals(at - second * 1000)));
  for (const event of figures.events ?? []) response.write(frame("event", event));
  readers.add(response);
  response.on("close", () => readers.delete(response));
}

async function answer(figures: FedFigures, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  const { id, method } = JSON.parse(body) as { id: number; method: string };
  const result = figures.methods?.[method];
  const outcome = result === undefined ? { error: { code: 404, message: "Call-ID not found" } } : { result };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ jsonrpc: "2.0", id, ...outcome }));
}

function frame(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function rowsOf({ destinations }: FedFigures): object[] {
  return destinations.map(({ id, status, why, loads, drain, probeMs, probeAvgMs, lastCode, factor }) => {
    const calls = loads.reduce((most, [load]) => Math.max(most, load), 0);
    return { id, status, why, loads, calls, drain, probeMs, probeAvgMs, lastCode, factor };
  });
}

/** So many destinations in groups of 250, all of which change each second. */
export function livelyFigures(count: number): FedFigures {
  const chance = seededRandom(7);
  const destinations: FedDestination[] = Array.from({ length: count }, (_, i) => ({
    ...{
      id: i + 1,
      group: 1 + Math.floor(i / 250),
      uri: `sip:10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}:5060`,
      attrs: `rack=${i % 40}`,
    },
    ...{ resources: i % 3 === 0 ? ["channels", "transcoding"] : ["channels"], probe: 2, status: "up", why: "" },
    loads: (i % 3 === 0 ? [60, 12] : [60]).map((max): Load => [0, max, max, 0, 0]),
    ...{ drain: null, probeMs: 3, probeAvgMs: 3.2, lastCode: 200, factor: 1 },
  }));
  let calls = 0;
  return {
    groups: [...new Set(destinations.map(({ group }) => group))].map((id) => ({ id })),
    destinations,
    change() {
      calls = 0;
      for (const destination of destinations) {
        for (const load of destination.loads) {
          load[0] = Math.floor(chance() * (load[1] + 1));
          calls += load[0];
        }
        destination.probeMs = Math.floor(chance() * 300) / 10;
        destination.status = chance() < 0.05 ? "probing" : "up";
        destination.why = destination.status === "up" ? "" : "no answer to OPTIONS";
      }
    },
    totals: (at) => ({
      ...{ at, calls, early: 3, cps: 140, decisions: { "1": 1000, "-1": 0, "-2": 4, "-3": 0, "-4": 0 }, failovers: 3, refused: 0 },
      decisionsPerSecond: { "1": 140, "-1": 0, "-2": 0, "-3": 0, "-4": 0 },
      ...{ lagMs: 0.6, memoryMb: 180, cluster: null, groups: { "1": { channels: [calls, count * 60] } } },
    }),
  };
}
