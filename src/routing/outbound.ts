import { type Balancer, type Destination, parseRequestedResources } from "../balancer/index.ts";
import { DEFAULT_PORT, DEFAULT_TLS_PORT, uriPort } from "../proxy/core.ts";
import type { ProxyCall, Router } from "../proxy/ports.ts";
import { tryParseSipUri } from "../sip/index.ts";
import { RoutingError } from "./errors.ts";
import { pointAtConfigured } from "./point-at.ts";
import type { RoutingPorts } from "./ports.ts";
import { checkResources, type RejectSpec } from "./rules.ts";
import { wrapRouter } from "./wrap-router.ts";

/** `routing.outbound`: what becomes of calls that come from a destination. */
export interface OutboundSpec {
  /** Resources that such a call occupies on the destination it comes from, separated by semicolons. */
  readonly resources: string;
  /** Group in which the sender is looked for; -1: any. */
  readonly group: number;
  /** SIP URI that the calls are sent to; null: their Request-URI decides. */
  readonly next_hop: string | null;
  /** Refuse a call when a capacity of the destination, or of its pool, is used up. False: it is counted all the same, as OpenSIPS does. */
  readonly limit: boolean;
  /** What becomes of a call whose sender is being drained, or was disabled by an operator or by the end of a drain. */
  readonly while_draining: "refuse" | "accept";
  /** Let the rules send a call that is for this proxy to the destination that it comes from, too. */
  readonly back_to_sender: boolean;
  /** Take a call for one of the destination also when it comes from another port of its address. */
  readonly any_port: boolean;
}

/** Under this name a call remembers that it was sent on, and what it is counted as. */
const OUTBOUND = "outbound-call";

/** What `lb_count_call` was told, to take it back. */
interface Counted {
  readonly ip: string;
  readonly port: number;
  readonly group: number;
  readonly resources: string;
}

/** A call that was sent on. */
interface Attempt {
  readonly counted: Counted | undefined;
}

interface Context extends RoutingPorts {
  readonly spec: OutboundSpec;
  readonly names: readonly string[];
  readonly reject: RejectSpec;
  readonly router: Router;
}

/**
 * Calls of both directions on the same books: an INVITE that comes from a destination is counted there and sent on, to `next_hop` or its
 * Request-URI. When its next hop fails that is undone. One whose Request-URI names this proxy is counted and then routed by `router`,
 * as everything else is, but not to where it comes from. Source: example 1.18 of the load_balancer manual.
 *
 * @throws {RoutingError} when the resources or the next hop cannot be used
 */
export function routeOutbound(router: Router, spec: OutboundSpec | null | undefined, reject: RejectSpec, ports: RoutingPorts): Router {
  if (spec === null || spec === undefined) return router;
  checkResources("routing.outbound.resources", spec.resources);
  if (spec.next_hop !== null && tryParseSipUri(spec.next_hop) === undefined) {
    throw new RoutingError(`Cannot use routing.outbound.next_hop "${spec.next_hop}": want a SIP URI, such as "sip:192.0.2.5:5060"`);
  }
  const names = parseRequestedResources(spec.resources) ?? [];
  const context: Context = { ...ports, spec, names, reject, router };
  return wrapRouter(router, {
    request: (call) => startOutbound(context, call),
    failure: (call) => endOutbound(context, call),
  });
}

function startOutbound(context: Context, call: ProxyCall): void | Promise<void> {
  const { balancer, log, spec, reject, router, counters } = context;
  const { address: ip } = call.source;
  const port = call.request.method === "INVITE" ? portOfSender(context, ip, listeningPort(call)) : undefined;
  const sender = port === undefined ? undefined : findSender(context, ip, port);
  if (port === undefined || sender === undefined) return router.request(call);

  const fields = { callId: call.callId, destination: sender.id, uri: sender.uri, resources: spec.resources };
  if (isTakenOut(context, sender)) {
    if (counters) counters.outbound_refused_draining++;
    log.info(fields, "Call from a destination refused: the destination is taken out of use");
    call.reply(reject.no_destination, "Destination out of use");
    return;
  }
  // Nothing may be awaited from here to the count: what is free now would be somebody else's by then.
  if (spec.limit && balancer.isFull(sender, context.names)) {
    if (counters) counters.outbound_refused++;
    log.info(fields, "Call from a destination refused: the destination is full");
    call.reply(reject.no_capacity, "Service full");
    return;
  }
  call.openDialog(); // it owns the leases
  const counted: Counted = { ip, port, group: sender.group, resources: spec.resources };
  const isCounted = count(balancer, call, counted) === 1;
  if (!isCounted) {
    if (counters) counters.outbound_uncounted++;
    log.error(fields, "Cannot count a call from a destination: no destination has the resources that routing.outbound names");
    if (spec.limit) {
      call.reply(reject.bad_resource, "Bad resource");
      return;
    }
  }
  if (spec.next_hop === null && !leavesProxy(context, call)) {
    if (!spec.back_to_sender) call.load.passedOver = balancer.destinationsAt(sender.addresses).map(({ key }) => key);
    return router.request(call);
  }
  if (counters) counters.outbound_calls++;
  const attempt: Attempt = { counted: isCounted ? counted : undefined };
  call.variables.set(OUTBOUND, attempt);
  if (spec.next_hop !== null) pointAtConfigured(call, spec.next_hop);
  if (call.relay()) return;
  uncount(context, call, attempt);
  if (!call.cancelled) call.reply(500, "Destination Unreachable");
}

/** The next hop has refused the call or is not there: what it says goes back, and the call does not occupy the sender any more. */
function endOutbound(context: Context, call: ProxyCall): void | Promise<void> {
  const attempt = call.variables.get(OUTBOUND) as Attempt | undefined;
  if (attempt === undefined) return context.router.failure(call);
  uncount(context, call, attempt);
}

/** A connection comes from a port of its own, whatever its sender listens on: of that its Via tells. Over UDP both are mostly the same, and the source cannot be written at will. */
function listeningPort({ source, request }: ProxyCall): number {
  if (source.transport === "udp") return source.port;
  return request.topVia.port ?? (source.transport === "tls" ? DEFAULT_TLS_PORT : DEFAULT_PORT);
}

/** Port under which the sender is a destination: its own, or 0 for any; undefined when it is none. */
function portOfSender({ balancer, spec }: Context, ip: string, port: number): number | undefined {
  if (balancer.isDestination(ip, port, spec.group) !== undefined) return port;
  return spec.any_port && balancer.isDestination(ip, 0, spec.group) !== undefined ? 0 : undefined;
}

/** Of the rows that have the address, the first one with all the resources, those in use before others: the rest has nothing that the call could occupy. */
function findSender(context: Context, ip: string, port: number): Destination | undefined {
  const { balancer, spec, names } = context;
  const first = balancer.isDestination(ip, port, spec.group);
  if (first === undefined || spec.group !== -1) return first;
  const firstFits = hasAll(first, names);
  if (firstFits && !isTakenOut(context, first)) return first;
  // Counting goes to the first row of a group that has the address, so none behind it will do.
  const groups = new Set([first.group]);
  const others = balancer.destinationsAt([{ ip, port }]).filter((row) => {
    if (groups.has(row.group)) return false;
    groups.add(row.group);
    return hasAll(row, names);
  });
  const inUse = others.find((row) => !isTakenOut(context, row));
  return inUse ?? (firstFits ? first : (others[0] ?? first));
}

/** Whether somebody wants the destination to run empty. One that is down by a probe, a script or its breaker is alive if it makes calls. */
function isTakenOut({ balancer, spec }: Context, destination: Destination): boolean {
  if (spec.while_draining === "accept") return false;
  return balancer.isDraining(destination) || !balancer.isAutoReenable(destination);
}

function hasAll({ resources }: Destination, names: readonly string[]): boolean {
  return names.every((name) => resources.some((resource) => resource.name === name));
}

function count(balancer: Balancer, call: ProxyCall, { ip, port, group, resources }: Counted, undo = false): number {
  return balancer.countCall(call.load, ip, port, group, resources, undo);
}

function uncount({ balancer, log, counters }: Context, call: ProxyCall, { counted }: Attempt): void {
  call.variables.delete(OUTBOUND);
  if (counters) counters.outbound_failed++;
  if (counted !== undefined) count(balancer, call, counted, true);
  log.info({ callId: call.callId, status: call.status }, "Call from a destination failed at its next hop: it is not counted any more");
}

/** Whether the Request-URI leads elsewhere. A telephone number, or an address of ours, needs a route. */
function leavesProxy({ isOwn }: Context, call: ProxyCall): boolean {
  const uri = tryParseSipUri(call.requestUri);
  return uri !== undefined && isOwn?.(uri.host, uriPort(uri)) !== true;
}
