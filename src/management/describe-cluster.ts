import type { ClusterPort, ClusterTagFigures } from "./ports.ts";

/** A sharing tag: OpenSIPS's members, then the node that has it, if any, and how often it has moved. */
export function describeTag({ tag, cluster, state, owner, epoch }: ClusterTagFigures): object {
  return { Tag: tag, Cluster: cluster, State: state, ...(owner === undefined ? {} : { Owner: owner }), Epoch: epoch };
}

/** How the cluster and Redis are, in a few words. `rtt_ms` stands there while Redis answers; `gone` while a node that was there is not. */
export function describeCluster(cluster: ClusterPort): object {
  const { clusterId, nodeId, redis, rttMs, loadSharing, unsyncedStatuses, unsyncedDialogs } = cluster;
  const nodes = cluster.nodes();
  const alive = nodes.filter(({ isAlive }) => isAlive).map((node) => node.nodeId);
  const gone = nodes.filter(({ isAlive }) => !isAlive).map((node) => node.nodeId);
  return {
    id: clusterId,
    node_id: nodeId,
    redis,
    ...(rttMs === undefined || redis === "lost" ? {} : { rtt_ms: Math.round(rttMs * 10) / 10 }),
    nodes: alive,
    ...(gone.length > 0 ? { gone } : {}),
    tags: cluster.tags().map(describeTag),
    load_sharing: loadSharing,
    unsynced_statuses: unsyncedStatuses,
    unsynced_dialogs: unsyncedDialogs,
  };
}
