import type { Destination as Row } from "../balancer/index.ts";
import {
  type Destination,
  type DispatchRequest,
  type KeyOf,
  PARALLEL,
  type Route,
  type SelectFailure,
  type Selection,
  type UriKey,
} from "../dispatch/index.ts";
import { breadthOf, NO_FORKS } from "../proxy/forks.ts";
import { type ForkTarget, MAX_BRANCHES, type ProxyCall } from "../proxy/ports.ts";
import { authUser, uriKey } from "./dispatch-keys.ts";
import { hasRoom } from "./has-room.ts";
import { pointAtConfigured, pointAtPick } from "./point-at.ts";
import type { RoutingPorts } from "./ports.ts";
import { withHostOf } from "./request-uri.ts";

/** What dispatching a call works with; without `dispatching` there are no sets. */
export type DispatchPorts = Pick<RoutingPorts, "balancer" | "log" | "dispatching">;

/** Where a selection leads the request: its destination URI, its Request-URI (`ds_select_domain`), or nowhere yet. */
export type DispatchMode = "dst" | "domain" | "list";

/** How to select; all have a meaning when they are left out. */
export interface DispatchTerms {
  /** Destinations that the call may be given, the first one included; 0: no limit. */
  readonly limit?: number;
  /** What algorithm 7 and rendezvous hashing hash in place of `hash_pvar` and the Call-ID; "" is a key that the call does not have. */
  readonly key?: string | undefined;
  /**
   * Resources: a destination whose URI is a row of the table of destinations is passed over when that row has none of them free, or takes no calls, and
   * the call counts there for those that it has. None: the table has no say.
   */
  readonly resources?: readonly string[];
  readonly mode?: DispatchMode;
}

/** Why there is no destination: as the dispatcher says it, or the call is over, or nothing was selected before. */
export type DispatchFailure = SelectFailure | "too-late" | "no-selection";

/** What a call remembers from handler to handler. */
interface Session {
  readonly selection: Selection;
  readonly resources: readonly string[];
  /** Destinations that the request goes to together with the current one; `undefined` before they are asked for. */
  together?: readonly Destination[] | undefined;
}

const NO_RESOURCES: readonly string[] = [];

/** Numbers of the keys that Kamailio's hashes have. */
const KEY = { callId: 0, from: 1, to: 2, requestUri: 3, authUser: 5, expression: 7 } as const;

/** Beside the calls and not among their variables, where a script may keep what it wants under any name. */
const sessions = new WeakMap<ProxyCall, Session>();

/**
 * Selects from a set, or from several one after the other, counts the call where the algorithm counts calls, and says where `relay()` sends it. What an LB
 * session or a selection before had counted is given back.
 */
export function startDispatch(
  ports: DispatchPorts,
  call: ProxyCall,
  routes: readonly Route[],
  terms: DispatchTerms = {},
): Destination | DispatchFailure {
  const { dispatching } = ports;
  const { limit = 0, key, resources = NO_RESOURCES, mode = "dst" } = terms;
  if (call.cancelled || call.load.closed) return "too-late";
  call.openDialog(); // it owns what is counted
  giveBack(ports, call);
  sessions.delete(call);
  if (dispatching === undefined) return "no-set";
  const { dispatcher } = dispatching;
  const request = requestOf(ports, call, key, resources);
  const options = { limit, ...(key !== undefined && { key: KEY.expression as KeyOf }) };
  const [only] = routes;
  const found =
    routes.length === 1 && only !== undefined
      ? dispatcher.select(only.set, only.algorithm, request, options)
      : dispatcher.selectRoutes(routes, request, options);
  if (typeof found === "string") return found;
  sessions.set(call, { selection: found, resources });
  go(ports, call, mode);
  return found.destination;
}

/** Failover: goes on to the next destination of the selection that can be used (`ds_next_dst`, `ds_next_domain`). */
export function nextDispatch(ports: DispatchPorts, call: ProxyCall, mode: DispatchMode = "dst"): Destination | DispatchFailure {
  const session = sessions.get(call);
  if (call.cancelled || call.load.closed) return "too-late";
  if (session === undefined) return "no-selection";
  giveBack(ports, call); // its place at the former destination is free for this one
  session.together = undefined;
  if (session.selection.next() === undefined) {
    session.selection.release();
    return "no-destination";
  }
  go(ports, call, mode);
  return session.selection.destination;
}

/** Leads the request to the destination that is selected (`ds_set_dst`, `ds_set_domain`). `undefined`: there is none, or the call is over. */
export function pointAtDispatched(ports: DispatchPorts, call: ProxyCall, mode: DispatchMode): Destination | undefined {
  if (call.cancelled || call.load.closed) return undefined;
  go(ports, call, mode);
  return dispatchedTo(call);
}

/** The destination whose turn it is; `undefined` before the first. */
export function dispatchedTo(call: ProxyCall): Destination | undefined {
  return sessions.get(call)?.selection.destination;
}

/** That destination and those that would follow, as things are now. */
export function dispatchList(call: ProxyCall): readonly Destination[] {
  return sessions.get(call)?.selection.all() ?? [];
}

/** Counts the call no longer (`ds_load_unset`). */
export function uncountDispatched({ dispatching }: DispatchPorts, call: ProxyCall): void {
  dispatching?.dispatcher.release(call.load);
}

/**
 * Reports a state of the destination whose turn it is (`ds_mark_dst`). False: there is none, or the request went to several at once, so that nothing says
 * whose fault it was.
 *
 * @param report what `parseState` reads
 */
export function markDispatched({ dispatching }: DispatchPorts, call: ProxyCall, report: number): boolean {
  const destination = dispatchedTo(call);
  if (dispatching === undefined || destination === undefined || sessions.get(call)?.together?.length) return false;
  dispatching.dispatcher.report(destination, report, "script");
  return true;
}

/** Leads the request to the current destination. */
function go(ports: DispatchPorts, call: ProxyCall, mode: DispatchMode): void {
  const { balancer, dispatching, log } = ports;
  const session = sessions.get(call);
  if (dispatching === undefined || session === undefined) return;
  const { destination, algorithm } = session.selection;
  log.debug(
    { callId: call.callId, set: destination.setId, uri: destination.uri, algorithm },
    "Call goes to a destination of the dispatcher",
  );
  const row = session.resources.length === 0 ? undefined : dispatching.rowOf(destination.uri);
  if (row !== undefined) call.load.endSession(); // else the cluster would look for another place in the group of that session
  balancer.place(call.load, row, session.resources);
  if (mode === "list") return;
  const forks = algorithm === PARALLEL ? forksOf(ports, call, session, mode) : NO_FORKS;
  const rewritten = mode === "domain" ? withHostOf(call.requestUri, destination.uri) : undefined;
  if (rewritten !== undefined) {
    call.requestUri = rewritten;
    call.destinationUri = undefined;
    call.setTarget(undefined);
    call.exemptUri = rewritten;
  } else if (row === undefined) pointAtConfigured(call, destination.uri);
  else pointAtPick(call);
  call.sendFrom = dispatching.socketOf(destination);
  call.forkTo = forks;
}

/**
 * Where a call goes at the same time that goes to all of a set (algorithm 12): as many as its Max-Breadth allows (RFC 5393 §5.3.3); those that are left
 * over come when these have failed.
 */
function forksOf(
  { dispatching }: DispatchPorts,
  { request, requestUri }: ProxyCall,
  session: Session,
  mode: DispatchMode,
): readonly ForkTarget[] {
  const { selection, resources } = session;
  session.together ??= selection.together(Math.min(MAX_BRANCHES, breadthOf(request)) - 1);
  return session.together.map((destination) => {
    const row = resources.length === 0 ? undefined : dispatching?.rowOf(destination.uri);
    return {
      uri: destination.uri,
      requestUri: mode === "domain" ? withHostOf(requestUri, destination.uri) : undefined,
      sendFrom: dispatching?.socketOf(destination),
      row,
      cells: row?.resources.filter(({ name }) => resources.includes(name)).map(({ cell }) => cell) ?? [],
    };
  });
}

/** The call is about to be counted elsewhere: what it counts does not keep it from anywhere. */
function giveBack({ balancer, dispatching }: DispatchPorts, call: ProxyCall): void {
  balancer.place(call.load, undefined, NO_RESOURCES);
  dispatching?.dispatcher.release(call.load);
}

function requestOf(ports: DispatchPorts, call: ProxyCall, key: string | undefined, resources: readonly string[]): DispatchRequest {
  const { request, load } = call;
  return {
    keyOf: (kind) => keyOf(ports, call, kind, key),
    isCall: request.method === "INVITE" && request.toTag === "",
    owner: load,
    isFree: isFreeOf(ports, call, resources),
  };
}

/** Undefined when nothing bounds the selection: the usual case costs nothing. */
function isFreeOf({ balancer, dispatching }: DispatchPorts, { load }: ProxyCall, resources: readonly string[]): DispatchRequest["isFree"] {
  if (resources.length === 0 && load.passedOver.length === 0) return undefined;
  return ({ uri }) => {
    const row: Row | undefined = dispatching?.rowOf(uri);
    if (row === undefined) return true;
    if (load.passedOver.includes(row.key)) return false;
    return resources.length === 0 || (balancer.isAvailable(row) && hasRoom(balancer, row, resources));
  };
}

function keyOf({ dispatching }: DispatchPorts, call: ProxyCall, kind: KeyOf, key: string | undefined): string | UriKey | undefined {
  const { request } = call;
  switch (kind) {
    case KEY.callId:
      return call.callId;
    case KEY.from:
      return uriKey(request.from.uri);
    case KEY.to:
      return uriKey(request.to.uri);
    case KEY.requestUri:
      return uriKey(call.requestUri);
    case KEY.authUser:
      return authUser(request);
    case KEY.expression:
      return (key ?? dispatching?.hashKey?.(call))?.trim();
  }
}
