import type { CallLoad } from "./call-load.ts";
import type { Destination, StatusChange } from "./destination.ts";
import type { HeldLease } from "./held-lease.ts";
import type { Looks } from "./looks.ts";
import type { SharedLoads } from "./shared-loads.ts";

/**
 * Somebody who counts calls beside the balancer, such as the dispatcher: whatever tells the balancer that a call is over, or asks what it holds, means them,
 * too. None may throw.
 */
export interface CountsBeside {
  /** What the call holds there, by keys that are no identity of a destination. */
  held(call: CallLoad): readonly HeldLease[];
  /** Counts what was held there in another process, among others. Answers how many were. */
  adopt(call: CallLoad, held: readonly HeldLease[]): number;
  release(call: CallLoad): void;
}

/** What the balancer needs from outside. */
export interface BalancerOptions {
  /** A uniform random integer from 0 to `n - 1`. */
  below(n: number): number;
  /** A destination's `enabled` or `autoReenable` changed. What it throws goes to `onFault`. */
  onStatus?(change: StatusChange): void;
  /** A destination with a feed got a call; its loads count it already. */
  onFedPick?(destination: Destination): void;
  /** Calls of a destination with a feed ended, or were counted there without choosing. */
  onFedChange?(destination: Destination): void;
  /** Somebody has set a capacity. It must not throw. */
  onResized?(): void;
  /** A lease in a cell of {@link Balancer.watchCells} has ended; the call may hold others there. What it throws is a fault; it changes nothing of the balancer. */
  onWatchedEnd?(call: CallLoad, cell: number): void;
  /** A call was counted in a cell of {@link Balancer.watchCells} without being chosen by start, next or reselect: it counts there whatever the capacity. */
  onWatchedForced?(call: CallLoad, cell: number): void;
  /** Something inside contradicts itself; the call goes on with the safe reading. */
  onFault?(text: string): void;
  /** Absent: nobody. */
  readonly beside?: CountsBeside;
  /** A clock in milliseconds that never goes back. Without it there are no rests and no limits of calls a second. */
  nowMs?(): number;
  /** Most calls a second for destinations whose row gives no `cps`; 0 for no limit. */
  readonly maxCallsPerSecond?: number;
  /**
   * When nobody in the group is up who has the resources, use those that are down by probe, script or breaker all the same. Those that an operator
   * disabled, drains or that asked for rest stay closed.
   */
  readonly failOpen?: boolean;
  /** Fewest destinations with the resources of a request that are kept in order of their slots, in place of looking at each; absent: 100. */
  readonly indexFrom?: number;
  /** Where the loads are when several threads count; absent: this balancer counts alone. */
  readonly shared?: SharedLoads;
  /** Each start and next that looks at the table, whatever comes of it, is written down here: what it sees, without the pick before and without the new one. */
  readonly looks?: Looks;
}

/** What {@link Balancer.resize} answers. */
export type ResizeResult = "ok" | "no-destination" | "no-resource" | "bad-capacity";
