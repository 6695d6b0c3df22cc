import { canonicalIp } from "../balancer/index.ts";
import {
  algorithmOf,
  DEFAULT_MATCH,
  type Destination,
  isKnown,
  isOpen,
  parseRoutes,
  parseState,
  printFlags,
  type Route,
  type Source,
} from "../dispatch/index.ts";
import { tryParseSipUri, uriParam } from "../sip/index.ts";
import { type CallContext, mayAct } from "./call-context.ts";
import {
  type DispatchFailure,
  type DispatchMode,
  dispatchedTo,
  dispatchList,
  markDispatched,
  nextDispatch,
  pointAtDispatched,
  startDispatch,
  uncountDispatched,
} from "./dispatch.ts";
import { RoutingError } from "./errors.ts";
import { checkGroup, checkString, checkStrings } from "./script-values.ts";
import { encodeText } from "./text.ts";

/** What goes with a selection. */
export interface SelectDstOptions {
  /** Destinations that the call may be given, the first one included; 0: all of the set. */
  readonly limit?: number;
  /** What algorithm 7 and rendezvous hashing (100) hash, in place of `hash_pvar` and the Call-ID. */
  readonly key?: string;
  /** Resources: destinations whose URI is a row of the table of destinations are bounded by it, and the call counts there. */
  readonly resources?: readonly string[];
}

/** A destination of the dispatcher, as scripts see it. */
export interface DsDestination {
  readonly set: number;
  readonly uri: string;
  /** Two letters, as `dispatcher.list` prints them, such as "AP". */
  readonly flags: string;
  readonly isActive: boolean;
  readonly priority: number;
  /** As they are written. */
  readonly attrs: string;
  /** One of them by its name, in any case; `undefined` when it has none of that name. */
  attr(name: string): string | undefined;
  /** Calls that count there. */
  readonly load: number;
  readonly description: string;
}

/** The codes that Kamailio's functions return: 1 done, -1 not. */
export type DsCode = 1 | -1;

/** Why a selection gave nothing; "has-destination": `force_dst` is 0, and the script had set a destination URI before. */
export type DsFailure = DispatchFailure | "has-destination";

const MODES: Readonly<Record<string, DispatchMode>> = { "0": "dst", d: "dst", "1": "domain", r: "domain", "2": "list", x: "list" };

/**
 * The functions of Kamailio's dispatcher module, for one call.
 *
 * Each answers true for Kamailio's 1 and false for -1; `code` tells it as a number, and `failure` why. Without effect in reply(), and once the call was
 * relayed, answered, dropped or cancelled.
 */
export class DispatcherFunctions {
  readonly #context: CallContext;
  #code: DsCode | 0 = 0;
  #failure: DsFailure | undefined;

  constructor(context: CallContext) {
    this.#context = context;
  }

  /** What the latest function here returned, Kamailio's `$rc`. 0 before the first. */
  get code(): DsCode | 0 {
    return this.#code;
  }

  /**
   * Why the latest selection gave nothing: "no-set", "no-key" (the request lacks what is hashed), "no-destination" (none is active), "no-capacity" (those that are
   * active are full), "no-selection" (nextDst() without one before), "has-destination" (`force_dst` 0, and there is a destination URI), "too-late". `undefined`
   * when it did.
   */
  get failure(): DsFailure | undefined {
    return this.#failure;
  }

  /** The destination that was selected last. */
  get destination(): DsDestination | undefined {
    return view(dispatchedTo(this.#context.proxyCall));
  }

  /** The selected destination and those that nextDst() would go on to, as things are now: Kamailio's XAVP `_dsdst_`. */
  get list(): readonly DsDestination[] {
    return dispatchList(this.#context.proxyCall).map((destination) => viewOf(destination));
  }

  /** `ds_select_dst`: selects a destination of a set and sets `call.destinationUri` to it. @param algorithm Kamailio's number, or a name such as "round-robin" */
  selectDst(set: number, algorithm: number | string, options: SelectDstOptions = {}): boolean {
    return this.#start("ds.selectDst", [routeOf("ds.selectDst", set, algorithm)], options, "dst");
  }

  /** `ds_select_domain`: selects a destination, and writes its host, port and parameters into the Request-URI. */
  selectDomain(set: number, algorithm: number | string, options: SelectDstOptions = {}): boolean {
    return this.#start("ds.selectDomain", [routeOf("ds.selectDomain", set, algorithm)], options, "domain");
  }

  /** `ds_select`: selects, and leaves where the call goes to `setDst()`, `setDomain()` or the script. */
  select(set: number, algorithm: number | string, options: SelectDstOptions = {}): boolean {
    return this.#start("ds.select", [routeOf("ds.select", set, algorithm)], options, "list");
  }

  /**
   * `ds_select_routes`: selects from several sets, tried one after the other.
   *
   * @param rules sets with an algorithm each, such as "1=8;2=4"
   * @param mode "d" as selectDst(), "r" as selectDomain(), "x" as select()
   */
  selectRoutes(rules: string, mode = "d", options: SelectDstOptions = {}): boolean {
    checkString("ds.selectRoutes", "rules", rules);
    checkString("ds.selectRoutes", "mode", mode);
    const routes = parseRoutes(rules);
    if (typeof routes === "string") throw new RoutingError(`Cannot run ds.selectRoutes: ${routes}`);
    const meant = MODES[mode.slice(0, 1).toLowerCase()];
    if (meant === undefined) throw new RoutingError(`Cannot run ds.selectRoutes with mode "${mode}": want "d", "r" or "x"`);
    return this.#start("ds.selectRoutes", routes, options, meant);
  }

  /** `ds_next_dst`: goes on to the next destination of the selection, and sets `call.destinationUri` to it. */
  nextDst(): boolean {
    return this.#next("ds.nextDst", "dst");
  }

  /** `ds_next_domain`: goes on to the next destination, and writes its host into the Request-URI. */
  nextDomain(): boolean {
    return this.#next("ds.nextDomain", "domain");
  }

  /** `ds_set_dst`: sets `call.destinationUri` to the selected destination. */
  setDst(): boolean {
    return this.#point("ds.setDst", "dst");
  }

  /** `ds_set_domain`: writes the host of the selected destination into the Request-URI. */
  setDomain(): boolean {
    return this.#point("ds.setDomain", "domain");
  }

  /**
   * `ds_mark_dst`: reports a state of the destination that was selected last.
   *
   * @param state "a" active, "i" inactive, "t" trying (a failure that counts towards `ds_probing_threshold`), "d" disabled; "p" behind the first three has it probed
   */
  markDst(state = "i"): boolean {
    const report = reportOf("ds.markDst", state);
    return this.#act("ds.markDst", () => markDispatched(this.#context, this.#context.proxyCall, report));
  }

  /** `ds_mark_addr`: reports a state of the destinations of a set that have this URI. @param state as of {@link markDst} */
  markAddr(state: string, set: number, uri: string): boolean {
    const report = reportOf("ds.markAddr", state);
    checkGroup("ds.markAddr", set);
    checkString("ds.markAddr", "uri", uri);
    const all = this.#dispatcher?.set(set)?.destinations ?? [];
    const found = all.filter((destination) => destination.uri.toLowerCase() === uri.toLowerCase());
    for (const destination of found) this.#dispatcher?.report(destination, report, "script");
    return this.#done(found.length > 0);
  }

  /**
   * `ds_oc_set_attrs`: takes over what a destination says of its load (RFC 7339), for algorithm 64. In reply(), too.
   *
   * @param rate percent of the requests that shall go elsewhere; kept between `ocmin` and `ocmax`
   * @param validityMs how long that holds; 0: 500 ms
   * @param sequence a report whose number is not above the last one is old, and passed over
   * @returns false for an old one, and when the set has no such destination
   */
  ocSetAttrs(set: number, uri: string, rate: number, validityMs: number, sequence: number): boolean {
    checkString("ds.ocSetAttrs", "uri", uri);
    for (const number of [set, rate, validityMs]) checkGroup("ds.ocSetAttrs", number);
    if (!Number.isFinite(sequence)) throw new RoutingError(`Cannot run ds.ocSetAttrs with sequence ${sequence}: want a number`);
    return this.#done(this.#dispatcher?.setOverload(set, uri, rate, validityMs, sequence) ?? false);
  }

  /** The destinations of a set in their order, for what `$dsg()` tells and more; none when there is no such set. */
  destinations(set: number): readonly DsDestination[] {
    checkGroup("ds.destinations", set);
    return (this.#dispatcher?.set(set)?.destinations ?? []).map((destination) => viewOf(destination));
  }

  /**
   * `ds_is_from_list`: the destination that the request came from, or that a URI names; `undefined` when there is none, also of
   * what is no SIP URI: callers write what they like.
   *
   * @param group -1: any set
   * @param mode a sum: 1 any port, 2 any transport, 4 only active ones, 8 only those without a socket or with the one that the request came to, 16 the best match
   */
  isFromList(group = -1, mode: number = DEFAULT_MATCH, uri = ""): DsDestination | undefined {
    checkGroup("ds.isFromList", group);
    checkGroup("ds.isFromList", mode);
    checkString("ds.isFromList", "uri", uri);
    const source = uri === "" ? this.#source() : sourceOfUri(uri);
    const found = source && this.#dispatcher?.findSource(source, group === -1 ? undefined : group, mode);
    this.#code = found === undefined ? -1 : 1;
    return view(found);
  }

  /** `ds_is_active`: whether a set has an active destination, or one of this URI. */
  isActive(set: number, uri?: string): boolean {
    checkGroup("ds.isActive", set);
    if (uri !== undefined) checkString("ds.isActive", "uri", uri);
    return this.#done(this.#dispatcher?.isActive(set, uri) ?? false);
  }

  /** `ds_list_exists`: whether there is a set of this id. */
  listExists(set: number): boolean {
    checkGroup("ds.listExists", set);
    return this.#done(this.#dispatcher?.set(set) !== undefined);
  }

  /** `ds_load_unset`: counts the call no longer. Calls that end, for whatever reason, need nobody to do that. */
  loadUnset(): boolean {
    return this.#act("ds.loadUnset", () => {
      uncountDispatched(this.#context, this.#context.proxyCall);
      return true;
    });
  }

  /** `ds_load_update`: does nothing, as calls are followed until they end. */
  loadUpdate(): boolean {
    return this.#done(true);
  }

  /** `ds_reload`: reads list file and table again, in the background; what is wrong with them is said in the log. */
  reload(): boolean {
    const { dispatching, log } = this.#context;
    dispatching?.reload().catch((error: unknown) => log.error({ err: error }, "dispatcher sets stay as they were"));
    return this.#done(dispatching !== undefined);
  }

  get #dispatcher() {
    return this.#context.dispatching?.dispatcher;
  }

  #start(action: string, routes: readonly Route[], options: SelectDstOptions, mode: DispatchMode): boolean {
    const { limit = 0, key, resources = [] } = options ?? {};
    checkGroup(action, limit);
    if (key !== undefined) checkString(action, "key", key);
    checkStrings(action, "resources", resources);
    const context = this.#context;
    const { proxyCall } = context;
    // as Kamailio 5.6.3 with force_dst 0
    if (mode === "dst" && context.dispatching?.keepsDestination === true && proxyCall.destinationUri !== undefined)
      return this.#select(action, () => "has-destination");
    return this.#select(action, () =>
      startDispatch(context, proxyCall, routes, { limit, resources, mode, key: key === undefined ? undefined : encodeText(key) }),
    );
  }

  #next(action: string, mode: DispatchMode): boolean {
    return this.#select(action, () => nextDispatch(this.#context, this.#context.proxyCall, mode));
  }

  #select(action: string, run: () => Destination | DsFailure): boolean {
    const found = mayAct(this.#context, action) ? run() : "too-late";
    this.#failure = typeof found === "string" ? found : undefined;
    return this.#done(this.#failure === undefined);
  }

  #point(action: string, mode: DispatchMode): boolean {
    return this.#act(action, () => pointAtDispatched(this.#context, this.#context.proxyCall, mode) !== undefined);
  }

  #act(action: string, run: () => boolean): boolean {
    return this.#done(mayAct(this.#context, action) && run());
  }

  #done(is: boolean): boolean {
    this.#code = is ? 1 : -1;
    return is;
  }

  #source(): Source {
    const { dispatching, proxyCall } = this.#context;
    const { address, port, transport, listener } = proxyCall.source;
    return {
      address: canonicalIp(address) ?? address,
      port,
      transport,
      isSocketOf: (destination) => dispatching?.isSocketOf(destination, listener) === true,
    };
  }
}

/** Bits of a state that a script names. @throws {RoutingError} for what is none */
function reportOf(action: string, state: string): number {
  checkString(action, "state", state);
  const report = parseState(state);
  if (report === undefined)
    throw new RoutingError(`Cannot run ${action} with state "${state}": want "a", "i", "t" or "d", and "p" behind it or not`);
  return report;
}

/** Where a URI leads; a host name is no address, and found only when a destination is written with it. `undefined` for what is no SIP URI */
function sourceOfUri(text: string): Source | undefined {
  const uri = tryParseSipUri(encodeText(text));
  if (uri === undefined) return undefined;
  const transport = (uriParam(uri, "transport") ?? (uri.scheme === "sips" ? "tls" : "udp")).toLowerCase();
  return { address: canonicalIp(uri.host) ?? uri.host, port: uri.port ?? (transport === "tls" ? 5061 : 5060), transport };
}

function routeOf(action: string, set: number, algorithm: number | string): Route {
  checkGroup(action, set);
  const number = algorithmOf(algorithm);
  if (number === undefined || (typeof algorithm === "string" && !isKnown(number))) {
    throw new RoutingError(`Cannot run ${action} with algorithm "${algorithm}": want a number, or a name such as "round-robin"`);
  }
  return { set, algorithm: number };
}

function view(destination: Destination | undefined): DsDestination | undefined {
  return destination && viewOf(destination);
}

function viewOf({ setId, uri, flags, priority, attributes, load, description }: Destination): DsDestination {
  return {
    ...{ set: setId, uri, flags: printFlags(flags), isActive: isOpen(flags), priority, attrs: attributes.body, load, description },
    attr: (name) => attributes.all.get(name.toLowerCase()),
  };
}
