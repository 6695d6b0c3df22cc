import type { Balancer, Destination } from "../balancer/index.ts";
import type { FeedState } from "../health/index.ts";

/** What the feed reads of the table. */
export type WatchedBalancer = Pick<
  Balancer,
  | "destinations"
  | "load"
  | "maxLoad"
  | "capacity"
  | "remoteLoad"
  | "foreignLoad"
  | "slotCell"
  | "calls"
  | "isEnabled"
  | "isAutoReenable"
  | "isDraining"
  | "isLeaving"
  | "isWithdrawn"
  | "isOverRate"
  | "breaker"
  | "restMs"
  | "callsPerSecond"
  | "capacityFactor"
  | "decisions"
>;

/** What probes have shown of one destination. */
export interface WatchedProbes {
  /** How the last one ended; 0 before the first end. */
  readonly lastStatus: number;
  readonly latency: { readonly last: number; readonly ewma: number; readonly samples: number };
}

/** Where the figures of destinations come from. */
export interface RowSources {
  readonly balancer: WatchedBalancer;
  /** The drain of a destination that is under way, and whether one has ended by disabling it. */
  readonly drains: {
    of(destination: Destination): { readonly load: number; readonly deadlineMs: number } | undefined;
    drained(destination: Destination): "up" | "down" | undefined;
  };
  /** Undefined for one that is not probed. */
  probes(destination: Destination): WatchedProbes | undefined;
  /** Undefined for one that no FreeSWITCH feeds, and while there is nothing to say. */
  feedState(destination: Destination): FeedState | undefined;
}

/** A node of the cluster, as the page shows it. */
export interface WatchedNode {
  readonly nodeId: number;
  readonly isSelf: boolean;
  readonly isAlive: boolean;
  readonly version: string;
  readonly sip: readonly string[];
  readonly managementUrl: string;
  readonly lastSeenMs: number;
}

export interface WatchedCluster {
  readonly nodeId: number;
  readonly redis: string;
  readonly rttMs: number | undefined;
  nodes(): readonly WatchedNode[];
  tags(): readonly { readonly tag: string; readonly state: string; readonly owner?: number | undefined }[];
}

/** Counts since the start, and values of this moment. */
export interface TotalSources {
  /** Ongoing calls, and those of them that are not up yet. */
  calls(): { readonly ongoing: number; readonly early: number; readonly begun: number };
  failovers(): number;
  /** Calls that were refused because there was no time for them. */
  refused(): number;
  /** Longest standstill of the event loop since it was asked for last, ms. */
  takeLagMs(): number;
  memoryBytes(): number;
  readonly cluster: WatchedCluster | undefined;
}

/** One event; its text is made when somebody wants it. */
export interface FeedEvent {
  readonly name: string;
  json(): string;
}

/** Where events come from. */
export interface EventSource {
  /** The latest ones of these names that are kept, oldest first. */
  latest(count: number, isWanted: (name: string) => boolean): readonly FeedEvent[];
  /** Tells of each from now on; what it answers ends that. */
  subscribe(tell: (event: FeedEvent) => void): () => void;
}

/** What time is, and when things are done. */
export interface FeedClock {
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Runs something again and again; what it answers ends that. */
  every(ms: number, run: () => void): () => void;
  /** Runs something once, soon, but not within the call that asks for it. */
  soon(run: () => void): void;
}
