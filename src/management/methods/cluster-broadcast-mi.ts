import { defineMethod } from "../define-method.ts";
import { readRemoteCall } from "../remote-call.ts";

/**
 * `clusterer:broadcast_mi`: runs a method on every living node, this one too, and answers what each said. OpenSIPS answers for its own node only.
 * The order is that of the ids.
 */
export const clusterBroadcastMi = defineMethod({
  name: "clusterer:broadcast_mi",
  aliases: ["cluster_broadcast_mi"],
  help: "runs a management method on all nodes of the cluster and answers what each said",
  recipes: [
    ["cluster_id", "cmd_name"],
    ["cluster_id", "cmd_name", "cmd_params"],
  ],
  writes: () => true,
  isLocalOnly: true,
  available: ({ cluster }) => cluster !== undefined,
  async run(params, { ports, asker }) {
    const { cluster, method, params: own } = readRemoteCall(params, ports.cluster);
    const answers = await cluster.broadcast(method, own, asker.name);
    return { Nodes: answers.map(({ nodeId, ...outcome }) => ({ node_id: nodeId, ...outcome })) };
  },
});
