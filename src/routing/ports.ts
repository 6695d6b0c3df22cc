import type { Balancer } from "../balancer/index.ts";
import type { Blacklists } from "../health/index.ts";
import type { Admission, Log } from "../proxy/ports.ts";
import type { RoutingCounters } from "./counters.ts";
import type { Distribution } from "./node-targets.ts";

/** What routing works with. */
export interface RoutingPorts {
  readonly balancer: Balancer;
  readonly log: Log;
  /** The lists of `lb_define_blacklist`; none without it. */
  readonly blacklists?: Blacklists | undefined;
  readonly counters?: RoutingCounters | undefined;
  /** The lists of the distributor; none without it. */
  readonly distribution?: Distribution | undefined;
  /** Asks what other nodes of the cluster hold; absent when no loads are counted exactly. */
  readonly admission?: Pick<Admission, "refresh"> | undefined;
  /** Whether host and port are an address of this proxy; without it nothing is. */
  readonly isOwn?: ((host: string, port: number) => boolean) | undefined;
}
