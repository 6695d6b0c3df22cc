import type { Balancer, Destination as Row } from "../balancer/index.ts";
import type { Destination, Dispatcher } from "../dispatch/index.ts";
import type { Blacklists } from "../health/index.ts";
import type { Admission, Log, ProxyCall } from "../proxy/ports.ts";
import type { Listener } from "../transaction/index.ts";
import type { RoutingCounters } from "./counters.ts";
import type { Distribution } from "./node-targets.ts";

/** Kamailio's dispatcher, as calls use it. */
export interface Dispatching {
  readonly dispatcher: Dispatcher;
  /** The row of the table of destinations that has this URI, or its address. */
  rowOf(uri: string): Row | undefined;
  /** The listener that calls to a destination leave from; undefined: any that reaches it. */
  socketOf(destination: Destination): Listener | undefined;
  /** Whether a destination names this listener. */
  isSocketOf(destination: Destination, listener: Listener): boolean;
  /** What algorithm 7 hashes (`hash_pvar`); undefined: nothing was said. */
  readonly hashKey: ((call: ProxyCall) => string) | undefined;
  /** `force_dst` 0: a script's selection fails when a destination URI is set already. */
  readonly keepsDestination: boolean;
  /** Reads list file and table again (`ds_reload`). */
  reload(): Promise<void>;
}

/** What routing works with. */
export interface RoutingPorts {
  readonly balancer: Balancer;
  readonly log: Log;
  /** The lists of `lb_define_blacklist`; none without it. */
  readonly blacklists?: Blacklists | undefined;
  readonly counters?: RoutingCounters | undefined;
  /** The sets of the dispatcher; none without it. */
  readonly dispatching?: Dispatching | undefined;
  /** The lists of the distributor; none without it. */
  readonly distribution?: Distribution | undefined;
  /** Asks what other nodes of the cluster hold; absent when no loads are counted exactly. */
  readonly admission?: Pick<Admission, "refresh"> | undefined;
  /** Whether host and port are an address of this proxy; without it nothing is. */
  readonly isOwn?: ((host: string, port: number) => boolean) | undefined;
}
