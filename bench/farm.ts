import { ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { Balancer, type BalancerOptions, Looks } from "../src/balancer/index.ts";
import { parseConfig } from "../src/config/index.ts";
import { DialogTable } from "../src/dialog/index.ts";
import { TracedRouter } from "../src/observability/traced-router.ts";
import { type Network, type ProxyCore, ProxyCounters, SipProxy } from "../src/proxy/index.ts";
import { createDefaultRouter } from "../src/routing/index.ts";
import { Announcer } from "../src/server/announcer.ts";
import { DialogKeeper } from "../src/server/dialog-keeper.ts";
import { type MessageTap, Tracing } from "../src/server/tracing.ts";
import type { DialogStore } from "../src/store/index.ts";
import { type Endpoint, type Listener, TimerWheel, TransactionLayer, type Wire } from "../src/transaction/index.ts";
import { below, RandomTokens } from "../src/transport/chance.ts";

const DESTINATIONS = 10;
const DESTINATIONS_A_NET = 250;
/** Calls end by BYE at once, but their transactions linger: simulated time goes on so that these end too. */
export const CALLS_A_SECOND = 1_000;
/** `explain.calls` and `events.history` of the default configuration. */
const REMEMBERED = 1_000;
/** Of the simulated wall clock, milliseconds since 1970. */
const EPOCH_MS = 1_700_000_000_000;

const listener: Listener = {
  transport: "udp",
  address: "192.0.2.1",
  port: 5060,
  family: 4,
  sentByFor: () => "192.0.2.1:5060",
};
const caller: Endpoint = { transport: "udp", address: "198.51.100.7", port: 5060, listener };
export const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

const SDP =
  "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 40002 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

export interface FarmOptions {
  readonly explain?: boolean;
  readonly events?: boolean;
  /** Values of `tracing`, as YAML. */
  readonly tracing?: string;
  /** Spans of calls, for an SDK that does nothing with them: its own work is none of ours. */
  readonly spans?: boolean;
  /** Destinations in the table: 10 if left out. */
  readonly destinations?: number;
  /** Calls are written down there. It is closed with the farm. */
  readonly store?: DialogStore;
}

/** One of the proxies that are compared: it makes calls, and at the end proves that none is left. */
export interface Farm {
  /** Switches its options on or off. */
  enable(on: boolean): void;
  /** Time that was spent inside the proxy and its timers, without the simulated peers. */
  insideMs: number;
  /** A call that begins and ends at once. */
  call(i: number): void;
  /** A call begins, and the one that began so many calls before ends. */
  callHeld(i: number, held: number): void;
  /** A call begins, and goes on. */
  begin(i: number): void;
  /** It ends. */
  end(i: number): void;
  /** Lets time go on. */
  pass(ms: number): void;
  /** Transactions in use. */
  readonly transactions: number;
  finish(): Promise<void>;
}

/** A proxy without sockets. A call is complete: INVITE, 100, 180, 200, ACK, BYE, 200, and all timers after it. */
export function createFarm({
  explain = false,
  events = false,
  spans = false,
  destinations = DESTINATIONS,
  store,
  tracing: traced = "{ ring_size: 0 }",
}: FarmOptions = {}): Farm {
  let nowMs = 0;
  let sent: { text: string; to: Endpoint } | undefined;
  const toDestination: { text: string; to: Endpoint }[] = [];
  /** Of calls that have not ended: their route, and who was called. */
  const ways = new Map<number, { readonly route: string; readonly to: Endpoint }>();
  const tracing = new Tracing({
    config: parseConfig(`tracing: ${traced}`, "bench", {}),
    locals: { towards: () => "192.0.2.1" },
    wallMs: Date.now,
    log: QUIET,
  });
  let tap: MessageTap | undefined;
  let take: MessageTap = (text, from) => proxy.receive(text, from);
  const untapped = take;
  const wire: Wire = {
    send(text, to) {
      tap?.(text, to);
      sent = { text, to };
      if (to.port === 5080) toDestination.push(sent);
    },
  };
  const chance = new RandomTokens();
  const fault = (error: unknown): never => {
    throw error;
  };
  const wheel = new TimerWheel(0, fault);
  const looks = new Looks(REMEMBERED, Date.now);
  const balancerOptions: { below: typeof below; looks?: Looks | undefined } = { below, looks: undefined };
  const balancer = new Balancer(balancerOptions as BalancerOptions);
  balancer.replaceTable(
    Array.from({ length: destinations }, (_, i) => ({
      id: i + 1,
      group: 1,
      uri: `sip:${destinationIp(i)}:5080`,
      resources: [{ name: "pstn", capacity: 1_000_000 }],
      probeMode: 0 as const,
      attrs: undefined,
      description: undefined,
      addresses: [{ ip: destinationIp(i), port: 5080, transport: "udp" as const }],
    })),
  );
  const clock = (): number => nowMs;
  const wallMs = (): number => EPOCH_MS + nowMs;
  const layer = new TransactionLayer({ wire, wheel, chance, nowMs: clock });
  const dialogs = new DialogTable({
    wheel,
    chance,
    nowMs: clock,
    wallMs,
    defaultTimeoutMs: 43_200_000,
    release: (load) => balancer.release(load),
  });
  const keeper =
    store &&
    new DialogKeeper({
      ...{ store, dialogs, balancer, wallMs, nowMs: clock, log: QUIET },
      listeners: () => [listener],
      earlyLifetimeMs: 120_000,
      after: (ms, run) => {
        const timer = wheel.schedule(ms, { timerFired: run }, 0, nowMs);
        return () => void wheel.cancel(timer);
      },
    });
  keeper?.tableChanged();
  const announcer = events ? createAnnouncer() : undefined;
  const network: Network = {
    isOwn: (host, port) => host === "192.0.2.1" && port === 5060,
    endpoint: (address, port) => ({ transport: "udp", address, port, listener }),
    locate: () => [],
    isAllowed: () => true,
  };
  const untraced = createDefaultRouter(
    {
      rules: [{ match: {}, group: 1, resources: "pstn", flags: "", failover_on: ["5xx"], max_failovers: 3, disable_on: [] }],
      reject: { no_capacity: 503, no_destination: 503, bad_resource: 500 },
    },
    { balancer, log: QUIET },
  );
  const tracedRouter = new TracedRouter({
    router: untraced,
    tracer: trace.getTracer("bench"),
    startInside: () => trace.getTracer("bench").startSpan("attempt", {}, ROOT_CONTEXT),
    soon: (run) => void globalThis.setImmediate(run),
    wallMs: Date.now,
    fault,
  });
  let router: ProxyCore["router"] = untraced;
  const core: ProxyCore = {
    layer,
    wheel,
    nowMs: clock,
    dialogs,
    balancer,
    network,
    get router() {
      return router;
    },
    timeouts: { frMs: 5_000, frInviteMs: 120_000 },
    defaultMaxForwards: 70,
    log: QUIET,
    counters: new ProxyCounters(),
    abandoned: new Map(),
  };
  const proxy = new SipProxy(core);

  function receive(text: string, from: Endpoint): void {
    const startMs = performance.now();
    take(text, from);
    farm.insideMs += performance.now() - startMs;
  }

  function begin(i: number): void {
    toDestination.length = 0;
    receive(
      `INVITE sip:service@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-i${i};rport\r\nFrom: "bench" <sip:bench@198.51.100.7>;tag=c${i}\r\nTo: <sip:service@192.0.2.1>\r\nCall-ID: ${i}@198.51.100.7\r\nCSeq: 1 INVITE\r\nContact: <sip:bench@198.51.100.7:5060>\r\nMax-Forwards: 70\r\nSubject: bench\r\nContent-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
      caller,
    );
    const invite = toDestination[0];
    if (invite === undefined) throw new Error(`Cannot go on: call ${i} was not forwarded: ${sent?.text.slice(0, 80)}`);
    const headers = invite.text.slice(0, invite.text.indexOf("\r\n\r\n"));
    const kept = headers
      .split("\r\n")
      .filter((line) => /^(Via|From|Call-ID|CSeq|Record-Route):/.test(line))
      .join("\r\n");
    const route = /^Record-Route: (.*)$/m.exec(headers)?.[1]?.trim() ?? "";
    // A copy, as a slice would hold the whole message for as long as the call goes on.
    ways.set(i, { route: Buffer.from(route, "latin1").toString("latin1"), to: invite.to });
    const to = toOf(i);
    const contact = `Contact: <sip:${invite.to.address}:5080>`;
    receive(`SIP/2.0 180 Ringing\r\n${kept}\r\n${to}\r\n${contact}\r\nContent-Length: 0\r\n\r\n`, invite.to);
    receive(
      `SIP/2.0 200 OK\r\n${kept}\r\n${to}\r\n${contact}\r\nContent-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
      invite.to,
    );
    receive(
      `ACK sip:${invite.to.address}:5080 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-a${i};rport\r\n${insideOf(i, route)}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n`,
      caller,
    );
  }

  function end(i: number): void {
    const way = ways.get(i);
    if (way === undefined) throw new Error(`Cannot end call ${i}: it has not begun`);
    ways.delete(i);
    toDestination.length = 0;
    receive(
      `BYE sip:${way.to.address}:5080 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-b${i};rport\r\n${insideOf(i, way.route)}\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n`,
      caller,
    );
    const bye = toDestination.at(-1);
    const byeVia = bye?.text
      .split("\r\n")
      .filter((line) => line.startsWith("Via:"))
      .join("\r\n");
    receive(
      `SIP/2.0 200 OK\r\n${byeVia}\r\nFrom: "bench" <sip:bench@198.51.100.7>;tag=c${i}\r\n${toOf(i)}\r\nCall-ID: ${i}@198.51.100.7\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n`,
      way.to,
    );
  }

  function pass(ms: number): void {
    nowMs += ms;
    const startMs = performance.now();
    wheel.advance(nowMs);
    farm.insideMs += performance.now() - startMs;
  }

  function call(i: number): void {
    begin(i);
    end(i);
    pass(1_000 / CALLS_A_SECOND);
  }

  function callHeld(i: number, held: number): void {
    begin(i);
    if (ways.has(i - held)) end(i - held);
    pass(1_000 / CALLS_A_SECOND);
  }

  async function finish(): Promise<void> {
    for (const i of ways.keys()) end(i);
    await keeper?.close();
    const left = balancer.destinations().reduce((sum, { resources }) => sum + balancer.load(resources[0]!.cell), 0);
    if (left !== 0) throw new Error(`Cannot trust the figure: ${left} calls are still counted`);
    announcer?.close();
    void tracing.close();
    nowMs += 60_000;
    wheel.advance(nowMs);
    if (layer.serverCount + layer.clientCount !== 0) throw new Error("Cannot trust the figure: transactions are left after all timers");
  }

  function enable(on: boolean): void {
    tap = on ? tracing.sent : undefined;
    take = on ? tracing.watching(untapped) : untapped;
    router = on && spans ? tracedRouter : untraced;
    balancerOptions.looks = on && explain ? looks : undefined;
    const isTelling = on && announcer !== undefined;
    dialogs.onState = isTelling ? (dialog, before) => announcer.dialogChanged(dialog, before) : undefined;
    if (keeper !== undefined) dialogs.onState = (dialog) => keeper.stateChanged(dialog);
  }

  const farm: Farm = {
    ...{ insideMs: 0, enable, call, callHeld, begin, end, pass, finish },
    get transactions() {
      return layer.serverCount + layer.clientCount;
    },
  };
  return farm;
}

function destinationIp(i: number): string {
  return `203.0.${113 + Math.trunc(i / DESTINATIONS_A_NET)}.${(i % DESTINATIONS_A_NET) + 1}`;
}

function toOf(i: number): string {
  return `To: <sip:service@192.0.2.1>;tag=d${i}`;
}

function insideOf(i: number, route: string): string {
  return `From: "bench" <sip:bench@198.51.100.7>;tag=c${i}\r\n${toOf(i)}\r\nCall-ID: ${i}@198.51.100.7\r\nMax-Forwards: 70\r\nRoute: ${route}`;
}

/** Events with the history of the default configuration, and nobody who listens. */
function createAnnouncer(): Announcer {
  const events = { history: REMEMBERED, webhooks: [], webhook_queue: 1, low_headroom_percent: 0 };
  const config = { ...parseConfig("", "bench", {}), events, explain: { calls: 0 } };
  return new Announcer({ config, after: () => () => undefined, log: QUIET });
}
