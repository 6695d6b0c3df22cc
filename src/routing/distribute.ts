import { type LbCode, parseRequestedResources } from "../balancer/index.ts";
import type { ProxyCall } from "../proxy/ports.ts";
import { hasRoom } from "./has-room.ts";
import type { Distribution, NodeTarget } from "./node-targets.ts";
import { pointAtConfigured, pointAtPick } from "./point-at.ts";
import type { RoutingPorts } from "./ports.ts";

/** What distributing a call works with; without `distribution` there are no lists. */
export type DistributePorts = Pick<RoutingPorts, "balancer" | "log" | "distribution">;

export interface DistributeOptions {
  /** Names of nodes that this call must not get, now and on failover. */
  readonly exceptions?: readonly string[];
  /**
   * Resources, separated by semicolons: on a node that is a destination the call counts for those of them that it has, and one where any of these is
   * full is passed over. None, or "": the call is counted nowhere, as with mod_distributor.
   */
  readonly resources?: string;
}

/** What a call remembers from handler to handler. */
interface Session {
  readonly list: string;
  readonly resources: readonly string[];
  /** The caller's exceptions, and the nodes that were chosen. */
  readonly exceptions: string[];
  /** Identities of the destinations that were chosen: several nodes may lead to one. */
  readonly tried: string[];
  /** The node chosen last, as FreeSWITCH's variable DISTRIBUTOR. */
  node: string | undefined;
}

/** Beside the calls and not among their variables, where a script may keep what it wants under any name. */
const sessions = new WeakMap<ProxyCall, Session>();

/**
 * Chooses the next node of a list for a call, counts the call there when that is asked for, and sets where `relay()` sends it. What an LB session or
 * a list before had counted is given back. The Request-URI stays.
 *
 * @returns as `lb_start`: 1 done; -1 the call is over or the resources are ill-formed; -2 every node that could be used is full; -3 no node can be
 *   used; -4 there is no such list
 */
export function startDistribution(ports: DistributePorts, call: ProxyCall, list: string, options: DistributeOptions = {}): LbCode {
  const { exceptions = [], resources = "" } = options;
  const names = resources === "" ? [] : parseRequestedResources(resources);
  if (names === undefined || call.cancelled || call.load.closed) return -1;
  const { distribution } = ports;
  if (distribution?.distributor.list(list) === undefined) {
    if (distribution !== undefined) distribution.distributor.counters.no_list++;
    return -4;
  }
  const session: Session = { list, resources: names, exceptions: [...exceptions], tried: [], node: undefined };
  sessions.set(call, session);
  return choose(ports, distribution, call, session);
}

/** Failover: gives up the current node and chooses another one, every node that this call had being an exception. -1 also without a list before; -3 also for one that a reload took. */
export function nextDistribution(ports: DistributePorts, call: ProxyCall): LbCode {
  const { distribution } = ports;
  const session = sessions.get(call);
  if (distribution === undefined || session === undefined || call.cancelled || call.load.closed) return -1;
  return choose(ports, distribution, call, session);
}

/** The node that the call is going to; `undefined` before the first and when none was left. */
export function distributedNode(call: ProxyCall): string | undefined {
  return sessions.get(call)?.node;
}

function choose(ports: DistributePorts, { distributor, nodes }: Distribution, call: ProxyCall, session: Session): LbCode {
  call.openDialog(); // it owns the leases
  ports.balancer.place(call.load, undefined, []);
  session.node = undefined;
  let isAnyFull = false;
  const node = distributor.next(session.list, session.exceptions, (name) => {
    const destination = nodes.find(name)?.destination;
    if (destination === undefined) return false;
    if (session.tried.includes(destination.key) || call.load.passedOver.includes(destination.key)) return true;
    const full = !hasRoom(ports.balancer, destination, session.resources);
    isAnyFull ||= full;
    return full;
  });
  if (node === undefined) return isAnyFull ? -2 : -3;
  const target = nodes.find(node);
  if (target === undefined) return -3; // cannot be: isUsable() refuses it
  session.node = node;
  session.exceptions.push(node);
  if (target.destination !== undefined) session.tried.push(target.destination.key);
  point(ports, call, session, target);
  return 1;
}

function point({ balancer, log }: DistributePorts, call: ProxyCall, { list, resources, node }: Session, target: NodeTarget): void {
  log.debug({ callId: call.callId, list, node, destination: target.destination?.id }, "Call goes to a node of a distributor list");
  if (target.destination === undefined) {
    pointAtConfigured(call, target.uri);
    return;
  }
  balancer.place(call.load, target.destination, resources);
  pointAtPick(call);
}
