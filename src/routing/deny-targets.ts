import { Blacklists } from "../health/index.ts";
import type { ProxyCall, Router, TargetGuard } from "../proxy/ports.ts";
import { type UriTarget, uriTargets } from "../proxy/uri-targets.ts";
import type { RoutingCounters } from "./counters.ts";
import { RoutingError } from "./errors.ts";
import type { RoutingPorts } from "./ports.ts";
import { splitUri } from "./request-uri.ts";
import { wrapRouter } from "./wrap-router.ts";

const STATUS = 403;
const REASON = "Target Not Allowed";

/**
 * The lists of `lb_define_blacklist` over the destinations of the balancer.
 *
 * @throws {BlacklistError} for a definition that cannot be used
 */
export function createBlacklists(definitions: readonly string[], balancer: RoutingPorts["balancer"]): Blacklists {
  return new Blacklists(definitions, balancer, (uri) => splitUri(uri).host);
}

/** The list, out of `lists`, that holds where a request to this URI would go; host names are not resolved. */
export function listHolding(blacklists: Blacklists, lists: readonly string[], uri: string): string | undefined {
  const targets = uriTargets(uri);
  return lists.find((list) => targets.some(({ address, ...target }) => blacklists.holds(list, { host: address, ...target })));
}

/** Refuses what lists hold when a request is about to be sent: by then a host name has become an address. */
export class BlacklistGuard implements TargetGuard {
  readonly lists: readonly string[];
  readonly #blacklists: Blacklists;
  readonly #counters: RoutingCounters | undefined;

  constructor(blacklists: Blacklists, lists: readonly string[], counters: RoutingCounters | undefined) {
    this.lists = lists;
    this.#blacklists = blacklists;
    this.#counters = counters;
  }

  accepts({ address, port, transport }: UriTarget): boolean {
    const accepted = !this.lists.some((list) => this.#blacklists.holds(list, { host: address, port, transport }));
    if (!accepted && this.#counters) this.#counters.denied_targets++;
    return accepted;
  }
}

/**
 * `routing.deny_targets`: nobody reaches a destination by writing its address into a request.
 *
 * An initial request whose Request-URI points at an address of these lists is answered 403 before `router` sees it. A host name passes here;
 * the proxy answers 403 when the name turns out to have such an address and the request would be sent there. The guard of the router that is
 * returned keeps requests inside a call from these addresses.
 * What the balancer selects is always reached.
 *
 * @throws {RoutingError} for a list that is not defined
 */
export function denyTargets(router: Router, lists: readonly string[], ports: RoutingPorts): Router {
  const { blacklists, counters, log } = ports;
  for (const list of lists) checkList("routing.deny_targets", list, blacklists);
  if (blacklists === undefined || lists.length === 0) return router;
  const guard = new BlacklistGuard(blacklists, lists, counters);

  function request(call: ProxyCall, known: Blacklists): void | Promise<void> {
    const list = listHolding(known, lists, call.requestUri);
    if (list === undefined) {
      call.guard = guard;
      return router.request(call);
    }
    if (counters) counters.denied_targets++;
    log.info(
      { callId: call.callId, requestUri: call.requestUri, source: call.source.address, list },
      "Request refused: its Request-URI points at a destination that deny_targets keeps from callers",
    );
    call.reply(STATUS, REASON);
  }
  return { ...wrapRouter(router, { request: (call) => request(call, blacklists) }), guard };
}

/** @throws {RoutingError} unless there is a list of this name */
export function checkList(what: string, list: unknown, blacklists: Blacklists | undefined): asserts list is string {
  if (typeof list === "string" && blacklists?.has(list)) return;
  const names = blacklists?.names ?? [];
  const wanted = names.length === 0 ? "and there is none" : `which are ${names.map((name) => `"${name}"`).join(", ")}`;
  throw new RoutingError(`Cannot use ${what} "${String(list)}": want the name of a list of load_balancer.lb_define_blacklist, ${wanted}`);
}
