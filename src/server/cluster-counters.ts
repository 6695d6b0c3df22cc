import type { LeaseBook } from "../cluster/leases/lease-book.ts";
import type { LoadExchange } from "../cluster/loads/load-exchange.ts";
import type { Membership } from "../cluster/members/membership.ts";
import type { RemoteMi } from "../cluster/members/remote-mi.ts";
import type { SharingTags } from "../cluster/members/sharing-tags.ts";
import type { TagHooks } from "../cluster/members/tag-hooks.ts";
import type { RedisLink } from "../cluster/redis/redis-link.ts";
import type { Wire } from "../cluster/wire.ts";
import type { ClusterDialogs } from "./cluster-dialogs.ts";
import type { ClusterStatus } from "./cluster-status.ts";

/** The parts of the cluster that count. */
export interface CountingParts {
  readonly membership: Membership;
  readonly tags: SharingTags;
  readonly hooks: TagHooks;
  readonly link: RedisLink;
  readonly wire: Wire;
  readonly status: ClusterStatus;
  readonly loads: LoadExchange;
  readonly leases: LeaseBook;
  readonly dialogs: ClusterDialogs | undefined;
  readonly remote: RemoteMi;
}

/** The statistics of group `clusterer`, each part's with its own beginning where the name alone would not say whose it is. */
export function clusterCounters(parts: CountingParts): Record<string, number> {
  const { membership, tags, hooks, link, wire, status, loads, leases, dialogs, remote } = parts;
  const nodes = membership.nodes();
  const { status_unsynced: unsynced = 0, ...statusCounters } = status.counters;
  return {
    nodes_alive: nodes.filter(({ isAlive }) => isAlive).length,
    nodes_known: nodes.length,
    redis_connected: Number(link.isUp),
    redis_rtt_ms: Math.round(membership.rttMs ?? 0),
    tags_active: tags.list().filter(({ state }) => state === "active").length,
    unsynced_statuses: unsynced,
    unsynced_dialogs: dialogs?.replica.pendingCount ?? 0,
    ...begun("redis", { ...link.counters }),
    ...begun("message", { ...wire.counters }),
    ...membership.counters,
    ...tags.counters,
    ...hooks.counters,
    ...statusCounters,
    ...begun("load", loads.counters),
    ...begun("lease", { ...leases.counters, calls: leases.calls, unreturned: leases.owed }),
    ...(dialogs === undefined ? {} : begun("dialog", { ...dialogs.replica.counters })),
    ...remote.counters,
  };
}

/** Names that begin with the word already stay as they are. */
function begun(word: string, counters: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counters).map(([name, value]) => [name.startsWith(word) ? name : `${word}_${name}`, value] as const),
  );
}
