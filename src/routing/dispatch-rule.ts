import type { LbCode } from "../balancer/index.ts";
import { algorithmOf, type Destination, isKnown, parseRoutes, parseState, type Route } from "../dispatch/index.ts";
import type { ProxyCall } from "../proxy/ports.ts";
import { type DispatchFailure, type DispatchMode, dispatchedTo, markDispatched, nextDispatch, startDispatch } from "./dispatch.ts";
import { RoutingError } from "./errors.ts";
import { compileExpression } from "./expression.ts";
import type { RoutingPorts } from "./ports.ts";

/** `routing.rules[].dispatch`: where a rule takes its destinations from in place of a group. */
export interface DispatchSpec {
  readonly set: number;
  /** Number or name. */
  readonly algorithm: string;
  /** In place of set and algorithm: several sets, one after the other, as `1=8;2=4`. */
  readonly routes?: string;
  readonly limit: number;
  /** What is hashed in place of the Call-ID (rendezvous) or `hash_pvar` (7). */
  readonly key?: string;
  /** The host of the Request-URI becomes that of the destination, too (`ds_select_domain`). */
  readonly domain: boolean;
  /** State that `disable_on` reports, as of `ds_mark_dst`. */
  readonly mark: string;
}

/** {@link DispatchSpec}, ready for use. */
export interface DispatchRule {
  readonly routes: readonly Route[];
  readonly limit: number;
  readonly key: ((call: ProxyCall) => string) | undefined;
  readonly mode: DispatchMode;
  /** Bits of a state. */
  readonly mark: number;
}

/** What a failure is called to the default route. */
const CODES: Readonly<Record<DispatchFailure, LbCode>> = {
  "no-set": -4,
  "no-key": -1,
  "no-destination": -3,
  "no-capacity": -2,
  "too-late": -1,
  "no-selection": -1,
};

/** @throws {RoutingError} that names the key, the value and what is wanted */
export function compileDispatch(path: string, spec: DispatchSpec): DispatchRule {
  const { set, algorithm, routes: rules, limit, key, domain, mark } = spec;
  const number = algorithmOf(algorithm);
  if (number === undefined || !isKnown(number))
    throw new RoutingError(
      `Cannot use ${path}.algorithm "${algorithm}": want a number or a name of an algorithm, such as 4 or "round-robin"`,
    );
  const routes = rules === undefined ? [{ set, algorithm: number }] : parseRoutes(rules);
  if (typeof routes === "string") throw new RoutingError(`Cannot use ${path}.routes "${rules}": ${routes}`);
  const compiled = key === undefined ? undefined : compileExpression(key);
  if (typeof compiled === "string") throw new RoutingError(`Cannot use ${path}.key "${key}": want ${compiled}`);
  const report = parseState(mark);
  if (report === undefined) throw new RoutingError(`Cannot use ${path}.mark "${mark}": want a, i, t or d, with p behind it or not`);
  return { routes, limit, key: compiled, mode: domain ? "domain" : "dst", mark: report };
}

/** The first destination for a call; as `lb_start` answers. */
export function dispatchFirst(ports: RoutingPorts, call: ProxyCall, rule: DispatchRule, resources: readonly string[]): LbCode {
  const { routes, limit, key, mode } = rule;
  return codeOf(startDispatch(ports, call, routes, { limit, key: key?.(call), resources, mode }));
}

/** The next one; as `lb_next` answers. */
export function dispatchNext(ports: RoutingPorts, call: ProxyCall, { mode }: DispatchRule): LbCode {
  return codeOf(nextDispatch(ports, call, mode));
}

/** Reports that the current destination has failed, and logs what came of it. */
export function markFailed(ports: RoutingPorts, call: ProxyCall, { mark }: DispatchRule, status: number): void {
  const destination = dispatchedTo(call);
  const before = destination?.flags;
  if (destination === undefined || !markDispatched(ports, call, mark) || destination.flags === before) return;
  const { setId: set, uri } = destination;
  ports.log.warn({ callId: call.callId, set, uri, status }, "Destination of the dispatcher marked after a failed call");
}

function codeOf(found: Destination | DispatchFailure): LbCode {
  return typeof found === "string" ? CODES[found] : 1;
}
