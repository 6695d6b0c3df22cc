import type { Address } from "../balancer/index.ts";
import type { Location } from "./locate.ts";
import { type SipTarget, targetKey } from "./target.ts";

/** Shortest time for which an answer is used: a time to live of 0 would bring a question with every call. */
export const MIN_TTL_MS = 5_000;
/** Longest one: a zone that gives days is asked again once an hour, so that a mistake in it does not last for days. */
export const MAX_TTL_MS = 3_600_000;
/** Longest time for which "there is no such name" is believed (RFC 2308 §5 allows hours): a name that comes to exist is usable soon. */
export const MAX_NEGATIVE_TTL_MS = 300_000;
/** When name servers do not answer they are asked again after this time, doubled with each failure up to {@link MAX_RETRY_MS}. */
export const RETRY_MS = 5_000;
export const MAX_RETRY_MS = 60_000;
/** How long addresses are used after their time while nobody answers (RFC 8767 §4 suggests one to three days). Those of held targets have no such end. */
export const MAX_STALE_MS = 86_400_000;
/** Part of the time to live after which an answer that is in use is asked for again, so that nobody waits when it ends. */
const REFRESH_AT = 0.8;
/** Targets remembered besides those that are held. They come from Contact and Route headers, so from anybody who may call. */
export const MAX_TARGETS = 1_000;
/** Searches under way at once: so many of held targets, and so many of others. */
const PARALLEL_SEARCHES = 16;
/** Searches of targets that are not held that wait for their turn, and how long they do, in milliseconds: the request behind each of them waits, too. */
const MAX_WAITING = 500;
export const MAX_WAIT_MS = 5_000;

/** What is known of a target. */
export interface Found {
  /** Empty when it cannot be reached. */
  readonly addresses: readonly Address[];
  /** Why there are no addresses, or why those from before are used; half a sentence. */
  readonly reason: string | undefined;
}

/** A change of the addresses of a held target. */
export interface AddressChange extends Found {
  readonly target: SipTarget;
  readonly before: readonly Address[];
}

export interface LocationCachePorts {
  /** @param isHeld it is of the table: its questions must not wait behind those for names that anybody may think up */
  readonly locate: (target: SipTarget, isHeld: boolean) => Promise<Location>;
  /** Milliseconds that never go back. */
  readonly nowMs: () => number;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Is told when a held target has other addresses than before, or has some at last. */
  readonly onChange?: (change: AddressChange) => void;
}

/** Plain counters, since the start. */
export class LocationCounters {
  /** Requests and loads that found what they wanted in the cache. */
  cache_hits = 0;
  cache_misses = 0;
  /** Searches that were begun before the answer in use had ended. */
  refreshes = 0;
  /** Times that addresses were used after their time, because nobody answered. */
  stale_used = 0;
  /** Searches that ended without an answer. */
  failures = 0;
  /** Searches that found out that there is nothing. */
  negative_answers = 0;
  /** Times that a held target was found to have other addresses. */
  address_changes = 0;
  /** Targets that were not searched for because too many others were, or not in time. */
  refused = 0;
}

interface Entry {
  readonly key: string;
  readonly target: SipTarget;
  found: Found;
  /** When what is known ends. */
  untilMs: number;
  /** From when on it is asked for anew when somebody uses it. */
  refreshAtMs: number;
  /** When the last addresses were good for the last time. */
  goodUntilMs: number;
  failures: number;
  /** The addresses come from half an answer. */
  isPartial: boolean;
  isHeld: boolean;
  search: Promise<Found> | undefined;
  /** Begins the search that waits for its turn. */
  begin: (turns: SearchTurns) => void;
  /** Takes the timer of a held target back. */
  stopTimer: (() => void) | undefined;
}

const UNKNOWN: Found = { addresses: [], reason: "nobody has asked for it yet" };
const BUSY: Found = { addresses: [], reason: "too many names are being looked up" };

/**
 * Where targets are, asked for once and remembered for their time to live. Those in use are asked for again before it ends; those that are held, whether
 * anybody uses them or not. When nobody answers, what was known is used on.
 */
export class LocationCache {
  readonly counters = new LocationCounters();
  readonly #ports: LocationCachePorts;
  /** In the order in which they were last used, held ones aside. */
  readonly #entries = new Map<string, Entry>();
  #held = new Map<string, Entry>();
  /** Those for names that callers think up, of zones that answer slowly, must not hold up destinations: each kind has its own turns. */
  readonly #turnsOfHeld = new SearchTurns();
  readonly #turns = new SearchTurns();
  #isClosed = false;

  constructor(ports: LocationCachePorts) {
    this.#ports = ports;
  }

  /**
   * What is known of a target; a promise, which never rejects, while it must be searched for.
   *
   * @param isInsisting it is wanted for the table: ask again when it is known that there is nothing, as somebody has mended the zone, perhaps
   */
  get(target: SipTarget, isInsisting = false): Found | Promise<Found> {
    const key = targetKey(target);
    const now = this.#ports.nowMs();
    const entry = this.#held.get(key) ?? this.#entries.get(key);
    if (entry === undefined) {
      this.counters.cache_misses++;
      if (!isInsisting && this.#turns.waiting >= MAX_WAITING) {
        this.counters.refused++;
        return BUSY;
      }
      return this.#search(this.#remember(key, target), isInsisting);
    }
    if (!entry.isHeld) this.#touch(entry);
    if (entry.untilMs <= now || (isInsisting && entry.found.addresses.length === 0)) {
      this.counters.cache_misses++;
      const isUsable = isUsableMeanwhile(entry, now);
      if (isInsisting) this.#hurry(entry);
      const search = entry.search ?? this.#search(entry, isInsisting);
      if (!isUsable) return search;
      this.counters.stale_used++;
      return entry.found;
    }
    this.counters.cache_hits++;
    if (entry.found.reason !== undefined && entry.found.addresses.length > 0) this.counters.stale_used++;
    if (entry.refreshAtMs <= now && !entry.isHeld && entry.search === undefined) {
      this.counters.refreshes++;
      void this.#search(entry, false);
    }
    return entry.found;
  }

  /** Says which targets are held from now on, in place of those from before. They are kept up to date until they are held no more. */
  hold(targets: Iterable<SipTarget>): void {
    const held = new Map<string, Entry>();
    for (const target of targets) {
      const key = targetKey(target);
      if (held.has(key)) continue;
      const entry = this.#held.get(key) ?? this.#entries.get(key) ?? makeEntry(key, target);
      this.#entries.delete(key);
      held.set(key, entry);
      if (entry.isHeld) continue;
      entry.isHeld = true;
      this.#hurry(entry);
      this.#setTimer(entry);
    }
    for (const [key, entry] of this.#held) {
      if (held.has(key)) continue;
      entry.isHeld = false;
      entry.stopTimer?.();
      entry.stopTimer = undefined;
      this.#entries.set(key, entry);
    }
    this.#held = held;
    this.#makeRoom();
  }

  /** Searches no more. What is under way ends by itself and changes nothing. */
  close(): void {
    this.#isClosed = true;
    for (const entry of this.#held.values()) entry.stopTimer?.();
  }

  #remember(key: string, target: SipTarget): Entry {
    const entry = makeEntry(key, target);
    this.#entries.set(key, entry);
    this.#makeRoom();
    return entry;
  }

  #makeRoom(): void {
    for (const key of this.#entries.keys()) {
      if (this.#entries.size <= MAX_TARGETS) break;
      this.#entries.delete(key);
    }
  }

  #touch(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#entries.set(entry.key, entry);
  }

  /** A search that waits among those for others has its turn among those for held targets. */
  #hurry(entry: Entry): void {
    if (!this.#turns.leave(entry)) return;
    if (this.#turnsOfHeld.take()) entry.begin(this.#turnsOfHeld);
    else this.#turnsOfHeld.wait(entry);
  }

  #search(entry: Entry, isForTable: boolean): Promise<Found> {
    const isHeld = entry.isHeld || isForTable;
    if (!isHeld && this.#turns.waiting >= MAX_WAITING) {
      this.counters.refused++;
      return Promise.resolve(entry.found.addresses.length > 0 ? entry.found : BUSY);
    }
    entry.search = this.#searchInTurn(entry, isHeld);
    return entry.search;
  }

  async #searchInTurn(entry: Entry, isHeld: boolean): Promise<Found> {
    const turn = this.#turn(entry, isHeld);
    const turns = turn instanceof Promise ? await turn : turn;
    if (turns === undefined) {
      this.counters.refused++;
      entry.search = undefined;
      return entry.found.addresses.length > 0 ? entry.found : BUSY;
    }
    let location: Location;
    try {
      location = await this.#ports.locate(entry.target, turns === this.#turnsOfHeld);
    } catch (error) {
      location = { outcome: "failed", reason: error instanceof Error ? error.message : String(error) };
    }
    turns.end();
    entry.search = undefined;
    if (!this.#isClosed) this.#conclude(entry, location);
    return entry.found;
  }

  /** A turn for a search, which must be ended; a promise of undefined when it does not come in time. */
  #turn(entry: Entry, isHeld: boolean): SearchTurns | Promise<SearchTurns | undefined> {
    const turns = isHeld ? this.#turnsOfHeld : this.#turns;
    if (turns.take()) return turns;
    const { promise, resolve } = Promise.withResolvers<SearchTurns | undefined>();
    entry.begin = resolve;
    turns.wait(entry);
    if (isHeld) return promise;
    const stop = this.#ports.after(MAX_WAIT_MS, () => this.#turns.leave(entry) && resolve(undefined));
    return promise.finally(stop);
  }

  #conclude(entry: Entry, location: Location): void {
    const { onChange, nowMs } = this.#ports;
    const now = nowMs();
    const before = entry.found;
    const wasStale = before.addresses.length > 0 && before.reason !== undefined;
    const isPartial = location.outcome === "found" && location.isPartial;
    if (location.outcome === "failed") this.counters.failures++;
    if (location.outcome === "none") this.counters.negative_answers++;
    if ((location.outcome !== "found" || (isPartial && !entry.isPartial)) && this.#outlives(entry, location, now)) {
      const reason = location.outcome === "found" ? "some name servers do not answer" : location.reason;
      if (!wasStale) this.counters.stale_used++;
      entry.found = { addresses: before.addresses, reason };
      this.#expire(entry, retryMs(entry.failures++), 1);
    } else if (location.outcome === "found") {
      const { addresses, ttlS } = location;
      const isSame = sameAddresses(before.addresses, addresses);
      entry.found = { addresses: isSame ? before.addresses : addresses, reason: undefined };
      entry.failures = 0;
      entry.isPartial = isPartial;
      const ttlMs = isPartial ? MIN_TTL_MS : clamp(ttlS * 1000, MIN_TTL_MS, MAX_TTL_MS);
      entry.goodUntilMs = now + ttlMs;
      this.#expire(entry, ttlMs, REFRESH_AT);
    } else if (location.outcome === "none") {
      entry.found = { addresses: [], reason: location.reason };
      entry.failures = 0;
      this.#expire(entry, clamp(location.ttlS * 1000, MIN_TTL_MS, MAX_NEGATIVE_TTL_MS), 1);
    } else {
      entry.found = { addresses: [], reason: location.reason };
      this.#expire(entry, retryMs(entry.failures++), 1);
    }
    if (!entry.isHeld) return;
    this.#setTimer(entry);
    if (sameAddresses(before.addresses, entry.found.addresses)) return;
    this.counters.address_changes++;
    onChange?.({ target: entry.target, before: before.addresses, ...entry.found });
  }

  /**
   * Whether addresses from before stay in use. They are better than nothing, and than half an answer, unless they have been half of one, or all answers have
   * been so for a day: some name servers never answer a question for NAPTR records. Those of a held target outlive even the answer that there is nothing: a
   * mistake in a zone takes no destination away.
   */
  #outlives(entry: Entry, location: Location, now: number): boolean {
    if (entry.found.addresses.length === 0) return false;
    return (entry.isHeld && location.outcome !== "found") || (location.outcome !== "none" && now < entry.goodUntilMs + MAX_STALE_MS);
  }

  #expire(entry: Entry, ttlMs: number, refreshAt: number): void {
    const now = this.#ports.nowMs();
    entry.untilMs = now + ttlMs;
    entry.refreshAtMs = now + ttlMs * refreshAt;
  }

  /** A held target is asked for again before what is known of it ends. */
  #setTimer(entry: Entry): void {
    entry.stopTimer?.();
    const waitMs = Math.max(0, entry.refreshAtMs - this.#ports.nowMs());
    entry.stopTimer = this.#ports.after(waitMs, () => {
      entry.stopTimer = undefined;
      if (entry.search !== undefined) return; // its end sets the timer again
      if (entry.untilMs > this.#ports.nowMs()) this.counters.refreshes++;
      void this.#search(entry, true);
    });
  }
}

/** Lets {@link PARALLEL_SEARCHES} searches run, and others wait in the order in which they came. */
class SearchTurns {
  #running = 0;
  readonly #waiting = new Set<Entry>();

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether there is one at once. */
  take(): boolean {
    if (this.#running >= PARALLEL_SEARCHES) return false;
    this.#running++;
    return true;
  }

  wait(entry: Entry): void {
    this.#waiting.add(entry);
  }

  /** Whether it was waiting: it does no more. */
  leave(entry: Entry): boolean {
    return this.#waiting.delete(entry);
  }

  /** Gives a turn that is over to who has waited longest. */
  end(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running--;
      return;
    }
    this.#waiting.delete(next);
    next.begin(this);
  }
}

function makeEntry(key: string, target: SipTarget): Entry {
  const [isHeld, isPartial, search, stopTimer, begin] = [false, false, undefined, undefined, () => undefined];
  return {
    key,
    target,
    found: UNKNOWN,
    untilMs: 0,
    refreshAtMs: 0,
    goodUntilMs: 0,
    failures: 0,
    isPartial,
    isHeld,
    search,
    begin,
    stopTimer,
  };
}

/**
 * Whether addresses are used while they are asked for anew after their time, so that nobody waits for name servers that have just been found silent
 * (RFC 8767 §5: within the failure recheck timer), or are being asked already.
 */
function isUsableMeanwhile({ found, isHeld, isPartial, search, untilMs }: Entry, now: number): boolean {
  if (found.addresses.length === 0) return false;
  return isHeld || ((found.reason !== undefined || isPartial || search !== undefined) && now < untilMs + MAX_RETRY_MS);
}

function retryMs(failures: number): number {
  return Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(failures, 10));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

/** Name servers give the same addresses in another order each time: that is no change. */
function sameAddresses(one: readonly Address[], other: readonly Address[]): boolean {
  if (one.length !== other.length) return false;
  const known = new Set(one.map(textOf));
  return other.every((address) => known.has(textOf(address)));
}

function textOf({ ip, port, transport, srv }: Address): string {
  return `${ip} ${port} ${transport} ${srv === undefined ? "" : `${srv.priority} ${srv.weight}`}`;
}
