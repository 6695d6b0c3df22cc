import { defineMethod } from "../define-method.ts";
import { describeTag } from "../describe-cluster.ts";
import { listOf, shared } from "../shapes/kinds.ts";

/** `clusterer:list_shtags`: the sharing tags with their state on this node, as in OpenSIPS; `Owner` and `Epoch` are ours. */
export const clustererListShtags = defineMethod({
  name: "clusterer:list_shtags",
  aliases: ["clusterer_list_shtags", "list_shtags"],
  help: "lists the sharing tags with their state on this node, and the node that has them",
  recipes: [[]],
  parameters: {},
  result: listOf(shared("SharingTag"), "the sharing tags"),
  offeredWith: "cluster.redis_url",
  available: ({ cluster }) => cluster !== undefined,
  run: (_params, { ports: { cluster } }) => (cluster?.tags() ?? []).map(describeTag),
});
