import { CallCounts } from "./call-counts.ts";
import { adjustRelativeWeights } from "./congestion.ts";
import type { Destination, Entry } from "./destination.ts";
import { EntrySet } from "./destination-set.ts";
import { DEFAULT_OPTIONS, type DispatcherOptions, type DispatcherPorts, type StateCause } from "./dispatcher-options.ts";
import { type Names, nameSteps } from "./names.ts";
import { type CheckedRecords, checkRecords, type DestinationRecord, type WrittenRecord } from "./records.ts";
import { matchEntries, type ReloadResult } from "./reload.ts";
import { isAlive, TIMEOUT_CODE } from "./reply-codes.ts";
import { eventOf, FLAG_NO_DNS, isProbed, reportOfProbe, type State, setState, step } from "./state.ts";
import { atOnce } from "./steps.ts";

/** How long a report of overload control holds when it does not say, ms. */
const DEFAULT_OVERLOAD_MS = 500;

/** The sets with their states and figures, as those who manage and probe them see it; who gets requests is the `Dispatcher`'s. */
export class DestinationBook {
  protected readonly ports: DispatcherPorts;
  #options: DispatcherOptions;
  #records: readonly DestinationRecord[] = [];
  /** By id, the lowest first. */
  #sets: ReadonlyMap<number, EntrySet> = new Map();
  #byName: ReadonlyMap<string, Entry> = new Map();
  /** Destinations that are in no set any more and have calls left. */
  readonly #gone = new Set<Entry>();
  protected readonly counts = new CallCounts((entry) => this.#forgetGone(entry));
  readonly #find = (names: readonly string[]): Entry | undefined => {
    for (const name of names) {
      const entry = this.#byName.get(name);
      if (entry !== undefined) return entry;
    }
    return undefined;
  };

  constructor(ports: DispatcherPorts, options: Partial<DispatcherOptions> = {}) {
    this.ports = ports;
    this.#options = { ...DEFAULT_OPTIONS, ...options };
  }

  get options(): DispatcherOptions {
    return this.#options;
  }

  /** Changes what may change while the program runs. */
  setOptions(options: Partial<DispatcherOptions>): void {
    this.#options = { ...this.#options, ...options };
    this.#apply(this.#records);
  }

  /** All sets, the lowest id first. */
  get sets(): readonly EntrySet[] {
    return [...this.#sets.values()];
  }

  set(id: number): EntrySet | undefined {
    return this.#sets.get(id);
  }

  /**
   * Replaces all sets in one step. Destinations that stay keep states, loads, statistics and turns; what Kamailio forgets (K#4940). Order matters: of equal
   * priorities the last one that is written comes first in its set.
   *
   * @param isStrict a record that cannot be used refuses them all (`ds_load_mode` 1); else it is left out
   * @param options change in the same step
   */
  replace(written: readonly WrittenRecord[], isStrict = false, options: Partial<DispatcherOptions> = {}): ReloadResult {
    return this.replaceChecked(checkRecords(written, this.ports.parseUri), isStrict, options);
  }

  /** {@link replace} with records that {@link checkRecords} has seen. */
  replaceChecked(
    { records, names, problems, refused }: CheckedRecords,
    isStrict = false,
    options: Partial<DispatcherOptions> = {},
  ): ReloadResult {
    if (isStrict && refused > 0) return { isApplied: false, added: 0, removed: 0, kept: 0, problems };
    this.#options = { ...this.#options, ...options };
    return { isApplied: true, ...this.#apply(records, names), problems };
  }

  /** Adds one destination until the next {@link replace} (`dispatcher.add`). It comes first among those of its priority. */
  add(written: WrittenRecord): ReloadResult {
    const { records, names, problems } = checkRecords([written], this.ports.parseUri, this.#records);
    if (records.length === this.#records.length) return { isApplied: false, added: 0, removed: 0, kept: 0, problems };
    return { isApplied: true, ...this.#apply(records, names), problems };
  }

  /** Takes all destinations of a URI out of a set until the next {@link replace} (`dispatcher.remove`). @returns how many */
  remove(setId: number, uri: string): number {
    const left = this.#records.filter((record) => record.setId !== setId || !isSameText(record.uri, uri));
    const removed = this.#records.length - left.length;
    if (removed > 0) this.#apply(left);
    return removed;
  }

  /** Tells the addresses of a destination's host, in the spelling that requests' addresses have. Those of one that is not looked up stay none. */
  setAddresses(destination: Destination, addresses: readonly string[]): void {
    const entry = this.#entryOf(destination);
    if (entry !== undefined && (entry.flags & FLAG_NO_DNS) === 0) entry.addresses = addresses;
  }

  /**
   * Reports a state (`ds_mark_dst`): of this destination, also when others of its set have its URI (K#2527). One that is gone is left alone.
   *
   * @param report what `parseState` reads
   * @param cause whose report it is
   */
  report(destination: Destination, report: number, cause: StateCause): void {
    const entry = this.#entryOf(destination);
    if (entry !== undefined) this.#change(entry, step(entry, report, this.#options), cause);
  }

  /**
   * Sets the state of all destinations of a URI in a set, or of all of the set (`dispatcher.set_state`), at once and whatever the thresholds.
   *
   * @returns how many there are; Kamailio sets the first one of a URI alone
   */
  setState(setId: number, uri: string | undefined, state: number): number {
    return this.#setStates(setId, state, (entry) => uri === undefined || isSameText(entry.uri, uri));
  }

  /** {@link setState} by `duid` (`dispatcher.set_duid_state`). */
  setStateOfDuid(setId: number, duid: string, state: number): number {
    return this.#setStates(setId, state, ({ attributes }) => duid !== "" && isSameText(attributes.duid, duid));
  }

  /** Puts back the state that a destination had before a restart. Nobody is told: it is no news. */
  keepState(destination: Destination, state: number): void {
    const entry = this.#entryOf(destination);
    if (entry !== undefined) entry.setState(setState(entry, state));
  }

  /** Who is to be probed now, as the probing mode says. */
  probeTargets(): Destination[] {
    return this.sets.flatMap(({ destinations }) => destinations.filter((entry) => this.isProbed(entry)));
  }

  /** Whether this destination is to be probed now. */
  isProbed(destination: Destination): boolean {
    return !destination.isGone && isProbed(destination.flags, this.#options.probingMode);
  }

  /**
   * Reports the outcome of a probe: latency, congestion and state follow.
   *
   * @param statusCode final status code; 408 when nobody answered, 0 when the probe could not be sent, whatever the accepted codes
   * @param latencyMs from the probe to the answer; `undefined` when it is not measured (`ds_ping_latency_stats` 0)
   * @returns whether the code says that the destination is alive
   */
  probed(destination: Destination, statusCode: number, latencyMs: number | undefined): boolean {
    const { replyCodes, latencyAlpha, probingMode } = this.#options;
    const alive = isAlive(statusCode, replyCodes);
    const entry = this.#entryOf(destination);
    if (entry === undefined) return alive;
    if (latencyMs !== undefined) {
      entry.measured(statusCode === TIMEOUT_CODE ? undefined : latencyMs, latencyAlpha);
      adjustRelativeWeights(this.#sets.get(entry.setId)!, entry);
    }
    const report = reportOfProbe(entry.flags, probingMode, alive);
    if (report !== undefined) this.#change(entry, step(entry, report, this.#options), "probe");
    return alive;
  }

  /**
   * Takes over what a destination says of its load (`ds_oc_set_attrs`, RFC 7339): for algorithm 64.
   *
   * @param rate percent of the requests that shall go elsewhere; kept between `ocmin` and `ocmax`
   * @param validityMs how long it holds; 0: 500 ms
   * @param sequence a report whose number is not above the last one is old
   * @returns whether it was new to any destination of that URI; `undefined` when there is no such set
   */
  setOverload(setId: number, uri: string, rate: number, validityMs: number, sequence: number): boolean | undefined {
    const set = this.#sets.get(setId);
    if (set === undefined) return undefined;
    let isNew = false;
    for (const { uri: own, attributes, overload } of set.destinations) {
      if (!isSameText(own, uri) || overload.sequence >= sequence) continue;
      overload.rate = Math.min(Math.max(rate, attributes.ocMin), attributes.ocMax);
      overload.untilMs = this.ports.nowMs() + (validityMs > 0 ? validityMs : DEFAULT_OVERLOAD_MS);
      overload.sequence = sequence;
      isNew = true;
    }
    return isNew;
  }

  /** Calls that count. */
  get countedCalls(): number {
    return this.counts.size;
  }

  /** The call of this owner ended: it counts nowhere. Harmless when repeated, and for one that never counted. */
  release(owner: object): void {
    this.counts.release(owner);
  }

  /** The destination that the call of this owner counts on. */
  countedOn(owner: object): Destination | undefined {
    return this.counts.of(owner);
  }

  /** Counts the call of this owner on this destination and nowhere else, or with `undefined` nowhere: an attempt that was given up has succeeded after all. */
  moveTo(owner: object, destination: Destination | undefined): void {
    const entry = destination as Entry | undefined;
    if (entry === undefined) {
      this.counts.release(owner);
      return;
    }
    if (entry.isGone) this.#gone.add(entry);
    this.counts.move(owner, entry);
  }

  /** What the call of this owner counts on, by names that mean the same in another process and after a reload; none when it counts nowhere. */
  heldBy(owner: object): readonly string[] {
    return this.counts.namesOf(owner);
  }

  /** Counts the call of this owner as {@link heldBy} told it in another process, whatever state and limits say. A destination that is in no set counts it once it is. */
  adopt(owner: object, names: readonly string[]): void {
    this.counts.adopt(owner, names, this.#find);
  }

  /** Forgets a destination that is gone when its last call has ended. */
  #forgetGone(entry: Entry): void {
    if (entry.isGone && entry.load === 0) this.#gone.delete(entry);
  }

  #apply(
    records: readonly DestinationRecord[],
    names: readonly Names[] = atOnce(nameSteps(records)),
  ): Pick<ReloadResult, "added" | "removed" | "kept"> {
    const former = new Set(this.sets.flatMap(({ destinations }) => destinations));
    const flags = new Map([...former].map((entry) => [entry, entry.flags]));
    const entries = matchEntries(records, names, [...former, ...this.#gone]);
    const bySet = new Map<number, Entry[]>();
    for (const entry of entries) {
      const own = bySet.get(entry.setId);
      if (own === undefined) bySet.set(entry.setId, [entry]);
      else own.push(entry);
      this.#gone.delete(entry);
    }
    const ids = [...bySet.keys()].sort((a, b) => a - b);
    this.#sets = new Map(ids.map((id) => [id, new EntrySet(id, bySet.get(id)!, this.#options.useDefault, this.#sets.get(id))]));
    this.#records = records;
    const current = new Set(entries);
    for (const entry of former) {
      if (current.has(entry)) continue;
      entry.place = undefined;
      if (entry.load > 0) this.#gone.add(entry);
    }
    this.#byName = byName(entries);
    this.counts.rehome(this.#find);
    for (const [entry, before] of flags) if (current.has(entry)) this.#tell(entry, before, "reload");
    const kept = entries.filter((entry) => former.has(entry)).length;
    return { added: entries.length - kept, removed: former.size - kept, kept };
  }

  /** The entry behind a destination, when it is in a set. */
  #entryOf(destination: Destination): Entry | undefined {
    const entry = destination as Entry;
    return entry.isGone ? undefined : entry;
  }

  #setStates(setId: number, state: number, isWanted: (entry: Entry) => boolean): number {
    const wanted = this.#sets.get(setId)?.destinations.filter(isWanted) ?? [];
    for (const entry of wanted) this.#change(entry, setState(entry, state), "operator");
    return wanted.length;
  }

  #change(entry: Entry, state: State, cause: StateCause): void {
    const before = entry.flags;
    entry.setState(state);
    this.#tell(entry, before, cause);
  }

  #tell(destination: Entry, before: number, cause: StateCause): void {
    const after = destination.flags;
    if (before !== after) this.ports.changed?.({ destination, before, after, event: eventOf(before, after), cause });
  }
}

/** The first of several with one name has it. */
function byName(entries: readonly Entry[]): ReadonlyMap<string, Entry> {
  const named = new Map<string, Entry>();
  for (const entry of entries) for (const name of entry.names) if (!named.has(name)) named.set(name, entry);
  return named;
}

/** URIs and duids are compared as `strcasecmp` does. */
function isSameText(one: string, other: string): boolean {
  return one.length === other.length && one.toLowerCase() === other.toLowerCase();
}
