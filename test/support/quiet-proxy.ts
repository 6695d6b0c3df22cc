import { Balancer } from "../../src/balancer/index.ts";
import { DialogTable } from "../../src/dialog/index.ts";
import { type Network, type ProxyCore, ProxyCounters, SipProxy } from "../../src/proxy/index.ts";
import { createDefaultRouter } from "../../src/routing/index.ts";
import { DialogKeeper } from "../../src/server/dialog-keeper.ts";
import type { DialogChanges, DialogStore, SavedDialog } from "../../src/store/index.ts";
import { type Endpoint, type Listener, TimerWheel, TransactionLayer } from "../../src/transaction/index.ts";
import { below, RandomTokens } from "../../src/transport/chance.ts";
import { settled } from "./settled.ts";
import { headerOf, headersOf } from "./sip-messages.ts";

const SDP =
  "v=0\r\no=- 3822174612 3822174612 IN IP4 198.51.100.23\r\ns=pjmedia\r\nb=AS:84\r\nt=0 0\r\na=X-nat:0\r\nm=audio 40016 RTP/AVP 8 0 101\r\n" +
  "c=IN IP4 198.51.100.23\r\nb=TIAS:64000\r\na=rtcp:40017 IN IP4 198.51.100.23\r\na=sendrecv\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n" +
  "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ssrc:1268034563 cname:5b4f0c2e6d1a7f38\r\n";
const QUIET = { debug() {}, info() {}, warn() {}, error() {} };
const TICK_MS = 10;

const listener: Listener = { transport: "udp", address: "192.0.2.1", port: 5060, family: 4, sentByFor: () => "192.0.2.1:5060" };

/** What differs from one call to the next. */
export interface QuietCall {
  readonly number: number;
  /** Default: one of its own, as phones make them. */
  readonly callId?: string;
  /** Words of `create_dialog`, as bits. */
  readonly flags?: number;
}

/**
 * A proxy with all its parts but sockets and a disk, for very many calls: nothing in it but the proxy itself remembers anything of a call. Messages are as
 * long as those of usual phones, and come as texts that nobody else has.
 */
export class QuietProxy {
  readonly dialogs: DialogTable;
  readonly layer: TransactionLayer;
  readonly wheel: TimerWheel;
  readonly balancer: Balancer;
  readonly keeper: DialogKeeper | undefined;
  readonly #proxy: SipProxy;
  #nowMs = 0;
  #toDestination: { text: string; to: Endpoint } | undefined;
  #toCaller = "";

  /** @param found calls that are written down, as another such proxy has left them; undefined: calls are not kept */
  constructor(found?: readonly SavedDialog[], changed?: (changes: DialogChanges) => void) {
    const nowMs = (): number => this.#nowMs;
    const wheel = new TimerWheel(0, (error) => {
      throw error;
    });
    const balancer = new Balancer({ below, onStatus() {}, onFault: (text: string) => assertNever(text) } as never);
    balancer.replaceTable([1, 2, 3, 4].map((id) => destination(id)));
    const wire = {
      send: (text: string, to: Endpoint): void => {
        if (to.port === 5080) this.#toDestination = { text, to };
        else this.#toCaller = text;
      },
    };
    const layer = new TransactionLayer({ wire, wheel, chance: new RandomTokens(), nowMs });
    const dialogs = new DialogTable({
      wheel,
      chance: new RandomTokens(),
      nowMs,
      wallMs: () => 1_790_000_000_000 + this.#nowMs,
      defaultTimeoutMs: 43_200_000,
      release: (load) => balancer.release(load),
      settle: (load) => balancer.settle(load),
    });
    const network: Network = {
      isOwn: (host, port) => host === "192.0.2.1" && port === 5060,
      endpoint: (address, port) => ({ transport: "udp", address, port, listener }),
      locate: () => [],
      isAllowed: () => true,
    };
    const rule = { match: {}, group: 1, resources: "pstn", flags: "", failover_on: ["5xx"], max_failovers: 3, disable_on: [] };
    const router = createDefaultRouter({ rules: [rule], reject: { no_capacity: 503, no_destination: 503, bad_resource: 500 } } as never, {
      balancer,
      log: QUIET,
    });
    const core: ProxyCore = {
      ...{ layer, wheel, nowMs, dialogs, balancer, network, router, log: QUIET, counters: new ProxyCounters(), abandoned: new Map() },
      timeouts: { frMs: 5_000, frInviteMs: 120_000 },
      defaultMaxForwards: 70,
      pings: { optionsMs: 30_000, reinviteMs: 300_000 },
    };
    [this.wheel, this.balancer, this.layer, this.dialogs] = [wheel, balancer, layer, dialogs];
    this.#proxy = new SipProxy(core);
    if (found === undefined) return;
    const store: DialogStore = {
      found,
      capacities: [],
      crashes: 0,
      identity: "file",
      aliveAtMs: undefined,
      async write(changes) {
        changed?.(changes);
        return "file";
      },
      async close() {},
    };
    const keeper = new DialogKeeper({
      ...{ store, dialogs, balancer, nowMs, wallMs: nowMs, log: QUIET, earlyLifetimeMs: 120_000, listeners: () => [listener] },
      after: (ms, run) => {
        const timer = wheel.schedule(ms, { timerFired: run }, 0, this.#nowMs);
        return () => void wheel.cancel(timer);
      },
    });
    dialogs.onState = (dialog) => keeper.stateChanged(dialog);
    keeper.tableChanged();
    this.keeper = keeper;
  }

  /** Units of load on all destinations. */
  get load(): number {
    return this.balancer.destinations().reduce((sum, { resources }) => sum + this.balancer.load(resources[0]!.cell), 0);
  }

  /** Makes a call: INVITE, 180, 200, ACK. */
  begin({ number, callId = callIdOf(number), flags }: QuietCall): void {
    const from = callerOf(number);
    const uri = `sip:+4930${String(number).padStart(8, "0")}@192.0.2.1:5060`;
    this.#receive(
      `INVITE ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${from.address}:5060;rport;branch=z9hG4bKPji${number}\r\nMax-Forwards: 70\r\n` +
        `From: ${fromOf(number)}\r\nTo: <${uri}>\r\nContact: <sip:+49170${String(number).padStart(7, "0")}@${from.address}:5060;ob>\r\n` +
        `Call-ID: ${callId}\r\nCSeq: 7531 INVITE\r\nAllow: PRACK, INFO, INVITE, ACK, BYE, CANCEL, UPDATE, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS\r\n` +
        `Supported: replaces, 100rel, norefersub\r\nUser-Agent: PJSUA v2.14 Linux-6.1/x86_64/glibc-2.36\r\n` +
        `Content-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
      from,
    );
    if (flags !== undefined) this.dialogs.byCallId(callId)!.flags |= flags;
    this.#answer("180 Ringing", number, "Content-Length: 0\r\n\r\n");
    this.#answer("200 OK", number, `Content-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`);
    this.#receive(this.#inside("ACK", 7531, number, callId), from);
  }

  /** Hangs a call up, from its caller. It has to be the one of which the last message came, or `route` and `to` be given. */
  end({ number, callId = callIdOf(number) }: QuietCall, way: { route: string; to: string; contact: string } = this.way): void {
    this.#receive(this.#inside("BYE", 7532, number, callId, way), callerOf(number));
    this.#answer("200 OK", number, "Content-Length: 0\r\n\r\n");
  }

  /** What a BYE of the call needs whose answer the caller got last. */
  get way(): { route: string; to: string; contact: string } {
    const text = this.#toCaller;
    return {
      route: headersOf(text, "Record-Route").join(", "),
      to: headerOf(text, "To"),
      contact: /<([^>]*)>/.exec(headerOf(text, "Contact"))?.[1] ?? "",
    };
  }

  /** Time passes, in long steps when it is long, and what is written meanwhile is written. */
  async pass(ms: number): Promise<void> {
    const stepMs = Math.max(TICK_MS, ms / 100);
    for (let left = ms; left > 0; left -= stepMs) {
      this.#nowMs += stepMs;
      this.wheel.advance(this.#nowMs);
      if (this.keeper !== undefined) await settled();
    }
  }

  #receive(text: string, from: Endpoint): void {
    // As from a socket: one piece, and an address of its own.
    this.#proxy.receive(Buffer.from(text, "latin1").toString("latin1"), {
      ...from,
      address: Buffer.from(from.address, "latin1").toString("latin1"),
    });
  }

  #answer(status: string, number: number, rest: string): void {
    const { text, to } = this.#toDestination!;
    const head = ["Via", "Record-Route", "From", "Call-ID", "CSeq"].flatMap((name) =>
      headersOf(text, name).map((value) => `${name}: ${value}`),
    );
    const toValue = headerOf(text, "To");
    this.#receive(
      `SIP/2.0 ${status}\r\n${head.join("\r\n")}\r\nTo: ${toValue.includes(";tag=") ? toValue : `${toValue};tag=as6e0d${String(number).padStart(8, "0")}`}\r\n` +
        `Server: Asterisk PBX 20.5.0\r\nContact: <sip:+4930${String(number).padStart(8, "0")}@${to.address}:5080>\r\n${rest}`,
      to,
    );
  }

  #inside(method: string, cseq: number, number: number, callId: string, { route, to, contact } = this.way): string {
    return (
      `${method} ${contact} SIP/2.0\r\nVia: SIP/2.0/UDP ${callerOf(number).address}:5060;rport;branch=z9hG4bKPj${method}${number}\r\nMax-Forwards: 70\r\n` +
      `From: ${fromOf(number)}\r\nTo: ${to}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\nRoute: ${route}\r\nContent-Length: 0\r\n\r\n`
    );
  }
}

function assertNever(text: string): never {
  throw new Error(text);
}

function callIdOf(number: number): string {
  return `5f1e8a3c-77b1-4c0e-9d42-${String(number).padStart(12, "0")}`;
}

function fromOf(number: number): string {
  return `"Alice Example" <sip:+49170${String(number).padStart(7, "0")}@pbx.example.com>;tag=9c41d7e2f05b4a${String(number).padStart(8, "0")}`;
}

function callerOf(number: number): Endpoint {
  return { transport: "udp", address: `198.51.100.${1 + (number % 250)}`, port: 5060, listener };
}

function destination(id: number) {
  return {
    ...{ id, group: 1, uri: `sip:203.0.113.${id}:5080`, resources: [{ name: "pstn", capacity: 10_000_000 }], probeMode: 0 as const },
    ...{ attrs: undefined, description: undefined, addresses: [{ ip: `203.0.113.${id}`, port: 5080, transport: "udp" as const }] },
  };
}
