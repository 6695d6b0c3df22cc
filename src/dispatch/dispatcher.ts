import {
  countsCalls,
  HASH_AUTH_USER,
  HASH_CALL_ID,
  HASH_EXPRESSION,
  type HASH_FROM_URI,
  HASH_REQUEST_URI,
  type HASH_TO_URI,
  RENDEZVOUS,
} from "./algorithms.ts";
import type { Destination, Entry } from "./destination.ts";
import { DestinationBook } from "./destination-book.ts";
import type { EntrySet } from "./destination-set.ts";
import type { PickedPlace } from "./failover-order.ts";
import { findSource, type Source } from "./from-list.ts";
import { kamailioHash, textHash, type UriKey } from "./hash.ts";
import { isBelowMaxLoad, isUsable, NONE, type PickInput, pick } from "./pick.ts";
import type { Route } from "./routes.ts";
import { Selection } from "./selection.ts";
import { isOpen } from "./state.ts";

/** Algorithms whose keys a request has: the numbers of Kamailio's hashes. */
export type KeyOf =
  | typeof HASH_CALL_ID
  | typeof HASH_FROM_URI
  | typeof HASH_TO_URI
  | typeof HASH_REQUEST_URI
  | typeof HASH_AUTH_USER
  | typeof HASH_EXPRESSION;

/** A request, as far as a selection depends on it. */
export interface DispatchRequest {
  /**
   * What an algorithm hashes: Call-ID, user of the credentials, value of the expression, as text with one character a byte and no blanks around it, or
   * a URI. `undefined` or "" when the request has none. Asked only when the algorithm needs it.
   */
  keyOf(key: KeyOf): string | UriKey | undefined;
  /** A call begins: an INVITE without To tag. */
  readonly isCall: boolean;
  /** Under which the call is counted, where an algorithm counts it: see {@link Dispatcher.release}. The selection itself when it is left out. */
  readonly owner?: object | undefined;
  /**
   * Bounds the set by somebody else's table: whether a destination has room for this request. A destination that has none is passed over as an inactive
   * one is. Asked again for each pick, and when the failover list goes on.
   */
  readonly isFree?: ((destination: Destination) => boolean) | undefined;
}

/** What goes with an algorithm. */
export interface SelectOptions {
  /** Destinations that the selection gives at most; 0 (default): no limit. */
  readonly limit?: number;
  /** The key of rendezvous hashing; default the Call-ID. */
  readonly key?: KeyOf;
}

/**
 * Why nothing was selected: there is no such set; the request has no key; no destination is active; or those that are active have no room, by their
 * `maxload`, the table that bounds the set, or overload control.
 */
export type SelectFailure = "no-set" | "no-key" | "no-destination" | "no-capacity";

/** Kamailio's dispatcher: sets of destinations with states and loads, and who gets the next request. It knows no SIP message, no clock and no chance of its own. */
export class Dispatcher extends DestinationBook {
  readonly #host = {
    below: (n: number): number => this.ports.below(n),
    count: (owner: object, entry: Entry): void => this.counts.move(owner, entry),
    uncount: (owner: object): void => this.counts.release(owner),
  };

  /** Selects from one set (`ds_select_dst`, `ds_select_domain`, `ds_select`). The pick and its count are one step. */
  select(setId: number, algorithm: number, request: DispatchRequest, options: SelectOptions = {}): Selection | SelectFailure {
    const place = this.#pick(setId, algorithm, request, options);
    return typeof place === "string" ? place : this.#selectionOf([place], request, options);
  }

  /**
   * Selects from several sets, one after the other (`ds_select_routes`): rotations of all move on at once. Fails, for the reason of the last set, when
   * none has a destination. The limit is one of all together; Kamailio lets each set have one destination above it.
   *
   * @param routes at least one
   */
  selectRoutes(routes: readonly Route[], request: DispatchRequest, options: SelectOptions = {}): Selection | SelectFailure {
    const places: PickedPlace[] = [];
    let failure: SelectFailure = "no-set";
    for (const { set, algorithm } of routes) {
      const place = this.#pick(set, algorithm, request, options);
      if (typeof place === "string") failure = place;
      else places.push(place);
    }
    return places.length === 0 ? failure : this.#selectionOf(places, request, options);
  }

  /**
   * The destination that a request came from (`ds_is_from_list`).
   *
   * @param setId `undefined` (-1 in Kamailio) for all sets
   * @param mode bits `MATCH_*`
   */
  findSource(source: Source, setId: number | undefined, mode: number): Destination | undefined {
    const set = setId === undefined ? undefined : this.set(setId);
    return findSource(setId === undefined ? this.sets : set === undefined ? [] : [set], source, mode);
  }

  /** Whether a set has an active or trying destination, or one of this URI (`ds_is_active`). */
  isActive(setId: number, uri?: string): boolean {
    const set = this.set(setId);
    return set?.destinations.some((entry) => isOpen(entry.flags) && (uri === undefined || entry.uri === uri)) ?? false;
  }

  /**
   * The hash of one or two texts, and the position that it selects among `slots` destinations (`dispatcher.hash`).
   *
   * @param slots 0: the position is not asked for, and 0
   */
  hash(slots: number, first: string, second = ""): { readonly hash: number; readonly slot: number } {
    const hash = kamailioHash(first, second);
    return { hash, slot: slots > 0 ? hash % slots : 0 };
  }

  #selectionOf(places: readonly PickedPlace[], request: DispatchRequest, { limit = 0 }: SelectOptions): Selection {
    return new Selection(this.#host, places, { limit, isCall: request.isCall, owner: request.owner, isFree: request.isFree });
  }

  #pick(setId: number, algorithm: number, request: DispatchRequest, { key = HASH_CALL_ID }: SelectOptions): PickedPlace | SelectFailure {
    const set = this.set(setId);
    if (set === undefined) return "no-set";
    const hash = this.#hashFor(algorithm, request, key);
    if (hash === undefined && needsKey(algorithm)) return "no-key";
    const { isFree } = request;
    const startedAt = set.last;
    const position = pick(set, {
      algorithm,
      hash,
      isCall: request.isCall,
      isFree,
      below: this.ports.below,
      nowMs: this.ports.nowMs(),
      loadFactor: this.options.loadFactor,
    });
    if (position !== NONE) return { set, algorithm, position, startedAt, hash: hash ?? 0 };
    return this.#pickDefault(set, algorithm, request, isFree) ?? failureOf(set);
  }

  /** The destination of `use_default`, when it can be used: "all gateways are full" is what it is there to say, also for algorithm 10, where Kamailio gives up. */
  #pickDefault(set: EntrySet, algorithm: number, { isCall }: DispatchRequest, isFree: PickInput["isFree"]): PickedPlace | undefined {
    const { span, default: last } = set;
    if (last === undefined || !isUsable(set, span, isFree)) return undefined;
    if (isCall && countsCalls(algorithm) && !isBelowMaxLoad(set, span)) return undefined;
    return { set, algorithm, position: span, startedAt: set.last, hash: 0 };
  }

  #hashFor(algorithm: number, request: DispatchRequest, rendezvousKey: KeyOf): number | undefined {
    const isRendezvous = algorithm === RENDEZVOUS;
    if (!isRendezvous && !isHash(algorithm)) return undefined;
    const key = request.keyOf(isRendezvous ? rendezvousKey : algorithm);
    if (key === undefined || key === "") return undefined;
    const first = typeof key === "string" ? key : key.user;
    const second = typeof key === "string" || this.options.hashUserOnly ? "" : key.host;
    return isRendezvous ? textHash(first, second) : kamailioHash(first, second);
  }
}

function isHash(algorithm: number): algorithm is KeyOf {
  return (algorithm >= HASH_CALL_ID && algorithm <= HASH_REQUEST_URI) || algorithm === HASH_AUTH_USER || algorithm === HASH_EXPRESSION;
}

/** Whether a request without the key cannot be served: with credentials missing, algorithm 5 is a rotation. */
function needsKey(algorithm: number): boolean {
  return algorithm === RENDEZVOUS || (isHash(algorithm) && algorithm !== HASH_AUTH_USER);
}

function failureOf({ destinations }: EntrySet): SelectFailure {
  return destinations.some(({ flags }) => isOpen(flags)) ? "no-capacity" : "no-destination";
}
