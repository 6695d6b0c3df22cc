import { type Destination, type LbCode, parseRequestedResources } from "../balancer/index.ts";
import type { Distributor } from "../distributor/index.ts";
import type { ProxyCall } from "../proxy/ports.ts";
import type { NodeTargets } from "./node-targets.ts";
import { pointAtPick } from "./point-at.ts";
import type { RoutingPorts } from "./ports.ts";

/** The distributor and what its nodes lead to. The distributor is to be made with `isUsable: (node) => nodes.isUsable(node)`. */
export interface Distribution {
  readonly distributor: Distributor;
  readonly nodes: NodeTargets;
}

/** What distributing a call works with. */
export interface DistributePorts extends Pick<RoutingPorts, "balancer" | "log"> {
  readonly distribution: Distribution;
}

export interface DistributeOptions {
  /** Names of nodes that this call must not get, now and on failover. */
  readonly exceptions?: readonly string[];
  /**
   * Resources, separated by semicolons: on a node that is a destination the call counts for those of them that it has, and one where any of these is
   * full is passed over. None: the call is counted nowhere, as with mod_distributor.
   */
  readonly resources?: string;
}

/** Under this name a call remembers its list from handler to handler. */
const SESSION = "distribution";

interface Session {
  readonly list: string;
  readonly resources: readonly string[];
  /** The caller's exceptions, and the nodes that were chosen. */
  readonly exceptions: string[];
  /** The node chosen last, as FreeSWITCH's variable DISTRIBUTOR. */
  node: string | undefined;
}

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
  const { distributor } = ports.distribution;
  if (distributor.list(list) === undefined) {
    distributor.counters.no_list++;
    return -4;
  }
  const session: Session = { list, resources: names, exceptions: [...exceptions], node: undefined };
  call.variables.set(SESSION, session);
  return choose(ports, call, session);
}

/** Failover: gives up the current node and chooses another one, every node that this call had being an exception. -1 also without a list before; -3 also for one that a reload took. */
export function nextDistribution(ports: DistributePorts, call: ProxyCall): LbCode {
  const session = call.variables.get(SESSION) as Session | undefined;
  return session === undefined || call.cancelled || call.load.closed ? -1 : choose(ports, call, session);
}

/** The node that the call is going to; `undefined` before the first and when none was left. */
export function distributedNode(call: ProxyCall): string | undefined {
  return (call.variables.get(SESSION) as Session | undefined)?.node;
}

function choose(ports: DistributePorts, call: ProxyCall, session: Session): LbCode {
  const { distributor, nodes } = ports.distribution;
  call.openDialog(); // it owns the leases
  leavePick(ports, call);
  session.node = undefined;
  let isAnyFull = false;
  const node = distributor.next(session.list, session.exceptions, (name) => {
    const full = isFull(ports, nodes.find(name)?.destination, session.resources);
    isAnyFull ||= full;
    return full;
  });
  if (node === undefined) return isAnyFull ? -2 : -3;
  session.node = node;
  session.exceptions.push(node);
  point(ports, call, session, node);
  return 1;
}

function point({ balancer, distribution, log }: DistributePorts, call: ProxyCall, { list, resources }: Session, node: string): void {
  const target = distribution.nodes.find(node);
  if (target === undefined) return; // isUsable() has refused it
  log.debug({ callId: call.callId, list, node, destination: target.destination?.id }, "Call goes to a node of a distributor list");
  if (target.destination === undefined) {
    call.destinationUri = target.uri;
    call.setTarget(undefined);
    call.guard = undefined; // the configuration chose this target, not the caller
    return;
  }
  balancer.moveTo(call.load, target.destination, cellsOf(target.destination, resources));
  pointAtPick(call);
}

/** What the call counts for its destination ends, and no destination is its current one: the next node may be a gateway that is none. */
function leavePick({ balancer }: DistributePorts, { load }: ProxyCall): void {
  if (load.destination === undefined) return;
  balancer.moveTo(load, load.destination, []);
  load.currentDestination = undefined;
}

function isFull({ balancer }: DistributePorts, destination: Destination | undefined, resources: readonly string[]): boolean {
  return destination !== undefined && cellsOf(destination, resources).some((cell) => balancer.load(cell) >= balancer.maxLoad(cell));
}

function cellsOf(destination: Destination, resources: readonly string[]): number[] {
  return destination.resources.filter(({ name }) => resources.includes(name)).map(({ cell }) => cell);
}
