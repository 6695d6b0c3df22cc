import type { Keys } from "../keys.ts";
import type { ClusterClock, ClusterLink, ClusterLog } from "../ports.ts";
import type { Wire } from "../wire.ts";
import type { StatusRecord } from "./status-record.ts";

/** What a beat tells that matters to statuses. */
export interface StatusBeat {
  /** Number of the last change of a register. */
  readonly statusSeq: number;
  /** Another one: Redis has lost what it had. */
  readonly generation: string;
}

/** Time and news of Redis; `Membership` has them. */
export interface StatusBeats {
  /** Redis's time as well as it is known, ms since 1970. */
  redisNowMs(): number;
  onBeat(listener: (beat: StatusBeat) => void): void;
}

export interface StatusReplicaPorts {
  readonly link: ClusterLink;
  readonly keys: Keys;
  readonly wire: Wire;
  readonly nodeId: number;
  readonly clock: ClusterClock;
  readonly beats: StatusBeats;
  /** Another node's decision won. `isSync`: it was found by comparing, and may be old. */
  readonly apply: (record: StatusRecord, isSync: boolean) => void;
  /** A decision of this node came to nothing, and the cluster has none in its place: it is as if nobody had ever decided. */
  readonly forget?: (record: StatusRecord) => void;
  /** Whether this node's table has such a destination. Absent: nothing is ever forgotten. */
  readonly isListed?: (group: number, uri: string) => boolean;
  readonly log: ClusterLog;
}

/** The epoch in which a node decided something that only the one with the tag may decide. */
export interface Fence {
  readonly tag: string;
  readonly epoch: number;
}

/** How often each thing happened since the start. */
export interface StatusReplicaCounters {
  /** Decisions of this node. */
  status_set: number;
  /** Decisions of others that were taken over. */
  status_applied: number;
  /** Messages that said nothing new; those of this node's own decisions are among them. */
  status_old: number;
  /** Decisions of this node that a newer one of another node had overtaken. */
  status_lost: number;
  /** Versions more than 60 s ahead of Redis's time. */
  status_refused_ahead: number;
  /** Decisions that came to nothing, as another node had got the tag. */
  status_fenced: number;
  /** Decisions that found too many registers, here or in Redis: they hold on one node only. */
  status_overflows: number;
  /** Decisions stamped anew, because the clock of this machine is wrong. */
  status_restamped: number;
  /** Times that all was compared with Redis. */
  status_syncs: number;
  /** Times that a message was missed. */
  status_gaps: number;
}

export function newStatusCounters(): StatusReplicaCounters {
  return {
    status_set: 0,
    status_applied: 0,
    status_old: 0,
    status_lost: 0,
    status_refused_ahead: 0,
    status_fenced: 0,
    status_overflows: 0,
    status_restamped: 0,
    status_syncs: 0,
    status_gaps: 0,
  };
}
