import { CallRate } from "../balancer/call-rate.ts";
import type { SipRequest } from "../sip/index.ts";
import { CallPeers, type PeerCall } from "./call-peers.ts";
import { DatagramKind, datagramKind } from "./datagram.ts";
import { CEILING_QUIET_MS, MAX_REFUSED_CALLS, MAX_REFUSED_KEY_CHARS, REFUSED_CALL_MS } from "./limits.ts";
import { type LoadCause, type LoadSample, type LoadSettings, LoadWatch } from "./load-watch.ts";
import { QueueWatch } from "./queue-watch.ts";
import { RefusedCalls } from "./refused-calls.ts";
import { Scanners } from "./scanners.ts";
import { type BanChange, type BanView, type SourceRateSettings, SourceRates } from "./source-rates.ts";

export interface OverloadSettings {
  readonly rate: SourceRateSettings;
  readonly load: LoadSettings;
  /** Share of a socket's queue that may be full, from 0 to 1, until new calls are refused. 0: not looked at. */
  readonly maxBacklog: number;
  /** New calls that are taken within any second; 0: no ceiling. */
  readonly newCallsPerSecond: number;
  /** What refused callers are told to wait, seconds. */
  readonly retryAfterS: number;
  /** Marks of scanners, see {@link Scanners}. */
  readonly scanners: readonly string[];
  /** What a scanner gets: nothing, or 403. */
  readonly scannerAnswer: Screening;
}

/** What becomes of a request outside of calls that is not wanted: no answer at all, or 403. */
export type Screening = "silence" | "forbid";

/** Why new calls are refused: the event loop stands still too long, has no idle moment, too much waits to be read, or there are too many calls a second. */
export type OverloadCause = LoadCause | "backlog" | "calls";

export interface OverloadChange {
  readonly kind: "began" | "ended";
  readonly cause: OverloadCause;
  /** As of the latest sample. */
  readonly lagMs: number;
  readonly utilization: number;
  /** Calls that were refused meanwhile; 0 when it begins. */
  readonly refused: number;
}

export interface OverloadPorts {
  /** 32 random bits. */
  readonly seed: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Whether an address is never banned and no scanner. */
  readonly isExempt: (address: string) => boolean;
  /** Neither of them may throw. */
  readonly onBan: (change: BanChange) => void;
  readonly onOverload: (change: OverloadChange) => void;
  readonly maxSources?: number;
}

/** What the proxy asks before it takes something new. */
export interface OverloadGate {
  /** Asked for each request outside of calls. Undefined: go on. */
  screen(request: SipRequest, address: string): Screening | undefined;
  /** Asked for each request that is about to be routed as something new; seconds to come back after, or 0: it is taken. */
  refusalS(request: SipRequest): number;
}

/** Counters of what is refused here and now, by reason. */
export class OverloadCounters {
  /** Datagrams of line ends alone. */
  junk_empty = 0;
  /** Datagrams that begin with a byte that no SIP message begins with. */
  junk_binary = 0;
  /** Datagrams whose first line ends with no SIP version. */
  junk_text = 0;
  /** Datagrams without an end of the first line, or with a first line that is too long. */
  junk_endless = 0;
  /** Requests of banned sources that have calls, and were let pass for these. */
  banned_in_calls = 0;
  /** Requests of such sources that were no part of a call. */
  banned_new_requests = 0;
  scanners_silenced = 0;
  scanners_forbidden = 0;
  /** New calls over the ceiling. */
  calls_refused_rate = 0;
  /** New calls while the event loop stood still too long. */
  calls_refused_lag = 0;
  /** New calls while it had no idle moment. */
  calls_refused_utilization = 0;
  /** New calls while too much waited to be read. */
  calls_refused_backlog = 0;
  /** Copies of refused calls. */
  calls_refused_copies = 0;
  overloads = 0;
}

/** Keeps the program able to work: refuses what is no SIP, who sends too much, who only searches, and new calls when there is no time for them. */
export class Overload implements OverloadGate {
  readonly counts = new OverloadCounters();
  readonly rates: SourceRates;
  readonly #ports: OverloadPorts;
  readonly #peers = new CallPeers();
  readonly #load: LoadWatch;
  readonly #ceiling = new CallRate();
  readonly #refused = new RefusedCalls(MAX_REFUSED_CALLS, REFUSED_CALL_MS);
  #settings: OverloadSettings;
  #scanners: Scanners;
  readonly #queues: QueueWatch[] = [];
  /** Counted refusals when the overload of the event loop began. */
  #loadBase = 0;
  #loadCause: LoadCause | undefined;
  readonly #ceilingHits = new Hits("calls");
  readonly #backlogHits = new Hits("backlog");

  constructor(settings: OverloadSettings, ports: OverloadPorts) {
    this.#settings = settings;
    this.#ports = ports;
    const { seed, nowMs, isExempt, onBan, maxSources } = ports;
    const callsOf = this.#peers.callsOf.bind(this.#peers);
    this.rates = new SourceRates(settings.rate, { seed, nowMs, isExempt, callsOf, onBan, ...(maxSources && { maxSources }) });
    this.#load = new LoadWatch(settings.load);
    this.#ceiling.limit = settings.newCallsPerSecond;
    this.#scanners = new Scanners(settings.scanners);
  }

  /** Other settings from now on. */
  use(settings: OverloadSettings): void {
    this.#settings = settings;
    this.rates.use(settings.rate);
    this.#load.use(settings.load);
    this.#ceiling.limit = settings.newCallsPerSecond;
    for (const queue of this.#queues) queue.maxShare = settings.maxBacklog;
    this.#scanners = new Scanners(settings.scanners);
  }

  /** What is to be told how full the queue of a socket is, for as long as the program runs. */
  watchQueue(): QueueWatch {
    const queue = new QueueWatch(this.#settings.maxBacklog, this.#ports.nowMs);
    this.#queues.push(queue);
    return queue;
  }

  /** Whether a datagram is to be parsed. It costs less than a microsecond, and memory nothing. */
  admitDatagram(bytes: Uint8Array, address: string, start = 0, end = bytes.length): boolean {
    switch (datagramKind(bytes, start, end)) {
      case DatagramKind.Request:
        return this.admitRequest(address);
      case DatagramKind.Response:
        return true; // what answers nothing of ours ends in the transactions
      case DatagramKind.Empty:
        this.counts.junk_empty++;
        return false;
      case DatagramKind.Binary:
        this.counts.junk_binary++;
        return false;
      case DatagramKind.Text:
        this.counts.junk_text++;
        return false;
      default:
        this.counts.junk_endless++;
        return false;
    }
  }

  /** Counts a request of a source. False: it is not to be looked at. For streams, whose framing knows what a message is. */
  admitRequest(address: string): boolean {
    if (this.rates.request(address)) return true;
    if (!this.#peers.has(address)) return false;
    this.counts.banned_in_calls++;
    return true;
  }

  /** Whether a source may open a connection. */
  admitConnection(address: string): boolean {
    return !this.rates.isBanned(address) || this.#peers.has(address);
  }

  screen(request: SipRequest, address: string): Screening | undefined {
    if (this.rates.isBanned(address) && !this.#ports.isExempt(address)) {
      this.counts.banned_new_requests++;
      return "silence";
    }
    if (!this.#scanners.has(request) || this.#ports.isExempt(address)) return undefined;
    if (this.#settings.scannerAnswer === "forbid") this.counts.scanners_forbidden++;
    else this.counts.scanners_silenced++;
    return this.#settings.scannerAnswer;
  }

  refusalS(request: SipRequest): number {
    const { retryAfterS } = this.#settings;
    const now = this.#ports.nowMs();
    if (this.#isCopyOfRefused(request, now)) {
      this.counts.calls_refused_copies++;
      return retryAfterS;
    }
    const cause = this.#load.cause;
    if (cause !== undefined) {
      if (cause === "lag") this.counts.calls_refused_lag++;
      else this.counts.calls_refused_utilization++;
    } else if (this.#isCrowded()) {
      this.counts.calls_refused_backlog++;
      this.#hit(this.#backlogHits, now);
    } else {
      if (request.method !== "INVITE" || this.#ceiling.limit === 0) return 0;
      if (this.#ceiling.openAtMs(now) <= now) {
        this.#ceiling.note(now);
        return 0;
      }
      this.counts.calls_refused_rate++;
      this.#hit(this.#ceilingHits, now);
    }
    this.#remember(request, now);
    return retryAfterS;
  }

  /** Takes what the event loop did since the last sample; samples come every `SAMPLE_MS`. */
  sample(sample: LoadSample): void {
    if (!this.#load.take(sample)) return;
    const cause = this.#load.cause ?? this.#loadCause!;
    const refused = this.counts.calls_refused_lag + this.counts.calls_refused_utilization;
    if (this.#load.cause === undefined) this.#tell("ended", cause, refused - this.#loadBase);
    else {
      this.#loadBase = refused;
      this.#tell("began", cause, 0);
    }
    this.#loadCause = this.#load.cause;
  }

  /** Ends what is over. To be called about once a second. */
  sweep(): void {
    this.rates.sweep();
    this.#endIfQuiet(this.#ceilingHits);
    this.#endIfQuiet(this.#backlogHits);
  }

  /** A call has changed its state. */
  callChanged(call: PeerCall): void {
    this.#peers.changed(call);
  }

  bans(): BanView[] {
    return this.rates.bans();
  }

  /** Ends the ban of the source that an address or a block belongs to. False: it is not banned. */
  lift(address: string): boolean {
    return this.rates.lift(address);
  }

  /** Values for the statistics, under fixed names. */
  get counters(): Record<string, number> {
    const { rates } = this;
    const { lagMs, utilization } = this.#load.latest;
    return {
      ...this.counts,
      ...rates.counters,
      bans: rates.banCount,
      sources: rates.sourceCount,
      sources_evicted: rates.evictedCount,
      overloaded: this.#load.cause !== undefined || this.#ceilingHits.isOn || this.#backlogHits.isOn ? 1 : 0,
      lag_ms: Math.round(lagMs),
      utilization_percent: Math.round(utilization * 100),
    };
  }

  #isCrowded(): boolean {
    for (const queue of this.#queues) if (queue.isCrowded) return true;
    return false;
  }

  #hit(hits: Hits, now: number): void {
    if (!hits.isOn) this.#tell("began", hits.cause, 0);
    hits.count++;
    hits.latestMs = now;
  }

  #endIfQuiet(hits: Hits): void {
    if (!hits.isOn || this.#ports.nowMs() - hits.latestMs < CEILING_QUIET_MS) return;
    const refused = hits.count;
    hits.count = 0;
    this.#tell("ended", hits.cause, refused);
  }

  #remember(request: SipRequest, now: number): void {
    if (request.method !== "INVITE") return;
    const key = keyOf(request);
    if (key.length <= MAX_REFUSED_KEY_CHARS) this.#refused.add(key, now);
  }

  #isCopyOfRefused(request: SipRequest, now: number): boolean {
    return request.method === "INVITE" && this.#refused.size > 0 && this.#refused.has(keyOf(request), now);
  }

  #tell(kind: "began" | "ended", cause: OverloadCause, refused: number): void {
    if (kind === "began") this.counts.overloads++;
    const { lagMs, utilization } = this.#load.latest;
    this.#ports.onOverload({ kind, cause, lagMs, utilization, refused });
  }
}

/** Refusals for a cause that comes and goes within moments: it counts as over when there has been none for a while. */
class Hits {
  readonly cause: OverloadCause;
  count = 0;
  latestMs = 0;

  constructor(cause: OverloadCause) {
    this.cause = cause;
  }

  get isOn(): boolean {
    return this.count > 0;
  }
}

/** What is the same for each copy of an INVITE, and another for the next try of a call. */
function keyOf(request: SipRequest): string {
  return `${request.topVia.branch} ${request.cseqNumber} ${request.callId}`;
}
