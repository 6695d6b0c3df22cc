import { defineMethod } from "../define-method.ts";
import { NodeList } from "../shapes/cluster.ts";

/**
 * `clusterer:list`: the other nodes of the cluster, as in OpenSIPS; those that are gone are Down. OpenSIPS's members come first, then ours: `sip`
 * addresses, `version`, `started` and `last_seen` in seconds since 1970, and `epoch`, how often a node of this id has joined.
 */
export const clustererList = defineMethod({
  name: "clusterer:list",
  aliases: ["clusterer_list"],
  help: "lists the other nodes of the cluster",
  recipes: [[]],
  parameters: {},
  result: NodeList,
  offeredWith: "cluster.redis_url",
  available: ({ cluster }) => cluster !== undefined,
  run(_params, { ports: { cluster } }) {
    const nodes = (cluster?.nodes() ?? []).filter(({ isSelf }) => !isSelf);
    return {
      Clusters: [
        {
          cluster_id: cluster?.clusterId,
          Nodes: nodes.map(({ nodeId, managementUrl, isAlive, sip, version, startedAtMs, lastSeenMs, epoch }) => ({
            node_id: nodeId,
            db_id: nodeId,
            url: managementUrl,
            link_state: isAlive ? "Up" : "Down",
            next_hop: isAlive ? String(nodeId) : "none",
            description: "none",
            sip,
            version,
            started: Math.floor(startedAtMs / 1000),
            last_seen: Math.floor(lastSeenMs / 1000),
            epoch,
          })),
        },
      ],
    };
  },
});
