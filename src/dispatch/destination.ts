import type { Attributes } from "./attributes.ts";
import { textHash } from "./hash.ts";
import { Latency } from "./latency.ts";
import type { DestinationRecord, UriTarget } from "./records.ts";
import { ALL_FLAGS, type State } from "./state.ts";

/** A destination of a set, as others than its dispatcher see it. The object stays the same over reloads. */
export interface Destination {
  /** Names this destination among all, also of several with one URI in one set; the same after a reload and on other nodes. */
  readonly key: string;
  readonly setId: number;
  readonly uri: string;
  readonly target: UriTarget;
  readonly priority: number;
  readonly attributes: Attributes;
  readonly description: string;
  /** Bits `FLAG_*`. */
  readonly flags: number;
  /** Bits that its record has. */
  readonly recordFlags: number;
  readonly probingCount: number;
  /** Calls that count on it. */
  readonly load: number;
  readonly latency: Readonly<Latency>;
  /** `rweight`, or what congestion control has made of it. */
  readonly relativeWeight: number;
  /** Addresses of its host, each in one spelling; none for a name that is not looked up, or not yet. */
  readonly addresses: readonly string[];
  /** It is in no set any more: a reload left it out. */
  readonly isGone: boolean;
  /** Overload control: percent kept away, until when on the clock of the dispatcher, and the number of the report that said so. */
  readonly overload: Readonly<Overload>;
}

/** What overload control (RFC 7339) keeps of a destination. */
export interface Overload {
  /** Percent of the requests that go elsewhere. */
  rate: number;
  /** Clock of the dispatcher, ms; before a report nothing is kept away, whatever the attributes say, as in Kamailio. */
  untilMs: number;
  sequence: number;
  /** What is owed to the rate, in percent of a request. */
  owed: number;
}

/** What a destination tells the set that it stands in, so that picks read numbers alone. */
export interface Place {
  /** Something that picks depend on has changed: flags, load, relative weight, latency. */
  update(entry: Entry): void;
}

/** {@link Destination} for its dispatcher. */
export class Entry implements Destination {
  key: string;
  /** By which a reload finds it. */
  names: readonly string[];
  readonly setId: number;
  /** Spreads hashes: differs from entry to entry, and is the same on all nodes. */
  seed: number;
  record: DestinationRecord;
  addresses: readonly string[];
  /** Where it stands; `undefined` when it is gone. */
  place: Place | undefined;
  position = 0;
  readonly latency = new Latency();
  readonly overload: Overload = { rate: 0, untilMs: Number.NEGATIVE_INFINITY, sequence: 0, owed: 0 };
  #flags: number;
  #probingCount = 0;
  #load = 0;
  #relativeWeight: number;

  constructor(key: string, names: readonly string[], record: DestinationRecord, addresses: readonly string[]) {
    this.key = key;
    this.names = names;
    this.setId = record.setId;
    this.seed = textHash(key);
    this.record = record;
    this.addresses = addresses;
    this.#flags = record.flags & ALL_FLAGS;
    this.#relativeWeight = record.attributes.relativeWeight;
    if (record.attributes.latencyMs !== undefined) this.latency.train(record.attributes.latencyMs);
    this.overload.rate = record.attributes.ocRate;
  }

  get uri(): string {
    return this.record.uri;
  }

  get target(): UriTarget {
    return this.record.target;
  }

  get priority(): number {
    return this.record.priority;
  }

  get attributes(): Attributes {
    return this.record.attributes;
  }

  get description(): string {
    return this.record.description;
  }

  get isGone(): boolean {
    return this.place === undefined;
  }

  get flags(): number {
    return this.#flags;
  }

  get recordFlags(): number {
    return this.record.flags;
  }

  get probingCount(): number {
    return this.#probingCount;
  }

  get load(): number {
    return this.#load;
  }

  get relativeWeight(): number {
    return this.#relativeWeight;
  }

  setState({ flags, probingCount }: State): void {
    this.#flags = flags;
    this.#probingCount = probingCount;
    this.place?.update(this);
  }

  /** Counts one call more or less. */
  addLoad(calls: 1 | -1): void {
    this.#load += calls;
    this.place?.update(this);
  }

  setRelativeWeight(weight: number): void {
    this.#relativeWeight = weight;
    this.place?.update(this);
  }

  /** Takes a sample of the latency, or with `undefined` a time-out. */
  measured(ms: number | undefined, alpha: number): void {
    if (ms === undefined) this.latency.addTimeout();
    else this.latency.add(ms, alpha);
    this.place?.update(this);
  }

  /**
   * Takes over the record of a reload. State, load and statistics stay, but what was written about them before and is written otherwise now counts:
   * flags, `rweight`, `latency`. Its set has to be told.
   */
  reload(key: string, names: readonly string[], record: DestinationRecord, addresses: readonly string[]): void {
    const before = this.record;
    this.key = key;
    this.names = names;
    this.seed = textHash(key);
    this.record = record;
    if (record.flags !== before.flags) {
      this.#flags = record.flags & ALL_FLAGS;
      this.#probingCount = 0;
    }
    const { attributes } = record;
    if (attributes.relativeWeight !== before.attributes.relativeWeight || !attributes.congestionControl) {
      this.#relativeWeight = attributes.relativeWeight;
    }
    if (attributes.latencyMs !== undefined && attributes.latencyMs !== before.attributes.latencyMs)
      this.latency.train(attributes.latencyMs);
    if (record.target.host !== before.target.host || addresses.length > 0) this.addresses = addresses;
    this.overload.rate = Math.min(Math.max(this.overload.rate, attributes.ocMin), attributes.ocMax);
  }
}
