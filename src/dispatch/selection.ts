import { countsCalls } from "./algorithms.ts";
import type { Destination, Entry } from "./destination.ts";
import type { EntrySet } from "./destination-set.ts";
import { failoverOrder, type PickedPlace } from "./failover-order.ts";
import { type Below, isBelowMaxLoad, isUsable, type PickInput } from "./pick.ts";

/** What a selection needs of its dispatcher. */
export interface SelectionHost {
  readonly below: Below;
  /** Counts the call of this owner here, and nowhere else. */
  count(owner: object, entry: Entry): void;
  uncount(owner: object): void;
}

/** How a selection goes on. */
export interface SelectionLimits {
  /** Destinations that it gives at most, the first one included; 0: no limit. */
  readonly limit: number;
  readonly isCall: boolean;
  /** Whose call it is; the selection's own when it is left out. */
  readonly owner: object | undefined;
  readonly isFree: PickInput["isFree"];
}

/**
 * Where one request goes, and where it goes on when that fails: what Kamailio keeps in the XAVP `_dsdst_`. It follows reloads: destinations that
 * are gone are passed over, those that stay are looked at as they are when their turn comes.
 *
 * Algorithms that count calls count one on the destination that is the current one, until {@link release} or the end of its owner's call. Whatever
 * selects for a call that is counted ends that count.
 */
export class Selection {
  readonly #host: SelectionHost;
  readonly #places: readonly PickedPlace[];
  readonly #limits: SelectionLimits;
  #place = 0;
  #current: Entry;
  /** What comes after the pick of the current place; made when the first one is asked for. */
  #rest: readonly Entry[] | undefined;
  #restAt = 0;
  #given = 1;

  /** @param places the picks of one set, or of several in the order in which they are tried; at least one */
  constructor(host: SelectionHost, places: readonly PickedPlace[], limits: SelectionLimits) {
    this.#host = host;
    this.#places = places;
    this.#limits = limits;
    this.#current = this.#pickOf(places[0]!);
    this.#move(this.#current);
  }

  /** The destination whose turn it is. */
  get destination(): Destination {
    return this.#current;
  }

  /** The algorithm that picked it. */
  get algorithm(): number {
    return this.#places[this.#place]!.algorithm;
  }

  /** The next destination that can be used, which takes the call over; `undefined` when none is left, and the last one stays the current one. */
  next(): Destination | undefined {
    const { limit } = this.#limits;
    if (limit !== 0 && this.#given >= limit) return undefined;
    for (;;) {
      const entry = this.#advance();
      if (entry === undefined) return undefined;
      if (!this.#isUsable(entry)) continue;
      this.#given++;
      this.#current = entry;
      this.#move(entry);
      return entry;
    }
  }

  /**
   * Takes those that follow the current destination in its set, within the limit: for a request that goes to all of them at once. {@link next} goes on behind
   * them. The destination of `use_default` is none of them: it is there for when all others have failed.
   *
   * @param most destinations that are taken
   */
  together(most: number): readonly Destination[] {
    const { limit } = this.#limits;
    const last = this.#places[this.#place]!.set.default;
    const rest = this.#restOfPlace();
    const found: Destination[] = [];
    while (found.length < most && (limit === 0 || this.#given < limit) && this.#restAt < rest.length) {
      const entry = rest[this.#restAt]!;
      if (entry === last) break;
      this.#restAt++;
      if (!this.#isUsable(entry)) continue;
      this.#given++;
      found.push(entry);
    }
    return found;
  }

  /** The current destination and all that would follow now, within the limit. */
  all(): readonly Destination[] {
    const { limit } = this.#limits;
    const left = limit === 0 ? Number.POSITIVE_INFINITY : limit - this.#given;
    const found: Destination[] = [this.#current];
    const later = this.#places.slice(this.#place + 1).flatMap((place) => [this.#pickOf(place), ...failoverOrder(place, this.#host.below)]);
    for (const entry of [...this.#restOfPlace().slice(this.#restAt), ...later]) {
      if (found.length > left) break;
      if (this.#isUsable(entry)) found.push(entry);
    }
    return found;
  }

  /** Counts the call no more: it ended, or went elsewhere. Harmless when repeated. */
  release(): void {
    this.#host.uncount(this.#owner);
  }

  #pickOf(place: PickedPlace): Entry {
    return place.set.destinations[place.position]!;
  }

  #restOfPlace(): readonly Entry[] {
    this.#rest ??= failoverOrder(this.#places[this.#place]!, this.#host.below);
    return this.#rest;
  }

  /** The next destination in order, of the next place when this one has no more. */
  #advance(): Entry | undefined {
    const rest = this.#restOfPlace();
    if (this.#restAt < rest.length) return rest[this.#restAt++];
    const place = this.#places[this.#place + 1];
    if (place === undefined) return undefined;
    this.#place++;
    this.#rest = undefined;
    this.#restAt = 0;
    return this.#pickOf(place);
  }

  get #owner(): object {
    return this.#limits.owner ?? this;
  }

  get #counts(): boolean {
    return this.#limits.isCall && countsCalls(this.algorithm);
  }

  #isUsable(entry: Entry): boolean {
    const set = entry.place as EntrySet | undefined; // the one that replaced that of the pick
    if (set === undefined || !isUsable(set, entry.position, this.#limits.isFree)) return false;
    return !this.#counts || isBelowMaxLoad(set, entry.position);
  }

  #move(entry: Entry): void {
    if (this.#counts) this.#host.count(this.#owner, entry);
    else this.release();
  }
}
