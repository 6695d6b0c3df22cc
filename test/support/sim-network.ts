import assert from "node:assert/strict";
import { type Address, Balancer, type CallLoad, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import { type Dialog, DialogTable } from "../../src/dialog/index.ts";
import { CallOutcomes, type OutcomeSettings } from "../../src/health/index.ts";
import { CallPeers } from "../../src/overload/call-peers.ts";
import {
  CallMeasures,
  type Log,
  type Network,
  type ProxyCall,
  type ProxyCore,
  ProxyCounters,
  type Router,
  SipProxy,
} from "../../src/proxy/index.ts";
import type { SipTarget } from "../../src/resolution/index.ts";
import {
  type Endpoint,
  type Listener,
  REFUSED,
  type SendOwner,
  TICK_MS,
  TimerWheel,
  TransactionLayer,
  type Wire,
} from "../../src/transaction/index.ts";
import { below, seededRandom } from "./random.ts";
import { settled } from "./settled.ts";
import type { LogLine, SimOptions } from "./sim-options.ts";
import { statusOf } from "./sip-messages.ts";

/** Where the simulated proxy listens. */
export const PROXY = "192.0.2.1";
export const PROXY6 = "2001:db8::1";
/** Lifetime of a call in the simulation: long enough for every timer of a transaction, short enough to be waited for. */
export const LIFETIME_MS = 600_000;
/** `tm.fr_timeout` and `tm.fr_inv_timeout` of the simulation. */
export const FR_MS = 5_000;
export const FR_INVITE_MS = 120_000;

/**
 * The real proxy, dialogs, transactions and balancer on a wire, a clock and a chance that are all simulated: nothing sleeps and every run
 * with one seed is the same. The clock is that of the timer wheel, whose ticks also carry the messages that are under way.
 */
export class SimNetwork implements Network, Wire {
  readonly wheel: TimerWheel;
  readonly balancer: Balancer;
  /** The destinations as rows of the table. */
  readonly rows: readonly DestinationRow[];
  readonly dialogs: DialogTable;
  readonly callPeers = new CallPeers();
  readonly layer: TransactionLayer;
  readonly core: ProxyCore;
  readonly outcomes: CallOutcomes | undefined;
  readonly proxy: SipProxy;
  readonly random: () => number;
  readonly logged: LogLine[] = [];
  /** Exceptions that escaped, and what the balancer calls faults: must stay empty. */
  readonly escaped: unknown[] = [];
  /** Addresses that cannot be sent to: an ICMP error comes back on the next tick. */
  readonly unreachable = new Set<string>();
  /** Addresses whose host says of what arrives there that nobody listens, a moment later: of something before, or it is forged. */
  readonly refusing = new Set<string>();
  readonly listener4: Listener;
  readonly listener6: Listener;
  readonly #peers = new Map<string, SimPeer>();
  readonly #options: SimOptions;
  #tokens = 0;

  constructor(options: SimOptions = {}) {
    this.#options = options;
    this.random = seededRandom(options.seed ?? 1);
    this.listener4 = { transport: "udp", address: PROXY, port: 5060, family: 4, sentByFor: () => `${PROXY}:5060` };
    this.listener6 = { transport: "udp", address: PROXY6, port: 5060, family: 6, sentByFor: () => `[${PROXY6}]:5060` };
    this.wheel = new TimerWheel(0, (error) => this.escaped.push(error));
    const nowMs = (): number => this.wheel.nowMs;
    this.balancer = new Balancer({ below: below(this.random), nowMs, onFault: (text) => this.escaped.push(text) });
    const { destinations = ["203.0.113.1", "203.0.113.2"], resources = "pstn=10" } = options;
    this.rows = destinations.map((address, i) => ({
      id: i + 1,
      group: 1,
      uri: `sip:${bracketed(address)}`,
      resources: parseResources(resources),
      probeMode: 0,
      attrs: undefined,
      description: undefined,
      addresses: [{ ip: address, port: 5060, transport: "udp" }],
    }));
    this.balancer.replaceTable(this.rows);
    // Unlike real tokens they can be read in a failing test; nobody guesses here.
    const { tokens: word = "tok" } = options;
    const chance = { token: () => `${word}${(++this.#tokens).toString(36).padStart(13, "0")}` };
    this.dialogs = new DialogTable({
      wheel: this.wheel,
      chance,
      nowMs,
      wallMs: () => 1_700_000_000_000 + this.wheel.nowMs,
      defaultTimeoutMs: LIFETIME_MS,
      release: (load) => this.balancer.release(load),
      ...(options.maxDialogs === undefined ? {} : { maxDialogs: options.maxDialogs }),
    });
    this.dialogs.onState = (dialog) => this.callPeers.changed(dialog);
    this.dialogs.onRestored = (dialog) => this.callPeers.changed(dialog);
    this.layer = new TransactionLayer({ serverHeader: "headroom", wire: this, wheel: this.wheel, chance, nowMs });
    this.outcomes = options.outcomes && this.#judge(options.outcomes);
    this.core = {
      layer: this.layer,
      wheel: this.wheel,
      nowMs,
      dialogs: this.dialogs,
      balancer: this.balancer,
      network: this,
      router: (options.router ?? balancingRouter)(this.balancer),
      outcomes: this.outcomes,
      registrar: options.registrar,
      elsewhere: options.elsewhere,
      overload: options.overload,
      pings: options.pings,
      timeouts: { frMs: FR_MS, frInviteMs: FR_INVITE_MS },
      defaultMaxForwards: 70,
      log: this.#log(),
      counters: new ProxyCounters(),
      measures: new CallMeasures(),
      abandoned: new Map(),
    };
    this.proxy = new SipProxy(this.core);
  }

  /** The peer at this address, port 5060. */
  peer(address: string): SimPeer {
    let peer = this.#peers.get(address);
    if (peer === undefined) {
      peer = new SimPeer(this, address);
      this.#peers.set(address, peer);
    }
    return peer;
  }

  /** Lets time pass; everything that is due meanwhile happens in its order. */
  run(ms: number): void {
    this.wheel.advance(this.wheel.nowMs + ms);
  }

  /** As {@link run}, in small steps between which promises go on. */
  async runAsync(ms: number, stepMs = TICK_MS): Promise<void> {
    const endMs = this.wheel.nowMs + ms;
    await settled();
    while (this.wheel.nowMs < endMs) {
      this.wheel.advance(Math.min(endMs, this.wheel.nowMs + stepMs));
      await settled();
    }
  }

  /** Does something a number of ticks from now. */
  after(ticks: number, action: () => void): void {
    this.wheel.schedule(ticks * TICK_MS, { timerFired: action }, 0, this.wheel.nowMs);
  }

  /** A message of a peer on its way to the proxy. */
  toProxy(text: string, from: SimPeer): void {
    const listener = from.family === 4 ? this.listener4 : this.listener6;
    this.#carry(() => this.proxy.receive(text, { transport: "udp", address: from.address, port: 5060, listener, ...from.flow }));
  }

  send(text: string, to: Endpoint, owner?: SendOwner): void {
    assert.ok(text.includes("\r\n\r\n"), "a message has an end of its headers");
    if (this.unreachable.has(to.address) || to.connection?.isOpen === false) {
      if (owner !== undefined) this.after(1, () => owner.transportError("ECONNREFUSED"));
      return;
    }
    if (this.refusing.has(to.address) && owner !== undefined) this.after(1, () => owner.transportError(`${REFUSED}: nobody listens there`));
    const peer = this.peer(to.address);
    assert.equal(to.listener, to.address.includes(":") ? this.listener6 : this.listener4, "the listener is of the address's family");
    if (to.port === 5060) this.#carry(() => peer.receive(text));
  }

  isOwn(host: string, port: number): boolean {
    return port === 5060 && (host === PROXY || host === PROXY6);
  }

  isPeer(host: string, port: number): boolean {
    return port === 5060 && this.#options.peerNodes?.includes(host) === true;
  }

  endpoint(address: string, port: number, transport: string): Endpoint | undefined {
    if (transport !== "udp") return undefined;
    return { transport: "udp", address, port, listener: address.includes(":") ? this.listener6 : this.listener4 };
  }

  locate(target: SipTarget): readonly Address[] | Promise<readonly Address[]> {
    if (this.#options.locate !== undefined) return this.#options.locate(target);
    const found = this.#options.resolve?.(target.host);
    const addressesOf = (ip: string | undefined): readonly Address[] =>
      ip === undefined ? [] : [{ ip, port: target.port ?? 5060, transport: (target.transport ?? "udp") as Address["transport"] }];
    return found instanceof Promise ? found.then(addressesOf) : addressesOf(found);
  }

  isAllowed(source: Endpoint): boolean {
    return this.#options.allowed?.includes(source.address) ?? true;
  }

  /** Loads of the destinations in the order of their ids, all their resources added up. */
  get loads(): number[] {
    return this.balancer.destinations().map((d) => d.resources.reduce((sum, { cell }) => sum + this.balancer.load(cell), 0));
  }

  /** The only call that is ongoing. */
  get onlyDialog(): Dialog {
    const all = [...this.dialogs.list()];
    assert.equal(all.length, 1, "one call is ongoing");
    return all[0]!;
  }

  /** No load is negative, and the loads are what the ongoing calls hold: true at any time. */
  checkLoads(): void {
    for (const load of this.loads) assert.ok(load >= 0, `load ${load} is negative`);
    const calls: CallLoad[] = [...this.dialogs.list()].map((dialog) => dialog.load);
    assert.deepEqual(this.balancer.recount(calls), [], "the loads are what the ongoing calls hold");
    this.balancer.beginTally();
    for (const call of calls) this.balancer.tally(call);
    assert.deepEqual(this.balancer.endTally().differences, [], "an audit finds nothing");
  }

  /** Once every timer has run, nothing is left of any call. */
  checkNothingLeft(): void {
    this.checkLoads();
    assert.deepEqual(this.escaped, [], "no exception escaped");
    assert.deepEqual(
      {
        loads: this.loads.filter((load) => load !== 0),
        dialogs: this.dialogs.size,
        places: this.dialogs.places,
        peers: this.callPeers.size,
        early: this.dialogs.counters.early_dialogs,
        active: this.dialogs.counters.active_dialogs,
        servers: this.layer.serverCount,
        clients: this.layer.clientCount,
        mergeable: this.layer.mergeableCount,
        abandoned: this.core.abandoned.size,
        timers: this.wheel.pending,
      },
      { loads: [], dialogs: 0, places: 0, peers: 0, early: 0, active: 0, servers: 0, clients: 0, mergeable: 0, abandoned: 0, timers: 0 },
    );
  }

  /** Lets every lifetime and every timer end, then {@link checkNothingLeft}. */
  finish(): void {
    this.run(LIFETIME_MS + 60_000);
    this.checkNothingLeft();
  }

  #judge(settings: OutcomeSettings): CallOutcomes {
    return new CallOutcomes({
      balancer: this.balancer,
      settings,
      nowMs: () => this.wheel.nowMs,
      after: (ms, run) => {
        const timer = this.wheel.schedule(ms, { timerFired: run }, 0, this.wheel.nowMs);
        return () => this.wheel.cancel(timer);
      },
    });
  }

  #carry(deliver: () => void): void {
    const { faults } = this.#options;
    if (faults === undefined) {
      deliver();
      return;
    }
    for (let copies = this.random() < faults.duplication ? 2 : 1; copies > 0; copies--) {
      if (this.random() < faults.loss) continue;
      this.after(1 + Math.floor(this.random() * faults.delayTicks), deliver);
    }
  }

  #log(): Log {
    const at =
      (level: LogLine["level"]) =>
      (fields: object, message: string): void => {
        this.logged.push({ level, fields, message });
        if (message.includes("internal error")) this.escaped.push(fields);
      };
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }
}

/** One SIP element besides the proxy. What it gets waits in `inbox` until a test takes it, or goes to `onMessage`. */
export class SimPeer {
  readonly address: string;
  readonly inbox: string[] = [];
  onMessage: ((text: string) => void) | undefined = undefined;
  /** What it sends by, when that is not UDP. */
  flow: Required<Pick<Endpoint, "transport" | "connection">> | undefined = undefined;
  readonly #net: SimNetwork;

  constructor(net: SimNetwork, address: string) {
    this.#net = net;
    this.address = address;
  }

  get family(): 4 | 6 {
    return this.address.includes(":") ? 6 : 4;
  }

  /** Its address as it stands in Via and Contact. */
  get sentBy(): string {
    return `${bracketed(this.address)}:5060`;
  }

  send(text: string): void {
    this.#net.toProxy(text, this);
  }

  receive(text: string): void {
    if (this.onMessage === undefined) this.inbox.push(text);
    else this.onMessage(text);
  }

  /** Takes the oldest request of this method, or response of this status, out of the inbox. */
  take(what: string | number): string {
    const at = this.inbox.findIndex((text) => (typeof what === "number" ? statusOf(text) === what : text.startsWith(`${what} `)));
    assert.notEqual(at, -1, `${this.address} has got ${what}; its inbox holds: ${this.#summary()}`);
    return this.inbox.splice(at, 1)[0]!;
  }

  /** Nothing has come that no test took. */
  assertSilent(): void {
    assert.equal(this.#summary(), "", `${this.address} has got nothing more`);
  }

  clear(): void {
    this.inbox.length = 0;
  }

  #summary(): string {
    return this.inbox.map((text) => text.split("\r\n", 1)[0]).join(" | ");
  }
}

/** Routes as the module's manual does: `lb_start`, `lb_next` after a time-out or 5xx, 503 when there is nothing to choose. */
export function balancingRouter(balancer: Balancer): Router {
  const point = (call: ProxyCall): void => {
    call.destinationUri = call.load.destination?.uri;
    call.setTarget(call.load.destination);
  };
  return {
    handles: (method) => method === "INVITE",
    request(call) {
      call.openDialog();
      if (balancer.start(call.load, 1, "pstn") !== 1) {
        call.reply(503, "Service full");
        return;
      }
      point(call);
      call.relay();
    },
    failure(call) {
      if (call.status !== 408 && call.status < 500) return;
      if (balancer.next(call.load) !== 1) return;
      point(call);
      call.relay();
    },
  };
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
