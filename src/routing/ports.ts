import type { Balancer } from "../balancer/index.ts";
import type { Log } from "../proxy/ports.ts";

/** What routing works with. */
export interface RoutingPorts {
  readonly balancer: Balancer;
  readonly log: Log;
}
