import type { StatusCause } from "../../balancer/index.ts";
import type { DialogBody } from "../../cluster/dialogs/dialog-record.ts";
import type { AskerElsewhere, MethodOutcome, MethodParams } from "../../management/index.ts";
import type { SavedCapacity } from "../../store/index.ts";
import type { FeedWithdrawal } from "../freeswitch-feeds.ts";
import type { ListenerPlace } from "../listeners.ts";

/** Raised when a message between the two processes changes its meaning: processes of different numbers cannot take over from each other. */
export const HANDOVER_VERSION = 3;
/** Name of the environment variable that tells a new process that the one which has started it waits to be relieved. */
export const HANDOVER_VARIABLE = "HEADROOM_HANDOVER";
/** What the socket of the management interface is called; listeners are called as they stand in the configuration. */
export const MANAGEMENT = "management";

/** How a call is, or that it is over. */
export type CallNote =
  | {
      readonly did: string;
      readonly body: DialogBody;
      /** The former process still handles its INVITE. */
      readonly isPending: boolean;
      /** It was told before that the call is the next process's: one that is not known there is over. */
      readonly isGiven: boolean;
      readonly hasSessionTimer: boolean;
      readonly callerSession: string;
      readonly calleeSession: string;
      /** Connections of the former process that lead to the parties. */
      readonly callerConnection: number | undefined;
      readonly calleeConnection: number | undefined;
    }
  /** With a body, while a BYE of it is not answered: what still comes for it has to be passed on. */
  | { readonly did: string; readonly endReason: string; readonly body?: DialogBody | undefined };

/** Whether a destination gets calls: identity, enabled, whether probes may enable it, and for how long it still rests, ms. */
export type StatusNote = readonly [key: string, enabled: boolean, autoReenable: boolean, restMs: number];

/** States of the dispatcher that its records do not say: key of the destination and bits of its flags; and whether anybody is probed. */
export interface DispatchNote {
  readonly states: readonly (readonly [key: string, flags: number])[];
  readonly pingState: number;
}

/** A load: identity, resource, calls. */
export type LoadNote = readonly [key: string, resource: string, calls: number];

/** A message from the wire that one process hands to the other. */
export interface PassedMessage {
  readonly kind: "message";
  readonly text: string;
  /** The listener that it came to. */
  readonly listener: string;
  readonly address: string;
  readonly port: number;
  /** A connection of the former process. */
  readonly connection: number | undefined;
  /** The other process has looked at it already. */
  readonly isReturned: boolean;
}

/** What the process that is relieved says. */
export type FromFormer =
  | { readonly kind: "begin"; readonly version: number; readonly listeners: readonly ListenerPlace[]; readonly management: string }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "calls"; readonly notes: readonly CallNote[] }
  | { readonly kind: "copied"; readonly capacities: readonly SavedCapacity[]; readonly statuses: readonly StatusNote[] }
  | { readonly kind: "keys"; readonly keys: readonly string[] }
  | {
      readonly kind: "switched";
      readonly statuses: readonly StatusNote[];
      readonly fed: readonly LoadNote[];
      /** Absent: the former process has no dispatcher. */
      readonly dispatch?: DispatchNote;
      readonly withdrawals: readonly FeedWithdrawal[];
    }
  | { readonly kind: "handle"; readonly name: string }
  /** What has changed just now, by what the former process still does. */
  | { readonly kind: "statuses"; readonly statuses: readonly StatusNote[]; readonly cause: StatusCause }
  /** The file of calls is closed; its name is told when it has everything that was so at the switch. */
  | { readonly kind: "released"; readonly whole: string | undefined }
  | { readonly kind: "gone"; readonly connection: number }
  | {
      readonly kind: "manage";
      readonly id: number;
      readonly method: string;
      readonly params: MethodParams | undefined;
      readonly asker: AskerElsewhere;
    }
  | {
      readonly kind: "send";
      readonly listener: string;
      readonly text: string;
      readonly address: string;
      readonly port: number;
      /** Set when it is to be told that the message could not be sent. */
      readonly id: number | undefined;
    }
  | PassedMessage;

/** What the process that takes over says. */
export type FromNext =
  | { readonly kind: "hello"; readonly version: number; readonly hasCluster: boolean }
  | { readonly kind: "copy" }
  | { readonly kind: "ready"; readonly wanted: readonly string[] }
  | { readonly kind: "loads"; readonly loads: readonly LoadNote[] }
  | { readonly kind: "unsent"; readonly id: number; readonly reason: string }
  | { readonly kind: "write"; readonly connection: number; readonly text: string }
  | { readonly kind: "managed"; readonly id: number; readonly outcome: MethodOutcome }
  /** Those who watch over the program know that this is its process now. */
  | { readonly kind: "announced" }
  | { readonly kind: "stop" }
  | PassedMessage;
