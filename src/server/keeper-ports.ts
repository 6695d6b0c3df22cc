import type { Balancer } from "../balancer/index.ts";
import type { Dialog, DialogTable } from "../dialog/index.ts";
import type { Log } from "../proxy/index.ts";
import type { DialogStore } from "../store/index.ts";
import type { Listener } from "../transaction/index.ts";
import type { CapacityPorts } from "./kept-capacities.ts";

/** In a cluster, the calls of all nodes: Redis says who goes on with each, and the file has what Redis does not know. */
export interface SharedCalls {
  /** Of calls that this node had before it started, those that no other node has, or had, since. Rejects when nobody can be asked. */
  stillOwn(dids: readonly string[]): Promise<readonly string[]>;
  /** A call goes on here that was not there when the table came. */
  regained(dialog: Dialog): void;
  /** A call has ended before this node started, whoever has it now. */
  over(did: string): void;
}

export interface KeeperPorts {
  /** Absent: this node alone has its calls. */
  readonly shared?: SharedCalls | undefined;
  readonly store: DialogStore;
  /** Another process writes all calls down until it is relieved, and has the file until it has released that. */
  readonly former?: { readonly hasSwitched: boolean; readonly released: Promise<unknown> } | undefined;
  readonly dialogs: DialogTable;
  readonly balancer: Pick<Balancer, "held" | "adopt"> & CapacityPorts;
  readonly listeners: () => readonly Listener[];
  /** How long a call that is not up yet may stay so after a start, ms (`fr_inv_timeout`). */
  readonly earlyLifetimeMs: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Runs something later; answers how to stop it. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly log: Log;
}
