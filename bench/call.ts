import { Balancer } from "../src/balancer/index.ts";
import { DialogTable } from "../src/dialog/index.ts";
import { Decisions } from "../src/health/index.ts";
import { type Network, type ProxyCore, ProxyCounters, SipProxy } from "../src/proxy/index.ts";
import { createDefaultRouter } from "../src/routing/index.ts";
import { Announcer } from "../src/server/announcer.ts";
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
const ROUNDS = 41;
const CALLS_A_ROUND = 200;

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

/** One of the proxies that are compared: it makes calls, and at the end proves that none is left. */
interface Farm {
  call(i: number): void;
  finish(): void;
}

/** A proxy without sockets. A call is complete: INVITE, 100, 180, 200, ACK, BYE, 200, and all timers after it. */
function createFarm({ explain = false, events = false } = {}): Farm {
  let nowMs = 0;
  let sent: { text: string; to: Endpoint } | undefined;
  const toDestination: { text: string; to: Endpoint }[] = [];
  const wire: Wire = {
    send(text, to) {
      sent = { text, to };
      if (to.port === 5080) toDestination.push(sent);
    },
  };
  const chance = new RandomTokens();
  const fault = (error: unknown): never => {
    throw error;
  };
  const wheel = new TimerWheel(0, fault);
  const decisions = new Decisions(REMEMBERED, String);
  const balancer = new Balancer({
    below,
    ...(explain && {
      onChoice: ({ callId, session }, look) => decisions.note(callId, session!.group, session!.tried.length + 1, look, Date.now()),
    }),
  });
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
  if (events) {
    const announcer = createAnnouncer();
    dialogs.onState = (dialog, before) => announcer.dialogChanged(dialog, before);
  }
  const network: Network = {
    isOwn: (host, port) => host === "192.0.2.1" && port === 5060,
    endpoint: (address, port) => ({ transport: "udp", address, port, listener }),
    resolve: () => undefined,
    isAllowed: () => true,
  };
  const router = createDefaultRouter(
    {
      rules: [{ match: {}, group: 1, resources: "pstn", flags: "", failover_on: ["5xx"], max_failovers: 3, disable_on: [] }],
      reject: { no_capacity: 503, no_destination: 503, bad_resource: 500 },
    },
    { balancer, log: QUIET },
  );
  const core: ProxyCore = {
    layer,
    wheel,
    nowMs: clock,
    dialogs,
    balancer,
    network,
    router,
    timeouts: { frMs: 5_000, frInviteMs: 120_000 },
    defaultMaxForwards: 70,
    log: QUIET,
    counters: new ProxyCounters(),
    abandoned: new Map(),
  };
  const proxy = new SipProxy(core);

  function call(i: number): void {
    toDestination.length = 0;
    proxy.receive(
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
    proxy.receive(`SIP/2.0 180 Ringing\r\n${kept}\r\n${to}\r\n${contact}\r\nContent-Length: 0\r\n\r\n`, invite.to);
    proxy.receive(
      `SIP/2.0 200 OK\r\n${kept}\r\n${to}\r\n${contact}\r\nContent-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
      invite.to,
    );
    const inside = `From: "bench" <sip:bench@198.51.100.7>;tag=c${i}\r\n${to}\r\nCall-ID: ${i}@198.51.100.7\r\nMax-Forwards: 70\r\nRoute: ${route}`;
    proxy.receive(
      `ACK sip:${invite.to.address}:5080 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-a${i};rport\r\n${inside}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n`,
      caller,
    );
    proxy.receive(
      `BYE sip:${invite.to.address}:5080 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-b${i};rport\r\n${inside}\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n`,
      caller,
    );
    const bye = toDestination.at(-1);
    const byeVia = bye?.text
      .split("\r\n")
      .filter((line) => line.startsWith("Via:"))
      .join("\r\n");
    proxy.receive(
      `SIP/2.0 200 OK\r\n${byeVia}\r\nFrom: "bench" <sip:bench@198.51.100.7>;tag=c${i}\r\n${to}\r\nCall-ID: ${i}@198.51.100.7\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n`,
      invite.to,
    );
    nowMs += 1_000 / CALLS_A_SECOND;
    wheel.advance(nowMs);
  }

  function finish(): void {
    const left = balancer.destinations().reduce((sum, { resources }) => sum + balancer.load(resources[0]!.cell), 0);
    if (left !== 0) throw new Error(`Cannot trust the figure: ${left} calls are still counted`);
    nowMs += 60_000;
    wheel.advance(nowMs);
    if (layer.serverCount + layer.clientCount !== 0) throw new Error("Cannot trust the figure: transactions are left after all timers");
  }

  return { call, finish };
}

/** Events without a listener, with the history of the default configuration. */
function createAnnouncer(): Announcer {
  const config = { events: { history: REMEMBERED, webhooks: [], webhook_queue: 1, low_headroom_percent: 0 }, explain: { calls: 0 } };
  return new Announcer({ config, after: () => () => undefined, log: QUIET });
}

export async function run(): Promise<Figure[]> {
  const plain = createFarm();
  for (let i = 0; i < WARM_UP_CALLS; i++) plain.call(i);
  const elapsedMs = timed(plain, WARM_UP_CALLS, CALLS);
  plain.finish();
  return [
    { name: "complete call through the proxy in memory (peers included)", unit: "µs", value: (elapsedMs * 1_000) / CALLS },
    { name: "complete calls a second", unit: "1/s", value: CALLS / (elapsedMs / 1_000) },
    { name: "more time a call with explain.calls: 1000 (median of rounds)", unit: "%", value: moreTime({ explain: true }) },
    { name: "more time a call with events and their history (median of rounds)", unit: "%", value: moreTime({ events: true }) },
  ];
}

/** How much longer calls take with something switched on. Both take turns in short rounds, so that what else the machine does hits both. */
function moreTime(options: { explain?: boolean; events?: boolean }): number {
  const farms = [createFarm(), createFarm(options)] as const;
  for (const farm of farms) for (let i = 0; i < WARM_UP_CALLS; i++) farm.call(i);
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const first = WARM_UP_CALLS + round * CALLS_A_ROUND;
    // Whoever comes second finds a warmer machine: they take turns in that, too.
    const order = round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
    const elapsed: [number, number] = [0, 0];
    for (const which of order) elapsed[which] = timed(farms[which], first, CALLS_A_ROUND);
    ratios.push(elapsed[1] / elapsed[0]);
  }
  for (const farm of farms) farm.finish();
  return (ratios.sort((a, b) => a - b)[ROUNDS >> 1]! - 1) * 100;
}

/** Processor time, ms: on a shared machine the wall clock tells of others. */
function timed(farm: Farm, first: number, count: number): number {
  const start = process.cpuUsage();
  for (let i = 0; i < count; i++) farm.call(first + i);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}

if (import.meta.main) {
  for (const { name, unit, value } of await run()) console.log(`${name}: ${value.toFixed(1)} ${unit}`);
}
