import type { CallLoad } from "../balancer/index.ts";
import type { Chance, TimerWheel } from "../transaction/index.ts";

/** What a table of calls works with. */
export interface DialogTableOptions {
  readonly wheel: Pick<TimerWheel, "restart" | "cancel">;
  readonly chance: Chance;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Wall clock, milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Lifetime from the 2xx, milliseconds (`default_timeout`). */
  readonly defaultTimeoutMs: number;
  /** Gives back what the call counts. */
  readonly release: (load: CallLoad) => void;
  /** Is told that the call is up, and counts what it counts until it ends. */
  readonly settle?: (load: CallLoad) => void;
  readonly maxDialogs?: number;
}
