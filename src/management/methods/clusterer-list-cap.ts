import { defineMethod } from "../define-method.ts";
import { CapabilityList } from "../shapes/cluster.ts";

/** `clusterer:list_cap`: what the nodes share, and whether this one has all of it, as in OpenSIPS. */
export const clustererListCap = defineMethod({
  name: "clusterer:list_cap",
  aliases: ["clusterer_list_cap"],
  help: "lists what the nodes of the cluster share and whether this one has all of it",
  recipes: [[]],
  parameters: {},
  result: CapabilityList,
  offeredWith: "cluster.redis_url",
  available: ({ cluster }) => cluster !== undefined,
  run(_params, { ports: { cluster } }) {
    const capabilities = cluster?.capabilities() ?? [];
    return {
      Clusters: [
        {
          cluster_id: cluster?.clusterId,
          Capabilities: capabilities.map(({ name, isSynced }) => ({ name, state: isSynced ? "Ok" : "not synced" })),
        },
      ],
    };
  },
});
