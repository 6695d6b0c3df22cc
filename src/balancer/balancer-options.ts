import type { CallLoad } from "./call-load.ts";
import type { StatusChange } from "./destination.ts";
import type { TableLook } from "./look.ts";

/** What the balancer needs from outside. */
export interface BalancerOptions {
  /** A uniform random integer from 0 to `n - 1`. */
  below(n: number): number;
  /** A destination's `enabled` or `autoReenable` changed. What it throws goes to `onFault`. */
  onStatus?(change: StatusChange): void;
  /** Something inside contradicts itself; the call goes on with the safe reading. */
  onFault?(text: string): void;
  /** A clock in milliseconds that never goes back. Without it there are no rests and no limits of calls a second. */
  nowMs?(): number;
  /** Most calls a second for destinations whose row gives no `cps`; 0 for no limit. */
  readonly maxCallsPerSecond?: number;
  /**
   * When nobody in the group is up who has the resources, use those that are down by probe, script or breaker all the same. Those that an operator
   * disabled, drains or that asked for rest stay closed.
   */
  readonly failOpen?: boolean;
  /** A start or next looked at the table, whatever came of it: `look` is what it saw, without the pick before and without the new one. Costs time a call. */
  onChoice?(call: CallLoad, look: TableLook): void;
}

/** What {@link Balancer.resize} answers. */
export type ResizeResult = "ok" | "no-destination" | "no-resource" | "bad-capacity";
