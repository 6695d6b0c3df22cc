import type { IncomingMessage, ServerResponse } from "node:http";
import type { Balancer, Destination } from "../balancer/index.ts";
import type { Dialog } from "../dialog/index.ts";
import type { Distributor } from "../distributor/index.ts";
import type { BreakerFigures, Drains, ProbeFigures } from "../health/index.ts";
import type { BanView } from "../overload/index.ts";
import type { BindingView } from "../registrar/index.ts";
import type { AuditEntry } from "./audit-trail.ts";
import type { ManagementCounters } from "./counters.ts";
import type { DashboardPort } from "./dashboard-routes.ts";
import type { DispatchPort } from "./dispatch-port.ts";

/** Structured logging, as pino does it. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What management reads of one dialog. */
export type ManagedDialog = Pick<
  Dialog,
  | "did"
  | "state"
  | "flags"
  | "callId"
  | "fromTag"
  | "fromUri"
  | "toUri"
  | "startedAtMs"
  | "expiresAtMs"
  | "callerContact"
  | "callerRouteSet"
  | "calleeCseq"
  | "callerCseq"
  | "callerEndpoint"
  | "calleeEndpoint"
  | "legs"
> & { readonly load: { readonly leases: readonly number[] } };

/** What management reads of the dialog table. */
export interface ManagedDialogs {
  list(): Iterable<ManagedDialog>;
  byDid(did: string): ManagedDialog | undefined;
  byCallId(callId: string, fromTag?: string): ManagedDialog | undefined;
  readonly size: number;
}

/** One process or thread, with the keys that `ps` answers. */
export interface ProcessEntry {
  readonly ID: number;
  readonly PID: number;
  readonly Type: string;
}

/** What is to be said of a FreeSWITCH: none of its heartbeats has come, the last is too old, or it takes no new calls. */
export type FreeswitchState = "initial" | "stale" | "paused" | "leaving" | "idle-cpu";

/** One FreeSWITCH that tells capacities; members are undefined while they are not known. */
export interface FreeswitchFigures {
  /** Without its password. */
  readonly url: string;
  /** Ids of the rows that name it. */
  readonly destinations: readonly number[];
  readonly isConnected: boolean;
  readonly freshness: "initial" | "fresh" | "stale";
  /** Why it gets no new calls. */
  readonly withdrawal: FreeswitchState | undefined;
  readonly heartbeatAgeMs: number | undefined;
  readonly idleCpuPercent: number | undefined;
  readonly sessions: number | undefined;
  readonly maxSessions: number | undefined;
  /** Calls that we have there. */
  readonly ownCalls: number;
  readonly sessionsPerCall: number;
  readonly callsPerSecond: number | undefined;
  /** Counts since the connection was first tried. */
  readonly heartbeats: number;
  readonly badHeartbeats: number;
  readonly refusedCalls: number;
  readonly connections: number;
  readonly tries: number;
}

/** How Redis is reached: its answers take longer than 50 ms when it is slow. */
export type RedisState = "connected" | "slow" | "lost";

/** One node of the cluster, this one or another; those that are gone are remembered for a while. */
export interface ClusterNodeFigures {
  readonly nodeId: number;
  readonly isSelf: boolean;
  readonly isAlive: boolean;
  readonly version: string;
  /** Addresses that SIP is taken on, such as `udp:192.0.2.1:5060`. */
  readonly sip: readonly string[];
  readonly managementUrl: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** When it was last heard of, by Redis's clock: milliseconds since 1970. */
  readonly lastSeenMs: number;
  /** How often a node of this id has joined. */
  readonly epoch: number;
}

/** A sharing tag as this node sees it. */
export interface ClusterTagFigures {
  readonly tag: string;
  /** Id of its cluster. */
  readonly cluster: number;
  readonly state: "active" | "backup";
  /** Node that has it; absent when nobody has. */
  readonly owner?: number | undefined;
  /** How often it has moved: a higher one is newer. */
  readonly epoch: number;
}

/** What a node answered to a management method: JSON-RPC's own members. */
export type MethodOutcome =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message: string; readonly data?: unknown } };

/** Who asks, for the audit list of whoever runs the method in the end. */
export interface AskerElsewhere {
  readonly name: string;
  readonly client: string;
}

/** What one node of several answered. */
export type NodeOutcome = { readonly nodeId: number } & MethodOutcome;

/** Parameters as JSON-RPC has them: by position or by name. */
export type MethodParams = readonly unknown[] | Readonly<Record<string, unknown>>;

/** Something that the nodes share, and whether this one has all of it. */
export interface ClusterCapability {
  readonly name: string;
  readonly isSynced: boolean;
}

/** The cluster, as management reads and steers it. */
export interface ClusterPort {
  readonly clusterId: number;
  readonly nodeId: number;
  readonly loadSharing: "off" | "shared" | "exact";
  readonly redis: RedisState;
  /** Time that the last beat took, in milliseconds; undefined while Redis is lost. */
  readonly rttMs: number | undefined;
  /** Changes of status that this node has made and Redis has not taken yet. */
  readonly unsyncedStatuses: number;
  /** Dialogs of this node whose latest state Redis has not taken yet. */
  readonly unsyncedDialogs: number;
  /** All nodes, this one too, in the order of their ids. */
  nodes(): readonly ClusterNodeFigures[];
  tags(): readonly ClusterTagFigures[];
  capabilities(): readonly ClusterCapability[];
  /** Resolves when the tag is active here. Rejects with a sentence. A tag that is not known is made. */
  setTagActive(tag: string): Promise<void>;
  /** Runs a method on each living node, this one too; a node that does not answer in 3 s is an error entry. Never rejects. @param by who asks, for their audit lists */
  broadcast(method: string, params: MethodParams | undefined, by: string): Promise<readonly NodeOutcome[]>;
  /** Runs a method on one living node. Never rejects; `undefined`: there is no such node, or it is gone. @param by who asks, for its audit list */
  send(nodeId: number, method: string, params: MethodParams | undefined, by: string): Promise<MethodOutcome | undefined>;
}

/** Something that was counted otherwise than the calls hold it. */
export interface AuditDifference {
  /** Id, group and URI of the destination; absent for a pool. */
  readonly id?: number;
  readonly group?: number;
  readonly uri?: string;
  /** Name of the pool; absent for a destination. */
  readonly pool?: string;
  /** Its load; `undefined`: the number of calls that the destination has, each counted once. */
  readonly resource: string | undefined;
  readonly counted: number;
  readonly actual: number;
}

/** What an audit of the loads has found. Each difference was healed. */
export interface AuditView {
  /** Calls that were gone through. */
  readonly calls: number;
  readonly durationMs: number;
  readonly differences: readonly AuditDifference[];
  /** What FreeSWITCHes say, as of now: `isShort` when they have had fewer sessions than we count calls there for several heartbeats. */
  readonly freeswitch: readonly { url: string; sessions: number | undefined; calls: number; isShort: boolean }[];
}

/** A message of a call, credentials masked. */
export interface CapturedMessageView {
  /** ISO 8601, in UTC. */
  readonly time: string;
  readonly direction: "in" | "out";
  readonly transport: string;
  /** Address and port of this side, and of the other one, such as `192.0.2.1:5060`. */
  readonly local: string;
  readonly remote: string;
  readonly message: string;
}

/** The messages of a call that are remembered. */
export interface CaptureView {
  readonly messages: readonly CapturedMessageView[];
  /** Further ones, which are not told. */
  readonly omitted: number;
  /** Since when messages of all calls are remembered, ISO 8601; undefined: there was none. */
  readonly oldest: string | undefined;
}

/** What the management methods need of the rest of the program. */
export interface ManagementPorts {
  readonly balancer: Pick<
    Balancer,
    | "destinations"
    | "destination"
    | "load"
    | "maxLoad"
    | "isEnabled"
    | "isAutoReenable"
    | "resize"
    | "setStatus"
    | "breaker"
    | "restMs"
    | "callsPerSecond"
    | "isOverRate"
    | "capacity"
    | "capacityFactor"
    | "foreignLoad"
    | "remoteLoad"
    | "cellsOf"
    | "profileSize"
    | "resourceNames"
  >;
  readonly dialogs: ManagedDialogs;
  /** Absent: `distributor` and `distributor_ctl` are not offered. Its reload reads the lists again; false when that failed and the old ones stay. */
  readonly distributor?: { readonly lists: Distributor; reload(): boolean } | undefined;
  /** Absent: the methods of the dispatcher are not offered. */
  readonly dispatch?: DispatchPort | undefined;
  /** Absent: `lb_drain` and `lb_undrain` are not offered. */
  readonly drains?: Pick<Drains, "begin" | "undo" | "overrule" | "of"> | undefined;
  /**
   * Resolves once what operators have decided so far is written down for the next start; false when that failed, or took more than a second. Never
   * rejects. Absent: nothing is written down, or nobody needs to wait for it.
   */
  settled?(): Promise<boolean>;
  /** What probing has shown, in id order. Absent: `lb_probes` is not offered. */
  probes?(): readonly ProbeFigures[];
  /** The servers that have registered. Absent: `lb_registrations` is not offered. */
  registrations?(): readonly BindingView[];
  /** FreeSWITCHes that tell capacities. Absent: `lb_freeswitch` is not offered. */
  readonly freeswitch?:
    | { stateOf(destination: Destination): FreeswitchState | undefined; figures(): readonly FreeswitchFigures[] }
    | undefined;
  /** Absent: this node runs alone, and the methods of a cluster are not offered. */
  readonly cluster?: ClusterPort | undefined;
  /** The breakers of destinations that had a call, in id order. Absent: `lb_breakers` is not offered. */
  breakers?(): readonly BreakerFigures[];
  /** Sources that are banned, oldest first, and how to end a ban; false when there is none. Absent: `pike_list` and `pike_rm` are not offered. */
  readonly bans?: { list(): readonly BanView[]; lift(address: string): boolean } | undefined;
  /** Recomputes the loads from the calls. Absent: `lb_audit` is not offered. */
  audit?(): Promise<AuditView>;
  /** Ends the rest of a destination and closes its breaker. Absent: there are none. */
  forgive?(destination: Destination): void;
  /** What is remembered of the decisions for a call; `undefined` when that is nothing. Absent: `lb_explain` is not offered. */
  explain?(callId: string): object | undefined;
  /** The latest messages of the call. Absent: `capture` is not offered. */
  capture?(callId: string): Promise<CaptureView>;
  /** What a start with these arguments would look at and answer, without doing it. Absent: `lb_what_if` is not offered. */
  whatIf?(group: number, resources: string, flags: string): object;
  /** Answers GET requests for the paths that are its keys, such as `/events`, and keeps the connection for as long as it wants. */
  readonly streams?: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>>;
  /** Absent: GET `/` is answered by nothing. */
  readonly dashboard?: DashboardPort | undefined;
  /** Loads the destination table again. Rejects when it cannot; the table in use then stays. */
  reload(): Promise<void>;
  /** Has a new process take over, and answers its id. Rejects with a sentence. Absent: `restart` is not offered. */
  restart?(): Promise<number>;
  /**
   * Runs a method in the process that takes over from this one, once it has. Undefined: there is none. Resolves to undefined when it has not taken over
   * after all: the method is then to be run here.
   */
  elsewhere?(method: string, params: MethodParams | undefined, asker: AskerElsewhere): Promise<MethodOutcome | undefined> | undefined;
  /** Ends a dialog as OpenSIPS does: BYE to both sides, CANCEL while it is early. */
  endDialog(dialog: ManagedDialog, extraHeaders?: readonly (readonly [string, string])[]): void;
  /** Values of all statistics, by group and name. */
  statistics(): Record<string, Record<string, number>>;
  /** Names such as `dialog:active_dialogs` that tell a current value, not a count since the start. Default: those of `statistics.ts`. */
  readonly gauges?: ReadonlySet<string>;
  /** Counts what becomes of requests. Absent: nobody wants to know. */
  readonly counters?: ManagementCounters;
  /** Is told of each change that was asked for. It must not throw. */
  changed?(entry: AuditEntry): void;
  /** Sets one counter to 0. Absent: `reset_statistics` is not offered. */
  resetStatistic?(group: string, name: string): void;
  processes(): readonly ProcessEntry[];
  /** Wall clock in ms since 1970. */
  readonly startedAtMs: number;
  nowMs(): number;
  /** Version of the program, such as `0.1.0`. */
  readonly version: string;
  readonly log: Log;
}
