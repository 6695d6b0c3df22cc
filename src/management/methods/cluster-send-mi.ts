import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { readRemoteCall } from "../remote-call.ts";

/** `clusterer:send_mi`: runs a method on another node and answers what it said, where OpenSIPS answers "OK" as soon as it is sent. */
export const clusterSendMi = defineMethod({
  name: "clusterer:send_mi",
  aliases: ["cluster_send_mi"],
  help: "runs a management method on another node of the cluster and answers what it said",
  recipes: [
    ["cluster_id", "destination", "cmd_name"],
    ["cluster_id", "destination", "cmd_name", "cmd_params"],
  ],
  writes: () => true,
  isLocalOnly: true,
  available: ({ cluster }) => cluster !== undefined,
  async run(params, { ports, asker }) {
    const { cluster, method, params: own } = readRemoteCall(params, ports.cluster);
    const nodeId = params.int("destination");
    if (nodeId < 1) throw new MiError(400, "Bad value for 'destination'");
    if (nodeId === cluster.nodeId) throw new MiError(400, "Local node specified as destination");
    const outcome = await cluster.send(nodeId, method, own, asker.name);
    if (outcome === undefined) throw new MiError(400, "Destination down");
    return { Nodes: [{ node_id: nodeId, ...outcome }] };
  },
});
