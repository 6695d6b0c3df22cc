import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { Balancer, type BalancerOptions, Looks } from "../src/balancer/index.ts";
import { parseConfig } from "../src/config/index.ts";
import { DialogTable } from "../src/dialog/index.ts";
import { TracedRouter } from "../src/observability/traced-router.ts";
import { type Network, type ProxyCore, ProxyCounters, SipProxy } from "../src/proxy/index.ts";
import { createDefaultRouter } from "../src/routing/index.ts";
import { Announcer } from "../src/server/announcer.ts";
import { type MessageTap, Tracing } from "../src/server/tracing.ts";
import { type Endpoint, type Listener, TimerWheel, TransactionLayer, type Wire } from "../src/transaction/index.ts";
import { below, RandomTokens } from "../src/transport/chance.ts";

interface Figure {
  name: string;
  unit: string;
  value: number;
}

const DESTINATIONS = 10;
const WARM_UP_CALLS = 10_000;
const CALLS = 30_000;
/** Calls end by BYE at once, but their transactions linger: simulated time goes on so that these end too. */
const CALLS_A_SECOND = 1_000;
/** `explain.calls` and `events.history` of the default configuration. */
const REMEMBERED = 1_000;
const ROUNDS = 101;
/** Enough for the young generation of the heap to be collected in each round. */
const CALLS_A_ROUND = 400;
/** After so many calls, less than what comes at once over a network, sockets and what was put off have their turn. */
const CALLS_A_TURN = 10;

const listener: Listener = {
  transport: "udp",
  address: "192.0.2.1",
  port: 5060,
  family: 4,
  sentByFor: () => "192.0.2.1:5060",
};
const caller: Endpoint = { transport: "udp", address: "198.51.100.7", port: 5060, listener };
const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

const SDP =
  "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 40002 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

interface FarmOptions {
  readonly explain?: boolean;
  readonly events?: boolean;
  /** Values of `tracing`, as YAML. */
  readonly tracing?: string;
  /** Spans of calls, for an SDK that does nothing with them: its own work is none of ours. */
  readonly spans?: boolean;
}

/** What is compared with having nothing of it. The first is a check of the measurement: it should find nothing. */
function variants(hepPort: number): readonly (readonly [name: string, options: FarmOptions])[] {
  return [
    ["nothing", {}],
    ["explain.calls: 1000", { explain: true }],
    ["events and their history", { events: true }],
    ["tracing.ring_size: 16", { tracing: "{ ring_size: 16 }" }],
    ["tracing.hep_url over UDP", { tracing: `{ ring_size: 0, hep_url: "udp:127.0.0.1:${hepPort}" }` }],
    ["tracing.opentelemetry", { spans: true }],
  ];
}

/** One of the proxies that are compared: it makes calls, and at the end proves that none is left. */
interface Farm {
  /** Switches its options on or off. */
  enable(on: boolean): void;
  /** Time that was spent inside the proxy and its timers, without the simulated peers. */
  insideMs: number;
  call(i: number): void;
  finish(): void;
}

/** A proxy without sockets. A call is complete: INVITE, 100, 180, 200, ACK, BYE, 200, and all timers after it. */
function createFarm({ explain = false, events = false, spans = false, tracing: traced = "{ ring_size: 0 }" }: FarmOptions = {}): Farm {
  let nowMs = 0;
  let sent: { text: string; to: Endpoint } | undefined;
  const toDestination: { text: string; to: Endpoint }[] = [];
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
    Array.from({ length: DESTINATIONS }, (_, i) => ({
      id: i + 1,
      group: 1,
      uri: `sip:203.0.113.${i + 1}:5080`,
      resources: [{ name: "pstn", capacity: 1000 }],
      probeMode: 0 as const,
      attrs: undefined,
      description: undefined,
      addresses: [{ ip: `203.0.113.${i + 1}`, port: 5080, transport: "udp" as const }],
    })),
  );
  const clock = (): number => nowMs;
  const layer = new TransactionLayer({ wire, wheel, chance, nowMs: clock });
  const dialogs = new DialogTable({
    wheel,
    chance,
    nowMs: clock,
    wallMs: clock,
    defaultTimeoutMs: 43_200_000,
    release: (load) => balancer.release(load),
  });
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

  function call(i: number): void {
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
    const to = `To: <sip:service@192.0.2.1>;tag=d${i}`;
    const contact = `Contact: <sip:${invite.to.address}:5080>`;
    receive(`SIP/2.0 180 Ringing\r\n${kept}\r\n${to}\r\n${contact}\r\nContent-Length: 0\r\n\r\n`, invite.to);
    receive(
      `SIP/2.0 200 OK\r\n${kept}\r\n${to}\r\n${contact}\r\nContent-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
      invite.to,
    );
    const inside = `From: "bench" <sip:bench@198.51.100.7>;tag=c${i}\r\n${to}\r\nCall-ID: ${i}@198.51.100.7\r\nMax-Forwards: 70\r\nRoute: ${route}`;
    receive(
      `ACK sip:${invite.to.address}:5080 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-a${i};rport\r\n${inside}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n`,
      caller,
    );
    receive(
      `BYE sip:${invite.to.address}:5080 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-b${i};rport\r\n${inside}\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n`,
      caller,
    );
    const bye = toDestination.at(-1);
    const byeVia = bye?.text
      .split("\r\n")
      .filter((line) => line.startsWith("Via:"))
      .join("\r\n");
    receive(
      `SIP/2.0 200 OK\r\n${byeVia}\r\nFrom: "bench" <sip:bench@198.51.100.7>;tag=c${i}\r\n${to}\r\nCall-ID: ${i}@198.51.100.7\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n`,
      invite.to,
    );
    nowMs += 1_000 / CALLS_A_SECOND;
    const startMs = performance.now();
    wheel.advance(nowMs);
    farm.insideMs += performance.now() - startMs;
  }

  function finish(): void {
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
    dialogs.onState = on && announcer !== undefined ? (dialog, before) => announcer.dialogChanged(dialog, before) : undefined;
  }

  const farm: Farm = { insideMs: 0, enable, call, finish };
  return farm;
}

/** Events with the history of the default configuration, and nobody who listens. */
function createAnnouncer(): Announcer {
  const events = { history: REMEMBERED, webhooks: [], webhook_queue: 1, low_headroom_percent: 0 };
  const config = { ...parseConfig("", "bench", {}), events, explain: { calls: 0 } };
  return new Announcer({ config, after: () => () => undefined, log: QUIET });
}

export async function run(): Promise<Figure[]> {
  const plain = createFarm();
  for (let i = 0; i < WARM_UP_CALLS; i++) plain.call(i);
  const all = await timed(plain, WARM_UP_CALLS, CALLS);
  plain.finish();
  const hepServer = createSocket("udp4").bind(0, "127.0.0.1");
  await once(hepServer, "listening");
  const figures: Figure[] = [
    { name: "complete call through the proxy in memory (peers included)", unit: "µs", value: all.microseconds },
    { name: "of which inside the proxy", unit: "µs", value: all.insideMicroseconds },
    { name: "complete calls a second", unit: "1/s", value: 1e6 / all.microseconds },
  ];
  for (const [name, options] of variants(hepServer.address().port)) {
    const { extraMicroseconds, share } = await compare(options);
    figures.push({ name: `${name}: more time a call`, unit: "µs", value: extraMicroseconds });
    figures.push({ name: `${name}: share of the time inside the proxy`, unit: "%", value: share * 100 });
  }
  hepServer.close();
  return figures;
}

/**
 * How much longer a call takes with something switched on. It is switched on and off in one proxy, in short rounds, so that what else the machine and
 * the heap do hits both; the middle of the rounds' differences counts, so that what hits one round only does not.
 *
 * @returns `share` is that of the time inside the proxy
 */
async function compare(options: FarmOptions): Promise<{ extraMicroseconds: number; share: number }> {
  const farm = createFarm(options);
  let made = 0;
  const round = (on: boolean, count: number): ReturnType<typeof timed> => {
    farm.enable(on);
    made += count;
    return timed(farm, made - count, count);
  };
  for (let i = 0; i < WARM_UP_CALLS; i += CALLS_A_ROUND) await round(i % (2 * CALLS_A_ROUND) === 0, CALLS_A_ROUND);
  const extra: number[] = [];
  const inside: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    // Whoever comes second finds a warmer machine: they take turns in that, too.
    const first = await round(i % 2 === 0, CALLS_A_ROUND);
    const second = await round(i % 2 !== 0, CALLS_A_ROUND);
    const [on, off] = i % 2 === 0 ? [first, second] : [second, first];
    extra.push(on.microseconds - off.microseconds);
    inside.push(off.insideMicroseconds);
  }
  farm.finish();
  const extraMicroseconds = middle(extra);
  return { extraMicroseconds, share: extraMicroseconds / middle(inside) };
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/**
 * Processor time a call, as on a shared machine the clock tells of others, too; collections of garbage that fall into it are part of it. What is spent
 * inside the proxy is that time in proportion to the clock: asking for processor time at each message would take longer than the message.
 */
async function timed(farm: Farm, first: number, count: number): Promise<{ microseconds: number; insideMicroseconds: number }> {
  farm.insideMs = 0;
  const startMs = performance.now();
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) {
    farm.call(first + i);
    if (i % CALLS_A_TURN === CALLS_A_TURN - 1) await setImmediate();
  }
  const { user, system } = process.cpuUsage(before);
  const elapsedMs = performance.now() - startMs;
  const microseconds = (user + system) / count;
  return { microseconds, insideMicroseconds: (microseconds * farm.insideMs) / elapsedMs };
}

if (import.meta.main) {
  for (const { name, value, unit } of await run()) console.log(`${name}: ${value.toFixed(2)} ${unit}`);
}
