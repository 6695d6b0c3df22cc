import type { MessagePort } from "node:worker_threads";
import type { CellName, DestinationRow, StatusCause } from "../../balancer/index.ts";
import type { Config } from "../../config/index.ts";
import type { DialogState, PingOutage } from "../../dialog/index.ts";
import type { BanChange, BanView, OverloadChange } from "../../overload/index.ts";
import type { CallNote } from "../handover/messages.ts";

/** Where the threads listen for one entry of `sip.listen`. */
export interface ThreadPlace {
  readonly configured: string;
  /** As it was bound. */
  readonly address: string;
  /** All threads have it. */
  readonly port: number;
  /** By thread: the port that it has alone. */
  readonly ownPorts: readonly number[];
}

/** What a SIP thread is started with. */
export interface ThreadSetup {
  readonly config: Config;
  /** Its number, from 0. */
  readonly self: number;
  readonly threads: number;
  readonly places: readonly ThreadPlace[];
  /** Memory of the loads. */
  readonly loads: SharedArrayBuffer;
  /** By thread: messages of other threads that wait for it. */
  readonly waiting: SharedArrayBuffer;
  /** A bit for each descriptor that it has opened by itself: the others close them when it has died. */
  readonly descriptors: SharedArrayBuffer;
}

/** What keeps calls from a destination, and the share of its capacity that is open. */
export type StateNote = readonly [key: string, state: number, factor: number];

/** A call as it is, or that it is over, and the states that it went through since it was told of last. */
export interface ThreadNote {
  readonly note: CallNote;
  readonly states: readonly (readonly [before: DialogState, state: DialogState])[];
  readonly names: {
    readonly did: string;
    readonly callId: string;
    readonly fromTag: string;
    readonly toTag: string;
    readonly endReason: string;
  };
}

/** By group and name. */
export type Values = Record<string, Record<string, number>>;

/** What the main thread says. */
export type ToThread =
  | {
      readonly kind: "table";
      readonly rows: readonly DestinationRow[];
      readonly names: readonly CellName[];
      readonly states: readonly StateNote[];
    }
  | { readonly kind: "states"; readonly states: readonly StateNote[] }
  /** Calls of a thread that has died, or of before the start. */
  | { readonly kind: "calls"; readonly notes: readonly CallNote[] }
  /** All that was so far is told: take SIP. */
  | { readonly kind: "open" }
  | { readonly kind: "peer"; readonly thread: number; readonly port: MessagePort }
  | { readonly kind: "end"; readonly did: string; readonly headers: readonly (readonly [string, string])[] }
  | { readonly kind: "lift"; readonly address: string }
  | { readonly kind: "config"; readonly config: Config }
  | { readonly kind: "stop" };

/** What a SIP thread says. */
export type FromThread =
  | { readonly kind: "up" }
  /** It takes SIP, and has the calls that it was told of. */
  | { readonly kind: "open" }
  | { readonly kind: "failed"; readonly reason: string }
  /** A list of {@link ThreadNote} as JSON: half as dear as a copy of the objects. */
  | { readonly kind: "calls"; readonly text: string }
  | { readonly kind: "status"; readonly key: string; readonly enabled: boolean; readonly cause: StatusCause }
  | { readonly kind: "rest"; readonly key: string; readonly ms: number }
  | { readonly kind: "ban"; readonly change: BanChange }
  | { readonly kind: "overload"; readonly change: OverloadChange }
  | { readonly kind: "outage"; readonly outage: PingOutage }
  | { readonly kind: "statistics"; readonly values: Values; readonly bans: readonly BanView[] }
  | { readonly kind: "stopped" };

/** A datagram that has come to another thread than the one that has the call. */
export interface HandedMessage {
  readonly text: string;
  /** Number of the entry of `sip.listen`. */
  readonly place: number;
  readonly address: string;
  readonly port: number;
}
