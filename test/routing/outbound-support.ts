import { Balancer, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import type { Router } from "../../src/proxy/ports.ts";
import {
  createBlacklists,
  createDefaultRouter,
  denyTargets,
  type OutboundSpec,
  RoutingCounters,
  routeOutbound,
} from "../../src/routing/index.ts";
import { FakeCall, type FakeCallOptions, FakeLog } from "./fake-call.ts";

/** Statuses of refused calls, told apart. */
export const REJECT = { no_capacity: 480, no_destination: 503, bad_resource: 500 };
/** Everything goes to group 1. */
export const RULE = {
  match: {},
  group: 1,
  resources: "conf",
  flags: "",
  failover_on: ["5xx"],
  max_failovers: 3,
  disable_on: [],
};
/** Leads elsewhere. */
export const OUTSIDE = "sip:+4930123@carrier.example";

const DEFAULTS: Omit<OutboundSpec, "resources"> = {
  group: -1,
  next_hop: null,
  limit: true,
  while_draining: "refuse",
  back_to_sender: false,
  any_port: false,
};

/** A router with what it tells. */
export interface Routed {
  readonly router: Router;
  readonly log: FakeLog;
  readonly counters: RoutingCounters;
}

/** The default route with `routing.outbound` around it: its defaults unless the test says otherwise. */
export function makeRouter(balancer: Balancer, spec: Partial<OutboundSpec> = {}, deny: readonly string[] = []): Routed {
  const log = new FakeLog();
  const counters = new RoutingCounters();
  const isOwn = (host: string, port: number): boolean => host === "balancer.example" && port === 5060;
  const ports = { balancer, log, counters, isOwn, blacklists: createBlacklists(["all= 1,2"], balancer) };
  const full: OutboundSpec = { ...DEFAULTS, resources: "conf", ...spec };
  const inner = createDefaultRouter({ rules: [RULE], reject: REJECT }, ports);
  return { router: denyTargets(routeOutbound(inner, full, REJECT, ports), deny, ports), log, counters };
}

/** A call that destination `id` makes. */
export function callFrom(balancer: Balancer, id: number, options: FakeCallOptions = {}): FakeCall {
  return new FakeCall(balancer, { address: `192.0.2.${id}`, uri: OUTSIDE, ...options });
}

/** A destination with an address of its choice. */
export function row(id: number, group: number, ip: string, resources: string, port = 5060, attrs?: string): DestinationRow {
  const addresses = [{ ip, port, transport: "udp" }] as const;
  return {
    id,
    group,
    uri: `sip:${ip}:${port}`,
    resources: parseResources(resources),
    probeMode: 0,
    attrs,
    description: undefined,
    addresses,
  };
}

/** A balancer over these rows. */
export function balancerOf(...rows: DestinationRow[]): Balancer {
  const balancer = new Balancer({ below: () => 0 });
  balancer.replaceTable(rows);
  return balancer;
}
