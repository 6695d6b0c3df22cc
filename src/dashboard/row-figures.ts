import type { Destination } from "../balancer/index.ts";
import { describeStatus, FEED_STATES, type StatusWord } from "../health/index.ts";
import type { RowSources } from "./ports.ts";

const BREAKERS = ["closed", "open", "trials"] as const;

/** Places of the numbers of one destination; behind them stand {@link PER_RESOURCE} for each resource. */
const At = {
  Bits: 0,
  Calls: 1,
  Breaker: 2,
  RestS: 3,
  CallsPerSecond: 4,
  Factor: 5,
  DrainLoad: 6,
  DrainDeadlineMs: 7,
  FeedState: 8,
  LastCode: 9,
  ProbeMs: 10,
  ProbeAverageMs: 11,
} as const;
const HEAD = 12;
/** Load, max, capacity, load of other nodes, calls of others. */
const PER_RESOURCE = 5;

const Bit = {
  Enabled: 1,
  AutoReenable: 2,
  Draining: 4,
  Leaving: 8,
  Withdrawn: 16,
  OverRate: 32,
  Drained: 64,
  HasDrain: 128,
  Probed: 256,
} as const;
/** In place of a time that was not measured. */
const UNKNOWN = -1;

/** The figures of one destination: as numbers, which are quickly compared, and as the text that was made of them. */
export class RowFigures {
  readonly destination: Destination;
  status: StatusWord = "up";
  /** JSON; made anew only when a number is another one. */
  text = "";
  #numbers: Float64Array;
  #next: Float64Array;

  constructor(destination: Destination) {
    this.destination = destination;
    const length = HEAD + PER_RESOURCE * destination.resources.length;
    this.#numbers = new Float64Array(length);
    this.#next = new Float64Array(length);
  }

  /** Whether it gets calls, as far as anybody but its load is concerned. */
  get takesCalls(): boolean {
    return this.status === "up" || this.status === "rate";
  }

  /** All that counts against the capacity of its resource `i`: calls of this node, of others and of strangers. */
  loadOf(i: number): number {
    const at = HEAD + i * PER_RESOURCE;
    return this.#numbers[at]! + this.#numbers[at + 4]!;
  }

  maxOf(i: number): number {
    return this.#numbers[HEAD + i * PER_RESOURCE + 1]!;
  }

  /** Looks again. Answers whether anything is otherwise than before, which the first look always is. */
  update(sources: RowSources): boolean {
    this.#read(sources);
    const { length } = this.#next;
    let i = 0;
    while (i < length && this.#next[i] === this.#numbers[i]) i++;
    if (i === length && this.text !== "") return false;
    [this.#numbers, this.#next] = [this.#next, this.#numbers];
    this.#write();
    return true;
  }

  #read({ balancer, drains, probes, feedState }: RowSources): void {
    const { destination } = this;
    const next = this.#next;
    const drain = drains.of(destination);
    const probed = destination.probeMode === 0 ? undefined : probes(destination);
    const isEnabled = balancer.isEnabled(destination);
    next[At.Bits] =
      (isEnabled ? Bit.Enabled : 0) |
      (balancer.isAutoReenable(destination) ? Bit.AutoReenable : 0) |
      (balancer.isDraining(destination) ? Bit.Draining : 0) |
      (balancer.isLeaving(destination) ? Bit.Leaving : 0) |
      (balancer.isWithdrawn(destination) ? Bit.Withdrawn : 0) |
      (balancer.isOverRate(destination) ? Bit.OverRate : 0) |
      (!isEnabled && drains.drained(destination) !== undefined ? Bit.Drained : 0) |
      (drain === undefined ? 0 : Bit.HasDrain) |
      (probed === undefined ? 0 : Bit.Probed);
    next[At.Calls] = balancer.calls(destination);
    next[At.Breaker] = BREAKERS.indexOf(balancer.breaker(destination));
    next[At.RestS] = Math.ceil(balancer.restMs(destination) / 1000);
    next[At.CallsPerSecond] = balancer.callsPerSecond(destination);
    next[At.Factor] = thousandths(balancer.capacityFactor(destination));
    next[At.DrainLoad] = drain?.load ?? 0;
    next[At.DrainDeadlineMs] = drain?.deadlineMs ?? 0;
    next[At.FeedState] = destination.isFed ? FEED_STATES.indexOf(feedState(destination) ?? "fresh") : 0;
    next[At.LastCode] = probed?.lastStatus ?? 0;
    const isMeasured = probed !== undefined && probed.latency.samples > 0;
    next[At.ProbeMs] = isMeasured ? thousandths(probed.latency.last) : UNKNOWN;
    next[At.ProbeAverageMs] = isMeasured ? thousandths(probed.latency.ewma) : UNKNOWN;
    let at = HEAD;
    for (const { cell } of destination.resources) {
      const remote = balancer.remoteLoad(cell);
      next[at++] = balancer.load(cell) + remote;
      next[at++] = balancer.maxLoad(cell);
      next[at++] = balancer.capacity(cell);
      next[at++] = remote;
      next[at++] = balancer.foreignLoad(cell);
    }
  }

  #write(): void {
    const { destination } = this;
    const { id, resources } = destination;
    const n = this.#numbers;
    const bits = n[At.Bits]!;
    const [status, why] = describeStatus({
      isEnabled: (bits & Bit.Enabled) !== 0,
      isAutoReenable: (bits & Bit.AutoReenable) !== 0,
      isProbed: (bits & Bit.Probed) !== 0,
      lastCode: n[At.LastCode]!,
      wasDrained: (bits & Bit.Drained) !== 0,
      isDraining: (bits & Bit.Draining) !== 0,
      drainLoad: n[At.DrainLoad]!,
      isLeaving: (bits & Bit.Leaving) !== 0,
      isWithdrawn: (bits & Bit.Withdrawn) !== 0,
      feedState: FEED_STATES[n[At.FeedState]!] ?? "fresh",
      breaker: BREAKERS[n[At.Breaker]!] ?? "closed",
      restS: n[At.RestS]!,
      isOverRate: (bits & Bit.OverRate) !== 0,
      callsPerSecond: n[At.CallsPerSecond]!,
      factor: n[At.Factor]!,
      full: resources.filter((_, i) => this.loadOf(i) >= this.maxOf(i)).map(({ name }) => name),
    });
    this.status = status;
    let loads = "";
    for (let at = HEAD; at < n.length; at += PER_RESOURCE) {
      loads += `${at === HEAD ? "" : ","}[${n[at]},${n[at + 1]},${n[at + 2]},${n[at + 3]},${n[at + 4]}]`;
    }
    const deadline = n[At.DrainDeadlineMs]! > 0 ? Math.ceil(n[At.DrainDeadlineMs]!) : null;
    const drain = (bits & Bit.HasDrain) === 0 ? "null" : `{"load":${n[At.DrainLoad]},"deadline":${deadline}}`;
    const [probeMs, probeAvgMs] = [orNull(n[At.ProbeMs]!, UNKNOWN), orNull(n[At.ProbeAverageMs]!, UNKNOWN)];
    this.text =
      `{"id":${id},"status":"${status}","why":${why === "" ? '""' : JSON.stringify(why)},"loads":[${loads}],"calls":${n[At.Calls]},"drain":${drain},` +
      `"probeMs":${probeMs},"probeAvgMs":${probeAvgMs},"lastCode":${orNull(n[At.LastCode]!, 0)},"factor":${n[At.Factor]}}`;
  }
}

/** What the table says of one destination, as JSON. */
export function rowText({ id, group, uri, attrs, resources, probeMode }: Destination): string {
  return JSON.stringify({ id, group, uri, attrs: attrs ?? null, resources: resources.map(({ name }) => name), probe: probeMode });
}

function orNull(value: number, nothing: number): number | null {
  return value === nothing ? null : value;
}

function thousandths(value: number): number {
  return Math.round(value * 1000) / 1000;
}
