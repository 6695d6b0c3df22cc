import type { Membership } from "../cluster/members/membership.ts";
import type { RemoteMi } from "../cluster/members/remote-mi.ts";
import type { SharingTags } from "../cluster/members/sharing-tags.ts";
import type { Config } from "../config/index.ts";
import type { ClusterPort, RedisState } from "../management/index.ts";
import type { ClusterDialogs } from "./cluster-dialogs.ts";
import type { ClusterStatus } from "./cluster-status.ts";

/** What management shows and steers of a cluster. */
export interface ManagedCluster {
  readonly clusterId: number;
  readonly config: Pick<Config, "cluster">;
  readonly membership: Membership;
  readonly status: ClusterStatus;
  readonly dialogs: ClusterDialogs | undefined;
  readonly tags: SharingTags;
  readonly remote: RemoteMi;
  readonly redis: () => RedisState;
}

/** The cluster, as management reads and steers it. Capabilities have the names of OpenSIPS. */
export function clusterPort({ clusterId, config, membership, status, dialogs, tags, remote, redis }: ManagedCluster): ClusterPort {
  return {
    clusterId,
    nodeId: config.cluster.node_id,
    loadSharing: config.cluster.load_sharing,
    get redis() {
      return redis();
    },
    get rttMs() {
      return redis() === "lost" ? undefined : membership.rttMs;
    },
    get unsyncedStatuses() {
      return status.replica.pendingCount;
    },
    get unsyncedDialogs() {
      return dialogs?.replica.pendingCount ?? 0;
    },
    nodes: () => membership.nodes(),
    tags: () => tags.list(),
    capabilities: () => [
      { name: "load_balancer-status-repl", isSynced: status.replica.isSynced },
      ...(dialogs === undefined ? [] : [{ name: "dialog-dlg-repl", isSynced: dialogs.replica.isSettled }]),
    ],
    setTagActive: (tag) => tags.setActive(tag),
    broadcast: (method, params, by) => remote.broadcast(method, params, by),
    send: (nodeId, method, params, by) => remote.send(nodeId, method, params, by),
  };
}
